//! Confirmed high-water mark of each epoch of each publisher channel, from heartbeats: the accepted side of the
//! reconciliation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};
use skilift_core::reconciliation::{Reconciliation, SettledRanges};

use crate::loss_detector::{EpochKey, key};

/// An epoch that was not reported for this long has no message in the queue any more, unless there is a gap.
const EXPIRED_AFTER_MS: u64 = 24 * 3_600_000;
/// How much earlier another console may prune an epoch.
const ANOTHER_CONSOLE_MS: u64 = 60_000;
/// Publisher name for dead letters that the console replays.
pub(crate) const REPLAY_PUBLISHER: &str = "the console";
/// Key of the totals of pruned epochs.
const PRUNED: &[u8] = b"forgotten";

/// Epoch and publisher, as stored on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredEpoch {
    #[serde(flatten)]
    confirmed: LaneConfirmed,
    /// The node of the publisher channel, if known.
    publisher: Option<String>,
    /// When it was last reported, in milliseconds since 1970: no earlier than its last change.
    told_at_ms: u64,
}

/// All known epochs, and the total of the pruned ones.
pub(crate) struct ProducerEpochs {
    table: Table<StoredEpoch>,
    known: BTreeMap<EpochKey, LaneConfirmed>,
    /// Publisher of each epoch.
    publishers: BTreeMap<EpochKey, String>,
    /// When each was last reported, in milliseconds since 1970.
    last_reported_at_ms: BTreeMap<EpochKey, u64>,
    /// Rides accepted by pruned epochs.
    pruned_rides: u64,
    changed: Vec<EpochKey>,
}

impl ProducerEpochs {
    pub(crate) fn open(table: Table<StoredEpoch>) -> Result<Self, DiskError> {
        let mut epochs = Self {
            known: BTreeMap::new(),
            publishers: BTreeMap::new(),
            last_reported_at_ms: BTreeMap::new(),
            pruned_rides: 0,
            changed: Vec::new(),
            table,
        };
        for (key, stored) in epochs.table.range(.., usize::MAX)? {
            let confirmed = stored.confirmed;
            if key == PRUNED {
                epochs.pruned_rides = confirmed.rides;
                continue;
            }
            let epoch = (confirmed.epoch, confirmed.channel);
            epochs.known.insert(epoch, confirmed);
            epochs.last_reported_at_ms.insert(epoch, stored.told_at_ms);
            if let Some(publisher) = stored.publisher {
                epochs.publishers.insert(epoch, publisher);
            }
        }
        Ok(epochs)
    }

    /// Records the high-water marks that a publisher reports. They never decrease.
    pub(crate) fn record(
        &mut self,
        publisher: &str,
        reported: &[LaneConfirmed],
        now_epoch_ms: u64,
    ) {
        for epoch in reported {
            let key = (epoch.epoch, epoch.channel);
            self.last_reported_at_ms.insert(key, now_epoch_ms);
            let known = self.known.get(&key).copied();
            let is_newer = known.is_none_or(|known| {
                epoch.high_watermark > known.high_watermark || (epoch.ended && !known.ended)
            });
            if is_newer {
                let through = known.map_or(0, |known| known.high_watermark);
                let rides = known.map_or(0, |known| known.rides);
                let after = LaneConfirmed {
                    high_watermark: epoch.high_watermark.max(through),
                    rides: epoch.rides.max(rides),
                    ended: epoch.ended || known.is_some_and(|known| known.ended),
                    ..*epoch
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

    /// All known epochs.
    pub(crate) fn known(&self) -> &BTreeMap<EpochKey, LaneConfirmed> {
        &self.known
    }

    /// Rides ever accepted. Replays by the console are excluded: they were accepted before. What is settled was accepted, also if
    /// the heartbeat that counts it is still to come.
    pub(crate) fn accepted_rides(&self, books: &Reconciliation) -> u64 {
        let settled = books.epochs.iter();
        let mut rides: BTreeMap<EpochKey, u64> = settled
            .map(|book| ((book.epoch, book.channel), book.rides))
            .collect();
        for (epoch, known) in &self.known {
            let rides = rides.entry(*epoch).or_default();
            *rides = known.rides.max(*rides);
        }
        rides.retain(|epoch, _| !self.is_replaying(epoch));
        rides.values().sum::<u64>() + self.pruned_rides
    }

    fn is_replaying(&self, epoch: &EpochKey) -> bool {
        let publisher = self.publishers.get(epoch);
        publisher.is_some_and(|publisher| publisher == REPLAY_PUBLISHER)
    }

    /// Rides confirmed and not settled, according to the settled ranges: rides settled beyond the known high-water mark
    /// reduce this count.
    pub(crate) fn outstanding_rides(&self, books: &Reconciliation) -> u64 {
        let settled: BTreeMap<EpochKey, &SettledRanges> = books
            .epochs
            .iter()
            .map(|book| ((book.epoch, book.channel), book))
            .collect();
        let of_epoch = |(epoch, known): (&EpochKey, &LaneConfirmed)| {
            outstanding(known, settled.get(epoch).copied())
        };
        self.known.iter().map(of_epoch).sum()
    }

    /// The rides of lost messages, by epoch, and whether that is exact: it is if all unsettled messages are lost and nothing is
    /// settled that is not known to be confirmed. Else it is estimated, to two digits.
    pub(crate) fn lost_rides(
        &self,
        books: &Reconciliation,
        lost_of: &BTreeMap<EpochKey, u64>,
    ) -> (u64, bool) {
        let (mut rides, mut is_exact) = (0, true);
        for (epoch, &lost) in lost_of {
            let Some(known) = self.known.get(epoch) else {
                continue;
            };
            let through = known.high_watermark;
            let mut all = books.epochs.iter();
            let book = all.find(|book| (book.epoch, book.channel) == *epoch);
            let settled = book.map_or(0, |book| book.marked_up_to(through));
            let is_ahead = book.is_some_and(|book| book.marked_up_to(u64::MAX) > settled);
            let unsettled = through.saturating_sub(settled);
            is_exact &= lost == unsettled && !is_ahead;
            // Rides that are settled ahead of the known high-water mark would be taken off: then the average counts.
            let (of_rides, of_messages) = if is_ahead {
                (known.rides, through)
            } else {
                (outstanding(known, book), unsettled)
            };
            let share = u128::from(of_rides) * u128::from(lost) / u128::from(of_messages.max(1));
            rides += u64::try_from(share).unwrap_or(u64::MAX);
        }
        (if is_exact { rides } else { two_digits(rides) }, is_exact)
    }

    /// The publishers of these epochs, each once, if known.
    pub(crate) fn publishers<'a>(&self, epochs: impl Iterator<Item = &'a EpochKey>) -> Vec<String> {
        let known = epochs.filter_map(|epoch| self.publishers.get(epoch).cloned());
        let named: std::collections::BTreeSet<String> = known.collect();
        named.into_iter().collect()
    }

    /// The epochs that may be pruned if they are fully settled: not reported for a day before the oldest ride that is queued was
    /// accepted. A settled message may be in the queue again, if its worker was lost before it acknowledged it: once its epoch is
    /// pruned, it would be settled twice. An epoch that is still reported is never pruned, because the next report would add it
    /// again.
    pub(crate) fn expired(&self, oldest_accepted_at_ms: u64) -> Vec<LaneConfirmed> {
        let reported_at =
            |epoch: &LaneConfirmed| self.last_reported_at_ms.get(&(epoch.epoch, epoch.channel));
        let is_old = |epoch: &&LaneConfirmed| {
            reported_at(epoch)
                .is_none_or(|reported| reported + EXPIRED_AFTER_MS < oldest_accepted_at_ms)
        };
        let expired = self.known.values().filter(is_old);
        // An epoch that never reported its end ended with its process.
        let ended = |epoch: &LaneConfirmed| LaneConfirmed {
            ended: true,
            ..*epoch
        };
        expired.map(ended).collect()
    }

    /// Removes epochs whose settled ranges were pruned by another console, or by this one right before it crashed: those that
    /// may be pruned and have none any more, although the store has counted their rides.
    pub(crate) fn prune_missing(
        &mut self,
        books: &Reconciliation,
        now_epoch_ms: u64,
    ) -> WriteBatch {
        let is_settled = |epoch: &LaneConfirmed| {
            let mut settled = books.epochs.iter();
            settled.any(|book| (book.epoch, book.channel) == (epoch.epoch, epoch.channel))
        };
        // The clocks and the last reports of two consoles differ.
        let mut gone = self.expired(now_epoch_ms + ANOTHER_CONSOLE_MS);
        gone.retain(|epoch| !is_settled(epoch));
        let rides = gone.iter().map(|epoch| epoch.rides).sum::<u64>();
        // A store that was emptied has forgotten the count too.
        if gone.is_empty() || books.settled < self.pruned_rides + rides {
            return WriteBatch::default();
        }
        self.prune(&gone)
    }

    /// Removes epochs whose settled ranges were pruned.
    pub(crate) fn prune(&mut self, gone: &[LaneConfirmed]) -> WriteBatch {
        let mut changes = WriteBatch::default();
        for epoch in gone.iter().map(|epoch| (epoch.epoch, epoch.channel)) {
            let Some(known) = self.known.remove(&epoch) else {
                continue;
            };
            if !self.is_replaying(&epoch) {
                self.pruned_rides += known.rides;
            }
            self.publishers.remove(&epoch);
            self.last_reported_at_ms.remove(&epoch);
            self.table.remove(&mut changes, &key(epoch));
        }
        let pruned = StoredEpoch {
            confirmed: LaneConfirmed {
                epoch: 0,
                channel: 0,
                high_watermark: 0,
                rides: self.pruned_rides,
                ended: true,
            },
            publisher: None,
            told_at_ms: 0,
        };
        self.table.put(&mut changes, PRUNED, &pruned);
        changes
    }

    /// The changes since the last call.
    pub(crate) fn take_changes(&mut self) -> WriteBatch {
        let mut changes = WriteBatch::default();
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        for epoch in changed {
            if let Some(known) = self.known.get(&epoch) {
                let stored = StoredEpoch {
                    confirmed: *known,
                    publisher: self.publishers.get(&epoch).cloned(),
                    told_at_ms: self
                        .last_reported_at_ms
                        .get(&epoch)
                        .copied()
                        .unwrap_or_default(),
                };
                self.table.put(&mut changes, &key(epoch), &stored);
            }
        }
        changes
    }
}

/// Rides of an epoch that are confirmed and not settled.
fn outstanding(known: &LaneConfirmed, book: Option<&SettledRanges>) -> u64 {
    match book {
        Some(book) if book.is_whole(known.high_watermark) => 0,
        Some(book) => known.rides.saturating_sub(book.rides),
        None => known.rides,
    }
}

/// A number with its first two digits, and zeros.
fn two_digits(number: u64) -> u64 {
    let unit = 10_u64.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number - number % unit
}

#[cfg(test)]
mod tests {
    use skilift_core::embedded::records::Records;

    use super::*;

    #[test]
    fn nothing_goes_back_and_all_of_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let epoch = |epoch, through, ended| LaneConfirmed {
            epoch,
            channel: 0,
            high_watermark: through,
            rides: through * 10,
            ended,
        };
        let old = 5 << 20;
        {
            let records = Records::open(folder.path()).unwrap();
            let mut epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
            epochs.record("api-a-1", &[epoch(old, 7, false)], 1_000);
            epochs.record("api-a-1", &[epoch(9 << 20, 3, false)], 2_000);
            epochs.record("api-a-1", &[epoch(old, 6, true)], 1_000);
            // Replayed messages were accepted before.
            epochs.record(REPLAY_PUBLISHER, &[epoch(3 << 20, 4, false)], 1_000);
            assert_eq!(epochs.known()[&(old, 0)], epoch(old, 7, true));
            records.commit_here("test", epochs.take_changes()).unwrap();
            assert!(epochs.take_changes().is_empty());
        }
        let records = Records::open(folder.path()).unwrap();
        let mut epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let accepted = |epochs: &ProducerEpochs| epochs.accepted_rides(&Reconciliation::default());
        assert_eq!((accepted(&epochs), epochs.known().len()), (100, 3));
        let all = [(old, 0), (9 << 20, 0), (1, 1)];
        assert_eq!(epochs.publishers(all.iter()), ["api-a-1"]);
        assert_eq!(epochs.expired(EXPIRED_AFTER_MS + 1_000), []);
        // An epoch that is still reported is not among them, nor one that was reported later.
        let expired = epochs.expired(EXPIRED_AFTER_MS + 1_001);
        assert_eq!(expired, [epoch(3 << 20, 4, true), epoch(old, 7, true)]);
        epochs.record(REPLAY_PUBLISHER, &[epoch(3 << 20, 4, false)], 5_000);
        let expired = epochs.expired(EXPIRED_AFTER_MS + 1_001);
        assert_eq!(expired, [epoch(old, 7, true)]);
        let changes = epochs.prune(&expired);
        records.commit_here("test", changes).unwrap();
        let epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        assert_eq!((accepted(&epochs), epochs.known().len()), (100, 2));
    }

    #[test]
    fn what_another_console_pruned_is_not_missing() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let epoch = |epoch| LaneConfirmed {
            epoch,
            channel: 0,
            high_watermark: 4,
            rides: 40,
            ended: true,
        };
        let later = EXPIRED_AFTER_MS + 1_000;
        epochs.record("api-a-1", &[epoch(5)], 1_000);
        epochs.record("api-a-1", &[epoch(9)], later);
        let books = |settled| Reconciliation {
            settled,
            ..Reconciliation::default()
        };
        // Not old enough, then a store that was emptied.
        assert!(epochs.prune_missing(&books(80), 1_000).is_empty());
        assert!(epochs.prune_missing(&books(0), later).is_empty());
        assert_eq!(epochs.known().len(), 2);
        let changes = epochs.prune_missing(&books(80), later);
        records.commit_here("test", changes).unwrap();
        records.commit_here("test", epochs.take_changes()).unwrap();
        assert_eq!(epochs.known().keys().collect::<Vec<_>>(), [&(9, 0)]);
        assert_eq!(epochs.accepted_rides(&books(80)), 80);
        let epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        assert_eq!(epochs.accepted_rides(&books(80)), 80);
    }

    #[test]
    fn lost_messages_have_rides_and_a_publisher() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let mut epochs = ProducerEpochs::open(records.table("lives").unwrap()).unwrap();
        let epoch = |channel| LaneConfirmed {
            epoch: 5,
            channel,
            high_watermark: 10,
            rides: 25,
            ended: false,
        };
        epochs.record("api-b-1", &[epoch(1)], 1_000);
        epochs.record("api-a-1", &[epoch(0), epoch(2)], 1_000);
        let settled = |channel, rides, marked: &[(u64, u64)]| SettledRanges {
            epoch: 5,
            channel,
            rides,
            marked: marked.to_vec(),
        };
        let books = Reconciliation {
            epochs: vec![
                settled(0, 15, &[(1, 6)]),
                settled(2, 20, &[(1, 6), (11, 12)]),
            ],
            ..Reconciliation::default()
        };
        let lost = |lost_of: &[(EpochKey, u64)]| {
            let lost_of = lost_of.iter().copied().collect();
            epochs.lost_rides(&books, &lost_of)
        };
        assert_eq!(lost(&[((5, 0), 4), ((5, 1), 10)]), (35, true));
        assert_eq!(lost(&[((5, 0), 2)]), (5, false));
        assert_eq!(lost(&[((5, 2), 4)]), (10, false));
        assert_eq!(
            [0, 9, 10, 436, 1_587].map(two_digits),
            [0, 9, 10, 430, 1_500]
        );
        // 25 rides in each of three channels; of a fourth one only the settled rides are known.
        assert_eq!(epochs.accepted_rides(&books), 75);
        let mut ahead = books.clone();
        ahead.epochs[0].rides = 30;
        ahead.epochs.push(settled(3, 7, &[(1, 2)]));
        assert_eq!(epochs.accepted_rides(&ahead), 87);
        let named = epochs.publishers([(5, 0), (5, 1), (5, 1)].iter());
        assert_eq!(named, ["api-a-1", "api-b-1"]);
    }
}
