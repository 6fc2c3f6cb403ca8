//! Loss detection: whether a message that the queue confirmed is gone. This alarm must never fire.
//!
//! A message number that was confirmed and is not settled belongs to a message that is ready, or unacked at a worker, or
//! lost. Which one cannot be queried: the queue only reports how many messages it has. So it is inferred from what happened
//! since the number was first seen missing. Either of these is proof:
//!
//! - **The queue was empty**, and still is half a minute later: nothing is ready, and no worker that sends heartbeats holds
//!   any message. For a shorter time it may only appear empty: a broker without a leader for the queue reports no messages,
//!   and messages in transit to a worker that has just died are not reported at all.
//! - **The queue was turned over**: workers received more first deliveries than there were messages in total, all messages
//!   that they hold now were received after that, they keep receiving first deliveries, and half a minute has passed. The
//!   queue delivers the oldest message first, and redeliveries before it, so the message must have been among them.
//!
//! Neither is valid within half a minute of a worker's loss, because its messages are redelivered, nor across a redelivery.
//! With the first half of a proof, or two seconds of an empty queue, the number is suspect; with a complete proof its
//! message is lost.

mod gap;

use std::collections::BTreeMap;

use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::message::MessageId;
use skilift_core::reconciliation::Reconciliation;

use gap::{Gap, Span};

/// How long the queue must be empty before missing messages are suspect.
const EMPTY_MS: u64 = 2_000;
/// How long the queue must stay empty, and how long after it was first seen missing a message may still arrive.
const LATE_MS: u64 = 30_000;
/// How long after a worker's loss its messages may still be redelivered.
const RETURN_MS: u64 = 30_000;
/// Maximum lost messages that are named.
const MAX_NAMED: usize = 100;

/// Epoch and channel of a publisher.
pub(crate) type EpochKey = (u64, u16);

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
    /// How long the oldest unacked message has been held.
    pub(crate) longest_held_ms: Option<u64>,
    /// Messages ever delivered to workers.
    pub(crate) delivered: u64,
    /// Messages ever redelivered.
    pub(crate) redelivered: u64,
    /// Time since a worker was last lost.
    pub(crate) since_worker_lost: Option<u64>,
}

impl QueueSnapshot {
    /// First deliveries ever.
    fn first_deliveries(self) -> u64 {
        self.delivered.saturating_sub(self.redelivered)
    }
}

/// The findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LossReport {
    /// Messages that were confirmed and are not settled.
    pub(crate) outstanding: u64,
    /// Those of them with half a proof.
    pub(crate) suspect: u64,
    /// Those with a complete proof.
    pub(crate) lost: u64,
    /// The first of them.
    pub(crate) named: Vec<MessageId>,
    /// Lost messages per publisher channel epoch, where there are some, with the number that is not settled.
    pub(crate) lost_of: BTreeMap<EpochKey, (u64, u64)>,
}

/// Tracks missing messages over time.
#[derive(Debug, Default)]
pub(crate) struct LossDetector {
    epochs: BTreeMap<EpochKey, Vec<Gap>>,
}

impl LossDetector {
    /// Evaluates a new observation.
    pub(crate) fn update(&mut self, seen: &Observation<'_>) -> LossReport {
        let marked: BTreeMap<EpochKey, _> = seen
            .books
            .epochs
            .iter()
            .map(|book| ((book.epoch, book.channel), book))
            .collect();
        let mut loss_report = LossReport::default();
        self.epochs
            .retain(|epoch, _| seen.epochs.contains_key(epoch));
        for (epoch, confirmed) in seen.epochs {
            let gaps: Vec<Span> = match marked.get(epoch) {
                Some(book) => book.gaps_up_to(confirmed.high_watermark).collect(),
                None if confirmed.high_watermark > 0 => vec![(1, confirmed.high_watermark)],
                None => Vec::new(),
            };
            let before = self.epochs.remove(epoch).unwrap_or_default();
            let mut tracked = gap::track(before, &gaps, || Gap::first_seen(seen));
            let (mut outstanding, mut lost) = (0, 0);
            for span in &mut tracked {
                span.update(seen);
                outstanding += span.len();
                if span.is_lost() {
                    lost += span.len();
                    name(&mut loss_report.named, *epoch, span.span);
                } else if span.is_suspect() {
                    loss_report.suspect += span.len();
                }
            }
            loss_report.outstanding += outstanding;
            loss_report.lost += lost;
            if lost > 0 {
                loss_report.lost_of.insert(*epoch, (lost, outstanding));
            }
            if !tracked.is_empty() {
                self.epochs.insert(*epoch, tracked);
            }
        }
        loss_report
    }
}

fn name(named: &mut Vec<MessageId>, (epoch, channel): EpochKey, (first, last): Span) {
    let room = MAX_NAMED.saturating_sub(named.len());
    named.extend((first..=last).take(room).map(|sequence| MessageId {
        epoch,
        channel,
        sequence,
    }));
}

#[cfg(test)]
mod tests;
