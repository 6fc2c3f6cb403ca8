//! The alarm that must never ring: whether a message is gone that the queue had confirmed.
//!
//! A number that was confirmed and is not marked in the books belongs to a message that waits, or that a worker holds, or
//! that is lost. Which of these cannot be asked: the queue tells only how many messages it has. So it is inferred, from what
//! happened since the number was first seen missing; either is proof:
//!
//! - **The queue was empty**, and still is half a minute later: nothing ready, and nothing held by any worker that is heard.
//!   For less long it may only seem so: a broker that has no leader for a queue tells of no messages, and what is on its way
//!   to a worker that has just died is told by nobody.
//! - **The queue was turned over**: workers took more messages for the first time than there were in all, what they hold now
//!   they took after that, they go on taking messages for the first time, and half a minute has passed. The queue hands out
//!   the oldest first, and before it what came back, so that the message must have been among them.
//!
//! Neither counts within half a minute of a worker's loss, whose messages come back, nor across a message that came back.
//! With the first half of a proof, or two seconds of an empty queue, the number is suspect; with all of it its message is
//! lost.

mod missing;

use std::collections::BTreeMap;

use skilift_core::books::Books;
use skilift_core::control::heartbeat::LaneConfirmed;
use skilift_core::message::MessageId;

use missing::{Missing, Span};

/// How long the queue is empty before what is missing is suspect.
const EMPTY_MS: u64 = 2_000;
/// How long the queue must stay empty, and how long after it was first seen missing a message may come late.
const LATE_MS: u64 = 30_000;
/// How long after a worker's loss its messages may be on their way back.
const RETURN_MS: u64 = 30_000;
/// Lost messages that are named.
const MOST_NAMED: usize = 100;

/// A lane life: epoch and lane.
pub(crate) type Life = (u64, u16);

/// What is seen at one moment.
pub(crate) struct Observation<'a> {
    /// When, by a clock that only goes forward, in milliseconds.
    pub(crate) now: u64,
    /// How far each lane life is confirmed.
    pub(crate) lives: &'a BTreeMap<Life, LaneConfirmed>,
    /// What is marked.
    pub(crate) books: &'a Books,
    /// What the workers and the queue have; `None` while one of them cannot be seen.
    pub(crate) queue: Option<QueueSeen>,
}

/// What the queue and the workers have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueSeen {
    /// Messages that wait.
    pub(crate) ready: u64,
    /// Messages that heard workers hold.
    pub(crate) held: u64,
    /// How long the one that is held longest has been held.
    pub(crate) longest_held_ms: Option<u64>,
    /// Messages that workers ever took.
    pub(crate) delivered: u64,
    /// Messages that ever came back.
    pub(crate) redelivered: u64,
    /// How long ago a worker was lost last.
    pub(crate) since_worker_lost: Option<u64>,
}

impl QueueSeen {
    /// Messages that were ever taken for the first time.
    fn fresh(self) -> u64 {
        self.delivered.saturating_sub(self.redelivered)
    }
}

/// What follows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Messages that were confirmed and are not settled.
    pub(crate) outstanding: u64,
    /// Those of them for which there is half a proof.
    pub(crate) suspect: u64,
    /// Those for which there is a whole one.
    pub(crate) lost: u64,
    /// The first of them.
    pub(crate) named: Vec<MessageId>,
    /// How many of them each lane life has, where it has some, beside how many of it are not settled.
    pub(crate) lost_of: BTreeMap<Life, (u64, u64)>,
}

/// Follows the books.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    lives: BTreeMap<Life, Vec<Missing>>,
}

impl Verdicts {
    /// Looks once more.
    pub(crate) fn look(&mut self, seen: &Observation<'_>) -> Findings {
        let marked: BTreeMap<Life, _> = seen
            .books
            .lanes
            .iter()
            .map(|book| ((book.epoch, book.lane), book))
            .collect();
        let mut findings = Findings::default();
        self.lives.retain(|life, _| seen.lives.contains_key(life));
        for (life, confirmed) in seen.lives {
            let gaps: Vec<Span> = match marked.get(life) {
                Some(book) => book.gaps_through(confirmed.through).collect(),
                None if confirmed.through > 0 => vec![(1, confirmed.through)],
                None => Vec::new(),
            };
            let before = self.lives.remove(life).unwrap_or_default();
            let mut missing = missing::follow(before, &gaps, || Missing::first_seen(seen));
            let (mut outstanding, mut lost) = (0, 0);
            for span in &mut missing {
                span.learn(seen);
                outstanding += span.len();
                if span.is_lost() {
                    lost += span.len();
                    name(&mut findings.named, *life, span.span);
                } else if span.is_suspect() {
                    findings.suspect += span.len();
                }
            }
            findings.outstanding += outstanding;
            findings.lost += lost;
            if lost > 0 {
                findings.lost_of.insert(*life, (lost, outstanding));
            }
            if !missing.is_empty() {
                self.lives.insert(*life, missing);
            }
        }
        findings
    }
}

fn name(named: &mut Vec<MessageId>, (epoch, lane): Life, (first, last): Span) {
    let room = MOST_NAMED.saturating_sub(named.len());
    named.extend((first..=last).take(room).map(|sequence| MessageId {
        epoch,
        lane,
        sequence,
    }));
}

#[cfg(test)]
mod tests;
