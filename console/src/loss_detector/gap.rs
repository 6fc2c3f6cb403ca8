//! Message numbers that have been missing since the same moment, and for how long they have been overdue.

use super::{LOST_MS, SUSPECT_MS};

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
    /// Since when they have been overdue at every observation.
    overdue_since: Option<u64>,
    /// Whether their messages are lost. Never reset.
    is_lost: bool,
}

impl Gap {
    /// Numbers that are missing for the first time; [`track`] fills in the span.
    pub(super) fn first_seen(now: u64) -> Self {
        Self {
            span: (0, 0),
            since: now,
            overdue_since: None,
            is_lost: false,
        }
    }

    /// Numbers whose messages were lost before the console started.
    pub(super) fn lost(span: Span) -> Self {
        Self {
            span,
            is_lost: true,
            ..Self::first_seen(0)
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

    /// Updates the state; `oldest_ms` is the age of the oldest ride that is neither settled nor lost, if known.
    pub(super) fn update(&mut self, now: u64, oldest_ms: Option<u64>) {
        let is_overdue = oldest_ms.is_some_and(|oldest_ms| now - self.since > oldest_ms);
        self.overdue_since = match self.overdue_since {
            Some(since) if is_overdue => Some(since),
            _ => is_overdue.then_some(now),
        };
        self.is_lost |= self.has_been_overdue(now, LOST_MS);
    }

    fn has_been_overdue(&self, now: u64, for_ms: u64) -> bool {
        self.overdue_since
            .is_some_and(|since| now - since >= for_ms)
    }

    /// Whether they have been overdue for a while.
    pub(super) fn is_suspect(&self, now: u64) -> bool {
        self.has_been_overdue(now, SUSPECT_MS)
    }

    /// Whether their messages are lost.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }
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
            Some(last)
                if !is_pair && last.span.1 + 1 == gap.span.0 && last.is_lost == gap.is_lost =>
            {
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
