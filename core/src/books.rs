//! The books: a proof that no ride was lost, kept where the rides are.
//!
//! Before a message is acknowledged it is settled: its number is marked in the book of its publisher lane, and only where it
//! was not marked yet its rides are added to `settled`. So, whatever crashed and however often messages came:
//!
//! `settled + replayed + foreign = applied + duplicate + dead`
//!
//! where `applied` and `dead` are counted once, where they happen, and `duplicate` is the difference. A number that the
//! broker confirmed and that stays unmarked while its message is not in the queue is a lost message.

use std::collections::BTreeMap;

use crate::message::MessageId;

/// The highest number that is marked: up to it every store counts exactly. No lane comes near it, so that a message with a
/// higher one, or with 0, is none of ours.
const MOST_SEQUENCE: u64 = (1 << 53) - 1;

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Who sent it; `None` on a message that no publisher of ours sent. Such a message is counted each time it comes.
    pub message: Option<MessageId>,
    /// Whether it is a dead letter that was sent again.
    pub is_replay: bool,
    /// Its lines.
    pub rides: u32,
    /// Those of them that could not be applied.
    pub dead: u32,
}

/// What became of the messages of a batch, as it is written in the books.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// Lines of messages that nobody of ours sent.
    pub(crate) foreign: u64,
    /// Those of them that could not be applied.
    pub(crate) foreign_dead: u64,
    /// The messages of each lane life (epoch and lane), by ascending number.
    pub(crate) lanes: BTreeMap<(u64, u16), Vec<Entry>>,
}

/// What became of one message of ours.
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
            match ours.filter(|message| (1..=MOST_SEQUENCE).contains(&message.sequence)) {
                Some(message) => {
                    let life = entries.lanes.entry((message.epoch, message.lane));
                    life.or_default().push(Entry {
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
        for of_life in entries.lanes.values_mut() {
            of_life.sort_unstable();
        }
        entries
    }
}

/// All that is written in the books.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    /// Rides that were new in the ledger, counted in the write that stored them.
    pub applied: u64,
    /// Lines that could not be applied.
    pub dead: u64,
    /// Lines of messages of our publishers.
    pub settled: u64,
    /// Lines of dead letters that were sent again.
    pub replayed: u64,
    /// Lines of messages that nobody of ours sent.
    pub foreign: u64,
    /// What is marked of each life of each publisher lane.
    pub lanes: Vec<LaneBook>,
    /// Rides that were accepted into this store's own queue, and those of them that still wait in it. Only a data folder,
    /// which is queue and store in one, can tell.
    pub own_queue: Option<OwnQueue>,
}

/// What a data folder knows of its own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OwnQueue {
    /// Rides that were ever accepted. A dead letter that is sent again is not accepted once more.
    pub accepted: u64,
    /// Rides that wait to be stored, and lines that were sent again.
    pub waiting: u64,
}

/// What is marked of one life of a publisher lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneBook {
    /// [`MessageId::epoch`].
    pub epoch: u64,
    /// [`MessageId::lane`].
    pub lane: u16,
    /// Rides in the messages that are marked.
    pub rides: u64,
    /// The numbers that are marked: ranges, both ends included, ascending, neither touching nor overlapping.
    pub marked: Vec<(u64, u64)>,
}

impl Books {
    /// Rides that were in the ledger already.
    ///
    /// A batch is applied a moment before it is settled, so that the difference may be below 0 for that moment. It stays so
    /// by the lines that are dead and were applied nevertheless: of a message that is dead because it kills workers.
    #[must_use]
    pub fn duplicate(&self) -> i64 {
        let taken = self.settled + self.replayed + self.foreign;
        (taken as i64).saturating_sub_unsigned(self.applied + self.dead)
    }
}

impl LaneBook {
    /// Marks a number and counts its rides, unless it is marked already; says whether it was not.
    pub(crate) fn mark(&mut self, sequence: u64, rides: u32) -> bool {
        // The first range that ends at the number, before it by one, or behind it.
        let at = self
            .marked
            .partition_point(|&(_, last)| last + 1 < sequence);
        match self.marked.get_mut(at) {
            Some(&mut (first, last)) if (first..=last).contains(&sequence) => return false,
            Some((_, last)) if *last + 1 == sequence => *last = sequence,
            Some((first, _)) if *first == sequence + 1 => *first = sequence,
            _ => self.marked.insert(at, (sequence, sequence)),
        }
        // Its end may touch the next one now.
        if let Some(&[(_, last), (next, end)]) = self.marked.get(at..at + 2)
            && last + 1 == next
        {
            self.marked[at].1 = end;
            self.marked.remove(at + 1);
        }
        self.rides += u64::from(rides);
        true
    }

    /// Whether everything that was confirmed of it is marked.
    #[must_use]
    pub fn is_whole(&self, through: u64) -> bool {
        self.gaps_through(through).next().is_none()
    }

    /// How many numbers up to `through` are marked.
    #[must_use]
    pub fn marked_through(&self, through: u64) -> u64 {
        let counted = self.marked.iter().map(|&(first, last)| {
            let last = last.min(through);
            (last + 1).saturating_sub(first)
        });
        counted.sum()
    }

    /// The numbers up to `through` that are not marked, as ranges.
    pub fn gaps_through(&self, through: u64) -> impl Iterator<Item = (u64, u64)> {
        let starts = std::iter::once(1).chain(self.marked.iter().map(|&(_, last)| last + 1));
        let ends = self
            .marked
            .iter()
            .map(|&(first, _)| first - 1)
            .chain(std::iter::once(u64::MAX));
        starts
            .zip(ends)
            .map(move |(first, last)| (first, last.min(through)))
            .filter(|(first, last)| first <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_is_not_marked() {
        let book = |marked: &[(u64, u64)]| LaneBook {
            epoch: 1,
            lane: 0,
            rides: 0,
            marked: marked.to_vec(),
        };
        let gaps = |book: &LaneBook, through| book.gaps_through(through).collect::<Vec<_>>();
        let empty = book(&[]);
        assert_eq!(
            (gaps(&empty, 3), empty.marked_through(3)),
            (vec![(1, 3)], 0)
        );
        assert_eq!(gaps(&empty, 0), []);
        let holed = book(&[(1, 4), (6, 6), (9, 20)]);
        assert_eq!(gaps(&holed, 12), [(5, 5), (7, 8)]);
        assert_eq!(gaps(&holed, 22), [(5, 5), (7, 8), (21, 22)]);
        assert_eq!((holed.marked_through(12), holed.marked_through(5)), (9, 4));
    }
}
