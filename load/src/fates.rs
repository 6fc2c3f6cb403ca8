//! What became of each ride of a run, as its sender saw it: one byte a ride, allocated as rides are sent.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Rides in a part of the table.
const PART: usize = 1 << 20;
/// Parts of the table: four thousand million rides.
const PARTS: usize = 1 << 12;

/// What is known of a ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never left, or the server said that it refuses it.
    Absent,
    /// It left, and no answer said that it is safe or refused.
    Unknown,
    /// The server said that it is safe.
    Accepted,
}

/// The fates of rides by their number.
#[derive(Debug)]
pub(crate) struct Fates(Vec<OnceLock<Box<[AtomicU8]>>>);

impl Fates {
    /// Most rides that can be followed.
    pub(crate) const MOST: u64 = (PART * PARTS) as u64;

    pub(crate) fn new() -> Self {
        Self((0..PARTS).map(|_| OnceLock::new()).collect())
    }

    pub(crate) fn set(&self, ride: u64, fate: Fate) {
        let ride = ride as usize;
        // A run is refused before it has more rides than this.
        let Some(part) = self.0.get(ride / PART) else {
            return;
        };
        let part = part.get_or_init(|| (0..PART).map(|_| AtomicU8::new(0)).collect());
        part[ride % PART].store(fate as u8, Ordering::Relaxed);
    }

    /// The rides that are or may be on the server, in order.
    pub(crate) fn sent(&self) -> impl Iterator<Item = (u64, Fate)> {
        let filled = self.0.iter().enumerate();
        filled.flat_map(|(part, fates)| {
            let fates = fates.get().map_or(&[][..], |fates| &fates[..]);
            fates.iter().enumerate().filter_map(move |(at, fate)| {
                let ride = (part * PART + at) as u64;
                let fate = fate.load(Ordering::Relaxed);
                if fate == Fate::Accepted as u8 {
                    Some((ride, Fate::Accepted))
                } else {
                    (fate == Fate::Unknown as u8).then_some((ride, Fate::Unknown))
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts() {
        let fates = Fates::new();
        fates.set(3_000_000, Fate::Unknown);
        fates.set(5, Fate::Unknown);
        fates.set(5, Fate::Accepted);
        fates.set(6, Fate::Unknown);
        fates.set(6, Fate::Absent);
        let sent: Vec<_> = fates.sent().collect();
        assert_eq!(sent, [(5, Fate::Accepted), (3_000_000, Fate::Unknown)]);
        fates.set(u64::MAX, Fate::Accepted);
    }
}
