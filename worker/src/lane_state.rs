//! State of one consumer, for the health check and for the worker's heartbeat.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::ConsumerReport;
use skilift_core::queue::Delivery;
use tokio::time::Instant;

use crate::wanted::Wanted;

/// The state of one consumer.
#[derive(Debug, Clone, Default)]
pub(crate) struct LaneState(Arc<Mutex<Figures>>);

/// Figures of a consumer; counters only increase.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// The desired state that the consumer has applied; `None` before the first one.
    pub(crate) follows: Option<Arc<Wanted>>,
    /// Whether it has settings to run with.
    pub(crate) is_running: bool,
    /// Blocked reason, if any.
    pub(crate) hindrance: Option<String>,
    /// Prefetch in messages; 0 while it does not consume.
    prefetch_messages: u16,
    pub(crate) held_messages: u32,
    /// Receive time of its oldest unacked message.
    pub(crate) held_since: Option<Instant>,
    pub(crate) oldest_held_accepted_at_ms: Option<u64>,
    pub(crate) delivered: Taken,
    pub(crate) redelivered_messages: u64,
    pub(crate) acked: Taken,
    last_ack_at_ms: Option<u64>,
    busy: Duration,
    busy_since: Option<Instant>,
}

/// A number of messages and of the rides in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) messages: u64,
    pub(crate) rides: u64,
}

impl Taken {
    fn add(&mut self, messages: usize, rides: usize) {
        self.messages += messages as u64;
        self.rides += rides as u64;
    }
}

impl LaneState {
    /// Records that the consumer starts with the desired settings.
    pub(crate) fn starts(&self, wanted: Arc<Wanted>) {
        let mut figures = self.figures();
        figures.follows = Some(wanted);
        if !std::mem::replace(&mut figures.is_running, true) {
            figures.hindrance = Some("still connecting".to_owned());
        }
    }

    /// Records that the desired state has changed, but not for this consumer.
    pub(crate) fn goes_on(&self, wanted: Arc<Wanted>) {
        self.figures().follows = Some(wanted);
    }

    /// Records that the consumer is idle.
    pub(crate) fn rests(&self, wanted: Arc<Wanted>) {
        let mut figures = self.figures();
        figures.follows = Some(wanted);
        figures.is_running = false;
        figures.hindrance = None;
    }

    /// Records that the consumer consumes with this prefetch.
    pub(crate) fn consumes(&self, prefetch_messages: u16) {
        let mut figures = self.figures();
        figures.prefetch_messages = prefetch_messages;
        figures.hindrance = None;
    }

    /// Records that the consumer no longer holds unacked messages.
    pub(crate) fn closed(&self) {
        let mut figures = self.figures();
        figures.prefetch_messages = 0;
        figures.held_messages = 0;
        figures.held_since = None;
        figures.oldest_held_accepted_at_ms = None;
        figures.pause_busy();
    }

    /// Records that storing works.
    pub(crate) fn working(&self) {
        self.figures().hindrance = None;
    }

    /// Records the reason why the consumer cannot store.
    pub(crate) fn hindered(&self, why: impl Into<String>) {
        self.figures().hindrance = Some(why.into());
    }

    /// Records a received message.
    pub(crate) fn took(&self, message: &Delivery, rides: usize) {
        let mut figures = self.figures();
        figures.delivered.add(1, rides);
        figures.redelivered_messages += u64::from(message.returns > 0);
        figures.held_messages += 1;
        figures.held_since.get_or_insert_with(Instant::now);
        let oldest = [figures.oldest_held_accepted_at_ms, message.accepted_at_ms];
        figures.oldest_held_accepted_at_ms = oldest.into_iter().flatten().min();
    }

    /// Records the start of storing a batch.
    pub(crate) fn stores(&self) {
        self.figures().busy_since = Some(Instant::now());
    }

    /// Records that the consumer has acknowledged all messages except `left`.
    pub(crate) fn acked(&self, messages: usize, rides: usize, left: Option<&Delivery>) {
        let mut figures = self.figures();
        figures.pause_busy();
        figures.acked.add(messages, rides);
        figures.last_ack_at_ms = Some(epoch_ms());
        figures.held_messages = u32::from(left.is_some());
        figures.held_since = left.map(|_| Instant::now());
        figures.oldest_held_accepted_at_ms = left.and_then(|left| left.accepted_at_ms);
    }

    /// The current figures.
    pub(crate) fn figures(&self) -> MutexGuard<'_, Figures> {
        // No holder of the lock can panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Figures {
    fn pause_busy(&mut self) {
        if let Some(since) = self.busy_since.take() {
            self.busy += since.elapsed();
        }
    }

    /// Total time that the consumer has spent storing.
    pub(crate) fn busy(&self) -> Duration {
        self.busy
            + self
                .busy_since
                .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The consumer's part of the heartbeat.
    pub(crate) fn report(&self, lane: u32) -> ConsumerReport {
        ConsumerReport {
            thread: lane,
            prefetch_messages: self.prefetch_messages.into(),
            unacked_messages: self.held_messages,
            acked_messages: self.acked.messages,
            acked_rides: self.acked.rides,
            last_ack_at_ms: self.last_ack_at_ms,
            blocked_reason: self.hindrance.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(accepted_at_ms: u64, returns: u64) -> Delivery {
        Delivery {
            tag: 1,
            body: Vec::new(),
            id: None,
            format: None,
            rides: None,
            accepted_at_ms: Some(accepted_at_ms),
            replay_of: None,
            returns,
        }
    }

    #[tokio::test]
    async fn what_a_lane_holds_is_known_and_gone_with_its_channel() {
        const STEP: Duration = Duration::from_millis(20);
        let state = LaneState::default();
        state.took(&message(20, 0), 5);
        tokio::time::sleep(STEP).await;
        state.took(&message(10, 1), 7);
        state.stores();
        tokio::time::sleep(STEP).await;
        let held = state.figures().clone();
        assert_eq!(
            (held.held_messages, held.oldest_held_accepted_at_ms),
            (2, Some(10))
        );
        assert!(held.held_since.unwrap().elapsed() >= STEP * 2);
        assert!(held.busy() >= STEP && held.busy() < held.held_since.unwrap().elapsed());
        assert_eq!((held.delivered.messages, held.delivered.rides), (2, 12));
        assert_eq!(held.redelivered_messages, 1);

        state.acked(1, 5, Some(&message(10, 1)));
        let left = state.figures().clone();
        tokio::time::sleep(STEP).await;
        assert_eq!((left.held_messages, left.busy()), (1, left.busy));
        assert!(left.held_since > held.held_since);
        assert_eq!((left.acked.messages, left.acked.rides), (1, 5));

        state.closed();
        let closed = state.figures().clone();
        assert_eq!((closed.held_messages, closed.held_since), (0, None));
    }
}
