//! The worker: takes rides from the queue and stores them.
//!
//! # Layout
//!
//! - [`start`] checks what no waiting would mend and starts the lanes.
//! - `lane`: the loop of one lane, over as many intakes as it takes.
//! - `session`: one intake's work: gather a batch, store it, acknowledge it, again.
//! - `decode`: messages to rides and dead letters. `prefetch`: how many messages make the wanted number of rides.
//! - `lane_state`: what a lane is doing, for the health check. [`Counts`]: what became of the rides.
//!
//! A lane acknowledges a batch only after all its rides, indexes and dead letters are safe. Whatever fails before that is
//! done again, by this lane or by the next consumer, and changes nothing the second time.

mod counts;
mod decode;
mod lane;
mod lane_state;
mod prefetch;
mod session;

use std::sync::Arc;
use std::time::Duration;

use skilift_core::engine::{Engine, EngineError};
use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, chain};

pub use counts::Counts;

use crate::lane::Lane;
use crate::lane_state::LaneStates;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Lanes, each one AMQP channel and one Redis connection. A data folder has one lane, whatever is said here.
    pub threads: usize,
    /// Rides that a lane may hold unacknowledged.
    pub prefetch_rides: usize,
    /// Rides at which a batch is full.
    pub batch_rides: usize,
    /// How long a batch waits for more rides.
    pub linger: Duration,
}

/// A worker that runs.
pub struct Worker {
    /// How it is.
    pub health: HealthCheck,
    /// What became of the rides so far.
    pub counts: Arc<Counts>,
}

/// Starts the lanes, which end when `life` drains.
///
/// A queue or a store that is merely absent is waited for.
///
/// # Errors
/// When queue or store refuse us, the queues have other arguments, the store would forget what it acknowledges, or its data
/// is newer than this version.
pub async fn start<E: Engine>(
    config: WorkerConfig,
    engine: Arc<E>,
    life: &Lifecycle,
) -> Result<Worker, EngineError> {
    forgive(engine.check().await)?;
    let threads = config.threads.clamp(1, E::MOST_INTAKES);
    let states = LaneStates::new(threads);
    let counts = Arc::new(Counts::default());
    for number in 0..threads {
        let lane = Lane {
            config: config.clone(),
            engine: Arc::clone(&engine),
            counts: Arc::clone(&counts),
            state: states.of_lane(number),
            draining: life.draining(),
        };
        life.spawn("worker lane", lane.run());
    }
    tracing::info!(
        "storing rides with {threads} threads, prefetch {} rides, batches of {} rides, linger {:?}",
        config.prefetch_rides,
        config.batch_rides,
        config.linger
    );
    let draining = life.draining();
    let health: HealthCheck = Arc::new(move || states.health(draining.is_cancelled()));
    Ok(Worker { health, counts })
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
