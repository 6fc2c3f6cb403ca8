//! Loss detection: whether a message that the queue confirmed is gone. This alarm must never fire.
//!
//! A message number that was confirmed and is not settled belongs to a message that is ready, or unacked at a worker, or lost. The
//! queue cannot be asked which, but it delivers the oldest message first. So a number is *overdue* if it has been missing for
//! longer than the oldest ride that any worker holds, while messages are delivered, or while the queue is empty: its message is
//! not ready, because it would be delivered first, and not unacked. After ten seconds without a break it is suspect, after half a
//! minute lost.
//!
//! A count of settled rides that is smaller than before shows at once that the store has forgotten some: it was emptied, or replaced
//! by an older copy.
//!
//! Nothing else is decided while a figure cannot be read, while messages wait and none is delivered, because consumption is paused or the
//! store is away, and within half a minute of a worker's loss, because its messages are redelivered. What is lost stays so, also after
//! a restart of the console.

mod gap;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};
use skilift_core::message::MessageId;
use skilift_core::reconciliation::Reconciliation;

use gap::{Gap, Span};

/// How long a number must be overdue before it is suspect.
const SUSPECT_MS: u64 = 10_000;
/// How long a number must be overdue before its message is lost.
const LOST_MS: u64 = 30_000;
/// How long after a worker's loss its messages may still be redelivered.
const RETURN_MS: u64 = 30_000;
/// Messages were delivered so recently that what is held now was delivered after what is not.
const MOVING_MS: u64 = 2_500;
/// Maximum ranges of lost messages that are named.
const MAX_NAMED: usize = 100;

/// Epoch and channel of a publisher.
pub(crate) type EpochKey = (u64, u16);

/// The key of an epoch in a table.
pub(crate) fn key((epoch, channel): EpochKey) -> Vec<u8> {
    [&epoch.to_be_bytes()[..], &channel.to_be_bytes()].concat()
}

/// The state at one moment.
pub(crate) struct Observation<'a> {
    /// Time by a monotonic clock, in milliseconds.
    pub(crate) now: u64,
    /// Confirmed high-water mark of each publisher channel epoch.
    pub(crate) epochs: &'a BTreeMap<EpochKey, LaneConfirmed>,
    /// The settled numbers.
    pub(crate) books: &'a Reconciliation,
    /// Messages of the workers and the queue; `None` if one of them cannot be read.
    pub(crate) queue: Option<QueueSnapshot>,
}

/// Messages of the queue and the workers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueSnapshot {
    /// Ready messages.
    pub(crate) ready: u64,
    /// Unacked messages of workers that send heartbeats.
    pub(crate) held: u64,
    /// Upper bound of the age of the oldest ride in these, in milliseconds.
    pub(crate) oldest_held_ms: Option<u64>,
    /// Messages ever delivered to workers.
    pub(crate) delivered: u64,
    /// Time since a worker was last lost.
    pub(crate) since_worker_lost: Option<u64>,
}

/// The findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LossReport {
    /// Messages that were confirmed and are not settled.
    pub(crate) outstanding: u64,
    /// Those of them that have been overdue for a while.
    pub(crate) suspect: u64,
    /// Those that are lost.
    pub(crate) lost: u64,
    /// The first of them, as ranges.
    pub(crate) named: Vec<LostRange>,
    /// Lost messages per publisher channel epoch, where there are some.
    pub(crate) lost_of: BTreeMap<EpochKey, u64>,
    /// Rides that were settled, by an earlier count of the store, and are not any more.
    pub(crate) forgotten_rides: u64,
}

/// Consecutive lost messages of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostRange {
    first: MessageId,
    /// The sequence number of the last one.
    last: u64,
}

impl fmt::Display for LostRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first.sequence == *last {
            write!(f, "{first}")
        } else {
            write!(f, "{first}..{last}")
        }
    }
}

/// The stored lost numbers of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredLoss {
    epoch: u64,
    channel: u16,
    /// Inclusive ranges.
    lost: Vec<Span>,
}

/// Tracks missing messages over time.
pub(crate) struct LossDetector {
    table: Table<StoredLoss>,
    epochs: BTreeMap<EpochKey, Vec<Gap>>,
    /// The lost numbers as they are stored.
    stored: BTreeMap<EpochKey, Vec<Span>>,
    /// Epochs whose lost numbers are not written yet.
    unwritten: BTreeSet<EpochKey>,
    delivered: u64,
    /// The largest count of settled rides.
    settled: u64,
    /// When deliveries were last observed.
    moved_at: Option<u64>,
}

impl LossDetector {
    /// Opens the table of what is lost already.
    pub(crate) fn open(table: Table<StoredLoss>) -> Result<Self, DiskError> {
        let found = table.range(.., usize::MAX)?.into_iter();
        let stored: BTreeMap<EpochKey, Vec<Span>> = found
            .map(|(_, stored)| ((stored.epoch, stored.channel), stored.lost))
            .collect();
        let gaps = |spans: &Vec<Span>| spans.iter().copied().map(Gap::lost).collect();
        Ok(Self {
            table,
            epochs: stored
                .iter()
                .map(|(epoch, spans)| (*epoch, gaps(spans)))
                .collect(),
            stored,
            unwritten: BTreeSet::new(),
            delivered: 0,
            settled: 0,
            moved_at: None,
        })
    }

    /// Evaluates a new observation.
    pub(crate) fn update(&mut self, seen: &Observation<'_>) -> LossReport {
        let oldest_ms = seen.queue.and_then(|queue| self.oldest_ms(seen.now, queue));
        let marked: BTreeMap<EpochKey, _> = seen
            .books
            .epochs
            .iter()
            .map(|book| ((book.epoch, book.channel), book))
            .collect();
        self.settled = self.settled.max(seen.books.settled);
        let mut loss_report = LossReport {
            forgotten_rides: self.settled - seen.books.settled,
            ..LossReport::default()
        };
        self.epochs
            .retain(|epoch, _| seen.epochs.contains_key(epoch));
        for (epoch, confirmed) in seen.epochs {
            let gaps: Vec<Span> = match marked.get(epoch) {
                Some(book) => book.gaps_up_to(confirmed.high_watermark).collect(),
                None if confirmed.high_watermark > 0 => vec![(1, confirmed.high_watermark)],
                None => Vec::new(),
            };
            let before = self.epochs.remove(epoch).unwrap_or_default();
            let mut tracked = gap::track(before, &gaps, || Gap::first_seen(seen.now));
            let mut lost = 0;
            for gap in &mut tracked {
                gap.update(seen.now, oldest_ms);
                loss_report.outstanding += gap.len();
                if gap.is_lost() {
                    lost += gap.len();
                    name(&mut loss_report.named, *epoch, gap.span);
                } else if gap.is_suspect(seen.now) {
                    loss_report.suspect += gap.len();
                }
            }
            loss_report.lost += lost;
            if lost > 0 {
                loss_report.lost_of.insert(*epoch, lost);
            }
            if !tracked.is_empty() {
                self.epochs.insert(*epoch, tracked);
            }
        }
        self.note_changes();
        loss_report
    }

    /// The age of the oldest ride that is neither settled nor lost; `None` while that cannot be told. 0 means that there is none.
    fn oldest_ms(&mut self, now: u64, queue: QueueSnapshot) -> Option<u64> {
        if queue.delivered > self.delivered {
            self.delivered = queue.delivered;
            self.moved_at = Some(now);
        }
        let may_return = queue.since_worker_lost.is_some_and(|ms| ms < RETURN_MS);
        let moves = self.moved_at.is_some_and(|at| now - at <= MOVING_MS);
        match (queue.ready, queue.held) {
            _ if may_return => None,
            (0, 0) => Some(0),
            (_, 0) => None,
            _ => queue.oldest_held_ms.filter(|_| moves),
        }
    }

    /// Notes which lost numbers differ from the stored ones.
    fn note_changes(&mut self) {
        let mut lost: BTreeMap<EpochKey, Vec<Span>> = BTreeMap::new();
        for (epoch, gaps) in &self.epochs {
            for gap in gaps.iter().filter(|gap| gap.is_lost()) {
                let spans = lost.entry(*epoch).or_default();
                match spans.last_mut() {
                    Some(last) if last.1 + 1 == gap.span.0 => last.1 = gap.span.1,
                    _ => spans.push(gap.span),
                }
            }
        }
        if lost == self.stored {
            return;
        }
        let epochs = self.stored.keys().chain(lost.keys());
        let changed = epochs.filter(|epoch| self.stored.get(epoch) != lost.get(epoch));
        self.unwritten.extend(changed.copied());
        self.stored = lost;
    }

    /// Whether there are changes that must be written.
    pub(crate) fn has_changes(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// The changes since the last call that must be written.
    pub(crate) fn take_changes(&mut self) -> WriteBatch {
        let mut changes = WriteBatch::default();
        for (epoch, channel) in std::mem::take(&mut self.unwritten) {
            let key = key((epoch, channel));
            match self.stored.get(&(epoch, channel)) {
                Some(lost) => {
                    let stored = StoredLoss {
                        epoch,
                        channel,
                        lost: lost.clone(),
                    };
                    self.table.put(&mut changes, &key, &stored);
                }
                None => self.table.remove(&mut changes, &key),
            }
        }
        changes
    }
}

fn name(named: &mut Vec<LostRange>, (epoch, channel): EpochKey, (sequence, last): Span) {
    let is_full = named.len() >= MAX_NAMED;
    match named.last_mut() {
        Some(before)
            if (before.first.epoch, before.first.channel) == (epoch, channel)
                && before.last + 1 == sequence =>
        {
            before.last = last;
        }
        _ if !is_full => {
            let first = MessageId {
                epoch,
                channel,
                sequence,
            };
            named.push(LostRange { first, last });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
