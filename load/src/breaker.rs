//! A circuit breaker for throughput, with the exact rules of Apache Commons' `EventCountCircuitBreaker`
//! (commons-lang d15939ef4).
//!
//! - It counts events in tumbling windows. A window ends when more than its interval has passed since its start; the next
//!   call starts a new one.
//! - Closed, it opens immediately when the count of a window exceeds `open`.
//! - Open, it closes at the first call after the end of a window with a count below `close`. There is no timer: only the last
//!   window with a call matters, however long ago it was. After a busy window and a long pause it is still open for the first
//!   call.
//! - Rejected calls count, so traffic that does not slow down keeps it open.
//! - Each change of state starts a new window at zero.

use std::time::Duration;

/// When the breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// It opens if a window has more events than this.
    pub open: u64,
    /// It closes if a window had fewer events than this.
    pub close: u64,
    /// Length of a window while it is closed.
    pub open_interval: Duration,
    /// Length of a window while it is open.
    pub close_interval: Duration,
}

/// Invalid limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimits {
    /// It would close at a count at which it opens.
    #[error(
        "the breaker would close below {close} and open above {open}: close must not be above open, otherwise it flaps"
    )]
    CloseAboveOpen {
        /// The close limit.
        close: u64,
        /// The open limit.
        open: u64,
    },
    /// It would never close.
    #[error("a breaker that closes below 0 never closes: close must be at least 1")]
    NeverCloses,
    /// The windows are too short.
    #[error("the breaker's interval must be at least 10ms")]
    ShortInterval,
}

impl BreakerLimits {
    /// Checks that the breaker can open and close.
    ///
    /// # Errors
    /// When it cannot, or its windows are shorter than 10 ms.
    pub fn check(&self) -> Result<(), InvalidLimits> {
        let Self { open, close, .. } = *self;
        if close > open {
            return Err(InvalidLimits::CloseAboveOpen { close, open });
        }
        if close == 0 {
            return Err(InvalidLimits::NeverCloses);
        }
        if self.open_interval.min(self.close_interval) < Duration::from_millis(10) {
            return Err(InvalidLimits::ShortInterval);
        }
        Ok(())
    }
}

/// The breaker's decision about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call may proceed.
    Proceed,
    /// The call is rejected until then.
    Refused {
        /// The first moment after the current window.
        ask_again_at: Duration,
    },
}

/// The state; times are relative to any fixed moment and never decrease.
#[derive(Debug, Clone)]
pub struct Breaker {
    limits: BreakerLimits,
    is_open: bool,
    window: Option<Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    start: Duration,
    events: u64,
}

impl Breaker {
    /// A closed breaker that has counted nothing.
    #[must_use]
    pub fn new(limits: BreakerLimits) -> Self {
        Self {
            limits,
            is_open: false,
            window: None,
        }
    }

    /// Whether it was open at the last call.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Counts `events` and returns whether they may proceed. The call that opens the breaker is rejected; the one that closes it
    /// may proceed and is not counted.
    pub fn call(&mut self, now: Duration, events: u64) -> Verdict {
        let interval = self.interval();
        let fresh = Window { start: now, events };
        // The first call has no window, as after an empty window that ended long ago.
        let (begins, last) = match self.window {
            None => (true, 0),
            Some(window) => (now.saturating_sub(window.start) > interval, window.events),
        };
        let window = match self.window {
            Some(window) if !begins => Window {
                events: window.events.saturating_add(events),
                ..window
            },
            _ => fresh,
        };
        let changes = if self.is_open {
            begins && last < self.limits.close
        } else {
            window.events > self.limits.open
        };
        self.window = Some(window);
        if changes {
            self.is_open = !self.is_open;
            self.window = Some(Window {
                start: now,
                events: 0,
            });
        }
        if !self.is_open {
            return Verdict::Proceed;
        }
        let start = self.window.map_or(now, |window| window.start);
        Verdict::Refused {
            ask_again_at: start + self.interval() + Duration::from_nanos(1),
        }
    }

    fn interval(&self) -> Duration {
        if self.is_open {
            self.limits.close_interval
        } else {
            self.limits.open_interval
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Calls = &'static [(u64, u64, bool)];

    /// Results of the Java class, compiled from commons-lang d15939ef4 with a `nanoTime` that the table sets:
    /// limits (open, its interval, close, its interval), then calls (time in ns, events, may go on).
    #[rustfmt::skip]
    const JAVA: [(&str, [u64; 4], Calls); 14] = [
        ("opens when the count is above, not at, the threshold", [3, 100, 2, 100], &[
            (1000, 1, true), (1010, 1, true), (1020, 1, true), (1021, 1, false), (1022, 1, false)]),
        ("a window lasts its interval to the end", [3, 100, 2, 100], &[
            (1000, 3, true), (1100, 1, false)]),
        ("one moment later begins another", [3, 100, 2, 100], &[
            (1000, 3, true), (1101, 3, true), (1201, 0, true), (1202, 1, true)]),
        ("closes only below the threshold, and only at a boundary", [3, 100, 2, 100], &[
            (1000, 4, false), (1050, 1, false), (1060, 1, false), (1100, 1, false), (1101, 1, false), (1150, 1, false),
            (1201, 1, false), (1202, 1, false), (1303, 1, true)]),
        ("an open window lasts its interval to the end, too", [3, 100, 2, 100], &[
            (1000, 4, false), (1100, 1, false), (1101, 1, true)]),
        ("refused traffic keeps it open", [3, 100, 2, 100], &[
            (1000, 4, false), (1001, 1, false), (1002, 1, false), (1101, 1, false), (1150, 1, false), (1202, 1, false),
            (1210, 1, false), (1303, 1, false)]),
        ("a long silence after a busy window", [3, 100, 2, 100], &[
            (1000, 4, false), (1010, 1, false), (1020, 1, false), (1030, 1, false), (9000, 1, false), (9050, 0, false),
            (9101, 1, true), (9102, 1, true)]),
        ("a long silence after an empty window", [3, 100, 2, 100], &[
            (1000, 4, false), (9000, 1, true), (9001, 3, true), (9002, 1, false)]),
        ("a batch over the threshold", [3, 100, 2, 100], &[
            (1000, 5, false), (1050, 5, false), (1101, 5, false), (1102, 0, false), (1201, 5, false), (1300, 0, false),
            (1302, 5, false), (1402, 0, false), (1403, 0, false), (1404, 5, false)]),
        ("the call that closes it is not counted", [3, 100, 2, 100], &[
            (1000, 4, false), (1101, 3, true), (1102, 3, true), (1103, 1, false)]),
        ("silence while closed", [3, 100, 2, 100], &[
            (1000, 3, true), (5000, 3, true), (5100, 0, true), (5101, 3, true)]),
        ("a call without events begins windows, too", [3, 100, 2, 100], &[
            (1000, 0, true), (1100, 3, true), (1101, 3, true), (1102, 1, false)]),
        ("intervals of their own", [3, 100, 2, 50], &[
            (1000, 4, false), (1050, 1, false), (1051, 1, true), (1060, 1, true), (1102, 1, true), (1103, 1, true),
            (1154, 1, true), (1204, 3, false), (1205, 1, false)]),
        ("one threshold for both", [2, 100, 2, 100], &[
            (1000, 3, false), (1010, 1, false), (1101, 2, true), (1102, 1, true), (1202, 1, true), (1303, 1, true)]),
    ];

    fn breaker([open, open_ns, close, close_ns]: [u64; 4]) -> Breaker {
        Breaker::new(BreakerLimits {
            open,
            close,
            open_interval: Duration::from_nanos(open_ns),
            close_interval: Duration::from_nanos(close_ns),
        })
    }

    #[test]
    fn does_what_the_java_class_does() {
        for (name, limits, calls) in JAVA {
            let mut breaker = breaker(limits);
            for &(at, events, may_go_on) in calls {
                let verdict = breaker.call(Duration::from_nanos(at), events);
                assert_eq!(verdict == Verdict::Proceed, may_go_on, "{name}, at {at}");
                assert_eq!(breaker.is_open(), !may_go_on, "{name}, at {at}");
            }
        }
    }

    #[test]
    fn says_when_to_ask_again() {
        let mut breaker = breaker([3, 100, 2, 50]);
        let refused = |ns| Verdict::Refused {
            ask_again_at: Duration::from_nanos(ns),
        };
        assert_eq!(breaker.call(Duration::from_nanos(1000), 4), refused(1051));
        assert_eq!(breaker.call(Duration::from_nanos(1030), 9), refused(1051));
        assert_eq!(breaker.call(Duration::from_nanos(1051), 1), refused(1102));
        assert_eq!(
            breaker.call(Duration::from_nanos(1102), 1),
            Verdict::Proceed
        );
    }

    #[test]
    fn limits_that_cannot_be_meant_are_refused() {
        let limits = |open, close, ms| BreakerLimits {
            open,
            close,
            open_interval: Duration::from_millis(ms),
            close_interval: Duration::from_millis(ms),
        };
        assert_eq!(limits(3800, 3800, 1000).check(), Ok(()));
        let flaps = limits(3300, 3800, 1000).check().unwrap_err().to_string();
        assert!(flaps.contains("close must not be above open"), "{flaps}");
        assert_eq!(limits(1, 0, 1000).check(), Err(InvalidLimits::NeverCloses));
        assert_eq!(limits(1, 1, 9).check(), Err(InvalidLimits::ShortInterval));
    }
}
