//! Accepts rides for the queue. A ride is accepted when the queue has the message that it is in safe.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::backlog::Backlog;
use super::publish_error::PublishError;
use super::waiting_room::{Shared, WaitingRoom};
use crate::control::ApiSettings;
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
    shared: Arc<Shared>,
    lanes: Arc<RwLock<Vec<Lane>>>,
    /// How many lanes there shall be.
    wanted_lanes: watch::Sender<usize>,
    next_lane: Arc<AtomicUsize>,
    admission: Arc<Admission>,
    backlog: Arc<Backlog>,
    max_in_flight: Arc<AtomicUsize>,
    closing: CancellationToken,
}

/// What sends the rides of one room.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    /// Its number within the process, from 0. It is given again once the lane takes no more rides.
    pub(super) number: u16,
    /// Where its rides wait.
    pub(super) room: Arc<WaitingRoom>,
    /// Ready when no more rides will come.
    pub(super) closing: CancellationToken,
}

impl Publisher {
    /// A publisher without lanes.
    pub(super) fn new(config: &PublisherConfig, admission: Arc<Admission>) -> Self {
        let backlog = Backlog::new(config.high_water_rides, Arc::clone(&admission));
        Self {
            shared: Arc::new(Shared::new(config.message_rides)),
            lanes: Arc::default(),
            wanted_lanes: watch::Sender::new(config.lanes.max(1).into()),
            next_lane: Arc::default(),
            admission,
            backlog: Arc::new(backlog),
            max_in_flight: Arc::new(AtomicUsize::new(config.max_in_flight)),
            closing: CancellationToken::new(),
        }
    }

    /// How many lanes there shall be, where the queue allows more than one.
    pub(super) fn wanted_lanes(&self) -> watch::Receiver<usize> {
        self.wanted_lanes.subscribe()
    }

    /// Makes it `count` lanes, and returns the new ones: their rooms are closed until what sends from them opens them. A lane
    /// that is too many takes no more rides from now on, and is asked to send what it has and end.
    pub(super) fn set_lanes(&self, count: usize) -> Vec<Lane> {
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() > count {
            // Of those that take no rides now anyway, fewer are missed.
            lanes.sort_by_key(|lane| lane.room.check_open().is_err());
            // Rides are put into a room under the lock: none comes to one that has left.
            lanes.drain(count..).for_each(|lane| lane.closing.cancel());
        }
        let is_free = |number: &u16| lanes.iter().all(|lane| lane.number != *number);
        let free: Vec<u16> = (0..).filter(is_free).take(count - lanes.len()).collect();
        let new = free.into_iter().map(|number| Lane {
            number,
            room: Arc::new(WaitingRoom::new(Arc::clone(&self.shared))),
            closing: self.closing.child_token(),
        });
        let new: Vec<Lane> = new.collect();
        lanes.extend(new.iter().cloned());
        new
    }

    /// Works by other settings from now on. No ride is refused because of it, but for those above a lower `max_in_flight`.
    pub fn change(&self, settings: ApiSettings) {
        let ApiSettings {
            lanes,
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
            let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
            lanes.iter().for_each(|lane| lane.room.look());
        }
        self.wanted_lanes.send_replace((lanes as usize).max(1));
    }

    /// How it works now. The embedded queue has one lane, whatever is said here.
    #[must_use]
    pub fn settings(&self) -> ApiSettings {
        let number = |setting: usize| u32::try_from(setting).unwrap_or(u32::MAX);
        ApiSettings {
            lanes: number(*self.wanted_lanes.borrow()),
            message_rides: number(self.message_rides()),
            max_in_flight: number(self.max_in_flight()),
        }
    }

    /// Lanes that take rides.
    #[must_use]
    pub fn lanes(&self) -> usize {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        lanes.len()
    }

    /// Rides that wait for their confirm.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// The mean rides of the messages of late, of all lanes that sent any; `None` while nothing is known.
    pub(super) fn mean_rides(&self) -> Option<f64> {
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        let means: Vec<f64> = lanes
            .iter()
            .filter_map(|lane| lane.room.mean_rides())
            .collect();
        (!means.is_empty()).then(|| means.iter().sum::<f64>() / means.len() as f64)
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
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How far each life of each lane is confirmed: the lives that go on and the last 64 that ended, oldest first. One of
    /// which no message was confirmed is left out.
    #[must_use]
    pub fn confirmed(&self) -> Vec<LaneConfirmed> {
        self.shared.lives.confirmed()
    }

    /// Most rides that wait for their confirm at once.
    #[must_use]
    pub fn max_in_flight(&self) -> usize {
        self.max_in_flight.load(Ordering::Relaxed)
    }

    /// Sends one ride together with those that arrive meanwhile, and waits until the queue has it safe.
    ///
    /// # Errors
    /// When it was refused, or nothing is known of its fate.
    pub async fn publish(&self, ride: &Ride) -> Result<(), PublishError> {
        self.admit(1)?;
        let outcome = self.in_a_room(|room| room.add(ride));
        outcome.wait().await
    }

    /// Sends rides as one message of their own.
    ///
    /// # Errors
    /// When they were refused, or nothing is known of their fate.
    pub async fn publish_message(&self, body: MessageBody) -> Result<(), PublishError> {
        self.admit(body.rides())?;
        let outcome = self.in_a_room(|room| room.add_message(body));
        outcome.wait().await
    }

    /// Most rides that a message of [`Self::publish_message`] should hold.
    #[must_use]
    pub fn message_rides(&self) -> usize {
        self.shared.message_rides()
    }

    /// Whether a ride would be sent now.
    ///
    /// # Errors
    /// Says why not.
    pub fn check_open(&self) -> Result<(), PublishError> {
        if let Some(reason) = self.admission.shedding() {
            return Err(PublishError::Shed(reason));
        }
        self.in_a_room(WaitingRoom::check_open)
    }

    /// Sends what was accepted and ends the lanes. Call it when no more rides will come.
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

    /// Does something with the next lane's room in turn that is open, or with any when none is.
    fn in_a_room<T>(&self, act: impl FnOnce(&WaitingRoom) -> T) -> T {
        // Held while it acts: a lane that leaves must have every ride that it will get.
        let lanes = self.lanes.read().unwrap_or_else(PoisonError::into_inner);
        if let [only] = &lanes[..] {
            return act(&only.room);
        }
        let start = self.next_lane.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..lanes.len()).map(|n| &lanes[(start + n) % lanes.len()].room);
        let open = in_turn.find(|room| room.check_open().is_ok());
        act(open.unwrap_or_else(|| &lanes[start % lanes.len()].room))
    }
}
