//! Accepts rides for the queue. A ride is accepted when RabbitMQ has confirmed the message that it is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::backlog;
use super::broker::{Broker, BrokerError};
use super::lane::Lane;
use super::publish_error::PublishError;
use super::topology;
use super::waiting_room::WaitingRoom;
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

/// The way into the queue. Clones share its lanes.
#[derive(Debug, Clone)]
pub struct Publisher {
    rooms: Arc<[Arc<WaitingRoom>]>,
    next_room: Arc<AtomicUsize>,
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
        if let Err(error) = topology::check(&broker, stack).await {
            if error.is_permanent() {
                return Err(error);
            }
            tracing::warn!("{}; trying again", crate::lifecycle::chain(&error));
        }
        let closing = CancellationToken::new();
        let in_flight = Arc::new(AtomicUsize::new(0));
        let room = || {
            let room = WaitingRoom::new(config.message_rides.max(1), Arc::clone(&in_flight));
            Arc::new(room)
        };
        let rooms: Arc<[Arc<WaitingRoom>]> = (0..config.lanes.max(1)).map(|_| room()).collect();
        for (number, room) in (0..).zip(rooms.iter()) {
            let lane = Lane {
                number,
                room: Arc::clone(room),
                broker: Arc::clone(&broker),
                stack: stack.clone(),
                closing: closing.clone(),
            };
            life.spawn("publisher lane", lane.run());
        }
        let watching = backlog::watch(
            // A connection of its own: RabbitMQ does not listen to one that it has blocked.
            broker.another("backlog"),
            Arc::clone(&broker),
            stack.ride_queue(),
            Arc::clone(&rooms),
            Arc::clone(&admission),
            config.high_water_rides,
            life.draining(),
        );
        life.spawn("backlog watch", watching);
        Ok(Self {
            rooms,
            next_room: Arc::default(),
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
        let outcome = self.choose_room().add(ride);
        outcome.wait().await
    }

    /// Sends rides as one message of their own.
    ///
    /// # Errors
    /// When they were refused, or nothing is known of their fate.
    pub async fn publish_message(&self, body: MessageBody) -> Result<(), PublishError> {
        self.admit(body.rides())?;
        let outcome = self.choose_room().add_message(body);
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
        self.choose_room().check_open()
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

    /// The next lane's room in turn that is open, or any when none is.
    fn choose_room(&self) -> &WaitingRoom {
        if let [only] = &self.rooms[..] {
            return only;
        }
        let rooms = self.rooms.len();
        let start = self.next_room.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..rooms).map(|n| &self.rooms[(start + n) % rooms]);
        let open = in_turn.find(|room| room.check_open().is_ok());
        open.unwrap_or(&self.rooms[start % rooms])
    }
}
