//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00 UTC.
#[must_use]
pub fn epoch_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the function that the ban points to"
    )]
    let now = SystemTime::now();
    // A clock before 1970 is a machine without a clock; 0 is then as good as any other answer.
    now.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
