//! How far each life of each publisher lane is confirmed, as far as it was ever heard: what the books are held against.

use std::collections::BTreeMap;

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

/// Life and publisher, as they stand in the folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptLife {
    #[serde(flatten)]
    confirmed: LaneConfirmed,
    /// The node whose lane it is, where it was heard.
    #[serde(default)]
    publisher: Option<String>,
}

/// All lives that are known, and the sum of those that are forgotten.
pub(crate) struct Lives {
    table: Table<KeptLife>,
    known: BTreeMap<Life, LaneConfirmed>,
    /// Whose they are.
    publishers: BTreeMap<Life, String>,
    /// What the forgotten ones had: their rides.
    forgotten: LaneConfirmed,
    changed: Vec<Life>,
}

impl Lives {
    pub(crate) fn open(table: Table<KeptLife>) -> Result<Self, DiskError> {
        let mut forgotten = LaneConfirmed {
            epoch: 0,
            lane: 0,
            through: 0,
            rides: 0,
            ended: true,
        };
        let (mut known, mut publishers) = (BTreeMap::new(), BTreeMap::new());
        for (key, kept) in table.range(.., usize::MAX)? {
            let confirmed = kept.confirmed;
            if key == FORGOTTEN {
                forgotten = confirmed;
                continue;
            }
            let life = (confirmed.epoch, confirmed.lane);
            known.insert(life, confirmed);
            if let Some(publisher) = kept.publisher {
                publishers.insert(life, publisher);
            }
        }
        Ok(Self {
            table,
            known,
            publishers,
            forgotten,
            changed: Vec::new(),
        })
    }

    /// Takes what a publisher says of its own lanes. Nothing ever goes back.
    pub(crate) fn hear(&mut self, publisher: &str, told: &[LaneConfirmed]) {
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
            if self
                .publishers
                .get(&key)
                .is_none_or(|known| known != publisher)
            {
                self.publishers.insert(key, publisher.to_owned());
                self.changed.push(key);
            }
        }
    }

    /// All lives that are known.
    pub(crate) fn known(&self) -> &BTreeMap<Life, LaneConfirmed> {
        &self.known
    }

    /// Rides that were ever confirmed.
    pub(crate) fn accepted_rides(&self) -> u64 {
        let known: u64 = self.known.values().map(|life| life.rides).sum();
        known + self.forgotten.rides
    }

    /// Rides that were confirmed and are not settled, as far as the books tell: what was settled beyond what is known to be
    /// confirmed hides as many.
    pub(crate) fn outstanding_rides(&self, books: &Books) -> u64 {
        let settled: BTreeMap<Life, &LaneBook> = books
            .lanes
            .iter()
            .map(|book| ((book.epoch, book.lane), book))
            .collect();
        let of_life =
            |(life, known): (&Life, &LaneConfirmed)| outstanding(known, settled.get(life).copied());
        self.known.iter().map(of_life).sum()
    }

    /// The rides of lost messages: of each life so many of so many that are not settled. Exact where all of these are lost,
    /// which the second value says; else in proportion.
    pub(crate) fn lost_rides(
        &self,
        books: &Books,
        lost_of: &BTreeMap<Life, (u64, u64)>,
    ) -> (u64, bool) {
        let (mut rides, mut is_exact) = (0, true);
        for (life, &(lost, of)) in lost_of {
            let book = books
                .lanes
                .iter()
                .find(|book| (book.epoch, book.lane) == *life);
            let all = self
                .known
                .get(life)
                .map_or(0, |known| outstanding(known, book));
            is_exact &= lost == of;
            // What a lane ever confirms is far below the half of 64 bits, and of is at least lost.
            rides += (u128::from(all) * u128::from(lost) / u128::from(of.max(1))) as u64;
        }
        (rides, is_exact)
    }

    /// Whose lanes these lives are, each publisher once, as far as it is known.
    pub(crate) fn publishers<'a>(&self, lives: impl Iterator<Item = &'a Life>) -> Vec<String> {
        let known = lives.filter_map(|life| self.publishers.get(life).cloned());
        let named: std::collections::BTreeSet<String> = known.collect();
        named.into_iter().collect()
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
        for life in gone {
            self.publishers.remove(&(life.epoch, life.lane));
            if self.known.remove(&(life.epoch, life.lane)).is_some() {
                self.forgotten.through += life.through;
                self.forgotten.rides += life.rides;
                self.table
                    .remove(&mut changes, &key((life.epoch, life.lane)));
            }
        }
        let forgotten = KeptLife {
            confirmed: self.forgotten,
            publisher: None,
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
            if let Some(known) = self.known.get(&life) {
                let kept = KeptLife {
                    confirmed: *known,
                    publisher: self.publishers.get(&life).cloned(),
                };
                self.table.put(&mut changes, &key(life), &kept);
            }
        }
        changes
    }
}

/// Rides of a life that were confirmed and are not settled.
fn outstanding(known: &LaneConfirmed, book: Option<&LaneBook>) -> u64 {
    match book {
        Some(book) if book.is_whole(known.through) => 0,
        Some(book) => known.rides.saturating_sub(book.rides),
        None => known.rides,
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
            lives.hear("api-a-1", &[life(old, 7, false), life(9 << 20, 3, false)]);
            lives.hear("api-a-1", &[life(old, 6, true)]);
            assert_eq!(lives.known()[&(old, 0)], life(old, 7, true));
            records.commit_here("test", lives.take_changes()).unwrap();
            assert!(lives.take_changes().is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((lives.accepted_rides(), lives.known().len()), (100, 2));
        let all = [(old, 0), (9 << 20, 0), (1, 1)];
        assert_eq!(lives.publishers(all.iter()), ["api-a-1"]);
        assert_eq!(lives.finished(FINISHED_AFTER_MS), []);
        let finished = lives.finished(FINISHED_AFTER_MS + 100);
        assert_eq!(finished, [life(old, 7, true)]);
        let changes = lives.forget(&finished);
        records.commit_here("test", changes).unwrap();
        let lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((lives.accepted_rides(), lives.known().len()), (100, 1));
    }

    #[test]
    fn lost_messages_have_rides_and_a_publisher() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut lives = Lives::open(records.table("lives").unwrap()).unwrap();
        let life = |lane| LaneConfirmed {
            epoch: 5,
            lane,
            through: 10,
            rides: 25,
            ended: false,
        };
        lives.hear("api-b-1", &[life(1)]);
        lives.hear("api-a-1", &[life(0)]);
        let books = Books {
            lanes: vec![LaneBook {
                epoch: 5,
                lane: 0,
                rides: 15,
                marked: vec![(1, 6)],
            }],
            ..Books::default()
        };
        let lost = |lost_of: &[(Life, (u64, u64))]| {
            let lost_of = lost_of.iter().copied().collect();
            lives.lost_rides(&books, &lost_of)
        };
        assert_eq!(lost(&[((5, 0), (4, 4)), ((5, 1), (10, 10))]), (35, true));
        assert_eq!(lost(&[((5, 0), (2, 4))]), (5, false));
        let named = lives.publishers([(5, 0), (5, 1), (5, 1)].iter());
        assert_eq!(named, ["api-a-1", "api-b-1"]);
    }

    #[test]
    fn what_an_older_console_wrote_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let before: Table<LaneConfirmed> = records.table("lives").unwrap();
        let told = LaneConfirmed {
            epoch: 5,
            lane: 1,
            through: 3,
            rides: 30,
            ended: false,
        };
        let mut changes = Changes::default();
        before.put(&mut changes, &key((5, 1)), &told);
        records.commit_here("test", changes).unwrap();
        let lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!(lives.known()[&(5, 1)], told);
    }
}
