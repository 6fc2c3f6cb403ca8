//! How long to wait between attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The first pause.
const FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Infinite jittered pauses that double from 50 ms to 5 s, so that many clients of one server do not reconnect at once.
pub fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(MAX_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
