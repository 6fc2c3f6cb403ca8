//! The circuit breaker shared by all senders, and the times at which it was open.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::breaker::{Breaker, BreakerLimits, Verdict};
use crate::summary::BreakerFigures;

/// A breaker shared by many senders; times are relative to the start of the run.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<State>);

#[derive(Debug)]
struct State {
    breaker: Breaker,
    /// Times at which it opened and closed, in order; at most two changes per interval.
    closed_again: Vec<(Duration, Duration)>,
    open_since: Option<Duration>,
}

impl Gate {
    pub(crate) fn new(limits: BreakerLimits) -> Self {
        Self(Mutex::new(State {
            breaker: Breaker::new(limits),
            closed_again: Vec::new(),
            open_since: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `events` and returns whether they may be sent.
    pub(crate) fn ask(&self, now: Duration, events: u64) -> Verdict {
        let mut state = self.lock();
        let verdict = state.breaker.call(now, events);
        match (state.open_since, state.breaker.is_open()) {
            (None, true) => state.open_since = Some(now),
            (Some(since), false) => {
                state.open_since = None;
                state.closed_again.push((since, now));
            }
            _ => {}
        }
        verdict
    }

    /// How long it was open between two moments.
    pub(crate) fn open_between(&self, from: Duration, to: Duration) -> Duration {
        let state = self.lock();
        let still = state.open_since.map(|since| (since, Duration::MAX));
        let mut open = Duration::ZERO;
        // Latest first, until the start of the period.
        for (opened, closed) in still
            .into_iter()
            .chain(state.closed_again.iter().rev().copied())
        {
            if closed <= from {
                break;
            }
            open += closed.min(to).saturating_sub(opened.max(from));
        }
        open
    }

    /// Its statistics until now.
    pub(crate) fn figures(&self, now: Duration) -> BreakerFigures {
        let state = self.lock();
        let opens = state.closed_again.len() + usize::from(state.open_since.is_some());
        drop(state);
        BreakerFigures {
            opens: opens as u64,
            open_s: self.open_between(Duration::ZERO, now).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_times_are_remembered() {
        let second = Duration::from_secs(1);
        let gate = Gate::new(BreakerLimits {
            open: 2,
            close: 2,
            open_interval: second,
            close_interval: second,
        });
        let at = Duration::from_millis;
        assert_eq!(gate.ask(at(0), 2), Verdict::Proceed);
        assert_ne!(gate.ask(at(500), 1), Verdict::Proceed);
        assert_eq!(gate.open_between(at(0), at(900)), at(400));
        assert_eq!(gate.ask(at(1501), 1), Verdict::Proceed);
        assert_ne!(gate.ask(at(2000), 3), Verdict::Proceed);
        assert_eq!(gate.open_between(at(0), at(3000)), at(1001 + 1000));
        assert_eq!(gate.open_between(at(600), at(700)), at(100));
        assert_eq!(gate.open_between(at(1600), at(1700)), at(0));
        let figures = gate.figures(at(2500));
        assert_eq!((figures.opens, figures.open_s), (2, 1.501));
    }
}
