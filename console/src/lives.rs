//! How far each life of each publisher lane is confirmed, as far as it was ever heard: what the books are held against.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skilift_core::books::{Books, LaneBook};
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Changes, Table};

use crate::verdict::Life;

/// A life that nobody has told of for so long has no message in the queue any more, unless there is a gap.
const FINISHED_AFTER_MS: u64 = 24 * 3_600_000;
/// Who publishes what the console itself sends again.
pub(crate) const OWN_LANES: &str = "the console";
/// The key of what the lives had that are forgotten.
const FORGOTTEN: &[u8] = b"forgotten";

/// Life and publisher, as they stand in the folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptLife {
    #[serde(flatten)]
    confirmed: LaneConfirmed,
    /// The node whose lane it is, where it was heard.
    publisher: Option<String>,
    /// When anybody told of it, in milliseconds since 1970: at the latest when it changed last.
    told_at_ms: u64,
}

/// All lives that are known, and the sum of those that are forgotten.
pub(crate) struct Lives {
    table: Table<KeptLife>,
    known: BTreeMap<Life, LaneConfirmed>,
    /// Whose they are.
    publishers: BTreeMap<Life, String>,
    /// When anybody told of each last, in milliseconds since 1970.
    told_at_ms: BTreeMap<Life, u64>,
    /// Rides that the forgotten ones accepted.
    forgotten_rides: u64,
    changed: Vec<Life>,
}

impl Lives {
    pub(crate) fn open(table: Table<KeptLife>) -> Result<Self, DiskError> {
        let mut lives = Self {
            known: BTreeMap::new(),
            publishers: BTreeMap::new(),
            told_at_ms: BTreeMap::new(),
            forgotten_rides: 0,
            changed: Vec::new(),
            table,
        };
        for (key, kept) in lives.table.range(.., usize::MAX)? {
            let confirmed = kept.confirmed;
            if key == FORGOTTEN {
                lives.forgotten_rides = confirmed.rides;
                continue;
            }
            let life = (confirmed.epoch, confirmed.lane);
            lives.known.insert(life, confirmed);
            lives.told_at_ms.insert(life, kept.told_at_ms);
            if let Some(publisher) = kept.publisher {
                lives.publishers.insert(life, publisher);
            }
        }
        Ok(lives)
    }

    /// Takes what a publisher says of its own lanes. Nothing ever goes back.
    pub(crate) fn hear(&mut self, publisher: &str, told: &[LaneConfirmed], now_epoch_ms: u64) {
        for life in told {
            let key = (life.epoch, life.lane);
            self.told_at_ms.insert(key, now_epoch_ms);
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

    /// Rides that were ever accepted. What the console sends again was accepted before.
    pub(crate) fn accepted_rides(&self) -> u64 {
        let known = self.known.iter();
        let accepting = known.filter(|(life, _)| !self.is_resending(life));
        accepting.map(|(_, life)| life.rides).sum::<u64>() + self.forgotten_rides
    }

    fn is_resending(&self, life: &Life) -> bool {
        let publisher = self.publishers.get(life);
        publisher.is_some_and(|publisher| publisher == OWN_LANES)
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

    /// The lives that may be forgotten, when their books are whole: nobody has told of them for a day. A life of which
    /// somebody tells is never forgotten, for he would bring it back.
    pub(crate) fn finished(&self, now_epoch_ms: u64) -> Vec<LaneConfirmed> {
        let told_at = |life: &LaneConfirmed| self.told_at_ms.get(&(life.epoch, life.lane));
        let is_old = |life: &&LaneConfirmed| {
            told_at(life).is_none_or(|told| told + FINISHED_AFTER_MS < now_epoch_ms)
        };
        let finished = self.known.values().filter(is_old);
        // One that never said that it ended died with its process.
        let ended = |life: &LaneConfirmed| LaneConfirmed {
            ended: true,
            ..*life
        };
        finished.map(ended).collect()
    }

    /// Forgets lives whose books are gone.
    pub(crate) fn forget(&mut self, gone: &[LaneConfirmed]) -> Changes {
        let mut changes = Changes::default();
        for life in gone.iter().map(|life| (life.epoch, life.lane)) {
            let Some(known) = self.known.remove(&life) else {
                continue;
            };
            if !self.is_resending(&life) {
                self.forgotten_rides += known.rides;
            }
            self.publishers.remove(&life);
            self.told_at_ms.remove(&life);
            self.table.remove(&mut changes, &key(life));
        }
        let forgotten = KeptLife {
            confirmed: LaneConfirmed {
                epoch: 0,
                lane: 0,
                through: 0,
                rides: self.forgotten_rides,
                ended: true,
            },
            publisher: None,
            told_at_ms: 0,
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
                    told_at_ms: self.told_at_ms.get(&life).copied().unwrap_or_default(),
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
            lives.hear("api-a-1", &[life(old, 7, false)], 1_000);
            lives.hear("api-a-1", &[life(9 << 20, 3, false)], 2_000);
            lives.hear("api-a-1", &[life(old, 6, true)], 1_000);
            // What is sent again was accepted before.
            lives.hear(OWN_LANES, &[life(3 << 20, 4, false)], 1_000);
            assert_eq!(lives.known()[&(old, 0)], life(old, 7, true));
            records.commit_here("test", lives.take_changes()).unwrap();
            assert!(lives.take_changes().is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((lives.accepted_rides(), lives.known().len()), (100, 3));
        let all = [(old, 0), (9 << 20, 0), (1, 1)];
        assert_eq!(lives.publishers(all.iter()), ["api-a-1"]);
        assert_eq!(lives.finished(FINISHED_AFTER_MS + 1_000), []);
        // One that somebody goes on to tell of is not among them, nor one that was told of later.
        let finished = lives.finished(FINISHED_AFTER_MS + 1_001);
        assert_eq!(finished, [life(3 << 20, 4, true), life(old, 7, true)]);
        lives.hear(OWN_LANES, &[life(3 << 20, 4, false)], 5_000);
        let finished = lives.finished(FINISHED_AFTER_MS + 1_001);
        assert_eq!(finished, [life(old, 7, true)]);
        let changes = lives.forget(&finished);
        records.commit_here("test", changes).unwrap();
        let lives = Lives::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((lives.accepted_rides(), lives.known().len()), (100, 2));
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
        lives.hear("api-b-1", &[life(1)], 1_000);
        lives.hear("api-a-1", &[life(0)], 1_000);
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
}
