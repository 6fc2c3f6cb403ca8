//! Pauses between retries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Maximum number of retries of a request.
pub const MAX_RETRIES: usize = 5;
/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause of our own.
const LONGEST: Duration = Duration::from_secs(2);
/// The longest accepted `Retry-After`; longer ones are cut to this.
pub(crate) const LONGEST_WISH: Duration = Duration::from_secs(10);

/// The pauses of one request: jittered, doubling from 100 ms to 2 s, five in total.
#[derive(Debug)]
pub struct Pauses(backon::ExponentialBackoff);

impl Pauses {
    /// Five pauses.
    #[must_use]
    pub fn new() -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(FIRST)
            .with_max_delay(LONGEST)
            .with_max_times(MAX_RETRIES)
            .with_jitter();
        Self(pauses.build())
    }

    /// The next pause, at least the server's `Retry-After` (up to 10 s); `None` after five.
    pub fn next(&mut self, wish: Option<Duration>) -> Option<Duration> {
        let pause = self.0.next()?;
        Some(pause.max(wish.unwrap_or_default().min(LONGEST_WISH)))
    }
}

impl Default for Pauses {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_pauses_that_grow_and_heed_the_server() {
        let mut pauses = Pauses::new();
        let first = pauses.next(None).unwrap();
        assert!(first >= FIRST && first <= 2 * FIRST, "{first:?}");
        let wished = pauses.next(Some(Duration::from_secs(3))).unwrap();
        assert_eq!(wished, Duration::from_secs(3));
        let long = pauses.next(Some(Duration::from_secs(3600))).unwrap();
        assert_eq!(long, LONGEST_WISH);
        assert!(pauses.next(None).unwrap() >= 8 * FIRST);
        assert!(pauses.next(None).is_some());
        assert_eq!(pauses.next(None), None);
    }
}
