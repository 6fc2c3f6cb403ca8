//! How often EC2 is asked, and for how long. All times are of tokio's clock, so that tests pass in a moment.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// The shortest time between two looks; it grows while nothing happens.
const LOOK_FIRST: Duration = Duration::from_secs(2);
/// The longest.
const LOOK_LAST: Duration = Duration::from_secs(15);
/// The first wait after being throttled or left without an answer; it doubles.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest.
const RETRY_LAST: Duration = Duration::from_secs(20);

/// How long a start may take, EC2's status checks included.
pub(super) const START_LIMIT: Duration = Duration::from_secs(15 * 60);
/// How long a stop may take: after ten minutes AWS itself advises to ask for help.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(12 * 60);
/// For so long after a call a description may still show how it was before.
pub(super) const GRACE: Duration = Duration::from_secs(20);
/// How often a machine is started for which there is no room.
pub(super) const CAPACITY_TRIES: u32 = 3;
/// How long after one such try the next one is made, or about that.
pub(super) const CAPACITY_PAUSE: Duration = Duration::from_secs(10);
/// How often a machine is looked for, or its state is another one than was seen just now, before that is the answer.
pub(super) const STATE_TRIES: u32 = 3;
/// How often a Spot request is waited for, and how long each time.
pub(super) const SPOT_TRIES: u32 = 5;
/// See [`SPOT_TRIES`].
pub(super) const SPOT_PAUSE: Duration = Duration::from_secs(3);
/// How often a call is made that is throttled or not answered.
pub(super) const CALL_TRIES: u32 = 8;
/// How often a question is asked by which nothing changes, where EC2 is too busy to answer it.
pub(super) const QUESTION_TRIES: u32 = 3;

/// Where the jitter comes from.
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

    /// How long to wait before the look after `quiet` looks at which nothing had happened.
    pub(super) fn look(&self, quiet: u32) -> Duration {
        let grown = LOOK_FIRST.saturating_mul(1 << quiet.min(8)).min(LOOK_LAST);
        self.between(grown.mul_f64(0.75), grown.mul_f64(1.25))
    }

    /// How long to wait before the next of `tries` calls: anything up to a bound that doubles ("full jitter",
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
    pub(super) fn retry(&self, tries: u32) -> Duration {
        let bound = RETRY_FIRST
            .saturating_mul(1 << tries.min(8))
            .min(RETRY_LAST);
        self.between(Duration::from_millis(50), bound)
    }

    /// About so long.
    pub(super) fn about(&self, time: Duration) -> Duration {
        self.between(time.mul_f64(0.5), time.mul_f64(1.5))
    }

    fn between(&self, least: Duration, most: Duration) -> Duration {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let part: f64 = random.random();
        least + (most.saturating_sub(least)).mul_f64(part)
    }
}
