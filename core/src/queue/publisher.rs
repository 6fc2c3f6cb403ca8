//! Accepts rides for the queue. A ride is accepted when the queue has the message that it is in safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::backlog::Backlog;
use super::lane_life::Lives;
use super::publish_error::PublishError;
use super::waiting_room::WaitingRoom;
use crate::control::heartbeat::LaneConfirmed;
use crate::message::MessageBody;
use crate::ride::Ride;

/// How a publisher works.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Lanes, each one AMQP channel. The embedded queue has one, whatever is said here.
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
    backlog: Arc<Backlog>,
    in_flight: Arc<AtomicUsize>,
    lives: Arc<Lives>,
    max_in_flight: usize,
    message_rides: usize,
    closing: CancellationToken,
}

impl Publisher {
    /// A publisher whose rooms are still closed: the lanes that send what waits in them open them.
    pub(super) fn new(config: &PublisherConfig, admission: Arc<Admission>) -> Self {
        let in_flight = Arc::new(AtomicUsize::new(0));
        let message_rides = config.message_rides.max(1);
        let lives = Arc::<Lives>::default();
        let room = || {
            let (in_flight, lives) = (Arc::clone(&in_flight), Arc::clone(&lives));
            Arc::new(WaitingRoom::new(message_rides, in_flight, lives))
        };
        let backlog = Backlog::new(config.high_water_rides, Arc::clone(&admission));
        Self {
            rooms: (0..config.lanes.max(1)).map(|_| room()).collect(),
            next_room: Arc::default(),
            admission,
            backlog: Arc::new(backlog),
            in_flight,
            lives,
            max_in_flight: config.max_in_flight,
            message_rides,
            closing: CancellationToken::new(),
        }
    }

    /// Where rides wait, one room for each lane.
    pub(super) fn rooms(&self) -> &[Arc<WaitingRoom>] {
        &self.rooms
    }

    /// Ready when no more rides will come.
    pub(super) fn closing(&self) -> CancellationToken {
        self.closing.clone()
    }

    /// Why rides are refused now, if they are.
    #[must_use]
    pub fn admission(&self) -> &Admission {
        &self.admission
    }

    /// How many rides wait.
    #[must_use]
    pub fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    /// Rides that were accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.rooms.iter().map(|room| room.rides_sent()).sum()
    }

    /// How far each life of each lane is confirmed: the lives that go on and the last 64 that ended, oldest first. One of
    /// which no message was confirmed is left out.
    #[must_use]
    pub fn confirmed(&self) -> Vec<LaneConfirmed> {
        self.lives.confirmed()
    }

    /// Most rides that wait for their confirm at once.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight
    }

    /// Sends one ride together with those that arrive meanwhile, and waits until the queue has it safe.
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
