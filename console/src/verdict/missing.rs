//! Numbers that are missing since the same moment, and what was learnt since.

use super::{EMPTY_MS, LATE_MS, Observation, QueueSeen, RETURN_MS};

/// Numbers from the first to the last, both included.
pub(super) type Span = (u64, u64);

/// Spans that one lane life keeps apart. With more, neighbours that touch are taken together as if the older were as young
/// as the younger: its alarm comes later, and none comes that should not.
const MOST_SPANS: usize = 500;

/// Numbers that are missing since the same moment.
#[derive(Debug, Clone)]
pub(super) struct Missing {
    pub(super) span: Span,
    /// When they were first seen missing.
    since: u64,
    /// The messages that workers had taken for the first time by then, and those that the queue and the workers had; `None`
    /// while that was not seen.
    then: Option<(u64, u64)>,
    /// Since when the queue is seen empty, and for how long.
    empty_since: Option<u64>,
    empty_ms: u64,
    /// When the queue was turned over, and the messages that had come back by then.
    turned_over: Option<(u64, u64)>,
    /// The messages that had been taken for the first time when, after that, nothing was held for long.
    passed: Option<u64>,
    /// Whether there is a proof. It stays.
    is_lost: bool,
}

impl Missing {
    /// What is known of numbers that are missing for the first time; the span is filled in by [`follow`].
    pub(super) fn first_seen(seen: &Observation<'_>) -> Self {
        Self {
            span: (0, 0),
            since: seen.now,
            then: seen.queue.map(at_once),
            empty_since: None,
            empty_ms: 0,
            turned_over: None,
            passed: None,
            is_lost: false,
        }
    }

    /// When they were first seen missing.
    #[cfg(test)]
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// How many they are.
    pub(super) fn len(&self) -> u64 {
        self.span.1 - self.span.0 + 1
    }

    /// Takes in what is seen now.
    pub(super) fn learn(&mut self, seen: &Observation<'_>) {
        let Some(queue) = seen.queue else {
            // What cannot be seen may have changed meanwhile.
            (self.empty_since, self.empty_ms, self.passed) = (None, 0, None);
            return;
        };
        let (fresh, had) = *self.then.get_or_insert_with(|| at_once(queue));
        if seen.now == self.since {
            return;
        }
        let may_return = queue.since_worker_lost.is_some_and(|ms| ms < RETURN_MS);
        let is_empty = queue.ready == 0 && queue.held == 0;
        self.empty_since = match self.empty_since {
            Some(since) if is_empty => Some(since),
            _ => is_empty.then_some(seen.now),
        };
        self.empty_ms = self.empty_since.map_or(0, |since| seen.now - since);
        let stayed_empty = self.empty_ms >= LATE_MS;
        self.is_lost |= !may_return && (stayed_empty || self.passes_by(seen.now, queue));

        // What came back after all was taken once may be the message itself: the proof begins anew.
        if self
            .turned_over
            .is_some_and(|(_, returns)| queue.redelivered > returns)
        {
            self.then = Some(at_once(queue));
            (self.turned_over, self.passed) = (None, None);
        } else if self.turned_over.is_none() && queue.fresh().saturating_sub(fresh) > had {
            self.turned_over = Some((seen.now, queue.redelivered));
        }
    }

    /// Whether the queue was turned over and goes on without the message. When it waits again, having come back, nothing is
    /// taken for the first time before it; so that must have happened between two looks, at both of which nobody holds it.
    fn passes_by(&mut self, now: u64, queue: QueueSeen) -> bool {
        let Some((at, returns)) = self.turned_over else {
            return false;
        };
        let is_held = queue.longest_held_ms.is_some_and(|ms| ms >= now - at);
        if is_held || queue.redelivered > returns {
            self.passed = None;
            return false;
        }
        let before = *self.passed.get_or_insert(queue.fresh());
        queue.fresh() > before && now - self.since >= LATE_MS
    }

    /// Whether half a proof is there.
    pub(super) fn is_suspect(&self) -> bool {
        self.empty_ms >= EMPTY_MS || self.turned_over.is_some()
    }

    /// Whether there is a whole one.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

/// The messages that workers have taken for the first time, and those that the queue and the workers have.
fn at_once(queue: QueueSeen) -> (u64, u64) {
    (queue.fresh(), queue.ready + queue.held)
}

/// What is missing now: of what was missing before, what still is; and the rest as `new`.
pub(super) fn follow(
    before: Vec<Missing>,
    gaps: &[Span],
    new: impl Fn() -> Missing,
) -> Vec<Missing> {
    let mut after: Vec<Missing> = Vec::new();
    let mut known = before.into_iter().peekable();
    for &(first, last) in gaps {
        let mut next = first;
        while known.next_if(|missing| missing.span.1 < first).is_some() {}
        while next <= last {
            let overlapping = known.peek().filter(|missing| missing.span.0 <= last);
            let Some(missing) = overlapping else {
                after.push(Missing {
                    span: (next, last),
                    ..new()
                });
                break;
            };
            let (start, end) = (missing.span.0.max(next), missing.span.1.min(last));
            if next < start {
                after.push(Missing {
                    span: (next, start - 1),
                    ..new()
                });
            }
            after.push(Missing {
                span: (start, end),
                ..missing.clone()
            });
            next = end + 1;
            // It may reach into the next gap.
            known.next_if(|missing| missing.span.1 <= end);
        }
    }
    let mut before = usize::MAX;
    while after.len() > MOST_SPANS && after.len() < before {
        before = after.len();
        take_together(&mut after);
    }
    after
}

/// Takes every two neighbours that touch together. Gaps that do not touch stay apart: there are never more of them than
/// messages that a worker holds while others are settled.
fn take_together(spans: &mut Vec<Missing>) {
    let mut together: Vec<Missing> = Vec::with_capacity(spans.len() / 2 + 1);
    let mut is_pair = false;
    for missing in spans.drain(..) {
        match together.last_mut() {
            Some(last) if !is_pair && last.span.1 + 1 == missing.span.0 => {
                let span = (last.span.0, missing.span.1);
                let younger = if last.since >= missing.since {
                    last.clone()
                } else {
                    missing
                };
                *last = Missing { span, ..younger };
                is_pair = true;
            }
            _ => {
                together.push(missing);
                is_pair = false;
            }
        }
    }
    *spans = together;
}
