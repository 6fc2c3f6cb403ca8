//! Intervals and timeouts of calls to EC2. All times use tokio's clock, so that tests are fast.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// The shortest interval between two descriptions; it grows while nothing changes.
const LOOK_FIRST: Duration = Duration::from_secs(2);
/// The longest.
const LOOK_LAST: Duration = Duration::from_secs(15);
/// The first pause after throttling or a missing response; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest.
const RETRY_LAST: Duration = Duration::from_secs(20);

/// Timeout of a start, including EC2's status checks.
pub(super) const START_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Timeout of a stop: after ten minutes AWS advises to contact support.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(12 * 60);
/// How long after a call a description may still show the previous state.
pub(super) const GRACE: Duration = Duration::from_secs(20);
/// Maximum attempts to start an instance without capacity.
pub(super) const CAPACITY_TRIES: u32 = 3;
/// Approximate pause between such attempts.
pub(super) const CAPACITY_PAUSE: Duration = Duration::from_secs(10);
/// How often an instance must be missing, or its state must differ from the last description, before that is the outcome.
pub(super) const STATE_TRIES: u32 = 3;
/// How often to wait for a Spot request, and how long each time.
pub(super) const SPOT_TRIES: u32 = 5;
/// See [`SPOT_TRIES`].
pub(super) const SPOT_PAUSE: Duration = Duration::from_secs(3);
/// Maximum attempts of a call that is throttled or not answered.
pub(super) const CALL_TRIES: u32 = 8;
/// Maximum attempts of a read while EC2 is busy.
pub(super) const QUESTION_TRIES: u32 = 3;

/// Source of jitter.
pub(super) struct Pace {
    random: Mutex<SmallRng>,
}

impl Pace {
    /// A pace with jitter of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(SmallRng::seed_from_u64(seed)),
        }
    }

    /// The pause before the next description, after `quiet` descriptions without a change.
    pub(super) fn look(&self, quiet: u32) -> Duration {
        let grown = LOOK_FIRST.saturating_mul(1 << quiet.min(8)).min(LOOK_LAST);
        self.between(grown.mul_f64(0.75), grown.mul_f64(1.25))
    }

    /// The pause before the next of `tries` calls: random, up to a limit that doubles ("full jitter",
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    pub(super) fn retry(&self, tries: u32) -> Duration {
        let bound = RETRY_FIRST
            .saturating_mul(1 << tries.min(8))
            .min(RETRY_LAST);
        self.between(Duration::from_millis(50), bound)
    }

    /// Approximately this time.
    pub(super) fn about(&self, time: Duration) -> Duration {
        self.between(time.mul_f64(0.5), time.mul_f64(1.5))
    }

    fn between(&self, least: Duration, most: Duration) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let part: f64 = random.random();
        least + (most.saturating_sub(least)).mul_f64(part)
    }
}
