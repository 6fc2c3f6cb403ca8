//! Accepts rides for the queue. A ride is accepted when RabbitMQ has confirmed the message that it is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::admission::{Admission, Shed};
use super::backlog;
use super::broker::{Broker, BrokerError};
use super::lane::{self, Lane};
use super::topology;
use crate::lifecycle::Lifecycle;
use crate::message::MessageBody;
use crate::ride::Ride;
use crate::stack::StackName;

/// How a publisher works.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Lanes, each one AMQP channel.
    pub lanes: u16,
    /// Most rides in one message.
    pub message_rides: usize,
    /// Most rides that wait for their confirm at once; more are refused.
    pub max_in_flight: usize,
    /// Rides in the queue above which new ones are refused.
    pub high_water_rides: u64,
}

/// Why a ride was not accepted. It may be stored all the same, where a confirm was lost; sending it again is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Load is shed.
    #[error("{}", .0.message())]
    Shed(Shed),
    /// As many rides wait for their confirm as may.
    #[error("too many rides are waiting for RabbitMQ's confirm")]
    TooManyInFlight,
    /// RabbitMQ did not take the message, or could not be asked.
    #[error("{0}")]
    Unavailable(Arc<str>),
}

impl PublishError {
    /// After how long it is worth trying again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Shed(_) => Duration::from_secs(5),
            Self::TooManyInFlight | Self::Unavailable(_) => Duration::from_secs(1),
        }
    }
}

/// The way into the queue. Clones share its lanes.
#[derive(Debug, Clone)]
pub struct Publisher {
    lanes: Arc<[Arc<Lane>]>,
    next_lane: Arc<AtomicUsize>,
    admission: Arc<Admission>,
    in_flight: Arc<AtomicUsize>,
    max_in_flight: usize,
    message_rides: usize,
    closing: CancellationToken,
}

impl Publisher {
    /// Declares the queues and starts the lanes.
    ///
    /// A broker that is merely absent is waited for by the lanes; until it is there every ride is refused.
    ///
    /// # Errors
    /// When RabbitMQ refuses us or has the queues with other arguments: waiting would not help.
    pub async fn start(
        config: PublisherConfig,
        broker: Arc<Broker>,
        stack: &StackName,
        admission: Arc<Admission>,
        life: &Lifecycle,
    ) -> Result<Self, BrokerError> {
        if let Err(error) = check(&broker, stack).await {
            if error.is_permanent() {
                return Err(error);
            }
            tracing::warn!("{}; trying again", crate::lifecycle::chain(&error));
        }
        let closing = CancellationToken::new();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let lanes: Arc<[Arc<Lane>]> = (0..config.lanes.max(1))
            .map(|number| {
                Arc::new(Lane::new(
                    number,
                    config.message_rides.max(1),
                    Arc::clone(&in_flight),
                ))
            })
            .collect();
        for lane in lanes.iter() {
            let running = lane::run(
                Arc::clone(lane),
                Arc::clone(&broker),
                stack.clone(),
                closing.clone(),
            );
            life.spawn("publisher lane", running);
        }
        let watching = backlog::watch(
            Arc::clone(&broker),
            stack.ride_queue(),
            Arc::clone(&lanes),
            Arc::clone(&admission),
            config.high_water_rides,
            life.draining(),
        );
        life.spawn("backlog watch", watching);
        Ok(Self {
            lanes,
            next_lane: Arc::default(),
            admission,
            in_flight,
            max_in_flight: config.max_in_flight,
            message_rides: config.message_rides.max(1),
            closing,
        })
    }

    /// Sends one ride together with those that arrive meanwhile, and waits until RabbitMQ has it safe.
    ///
    /// # Errors
    /// When it was refused, or nothing is known of its fate.
    pub async fn publish(&self, ride: &Ride) -> Result<(), PublishError> {
        self.admit(1)?;
        let outcome = self.choose_lane().add(ride);
        outcome.wait().await
    }

    /// Sends rides as one message of their own.
    ///
    /// # Errors
    /// When they were refused, or nothing is known of their fate.
    pub async fn publish_message(&self, body: MessageBody) -> Result<(), PublishError> {
        self.admit(body.rides())?;
        let outcome = self.choose_lane().add_message(body);
        outcome.wait().await
    }

    /// Most rides that a message of [`Self::publish_message`] should hold.
    #[must_use]
    pub fn message_rides(&self) -> usize {
        self.message_rides
    }

    /// Whether a ride would be sent now.
    ///
    /// # Errors
    /// Says why not.
    pub fn check_open(&self) -> Result<(), PublishError> {
        if let Some(reason) = self.admission.shedding() {
            return Err(PublishError::Shed(reason));
        }
        self.choose_lane().check_open()
    }

    /// Sends what was accepted and ends the lanes. Call it when no more rides will come.
    pub fn close(&self) {
        self.closing.cancel();
    }

    fn admit(&self, rides: usize) -> Result<(), PublishError> {
        if let Some(reason) = self.admission.shedding() {
            return Err(PublishError::Shed(reason));
        }
        if self.in_flight.load(Ordering::Relaxed) + rides > self.max_in_flight {
            return Err(PublishError::TooManyInFlight);
        }
        Ok(())
    }

    /// The next lane in turn that is open, or any when none is.
    fn choose_lane(&self) -> &Arc<Lane> {
        if let [only] = &self.lanes[..] {
            return only;
        }
        let start = self.next_lane.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.lanes.len()).map(|n| &self.lanes[(start + n) % self.lanes.len()]);
        in_turn
            .clone()
            .find(|lane| lane.check_open().is_ok())
            .unwrap_or(&self.lanes[start % self.lanes.len()])
    }
}

/// Finds out at start what no waiting would mend.
async fn check(broker: &Broker, stack: &StackName) -> Result<(), BrokerError> {
    let channel = broker.channel().await?;
    topology::declare(&channel, stack).await
}
