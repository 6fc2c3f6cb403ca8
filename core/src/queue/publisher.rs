//! Accepts rides for the queue. A ride is accepted when the queue has confirmed its message.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::backlog::Backlog;
use super::publish_buffer::{PublishBuffer, Shared};
use super::publish_error::PublishError;
use crate::clock::epoch_ms;
use crate::control::ApiSettings;
use crate::control::heartbeat::LaneConfirmed;
use crate::message::MessageBody;
use crate::ride::Ride;

/// Settings of a publisher.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Publisher channels, each with one AMQP channel. The embedded queue always has one.
    pub channels: u16,
    /// Maximum rides in one message.
    pub message_rides: usize,
    /// Maximum rides in flight; further rides are rejected.
    pub max_in_flight: usize,
    /// Rides in the queue above which new ones are rejected.
    pub high_water_rides: u64,
}

/// Publishes rides to the queue. Clones share its channels.
#[derive(Debug, Clone)]
pub struct Publisher {
    shared: Arc<Shared>,
    channels: watch::Sender<Vec<PublisherChannel>>,
    /// The desired number of channels.
    desired_channels: watch::Sender<usize>,
    next_channel: Arc<AtomicUsize>,
    admission: Arc<Admission>,
    backlog: Arc<Backlog>,
    max_in_flight: Arc<AtomicUsize>,
    closing: CancellationToken,
}

/// A publisher channel: sends the rides of one buffer.
#[derive(Debug, Clone)]
pub(super) struct PublisherChannel {
    /// Its number within the process, from 0. It is reused when the channel accepts no more rides.
    pub(super) number: u16,
    /// The buffer of its rides.
    pub(super) buffer: Arc<PublishBuffer>,
    /// Cancelled when no more rides will come.
    pub(super) closing: CancellationToken,
}

impl Publisher {
    /// A publisher without channels.
    pub(super) fn new(config: &PublisherConfig, admission: Arc<Admission>) -> Self {
        let backlog = Backlog::new(config.high_water_rides, Arc::clone(&admission));
        Self {
            shared: Arc::new(Shared::new(config.message_rides)),
            channels: watch::Sender::default(),
            desired_channels: watch::Sender::new(config.channels.max(1).into()),
            next_channel: Arc::default(),
            admission,
            backlog: Arc::new(backlog),
            max_in_flight: Arc::new(AtomicUsize::new(config.max_in_flight)),
            closing: CancellationToken::new(),
        }
    }

    /// The desired number of channels, if the queue supports more than one.
    pub(super) fn desired_channels(&self) -> watch::Receiver<usize> {
        self.desired_channels.subscribe()
    }

    /// Sets the number of channels to `count`, and returns the new ones: their buffers are closed until their task opens
    /// them. Surplus channels accept no more rides, and are closed after they have sent theirs.
    pub(super) fn set_channels(&self, count: usize) -> Vec<PublisherChannel> {
        let mut new = Vec::new();
        self.channels.send_modify(|channels| {
            if channels.len() > count {
                // Closed channels are removed first.
                channels.sort_by_key(|channel| channel.buffer.check_open().is_err());
                // Rides are added to a buffer under the lock: none is added to a removed one.
                channels
                    .drain(count..)
                    .for_each(|channel| channel.closing.cancel());
            }
            let is_free = |number: &u16| channels.iter().all(|channel| channel.number != *number);
            let free = (0..).filter(is_free).take(count - channels.len());
            new.extend(free.map(|number| PublisherChannel {
                number,
                buffer: Arc::new(PublishBuffer::new(Arc::clone(&self.shared))),
                closing: self.closing.child_token(),
            }));
            channels.extend(new.iter().cloned());
        });
        new
    }

    /// Applies other settings, and returns when they apply. No ride is rejected because of it, except those above a lower
    /// `max_in_flight`.
    pub async fn change(&self, settings: ApiSettings) {
        let ApiSettings {
            channels,
            message_rides,
            max_in_flight,
        } = settings;
        let message_rides = (message_rides as usize).max(1);
        self.max_in_flight
            .store(max_in_flight as usize, Ordering::Relaxed);
        let before = self
            .shared
            .message_rides
            .swap(message_rides, Ordering::Relaxed);
        if before != message_rides {
            let channels = self.channels.borrow();
            channels.iter().for_each(|channel| channel.buffer.wake());
        }
        let desired = (channels as usize).max(1);
        self.desired_channels.send_replace(desired);
        // The number of the embedded queue's channels never changes.
        if self.desired_channels.receiver_count() > 0 {
            let mut channels = self.channels.subscribe();
            // The sender exists as long as this publisher.
            let _ = channels
                .wait_for(|channels| channels.len() == desired)
                .await;
        }
    }

    /// The current settings. The embedded queue always has one channel.
    #[must_use]
    pub fn settings(&self) -> ApiSettings {
        let number = |setting: usize| u32::try_from(setting).unwrap_or(u32::MAX);
        ApiSettings {
            channels: number(*self.desired_channels.borrow()),
            message_rides: number(self.message_rides()),
            max_in_flight: number(self.max_in_flight()),
        }
    }

    /// Channels that accept rides.
    #[must_use]
    pub fn channels(&self) -> usize {
        let channels = self.channels.borrow();
        channels.len()
    }

    /// Rides in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// The mean rides of recent messages, over all channels that sent any; `None` while unknown.
    pub(super) fn mean_rides(&self) -> Option<f64> {
        let channels = self.channels.borrow();
        let means: Vec<f64> = channels
            .iter()
            .filter_map(|channel| channel.buffer.mean_rides())
            .collect();
        (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
    }

    /// Cancelled when no more rides will come.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Why rides are rejected now, if they are.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// The backlog.
    #[must_use]
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Rides that were accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Whether rides may still be in flight to the store: the queue holds some, or this publisher accepted one within the
    /// last second, which is longer than the polling interval of the queue depth.
    #[must_use]
    pub fn may_be_storing(&self) -> bool {
        let last_accepted_at_ms = self.shared.last_accepted_at_ms.load(Ordering::Relaxed);
        self.backlog.rides().is_some_and(|rides| rides > 0.0)
            || epoch_ms().saturating_sub(last_accepted_at_ms) < 1_000
    }

    /// Confirmed high-water mark of each epoch of each channel: current epochs and the last 64 that ended, oldest first.
    /// Epochs without a confirmed message are left out.
    #[must_use]
    pub fn confirmed(&self) -> Vec<LaneConfirmed> {
        self.shared.epochs.confirmed()
    }

    /// Maximum rides in flight.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight.load(Ordering::Relaxed)
    }

    /// Sends one ride together with those that arrive meanwhile, and waits for the queue's confirm.
    ///
    /// # Errors
    /// If it was rejected, or its state is unknown.
    pub async fn publish(&self, ride: &Ride) -> Result<(), PublishError> {
        self.admit(1)?;
        let result = self.with_buffer(|buffer| buffer.add(ride));
        result.wait().await
    }

    /// Sends rides as one separate message.
    ///
    /// # Errors
    /// If they were rejected, or their state is unknown.
    pub async fn publish_message(&self, body: MessageBody) -> Result<(), PublishError> {
        self.admit(body.rides())?;
        let result = self.with_buffer(|buffer| buffer.add_message(body));
        result.wait().await
    }

    /// Maximum rides of a message for [`Self::publish_message`].
    #[must_use]
    pub fn message_rides(&self) -> usize {
        self.shared.message_rides()
    }

    /// Whether a ride would be sent now.
    ///
    /// # Errors
    /// The reason why not.
    pub fn check_open(&self) -> Result<(), PublishError> {
        if let Some(reason) = self.admission.shedding() {
            return Err(PublishError::Shed(reason));
        }
        self.with_buffer(PublishBuffer::check_open)
    }

    /// Sends pending rides and closes the channels. Call it when no more rides will come.
    pub fn close(&self) {
        self.closing.cancel();
    }

    fn admit(&self, rides: usize) -> Result<(), PublishError> {
        if let Some(reason) = self.admission.shedding() {
            return Err(PublishError::Shed(reason));
        }
        if self.in_flight() + rides > self.max_in_flight() {
            return Err(PublishError::TooManyInFlight);
        }
        Ok(())
    }

    /// Calls `act` with the buffer of the next open channel (round robin), or of any if none is open.
    fn with_buffer<T>(&self, act: impl FnOnce(&PublishBuffer) -> T) -> T {
        // Held during the call: a channel that is removed must not receive rides afterwards.
        let channels = self.channels.borrow();
        if let [only] = &channels[..] {
            return act(&only.buffer);
        }
        let start = self.next_channel.fetch_add(1, Ordering::Relaxed);
        let mut round_robin =
            (0..channels.len()).map(|n| &channels[(start + n) % channels.len()].buffer);
        let open = round_robin.find(|buffer| buffer.check_open().is_ok());
        act(open.unwrap_or_else(|| &channels[start % channels.len()].buffer))
    }
}
