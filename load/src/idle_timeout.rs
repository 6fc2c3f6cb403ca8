//! Time without a response of the target despite requests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Consecutive attempts without a response; times are relative to the start of the run.
#[derive(Debug)]
pub(crate) struct IdleTimeout {
    /// Time of the first one in ms, plus 1; 0 while there are responses.
    first_ms: AtomicU64,
    /// Time of the last one in ms, plus 1.
    last_ms: AtomicU64,
    /// Maximum time between attempts that belong to the same outage.
    apart_ms: u64,
}

impl IdleTimeout {
    /// For attempts that are at most `apart` from each other while requests are sent.
    pub(crate) fn new(apart: Duration) -> Self {
        Self {
            first_ms: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            apart_ms: whole_ms(apart),
        }
    }

    /// Records an attempt without a response.
    pub(crate) fn failed(&self, now: Duration) {
        let now_ms = whole_ms(now) + 1;
        let last_ms = self.last_ms.swap(now_ms, Ordering::Relaxed);
        let first_ms = self.first_ms.load(Ordering::Relaxed);
        if first_ms == 0 || now_ms.saturating_sub(last_ms) > self.apart_ms {
            self.first_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// Records a response of the target.
    pub(crate) fn record_response(&self) {
        if self.first_ms.load(Ordering::Relaxed) != 0 {
            self.first_ms.store(0, Ordering::Relaxed);
        }
    }

    /// Its duration up to the last failed attempt.
    pub(crate) fn elapsed(&self) -> Duration {
        let first_ms = self.first_ms.load(Ordering::Relaxed);
        let last_ms = self.last_ms.load(Ordering::Relaxed);
        let ms = if first_ms == 0 {
            0
        } else {
            last_ms.saturating_sub(first_ms)
        };
        Duration::from_millis(ms)
    }
}

fn whole_ms(time: Duration) -> u64 {
    // No run is long enough to be truncated.
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_which_nothing_was_asked_is_no_silence() {
        let at = Duration::from_secs;
        let idle_timeout = IdleTimeout::new(at(12));
        assert_eq!(idle_timeout.elapsed(), at(0));
        idle_timeout.failed(at(0));
        idle_timeout.failed(at(10));
        idle_timeout.failed(at(20));
        assert_eq!(idle_timeout.elapsed(), at(20));
        idle_timeout.failed(at(100));
        assert_eq!(idle_timeout.elapsed(), at(0));
        idle_timeout.failed(at(105));
        assert_eq!(idle_timeout.elapsed(), at(5));
        idle_timeout.record_response();
        assert_eq!(idle_timeout.elapsed(), at(0));
        idle_timeout.failed(at(106));
        assert_eq!(idle_timeout.elapsed(), at(0));
    }
}
