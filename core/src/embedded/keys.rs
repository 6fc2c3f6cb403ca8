//! The key layout. Numbers are big endian, so that keys sort like numbers.
//!
//! | table | key | value |
//! |---|---|---|
//! | rides | resort day (5 bytes), skier (4) | packed rides, 3 bytes each, in the order of their arrival |
//! | skiers | skier (4), resort day (5) | nothing |
//! | days | `d`, resort day (5) | number of skiers (4), then [`counters`](crate::store::counters) |
//! | days | `s`, resort (2), season (2) | nothing |
//! | days | `f` | version of this layout (4) |
//! | queue | `m`, number (8) | a message |
//! | queue | `c` | number of the oldest message (8), number that the next one gets (8) |
//! | queue | `h` | number of the first message that was not delivered yet (8) |
//! | queue | `r`, number (8) | how often this message was redelivered (4) |
//! | dead | epoch (8), channel (2) and sequence (8) of the message, line in it (4) | a dead letter identified by these |
//! | dead | 255 (1), its id | any other dead letter |
//! | books | `a`, `d`, `s`, `r`, `f` | rides or lines applied, dead, settled, replayed, foreign (8) |
//! | books | `q` | rides that ever entered the queue (8) |
//! | books | `x` | those of them that are replayed dead letters (8) |
//! | books | `w` | those of `q` that left it (8) |
//! | books | `l`, epoch (8), channel (2) | rides of this channel epoch (8), then ranges of its settled numbers: first (8), last (8) |

use std::ops::RangeInclusive;

use crate::ride::{ResortDay, ResortId, Season, SkierId};

/// The version of the layout, in `days`.
pub(crate) const FORMAT: [u8; 1] = *b"f";
/// The oldest message and the next number, in `queue`.
pub(crate) const CURSOR: [u8; 1] = *b"c";
/// The delivery position, in `queue`.
pub(crate) const HANDED_OUT: [u8; 1] = *b"h";
/// Prefix of the keys of messages in `queue`.
pub(crate) const MESSAGE: u8 = b'm';
/// Prefix of the keys of redelivery counts in `queue`.
pub(crate) const RETURNS: u8 = b'r';
/// Prefix of the keys of seasons in `days`.
const SEASON: u8 = b's';

/// Rides added to the ledger, in `books`.
pub(crate) const APPLIED: [u8; 1] = *b"a";
/// Lines that could not be applied, in `books`.
pub(crate) const DEAD: [u8; 1] = *b"d";
/// Lines of messages of Skilift's publishers, in `books`.
pub(crate) const SETTLED: [u8; 1] = *b"s";
/// Lines of replayed dead letters, in `books`.
pub(crate) const REPLAYED: [u8; 1] = *b"r";
/// Lines of foreign messages, in `books`.
pub(crate) const FOREIGN: [u8; 1] = *b"f";
/// Rides that ever entered the queue, in `books`.
pub(crate) const ENTERED: [u8; 1] = *b"q";
/// Those of them that are replayed dead letters, in `books`.
pub(crate) const REPUBLISHED: [u8; 1] = *b"x";
/// Rides that left the queue, in `books`.
pub(crate) const LEFT: [u8; 1] = *b"w";
/// Prefix of the keys of channel epochs in `books`.
const EPOCH: u8 = b'l';

/// Bytes of a resort day: its index has 36 bits.
pub(crate) const DAY_BYTES: usize = 5;
/// Bytes of a skier.
pub(crate) const SKIER_BYTES: usize = 4;

/// A resort day, the prefix of the keys of its rides.
pub(crate) fn day(day: ResortDay) -> [u8; DAY_BYTES] {
    let [_, _, _, key @ ..] = day.to_index().to_be_bytes();
    key
}

/// Parses the output of [`day`]; `None` if it is not a day.
pub(crate) fn read_day(key: [u8; DAY_BYTES]) -> Option<ResortDay> {
    let mut index = [0; 8];
    index[8 - DAY_BYTES..].copy_from_slice(&key);
    ResortDay::from_index(u64::from_be_bytes(index)).ok()
}

/// A skier's rides of a day.
pub(crate) fn rides(on: ResortDay, skier: SkierId) -> [u8; DAY_BYTES + SKIER_BYTES] {
    joined(day(on), skier.get().to_be_bytes())
}

/// A day of a skier.
pub(crate) fn skier_day(skier: SkierId, on: ResortDay) -> [u8; SKIER_BYTES + DAY_BYTES] {
    joined(skier.get().to_be_bytes(), day(on))
}

/// The key of a day's counters.
pub(crate) fn day_counters(on: ResortDay) -> [u8; 1 + DAY_BYTES] {
    joined(*b"d", day(on))
}

/// The range of keys of a season's days.
pub(crate) fn days_of(resort: ResortId, season: Season) -> RangeInclusive<[u8; 1 + DAY_BYTES]> {
    day_counters(ResortDay::first(resort, season))..=day_counters(ResortDay::last(resort, season))
}

/// A season of a resort.
pub(crate) fn season(resort: ResortId, season: Season) -> [u8; 5] {
    joined(seasons_of(resort), season.get().to_be_bytes())
}

/// Prefix of the keys of a resort's seasons.
pub(crate) fn seasons_of(resort: ResortId) -> [u8; 3] {
    joined([SEASON], resort.get().to_be_bytes())
}

/// Prefix of the keys of all seasons.
pub(crate) fn seasons() -> [u8; 1] {
    [SEASON]
}

/// The key of a channel epoch's settled ranges.
pub(crate) fn settled_ranges((epoch, channel): (u64, u16)) -> [u8; 11] {
    joined::<9, 2, 11>(numbered(EPOCH, epoch), channel.to_be_bytes())
}

/// Parses the output of [`settled_ranges`]; `None` for other keys.
pub(crate) fn read_settled_ranges(key: &[u8]) -> Option<(u64, u16)> {
    let (epoch, channel) = key.strip_prefix(&[EPOCH])?.split_at_checked(8)?;
    let epoch = epoch.try_into().map(u64::from_be_bytes).ok()?;
    Some((epoch, channel.try_into().map(u16::from_be_bytes).ok()?))
}

/// The key of a message, or of its redelivery count.
pub(crate) fn numbered(kind: u8, number: u64) -> [u8; 9] {
    joined([kind], number.to_be_bytes())
}

fn joined<const A: usize, const B: usize, const C: usize>(a: [u8; A], b: [u8; B]) -> [u8; C] {
    const { assert!(A + B == C) };
    let mut key = [0; C];
    key[..A].copy_from_slice(&a);
    key[A..].copy_from_slice(&b);
    key
}
