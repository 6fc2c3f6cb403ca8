//! The worker: consumes rides from the queue and stores them.
//!
//! # Layout
//!
//! - [`start`] checks for permanent errors and starts the consumers.
//! - `wanted`: the desired state of the consumers. `follow`: applies it, also when the console changes it.
//! - `lane`: the loop of one consumer over its sessions.
//! - `session`: the loop of one session: gather a batch, store it, acknowledge it.
//! - `decode`: messages to rides and dead letters. `prefetch`: number of messages for the desired number of rides.
//! - `lane_state`: state of a consumer; `lanes`: resulting health of the worker, for the health check and the heartbeat.
//!   [`Counts`]: numbers of rides by result.
//!
//! A consumer acknowledges a batch only after all its rides, indexes and dead letters are durable. Work that fails before that
//! is repeated by this or another consumer; repeating it has no effect.

mod counts;
mod decode;
mod follow;
mod lane;
mod lane_state;
mod lanes;
mod prefetch;
mod session;
mod wanted;

use std::sync::Arc;

use skilift_core::control::{Orders, Status, WorkerSettings};
use skilift_core::engine::{Engine, EngineError};
use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use counts::Counts;

use crate::follow::{Follower, announce};
use crate::lanes::Lanes;
use crate::wanted::Wanted;

/// A running worker.
pub struct Worker {
    /// Its health.
    pub health: HealthCheck,
    /// Numbers of rides by result so far.
    pub counts: Arc<Counts>,
    lanes: Arc<Lanes>,
    draining: CancellationToken,
}

impl Worker {
    /// Its part of the heartbeat; times from acceptance to storage cover the time since the last call.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lanes.status(self.draining.is_cancelled())
    }
}

/// Starts the consumers, which end when `life` drains; they use the settings of `flags` until `orders` change them.
///
/// An unavailable queue or store is retried.
///
/// # Errors
/// If queue or store refuse the connection, the queues have other arguments, the store is not durable, or its data is newer
/// than this version.
pub async fn start<E: Engine>(
    flags: WorkerSettings,
    orders: watch::Receiver<Orders>,
    engine: Arc<E>,
    life: &Lifecycle,
) -> Result<Worker, EngineError> {
    forgive(engine.check().await)?;
    let wanted = Wanted::by(&orders.borrow(), flags, None);
    announce(&wanted);
    let lanes = Arc::new(Lanes::new(wanted, E::MOST_INTAKES));
    let follower = Follower {
        flags,
        lanes: Arc::clone(&lanes),
        engine,
        life: life.clone(),
    };
    life.spawn("worker settings", follower.run(orders));
    let (watched, draining) = (Arc::clone(&lanes), life.draining());
    let health: HealthCheck = Arc::new(move || watched.health(draining.is_cancelled()));
    Ok(Worker {
        health,
        counts: Arc::clone(&lanes.counts),
        lanes,
        draining: life.draining(),
    })
}

/// Ignores and logs transient errors.
fn forgive(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(error) if error.is_permanent() => Err(error),
        Err(error) => {
            tracing::warn!("{}; retrying", chain(&error));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
