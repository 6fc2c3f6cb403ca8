//! Message numbers that have been missing since the same moment, and what was observed since.

use super::{EMPTY_MS, LATE_MS, Observation, QueueSnapshot, RETURN_MS};

/// Numbers from the first to the last, both included.
pub(super) type Span = (u64, u64);

/// Spans that are kept separate per publisher channel epoch. Beyond that, adjacent spans are merged as if the older one were
/// as young as the younger: the alarm comes later, but no false alarm is raised.
const MAX_SPANS: usize = 500;

/// Numbers that have been missing since the same moment.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub(super) span: Span,
    /// When they were first seen missing.
    since: u64,
    /// First deliveries by then, and messages of the queue and the workers then; `None` if that was not observed.
    then: Option<(u64, u64)>,
    /// Since when the queue has been empty, and for how long.
    empty_since: Option<u64>,
    empty_ms: u64,
    /// When the queue was turned over, and the redeliveries by then.
    fully_consumed: Option<(u64, u64)>,
    /// First deliveries at the moment when, after that, no message had been held for long.
    passed: Option<u64>,
    /// Whether there is a complete proof. Never reset.
    is_lost: bool,
}

impl Gap {
    /// State of numbers that are missing for the first time; [`track`] fills in the span.
    pub(super) fn first_seen(seen: &Observation<'_>) -> Self {
        Self {
            span: (0, 0),
            since: seen.now,
            then: seen.queue.map(deliveries_and_depth),
            empty_since: None,
            empty_ms: 0,
            fully_consumed: None,
            passed: None,
            is_lost: false,
        }
    }

    /// When they were first seen missing.
    #[cfg(test)]
    pub(super) fn since(&self) -> u64 {
        self.since
    }

    /// The count of numbers.
    pub(super) fn len(&self) -> u64 {
        self.span.1 - self.span.0 + 1
    }

    /// Updates the state with an observation.
    pub(super) fn update(&mut self, seen: &Observation<'_>) {
        let Some(queue) = seen.queue else {
            // What cannot be observed may have changed meanwhile.
            (self.empty_since, self.empty_ms, self.passed) = (None, 0, None);
            return;
        };
        let (first_deliveries, had) = *self.then.get_or_insert_with(|| deliveries_and_depth(queue));
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
        self.is_lost |= !may_return && (stayed_empty || self.is_confirmed_absent(seen.now, queue));

        // A redelivery after the turnover may be the message itself: the proof starts again.
        if self
            .fully_consumed
            .is_some_and(|(_, returns)| queue.redelivered > returns)
        {
            self.then = Some(deliveries_and_depth(queue));
            (self.fully_consumed, self.passed) = (None, None);
        } else if self.fully_consumed.is_none()
            && queue.first_deliveries().saturating_sub(first_deliveries) > had
        {
            self.fully_consumed = Some((seen.now, queue.redelivered));
        }
    }

    /// Whether the queue was turned over and delivery continues without the message. If the message is ready again after a
    /// redelivery, no first delivery happens before it; so that would have to happen between two observations, at both of
    /// which no worker holds it.
    fn is_confirmed_absent(&mut self, now: u64, queue: QueueSnapshot) -> bool {
        let Some((at, returns)) = self.fully_consumed else {
            return false;
        };
        let is_held = queue.longest_held_ms.is_some_and(|ms| ms >= now - at);
        if is_held || queue.redelivered > returns {
            self.passed = None;
            return false;
        }
        let before = *self.passed.get_or_insert(queue.first_deliveries());
        queue.first_deliveries() > before && now - self.since >= LATE_MS
    }

    /// Whether there is half a proof.
    pub(super) fn is_suspect(&self) -> bool {
        self.empty_ms >= EMPTY_MS || self.fully_consumed.is_some()
    }

    /// Whether there is a complete proof.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }
}

/// First deliveries, and messages of the queue and the workers.
fn deliveries_and_depth(queue: QueueSnapshot) -> (u64, u64) {
    (queue.first_deliveries(), queue.ready + queue.held)
}

/// The spans that are missing now: those that still are, with their state; the rest as `new`.
pub(super) fn track(before: Vec<Gap>, gaps: &[Span], new: impl Fn() -> Gap) -> Vec<Gap> {
    let mut after: Vec<Gap> = Vec::new();
    let mut known = before.into_iter().peekable();
    for &(first, last) in gaps {
        let mut next = first;
        while known.next_if(|gap| gap.span.1 < first).is_some() {}
        while next <= last {
            let overlapping = known.peek().filter(|gap| gap.span.0 <= last);
            let Some(gap) = overlapping else {
                after.push(Gap {
                    span: (next, last),
                    ..new()
                });
                break;
            };
            let (start, end) = (gap.span.0.max(next), gap.span.1.min(last));
            if next < start {
                after.push(Gap {
                    span: (next, start - 1),
                    ..new()
                });
            }
            after.push(Gap {
                span: (start, end),
                ..gap.clone()
            });
            next = end + 1;
            // It may reach into the next gap.
            known.next_if(|gap| gap.span.1 <= end);
        }
    }
    let mut before = usize::MAX;
    while after.len() > MAX_SPANS && after.len() < before {
        before = after.len();
        merge_adjacent(&mut after);
    }
    after
}

/// Merges adjacent spans in pairs. Spans that do not touch stay separate: there are never more of them than messages that a
/// worker holds while others are settled.
fn merge_adjacent(spans: &mut Vec<Gap>) {
    let mut together: Vec<Gap> = Vec::with_capacity(spans.len() / 2 + 1);
    let mut is_pair = false;
    for gap in spans.drain(..) {
        match together.last_mut() {
            Some(last) if !is_pair && last.span.1 + 1 == gap.span.0 => {
                let span = (last.span.0, gap.span.1);
                let younger = if last.since >= gap.since {
                    last.clone()
                } else {
                    gap
                };
                *last = Gap { span, ..younger };
                is_pair = true;
            }
            _ => {
                together.push(gap);
                is_pair = false;
            }
        }
    }
    *spans = together;
}
