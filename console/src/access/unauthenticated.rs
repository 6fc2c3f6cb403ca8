//! How many refusals of callers who are not logged in a minute has had.

use std::sync::{Mutex, PoisonError};

/// Entries a minute.
const MOST: u32 = 30;
const MINUTE_MS: u64 = 60_000;

/// Counts the refusals of a minute.
#[derive(Debug, Default)]
pub(crate) struct Unauthenticated(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    /// Minutes since 1970.
    number: u64,
    recorded: u32,
    left_out: u64,
}

impl Unauthenticated {
    /// Whether a refusal is recorded by itself, if that is wanted; and the number of those of an earlier minute that were not.
    pub(crate) fn count(&self, now_ms: u64, is_wanted: bool) -> (bool, u64) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = minute.turn(now_ms);
        let is_recorded = is_wanted && minute.recorded < MOST;
        if is_recorded {
            minute.recorded += 1;
        } else {
            minute.left_out += 1;
        }
        (is_recorded, earlier)
    }

    /// The number of refusals of an earlier minute that were not recorded by themselves, once.
    pub(crate) fn earlier(&self, now_ms: u64) -> u64 {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        minute.turn(now_ms)
    }
}

impl Minute {
    fn turn(&mut self, now_ms: u64) -> u64 {
        let number = now_ms / MINUTE_MS;
        if number == self.number {
            return 0;
        }
        let earlier = self.left_out;
        *self = Self {
            number,
            ..Self::default()
        };
        earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted_once() {
        let refusals = Unauthenticated::default();
        let mut recorded = 0;
        for attempt in 0..1_000 {
            let (is_recorded, earlier) = refusals.count(60_000 + attempt, true);
            assert_eq!(earlier, 0);
            recorded += u32::from(is_recorded);
        }
        assert_eq!(recorded, MOST);
        assert_eq!(refusals.earlier(119_999), 0);
        assert_eq!(refusals.earlier(120_000), 1_000 - u64::from(MOST));
        assert_eq!(refusals.count(120_001, true), (true, 0));
        for _ in 0..MOST {
            refusals.count(120_002, true);
        }
        assert_eq!(refusals.count(240_000, true), (true, 1));
        // One that is not wanted is counted.
        assert_eq!(refusals.count(240_001, false), (false, 0));
        assert_eq!(refusals.earlier(300_000), 1);
    }
}
