//! The one place that reads the wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00 UTC.
#[must_use]
pub fn epoch_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the replacement that the lint suggests"
    )]
    let now = SystemTime::now();
    // A clock before 1970 means that the host has no valid clock; 0 is then acceptable.
    now.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Waits for the next full second of the wall clock. Nodes report their counters then, and the console reads the queue and the
/// store, so that figures of different processes are of one moment, as far as the clocks of their hosts agree.
pub async fn full_second() {
    tokio::time::sleep(until_full_second(epoch_ms())).await;
}

/// Time until the full second after the next tenth of one: a timer that fires slightly early does not fire twice.
fn until_full_second(now_ms: u64) -> Duration {
    const EARLY_MS: u64 = 100;
    Duration::from_millis(EARLY_MS + 1_000 - (now_ms + EARLY_MS) % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_full_second_comes_once() {
        let next =
            |now_ms: u64| now_ms + u64::try_from(until_full_second(now_ms).as_millis()).unwrap();
        for (now_ms, expected_ms) in [
            (7_000, 8_000),
            (7_001, 8_000),
            (7_899, 8_000),
            (7_900, 9_000),
            (7_999, 9_000),
        ] {
            assert_eq!(next(now_ms), expected_ms, "{now_ms}");
        }
    }
}
