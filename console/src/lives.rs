//! How far each life of each publisher lane is confirmed, as far as it was ever heard: what the books are held against.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use skilift_core::books::{Books, LaneBook};
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Changes, Table};

use crate::verdict::Life;

/// A life that ended so long ago has no message in the queue any more, unless there is a gap.
const FINISHED_AFTER_MS: u64 = 24 * 3_600_000;
/// The key of what the lives had that are forgotten.
const FORGOTTEN: &[u8] = b"forgotten";

/// All lives that are known, and the sum of those that are forgotten.
pub(crate) struct Lives {
    table: Table<KnownLife>,
    known: BTreeMap<Life, LaneConfirmed>,
    /// Those of them that send dead letters again: their rides were accepted before.
    resending: BTreeSet<Life>,
    /// Rides that the forgotten ones accepted.
    forgotten_rides: u64,
    changed: Vec<Life>,
}

/// A life, as it is written.
#[derive(Serialize, Deserialize)]
pub(crate) struct KnownLife {
    #[serde(flatten)]
    confirmed: LaneConfirmed,
    is_resending: bool,
}

impl Lives {
    pub(crate) fn open(table: Table<KnownLife>) -> Result<Self, DiskError> {
        let mut lives = Self {
            known: BTreeMap::new(),
            resending: BTreeSet::new(),
            forgotten_rides: 0,
            changed: Vec::new(),
            table,
        };
        for (key, life) in lives.table.range(.., usize::MAX)? {
            if key == FORGOTTEN {
                lives.forgotten_rides = life.confirmed.rides;
                continue;
            }
            let of = (life.confirmed.epoch, life.confirmed.lane);
            lives.known.insert(of, life.confirmed);
            if life.is_resending {
                lives.resending.insert(of);
            }
        }
        Ok(lives)
    }

    /// Takes what the sender of dead letters says.
    pub(crate) fn hear_resending(&mut self, told: &[LaneConfirmed]) {
        let lives = told.iter().map(|life| (life.epoch, life.lane));
        self.resending.extend(lives);
        self.hear(told);
    }

    /// Takes what a publisher says. Nothing ever goes back.
    pub(crate) fn hear(&mut self, told: &[LaneConfirmed]) {
        for life in told {
            let key = (life.epoch, life.lane);
            let known = self.known.get(&key).copied();
            let is_news = known
                .is_none_or(|known| life.through > known.through || (life.ended && !known.ended));
            if is_news {
                let through = known.map_or(0, |known| known.through);
                let rides = known.map_or(0, |known| known.rides);
                let after = LaneConfirmed {
                    through: life.through.max(through),
                    rides: life.rides.max(rides),
                    ended: life.ended || known.is_some_and(|known| known.ended),
                    ..*life
                };
                self.known.insert(key, after);
                self.changed.push(key);
            }
        }
    }

    /// All lives that are known.
    pub(crate) fn known(&self) -> &BTreeMap<Life, LaneConfirmed> {
        &self.known
    }

    /// Rides that were ever accepted.
    pub(crate) fn accepted_rides(&self) -> u64 {
        let known = self.known.iter();
        let accepting = known.filter(|(life, _)| !self.resending.contains(life));
        accepting.map(|(_, life)| life.rides).sum::<u64>() + self.forgotten_rides
    }

    /// Rides that were confirmed and are not settled, as far as the books tell: what was settled beyond what is known to be
    /// confirmed hides as many.
    pub(crate) fn outstanding_rides(&self, books: &Books) -> u64 {
        let settled: BTreeMap<Life, &LaneBook> = books
            .lanes
            .iter()
            .map(|book| ((book.epoch, book.lane), book))
            .collect();
        let of_life = |(life, known): (&Life, &LaneConfirmed)| match settled.get(life) {
            Some(book) if book.is_whole(known.through) => 0,
            Some(book) => known.rides.saturating_sub(book.rides),
            None => known.rides,
        };
        self.known.iter().map(of_life).sum()
    }

    /// The lives that may be forgotten, when their books are whole.
    pub(crate) fn finished(&self, now_epoch_ms: u64) -> Vec<LaneConfirmed> {
        // An epoch begins with the time at which it began: a life that never said that it ended died with its process.
        let is_old = |life: &&LaneConfirmed| (life.epoch >> 20) + FINISHED_AFTER_MS < now_epoch_ms;
        let finished = self.known.values().filter(is_old);
        finished.filter(|life| life.ended).copied().collect()
    }

    /// Forgets lives whose books are gone.
    pub(crate) fn forget(&mut self, gone: &[LaneConfirmed]) -> Changes {
        let mut changes = Changes::default();
        for life in gone.iter().map(|life| (life.epoch, life.lane)) {
            let Some(known) = self.known.remove(&life) else {
                continue;
            };
            if !self.resending.remove(&life) {
                self.forgotten_rides += known.rides;
            }
            self.table.remove(&mut changes, &key(life));
        }
        let forgotten = KnownLife {
            confirmed: LaneConfirmed {
                epoch: 0,
                lane: 0,
                through: 0,
                rides: self.forgotten_rides,
                ended: true,
            },
            is_resending: false,
        };
        self.table.put(&mut changes, FORGOTTEN, &forgotten);
        changes
    }

    /// What changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for life in changed {
            if let Some(&confirmed) = self.known.get(&life) {
                let known = KnownLife {
                    confirmed,
                    is_resending: self.resending.contains(&life),
                };
                self.table.put(&mut changes, &key(life), &known);
            }
        }
        changes
    }
}

fn key((epoch, lane): Life) -> Vec<u8> {
    [&epoch.to_be_bytes()[..], &lane.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use skilift_core::embedded::records::Records;

    use super::*;

    #[test]
    fn nothing_goes_back_and_all_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let life = |epoch, through, ended| LaneConfirmed {
            epoch,
            lane: 0,
            through,
            rides: through * 10,
            ended,
        };
        let old = 5 << 20;
        {
            let records = Records::open(folder.path()).unwrap();
            let mut lives = Lives::open(records.table("lives").unwrap()).unwrap();
            lives.hear(&[life(old, 7, false), life(9 << 20, 3, false)]);
            lives.hear(&[life(old, 6, true)]);
            // What is sent again was accepted before.
            lives.hear_resending(&[life(3 << 20, 4, true)]);
            assert_eq!(lives.known()[&(old, 0)], life(old, 7, true));
            records.commit_here("test", lives.take_changes()).unwrap();
            assert!(lives.take_changes().is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((lives.accepted_rides(), lives.known().len()), (100, 3));
        assert_eq!(lives.finished(FINISHED_AFTER_MS), []);
        let finished = lives.finished(FINISHED_AFTER_MS + 100);
        assert_eq!(finished, [life(3 << 20, 4, true), life(old, 7, true)]);
        let changes = lives.forget(&finished);
        records.commit_here("test", changes).unwrap();
        let lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((lives.accepted_rides(), lives.known().len()), (100, 1));
    }
}
