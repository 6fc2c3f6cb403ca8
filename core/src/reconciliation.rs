//! Reconciliation: the proof that no accepted ride was lost, stored together with the rides.
//!
//! Before a message is acknowledged it is settled: its number is added to the settled ranges of its publisher channel, and
//! its rides are added to `settled` only if the number was not settled yet. So, regardless of crashes and redeliveries:
//!
//! `settled + replayed + foreign = applied + duplicate + dead`
//!
//! where `applied` and `dead` are counted once, where they happen, and `duplicate` is the difference. A number that the
//! broker confirmed and that stays unsettled while its message is not in the queue is a lost message.

use std::collections::BTreeMap;

use crate::message::MessageId;

/// The highest number that can be settled: every store counts exactly up to it. No channel ever reaches it, so a message
/// with a higher number, or with 0, is foreign.
const MAX_SEQUENCE: u64 = (1 << 53) - 1;

/// Settlement of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Its id; `None` for a foreign message, which is counted at each delivery.
    pub message: Option<MessageId>,
    /// Whether it is a replayed dead letter.
    pub is_replay: bool,
    /// Its lines.
    pub rides: u32,
    /// Those of them that could not be applied.
    pub dead: u32,
}

/// Settlements of the messages of a batch, as recorded for reconciliation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// Lines of foreign messages.
    pub(crate) foreign: u64,
    /// Those of them that could not be applied.
    pub(crate) foreign_dead: u64,
    /// The messages of each channel epoch, by ascending number.
    pub(crate) epochs: BTreeMap<(u64, u16), Vec<Entry>>,
}

/// Settlement of one message of Skilift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) rides: u32,
    pub(crate) dead: u32,
    pub(crate) is_replay: bool,
}

impl From<&[Settlement]> for Entries {
    fn from(settlements: &[Settlement]) -> Self {
        let mut entries = Self::default();
        for settlement in settlements {
            let ours = settlement.message;
            match ours.filter(|message| (1..=MAX_SEQUENCE).contains(&message.sequence)) {
                Some(message) => {
                    let epoch_entries = entries.epochs.entry((message.epoch, message.channel));
                    epoch_entries.or_default().push(Entry {
                        sequence: message.sequence,
                        rides: settlement.rides,
                        dead: settlement.dead,
                        is_replay: settlement.is_replay,
                    });
                }
                None => {
                    entries.foreign += u64::from(settlement.rides);
                    entries.foreign_dead += u64::from(settlement.dead);
                }
            }
        }
        for epoch_entries in entries.epochs.values_mut() {
            epoch_entries.sort_unstable();
        }
        entries
    }
}

/// The reconciliation counters and settled ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reconciliation {
    /// Rides added to the ledger, counted in the write that stored them.
    pub applied: u64,
    /// Lines that could not be applied.
    pub dead: u64,
    /// Lines of messages of Skilift's publishers.
    pub settled: u64,
    /// Lines of replayed dead letters.
    pub replayed: u64,
    /// Lines of foreign messages.
    pub foreign: u64,
    /// Settled ranges of each epoch of each publisher channel.
    pub epochs: Vec<SettledRanges>,
    /// Rides accepted into this store's own queue, and those still waiting in it. Only known for a data directory, which is
    /// both queue and store.
    pub own_queue: Option<OwnQueue>,
}

/// Counters of a data directory's own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnQueue {
    /// Rides ever accepted. A replayed dead letter is not counted again.
    pub accepted: u64,
    /// Rides waiting to be stored, and replayed lines.
    pub waiting: u64,
}

/// Settled ranges of one epoch of a publisher channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledRanges {
    /// [`MessageId::epoch`].
    pub epoch: u64,
    /// [`MessageId::channel`].
    pub channel: u16,
    /// Rides in the settled messages.
    pub rides: u64,
    /// The settled numbers: inclusive ranges, ascending, neither touching nor overlapping.
    pub marked: Vec<(u64, u64)>,
}

impl Reconciliation {
    /// Rides that were already in the ledger.
    ///
    /// A batch is applied slightly before it is settled, so the difference may be below 0 for that time. It stays below by
    /// lines that were dead-lettered but had been applied: those of a poison message that crashes workers.
    #[must_use]
    pub fn duplicate(&self) -> i64 {
        let received = self.settled + self.replayed + self.foreign;
        (received as i64).saturating_sub_unsigned(self.applied + self.dead)
    }
}

impl SettledRanges {
    /// Settles a number and counts its rides, unless it is already settled; returns whether it was new.
    pub(crate) fn mark(&mut self, sequence: u64, rides: u32) -> bool {
        // The first range that ends at the number, one before it, or after it.
        let at = self
            .marked
            .partition_point(|&(_, last)| last + 1 < sequence);
        match self.marked.get_mut(at) {
            Some(&mut (first, last)) if (first..=last).contains(&sequence) => return false,
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            Some((first, _)) if *first == sequence + 1 => *first = sequence,
            _ => self.marked.insert(at, (sequence, sequence)),
        }
        // Its end may now touch the next range.
        if let Some(&[(_, last), (next, end)]) = self.marked.get(at..at + 2)
            && last + 1 == next
        {
            self.marked[at].1 = end;
            self.marked.remove(at + 1);
        }
        self.rides += u64::from(rides);
        true
    }

    /// Whether everything that was confirmed of it is settled.
    #[must_use]
    pub fn is_whole(&self, high_watermark: u64) -> bool {
        self.gaps_up_to(high_watermark).next().is_none()
    }

    /// The count of settled numbers up to `high_watermark`.
    #[must_use]
    pub fn marked_up_to(&self, high_watermark: u64) -> u64 {
        let counted = self.marked.iter().map(|&(first, last)| {
            let last = last.min(high_watermark);
            (last + 1).saturating_sub(first)
        });
        counted.sum()
    }

    /// The numbers up to `high_watermark` that are not settled, as ranges.
    pub fn gaps_up_to(&self, high_watermark: u64) -> impl Iterator<Item = (u64, u64)> {
        let starts = std::iter::once(1).chain(self.marked.iter().map(|&(_, last)| last + 1));
        let ends = self
            .marked
            .iter()
            .map(|&(first, _)| first - 1)
            .chain(std::iter::once(u64::MAX));
        starts
            .zip(ends)
            .map(move |(first, last)| (first, last.min(high_watermark)))
            .filter(|(first, last)| first <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_is_not_marked() {
        let settled_ranges = |marked: &[(u64, u64)]| SettledRanges {
            epoch: 1,
            channel: 0,
            rides: 0,
            marked: marked.to_vec(),
        };
        let gaps = |settled_ranges: &SettledRanges, high_watermark| {
            settled_ranges
                .gaps_up_to(high_watermark)
                .collect::<Vec<_>>()
        };
        let empty = settled_ranges(&[]);
        assert_eq!((gaps(&empty, 3), empty.marked_up_to(3)), (vec![(1, 3)], 0));
        assert_eq!(gaps(&empty, 0), []);
        let holed = settled_ranges(&[(1, 4), (6, 6), (9, 20)]);
        assert_eq!(gaps(&holed, 12), [(5, 5), (7, 8)]);
        assert_eq!(gaps(&holed, 22), [(5, 5), (7, 8), (21, 22)]);
        assert_eq!((holed.marked_up_to(12), holed.marked_up_to(5)), (9, 4));
    }
}
