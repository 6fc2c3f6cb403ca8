//! The one place that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

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
