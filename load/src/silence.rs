//! How long the target has given no answer, although it was asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Failed tries without an answer between them. Times are since the start of the run.
#[derive(Debug)]
pub(crate) struct Silence {
    /// The first of them, in ms and one more; 0 while answers come.
    first_ms: AtomicU64,
    /// The last of them, in ms and one more.
    last_ms: AtomicU64,
    /// Tries further apart than this belong to no silence: nothing was asked between them.
    apart_ms: u64,
}

impl Silence {
    /// Of tries that come at most `apart` one after the other as long as something is asked.
    pub(crate) fn new(apart: Duration) -> Self {
        Self {
            first_ms: AtomicU64::new(0),
            last_ms: AtomicU64::new(0),
            apart_ms: whole_ms(apart),
        }
    }

    /// A try got no answer.
    pub(crate) fn failed(&self, now: Duration) {
        let now_ms = whole_ms(now) + 1;
        let last_ms = self.last_ms.swap(now_ms, Ordering::Relaxed);
        let first_ms = self.first_ms.load(Ordering::Relaxed);
        if first_ms == 0 || now_ms.saturating_sub(last_ms) > self.apart_ms {
            self.first_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    /// The target has answered something.
    pub(crate) fn heard(&self) {
        if self.first_ms.load(Ordering::Relaxed) != 0 {
            self.first_ms.store(0, Ordering::Relaxed);
        }
    }

    /// How long it has lasted, up to the last failed try.
    pub(crate) fn lasted(&self) -> Duration {
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
    // A run does not last so long that this is cut.
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_which_nothing_was_asked_is_no_silence() {
        let at = Duration::from_secs;
        let silence = Silence::new(at(12));
        assert_eq!(silence.lasted(), at(0));
        silence.failed(at(0));
        silence.failed(at(10));
        silence.failed(at(20));
        assert_eq!(silence.lasted(), at(20));
        silence.failed(at(100));
        assert_eq!(silence.lasted(), at(0));
        silence.failed(at(105));
        assert_eq!(silence.lasted(), at(5));
        silence.heard();
        assert_eq!(silence.lasted(), at(0));
        silence.failed(at(106));
        assert_eq!(silence.lasted(), at(0));
    }
}
