//! Number of messages to prefetch, so that they contain the desired number of rides.
//!
//! RabbitMQ counts messages; a message contains one ride at low traffic and hundreds at high traffic. The prefetch
//! follows the mean size of the received messages, in steps large enough to justify a new consumer.

use std::time::Duration;

use tokio::time::Instant;

/// Rides in the largest message that a publisher sends by default, assumed until messages have arrived.
const LARGEST_MESSAGE_RIDES: f64 = 256.0;
/// Weight of a new message in the mean.
const WEIGHT: f64 = 1.0 / 64.0;
/// The prefetch changes if it is off by more than this factor.
const TOLERANCE: f64 = 1.5;
/// Minimum time between two changes.
const PAUSE: Duration = Duration::from_secs(1);

/// Tracks the mean size of messages.
#[derive(Debug)]
pub(crate) struct PrefetchGauge {
    desired_rides: f64,
    mean_rides: f64,
    changed_at: Option<Instant>,
}

impl PrefetchGauge {
    pub(crate) fn new(desired_rides: usize) -> Self {
        Self {
            desired_rides: desired_rides.max(1) as f64,
            mean_rides: LARGEST_MESSAGE_RIDES,
            changed_at: None,
        }
    }

    /// Records a batch of messages.
    pub(crate) fn saw(&mut self, messages: usize, rides: usize) {
        if messages == 0 {
            return;
        }
        let of_batch = rides as f64 / messages as f64;
        let kept = (1.0 - WEIGHT).powf(messages as f64);
        self.mean_rides = (self.mean_rides * kept + of_batch * (1.0 - kept)).max(1.0);
    }

    /// The suitable prefetch, in messages.
    pub(crate) fn messages(&self) -> u16 {
        let messages = (self.desired_rides / self.mean_rides).clamp(1.0, f64::from(u16::MAX));
        // Clamped to the range of the type.
        messages as u16
    }

    /// The new prefetch, if `current` is too far off and the last change is long enough ago.
    pub(crate) fn change_from(&mut self, current: u16, now: Instant) -> Option<u16> {
        let fitting = self.messages();
        let ratio = f64::from(fitting) / f64::from(current.max(1));
        let is_off = !(1.0 / TOLERANCE..=TOLERANCE).contains(&ratio);
        let is_early = self
            .changed_at
            .is_some_and(|at| now.duration_since(at) < PAUSE);
        if !is_off || is_early {
            return None;
        }
        self.changed_at = Some(now);
        Some(fitting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_with_what_holds_even_for_the_largest_messages() {
        assert_eq!(PrefetchGauge::new(4000).messages(), 15);
        assert_eq!(PrefetchGauge::new(10).messages(), 1);
    }

    #[test]
    fn follows_the_size_of_messages_but_not_at_every_breath() {
        let mut gauge = PrefetchGauge::new(4000);
        let start = Instant::now();
        gauge.saw(1000, 33_000);
        assert_eq!(gauge.change_from(15, start), Some(121));
        gauge.saw(1000, 1000);
        assert_eq!(gauge.change_from(121, start), None);
        let later = start + Duration::from_secs(2);
        let single = gauge.change_from(121, later).unwrap();
        assert!((3990..=4000).contains(&single), "{single}");
        assert_eq!(
            gauge.change_from(3000, later + Duration::from_secs(2)),
            None
        );
    }

    #[test]
    fn never_asks_for_nothing_nor_for_more_than_amqp_can_say() {
        let mut gauge = PrefetchGauge::new(usize::MAX);
        gauge.saw(10_000, 10_000);
        assert_eq!(gauge.messages(), u16::MAX);
        gauge.saw(0, 0);
        let mut tiny = PrefetchGauge::new(0);
        tiny.saw(10, 10_000);
        assert_eq!(tiny.messages(), 1);
    }
}
