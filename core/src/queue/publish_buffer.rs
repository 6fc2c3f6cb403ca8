//! Buffer in which rides collect until they are sent as a message.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::lane_epoch::EpochTracker;
use super::publish_error::PublishError;
use crate::clock::epoch_ms;
use crate::message::MessageBody;
use crate::ride::Ride;

/// Maximum messages in flight. With only one, the broker idles while this process works; more make smaller messages, which
/// cost it more.
const MESSAGES_IN_FLIGHT: usize = 2;
/// The second message is sent when it has at least this fraction of a full one. A message costs the broker as much as dozens
/// of rides in it, so nearly empty ones are expensive.
const FLUSH_DIVISOR: usize = 4;
/// Weight of one more message in the mean size of messages.
const WEIGHT: f64 = 1.0 / 64.0;

/// State shared by the buffers of a publisher.
#[derive(Debug)]
pub(super) struct Shared {
    /// Maximum rides in one message.
    pub(super) message_rides: AtomicUsize,
    /// Rides without an answer.
    pub(super) in_flight: AtomicUsize,
    /// Rides that were confirmed.
    pub(super) accepted: AtomicU64,
    /// Time of the last confirm, in milliseconds since 1970; 0 before the first.
    pub(super) last_accepted_at_ms: AtomicU64,
    /// Confirmed high-water mark of each epoch of each channel.
    pub(super) epochs: Arc<EpochTracker>,
}

impl Shared {
    pub(super) fn new(message_rides: usize) -> Self {
        Self {
            message_rides: AtomicUsize::new(message_rides.max(1)),
            in_flight: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            last_accepted_at_ms: AtomicU64::new(0),
            epochs: Arc::default(),
        }
    }

    /// Maximum rides in one message.
    pub(super) fn message_rides(&self) -> usize {
        self.message_rides.load(Ordering::Relaxed)
    }

    /// Rides at which a message is sent even if another is in flight.
    fn flush_threshold(&self) -> usize {
        self.message_rides().div_ceil(FLUSH_DIVISOR)
    }
}

/// Rides of one channel that are not sent yet.
#[derive(Debug)]
pub(super) struct PublishBuffer {
    shared: Arc<Shared>,
    state: Mutex<BufferState>,
    arrived: Notify,
    messages_sent: AtomicU64,
    /// The bits of an `f64`: the mean rides of recent messages, 0 before the first.
    mean_rides: AtomicU64,
}

#[derive(Debug)]
struct BufferState {
    messages: VecDeque<PendingBatch>,
    /// Why rides are rejected, while there is no AMQP channel.
    closed: Option<Arc<str>>,
}

/// A message that is not confirmed yet.
#[derive(Debug)]
pub(super) struct PendingBatch {
    pub(super) body: MessageBody,
    pub(super) accepted_at_ms: u64,
    /// Whether single rides may still join.
    joinable: bool,
    result: Arc<PublishResult>,
    shared: Arc<Shared>,
}

/// The publish result that all rides of one message wait for.
#[derive(Debug, Default)]
pub(super) struct PublishResult {
    answer: OnceLock<Result<(), PublishError>>,
    answered: Notify,
}

impl PublishResult {
    fn refused(why: &Arc<str>) -> Arc<Self> {
        let result = Self::default();
        result.settle(Err(PublishError::Unavailable(Arc::clone(why))));
        Arc::new(result)
    }

    /// Sets the result; only the first call has an effect.
    fn settle(&self, answer: Result<(), PublishError>) {
        if self.answer.set(answer).is_ok() {
            self.answered.notify_waiters();
        }
    }

    /// Waits for the result.
    pub(super) async fn wait(&self) -> Result<(), PublishError> {
        loop {
            // Registered before the check, so that a result in between is not missed.
            let answered = self.answered.notified();
            if let Some(answer) = self.answer.get() {
                return answer.clone();
            }
            answered.await;
        }
    }
}

impl PendingBatch {
    /// Reports that the rides were not accepted.
    pub(super) fn refuse(self, why: &Arc<str>) {
        let refusal = PublishError::Unavailable(Arc::clone(why));
        self.result.settle(Err(refusal));
    }
}

impl Drop for PendingBatch {
    /// The waiters of a message always get a result, even if it is dropped.
    fn drop(&mut self) {
        let rides = self.body.rides();
        self.shared.in_flight.fetch_sub(rides, Ordering::Relaxed);
        self.result.settle(Err(PublishError::Unconfirmed));
    }
}

impl PublishBuffer {
    /// An empty buffer, closed until its channel opens it.
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let closed = Some("the server is still connecting to its queue".into());
        Self {
            shared,
            state: Mutex::new(BufferState {
                messages: VecDeque::new(),
                closed,
            }),
            arrived: Notify::new(),
            messages_sent: AtomicU64::new(0),
            mean_rides: AtomicU64::new(0),
        }
    }

    /// The epochs in which the channel records its confirms.
    pub(super) fn epochs(&self) -> &Arc<EpochTracker> {
        &self.shared.epochs
    }

    /// Adds a ride to the next message.
    pub(super) fn add(&self, ride: &Ride) -> Arc<PublishResult> {
        let mut state = self.state();
        if let Some(why) = &state.closed {
            return PublishResult::refused(why);
        }
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        if let Some(last) = state.messages.back_mut()
            && last.joinable
            && last.body.rides() < self.shared.message_rides()
        {
            last.body.push(ride);
            if last.body.rides() == self.shared.flush_threshold() {
                self.arrived.notify_one();
            }
            return Arc::clone(&last.result);
        }
        let mut body = MessageBody::default();
        body.push(ride);
        self.enqueue(&mut state, body, true)
    }

    /// Queues a separate message.
    pub(super) fn add_message(&self, body: MessageBody) -> Arc<PublishResult> {
        let mut state = self.state();
        if let Some(why) = &state.closed {
            return PublishResult::refused(why);
        }
        let rides = body.rides();
        self.shared.in_flight.fetch_add(rides, Ordering::Relaxed);
        self.enqueue(&mut state, body, false)
    }

    /// Checks again whether there is a message to send, after the size of a full message changed.
    pub(super) fn wake(&self) {
        self.arrived.notify_one();
    }

    /// Waits until there may be a message to send.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// The message to send now, with this many in flight.
    pub(super) fn next_message(&self, in_flight: usize) -> Option<PendingBatch> {
        let mut state = self.state();
        let should_flush = state.messages.front()?.body.rides() >= self.shared.flush_threshold();
        let sends = in_flight == 0 || (in_flight < MESSAGES_IN_FLIGHT && should_flush);
        if sends {
            state.messages.pop_front()
        } else {
            None
        }
    }

    /// Opens the buffer.
    pub(super) fn open(&self) {
        self.state().closed = None;
    }

    /// Rejects waiting and new rides, until the buffer is opened again.
    pub(super) fn close(&self, why: &Arc<str>) {
        let refused = {
            let mut state = self.state();
            state.closed = Some(Arc::clone(why));
            std::mem::take(&mut state.messages)
        };
        for message in refused {
            message.refuse(why);
        }
    }

    /// Whether a ride would be accepted now.
    pub(super) fn check_open(&self) -> Result<(), PublishError> {
        match &self.state().closed {
            Some(why) => Err(PublishError::Unavailable(Arc::clone(why))),
            None => Ok(()),
        }
    }

    /// Reports to all waiters that the queue has confirmed this message.
    pub(super) fn confirm(&self, message: PendingBatch) {
        let rides = message.body.rides();
        self.count_sent(rides);
        metrics::counter!("skilift_rides_accepted_total").increment(rides as u64);
        metrics::histogram!("skilift_message_rides").record(rides as f64);
        message.result.settle(Ok(()));
    }

    fn count_sent(&self, rides: usize) {
        self.shared
            .accepted
            .fetch_add(rides as u64, Ordering::Relaxed);
        self.shared
            .last_accepted_at_ms
            .store(epoch_ms(), Ordering::Relaxed);
        // Only the channel's own task increments it.
        let first = self.messages_sent.fetch_add(1, Ordering::Relaxed) == 0;
        let rides = rides as f64;
        let mean = f64::from_bits(self.mean_rides.load(Ordering::Relaxed));
        let mean = if first {
            rides
        } else {
            mean + (rides - mean) * WEIGHT
        };
        self.mean_rides.store(mean.to_bits(), Ordering::Relaxed);
    }

    /// Messages that were confirmed so far.
    pub(super) fn messages_sent(&self) -> u64 {
        self.messages_sent.load(Ordering::Relaxed)
    }

    /// The mean rides of recent messages; `None` before the first.
    pub(super) fn mean_rides(&self) -> Option<f64> {
        let mean = f64::from_bits(self.mean_rides.load(Ordering::Relaxed));
        (mean > 0.0).then_some(mean)
    }

    fn enqueue(
        &self,
        state: &mut BufferState,
        body: MessageBody,
        joinable: bool,
    ) -> Arc<PublishResult> {
        let result = Arc::new(PublishResult::default());
        state.messages.push_back(PendingBatch {
            body,
            accepted_at_ms: epoch_ms(),
            joinable,
            result: Arc::clone(&result),
            shared: Arc::clone(&self.shared),
        });
        self.arrived.notify_one();
        result
    }

    fn state(&self) -> MutexGuard<'_, BufferState> {
        // A holder of the lock cannot panic in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer() -> PublishBuffer {
        let buffer = PublishBuffer::new(Arc::new(Shared::new(256)));
        buffer.open();
        buffer
    }

    fn ride() -> Ride {
        serde_json::from_value(serde_json::json!({
            "resortID": 1, "seasonID": "2025", "dayID": 2, "skierID": 3, "time": 4, "liftID": 5
        }))
        .unwrap()
    }

    #[test]
    fn an_idle_lane_sends_at_once_and_a_busy_one_gathers() {
        let buffer = buffer();
        buffer.add(&ride());
        assert_eq!(buffer.next_message(0).unwrap().body.rides(), 1);
        for _ in 0..63 {
            buffer.add(&ride());
        }
        assert!(buffer.next_message(1).is_none());
        buffer.add(&ride());
        assert!(buffer.next_message(2).is_none());
        assert_eq!(buffer.next_message(1).unwrap().body.rides(), 64);
    }

    #[test]
    fn a_message_is_never_larger_than_it_may_be() {
        let buffer = buffer();
        for _ in 0..600 {
            buffer.add(&ride());
        }
        let sizes: Vec<usize> = std::iter::from_fn(|| buffer.next_message(0))
            .map(|message| message.body.rides())
            .collect();
        assert_eq!(sizes, [256, 256, 88]);
    }

    #[test]
    fn what_a_full_message_is_may_change() {
        let buffer = buffer();
        (0..100).for_each(|_| drop(buffer.add(&ride())));
        assert_eq!(buffer.next_message(0).unwrap().body.rides(), 100);
        (0..20).for_each(|_| drop(buffer.add(&ride())));
        assert!(buffer.next_message(1).is_none());
        buffer.shared.message_rides.store(10, Ordering::Relaxed);
        (0..15).for_each(|_| drop(buffer.add(&ride())));
        let sizes: Vec<usize> = std::iter::from_fn(|| buffer.next_message(1))
            .map(|message| message.body.rides())
            .collect();
        assert_eq!(sizes, [20, 10, 5]);
    }

    #[tokio::test]
    async fn everybody_gets_an_answer_whatever_happens() {
        let buffer = buffer();
        let (confirmed, dropped) = (buffer.add(&ride()), buffer.next_message(0).unwrap());
        buffer.confirm(dropped);
        assert_eq!(confirmed.wait().await, Ok(()));
        let forgotten = buffer.add(&ride());
        drop(buffer.next_message(0));
        assert!(
            forgotten
                .wait()
                .await
                .unwrap_err()
                .to_string()
                .contains("sending it again is safe")
        );
        let refused = buffer.add(&ride());
        buffer.close(&"no channel".into());
        assert_eq!(refused.wait().await.unwrap_err().to_string(), "no channel");
        assert!(buffer.add(&ride()).wait().await.is_err());
        assert_eq!(buffer.shared.in_flight.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_mean_follows_the_traffic() {
        let buffer = buffer();
        assert_eq!(buffer.mean_rides(), None);
        (0..1000).for_each(|_| buffer.count_sent(256));
        assert!((buffer.mean_rides().unwrap() - 256.0).abs() < 1.0);
        (0..500).for_each(|_| buffer.count_sent(1));
        assert!(buffer.mean_rides().unwrap() < 2.0);
    }
}
