//! The worker: takes rides from the queue and stores them.
//!
//! # Layout
//!
//! - [`start`] checks what no waiting would mend and starts the lanes.
//! - `wanted`: what the lanes shall do. `follow`: keeps as many of them as that takes, while the console changes it.
//! - `lane`: the loop of one lane, over as many intakes as it takes.
//! - `session`: one intake's work: gather a batch, store it, acknowledge it, again.
//! - `decode`: messages to rides and dead letters. `prefetch`: how many messages make the wanted number of rides.
//! - `lane_state`: what a lane is doing; `lanes`: how the worker is because of it, for the health check and the heartbeat.
//!   [`Counts`]: what became of the rides.
//!
//! A lane acknowledges a batch only after all its rides, indexes and dead letters are safe. Whatever fails before that is
//! done again, by this lane or by the next consumer, and changes nothing the second time.

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

/// A worker that runs.
pub struct Worker {
    /// How it is.
    pub health: HealthCheck,
    /// What became of the rides so far.
    pub counts: Arc<Counts>,
    lanes: Arc<Lanes>,
    draining: CancellationToken,
}

impl Worker {
    /// What its heartbeat says of it. Times from acceptance to storage are those since the last call.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lanes.status(self.draining.is_cancelled())
    }
}

/// Starts the lanes, which end when `life` drains. Until `orders` say otherwise they work by `flags`.
///
/// A queue or a store that is merely absent is waited for.
///
/// # Errors
/// When queue or store refuse us, the queues have other arguments, the store would forget what it acknowledges, or its data
/// is newer than this version.
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

/// Lets pass what waiting may mend, and logs it.
fn forgive(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(error) if error.is_permanent() => Err(error),
        Err(error) => {
            tracing::warn!("{}; trying again", chain(&error));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
