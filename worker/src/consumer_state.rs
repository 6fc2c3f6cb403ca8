//! State of one consumer, for the health check and for the worker's heartbeat.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::ConsumerReport;
use skilift_core::queue::Delivery;
use tokio::time::Instant;

use crate::desired::DesiredWorkerState;

/// The state of one consumer.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerState(Arc<Mutex<ConsumerMetrics>>);

/// Metrics of a consumer; counters only increase.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConsumerMetrics {
    /// The desired state that the consumer has applied; `None` before the first one.
    pub(crate) applied: Option<Arc<DesiredWorkerState>>,
    /// Whether it has settings to run with.
    pub(crate) is_running: bool,
    /// Blocked reason, if any.
    pub(crate) blocked_reason: Option<String>,
    /// Prefetch in messages; 0 while it does not consume.
    prefetch_messages: u16,
    pub(crate) unacked_messages: u32,
    /// Receive time of its oldest unacked message.
    pub(crate) unacked_since: Option<Instant>,
    pub(crate) oldest_unacked_accepted_at_ms: Option<u64>,
    pub(crate) delivered: MessageTotals,
    pub(crate) redelivered_messages: u64,
    pub(crate) acked: MessageTotals,
    last_ack_at_ms: Option<u64>,
    busy: Duration,
    busy_since: Option<Instant>,
}

/// A number of messages and of the rides in them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MessageTotals {
    pub(crate) messages: u64,
    pub(crate) rides: u64,
}

impl MessageTotals {
    fn add(&mut self, messages: usize, rides: usize) {
        self.messages += messages as u64;
        self.rides += rides as u64;
    }
}

impl ConsumerState {
    /// Records that the consumer starts with the desired settings.
    pub(crate) fn starts(&self, desired: Arc<DesiredWorkerState>) {
        let mut metrics = self.metrics();
        metrics.applied = Some(desired);
        if !std::mem::replace(&mut metrics.is_running, true) {
            metrics.blocked_reason = Some("still connecting".to_owned());
        }
    }

    /// Records that the desired state has changed, but not for this consumer.
    pub(crate) fn goes_on(&self, desired: Arc<DesiredWorkerState>) {
        self.metrics().applied = Some(desired);
    }

    /// Records that the consumer is idle.
    pub(crate) fn becomes_idle(&self, desired: Arc<DesiredWorkerState>) {
        let mut metrics = self.metrics();
        metrics.applied = Some(desired);
        metrics.is_running = false;
        metrics.blocked_reason = None;
    }

    /// Records that the consumer consumes with this prefetch.
    pub(crate) fn consumes(&self, prefetch_messages: u16) {
        let mut metrics = self.metrics();
        metrics.prefetch_messages = prefetch_messages;
        metrics.blocked_reason = None;
    }

    /// Records that the consumer no longer holds unacked messages.
    pub(crate) fn closed(&self) {
        let mut metrics = self.metrics();
        metrics.prefetch_messages = 0;
        metrics.unacked_messages = 0;
        metrics.unacked_since = None;
        metrics.oldest_unacked_accepted_at_ms = None;
        metrics.pause_busy();
    }

    /// Records that storing works.
    pub(crate) fn healthy(&self) {
        self.metrics().blocked_reason = None;
    }

    /// Records the reason why the consumer cannot store.
    pub(crate) fn blocked(&self, why: impl Into<String>) {
        self.metrics().blocked_reason = Some(why.into());
    }

    /// Records a received message.
    pub(crate) fn received(&self, message: &Delivery, rides: usize) {
        let mut metrics = self.metrics();
        metrics.delivered.add(1, rides);
        metrics.redelivered_messages += u64::from(message.returns > 0);
        metrics.unacked_messages += 1;
        metrics.unacked_since.get_or_insert_with(Instant::now);
        let oldest = [
            metrics.oldest_unacked_accepted_at_ms,
            message.accepted_at_ms,
        ];
        metrics.oldest_unacked_accepted_at_ms = oldest.into_iter().flatten().min();
    }

    /// Records the start of storing a batch.
    pub(crate) fn stores(&self) {
        self.metrics().busy_since = Some(Instant::now());
    }

    /// Records that the consumer has acknowledged all messages except `left`, which arrived at these times.
    pub(crate) fn acked(
        &self,
        messages: usize,
        rides: usize,
        left: &VecDeque<(Delivery, Instant)>,
    ) {
        let mut metrics = self.metrics();
        metrics.pause_busy();
        metrics.acked.add(messages, rides);
        metrics.last_ack_at_ms = Some(epoch_ms());
        metrics.unacked_messages = u32::try_from(left.len()).unwrap_or(u32::MAX);
        metrics.unacked_since = left.front().map(|(_, at)| *at);
        let accepted = left
            .iter()
            .filter_map(|(message, _)| message.accepted_at_ms);
        metrics.oldest_unacked_accepted_at_ms = accepted.min();
    }

    /// The current metrics.
    pub(crate) fn metrics(&self) -> MutexGuard<'_, ConsumerMetrics> {
        // No holder of the lock can panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerMetrics {
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
    pub(crate) fn report(&self, thread: u32) -> ConsumerReport {
        ConsumerReport {
            thread,
            prefetch_messages: self.prefetch_messages.into(),
            unacked_messages: self.unacked_messages,
            acked_messages: self.acked.messages,
            acked_rides: self.acked.rides,
            last_ack_at_ms: self.last_ack_at_ms,
            blocked_reason: self.blocked_reason.clone(),
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
        let state = ConsumerState::default();
        state.received(&message(20, 0), 5);
        tokio::time::sleep(STEP).await;
        state.received(&message(10, 1), 7);
        state.stores();
        tokio::time::sleep(STEP).await;
        let held = state.metrics().clone();
        assert_eq!(
            (held.unacked_messages, held.oldest_unacked_accepted_at_ms),
            (2, Some(10))
        );
        assert!(held.unacked_since.unwrap().elapsed() >= STEP * 2);
        assert!(held.busy() >= STEP && held.busy() < held.unacked_since.unwrap().elapsed());
        assert_eq!((held.delivered.messages, held.delivered.rides), (2, 12));
        assert_eq!(held.redelivered_messages, 1);

        let arrived_at = Instant::now();
        let left = VecDeque::from([(message(10, 1), arrived_at), (message(5, 0), arrived_at)]);
        state.acked(1, 5, &left);
        let left = state.metrics().clone();
        tokio::time::sleep(STEP).await;
        assert_eq!((left.unacked_messages, left.busy()), (2, left.busy));
        assert_eq!(left.oldest_unacked_accepted_at_ms, Some(5));
        assert_eq!(left.unacked_since, Some(arrived_at));
        assert_eq!((left.acked.messages, left.acked.rides), (1, 5));

        state.closed();
        let closed = state.metrics().clone();
        assert_eq!((closed.unacked_messages, closed.unacked_since), (0, None));
    }
}
