//! The worker: takes rides from the queue and stores them.
//!
//! # Layout
//!
//! - [`start`] checks what no waiting would mend and starts the lanes.
//! - `lane`: the loop of one lane, over as many channels as it takes.
//! - `session`: one channel's work: gather a batch, store it, acknowledge it, again.
//! - `dead`: lines on their way to the dead letters. `decode`: messages to rides and dead letters. `prefetch`: how many messages make the wanted number of rides.
//! - `lane_state`: what a lane is doing, for the health check.
//!
//! A lane acknowledges a batch only after all its rides, indexes and dead letters are safe. Whatever fails before that is
//! done again, by this lane or by the next consumer, and changes nothing the second time.

mod dead;
mod decode;
mod lane;
mod lane_state;
mod prefetch;
mod session;

use std::sync::Arc;
use std::time::Duration;

use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, chain};
use skilift_core::queue::rabbit::{Broker, BrokerError, topology};
use skilift_core::stack::StackName;
use skilift_core::store::redis::{Store, StoreError};

use crate::lane::Lane;
use crate::lane_state::LaneStates;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Lanes, each one AMQP channel and one Redis connection.
    pub threads: usize,
    /// Rides that a lane may hold unacknowledged.
    pub prefetch_rides: usize,
    /// Rides at which a batch is full.
    pub batch_rides: usize,
    /// How long a batch waits for more rides.
    pub linger: Duration,
}

/// Why a worker cannot start, and waiting would not help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something about RabbitMQ.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Something about Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts the lanes, which end when `life` drains.
///
/// A broker or a store that is merely absent is waited for.
///
/// # Errors
/// When RabbitMQ or Redis refuse us, the queues have other arguments, the store would forget what it acknowledges, or
/// its data is newer than this version.
pub async fn start(
    config: WorkerConfig,
    broker: Arc<Broker>,
    store: Store,
    stack: &StackName,
    life: &Lifecycle,
) -> Result<HealthCheck, StartError> {
    forgive(store.writer().await, StoreError::is_permanent)?;
    forgive(
        topology::check(&broker, stack).await,
        BrokerError::is_permanent,
    )?;
    // RabbitMQ blocks a connection that publishes while it is short of memory or disk, and then hears no acknowledgement
    // on it either: dead letters have a connection of their own.
    let dead_letter_broker = broker.another("dead letters");
    let states = LaneStates::new(config.threads.max(1));
    for number in 0..config.threads.max(1) {
        let lane = Lane {
            config: config.clone(),
            broker: Arc::clone(&broker),
            dead_letter_broker: Arc::clone(&dead_letter_broker),
            store: store.clone(),
            stack: stack.clone(),
            state: states.of_lane(number),
            draining: life.draining(),
        };
        life.spawn("worker lane", lane.run());
    }
    tracing::info!(
        "storing rides with {} threads, prefetch {} rides, batches of {} rides, linger {:?}",
        config.threads.max(1),
        config.prefetch_rides,
        config.batch_rides,
        config.linger
    );
    let draining = life.draining();
    Ok(Arc::new(move || states.health(draining.is_cancelled())))
}

/// Lets pass what waiting may mend, and logs it.
fn forgive<T, E: std::error::Error + 'static>(
    outcome: Result<T, E>,
    is_permanent: impl Fn(&E) -> bool,
) -> Result<(), E> {
    match outcome {
        Err(error) if is_permanent(&error) => Err(error),
        Err(error) => {
            tracing::warn!("{}; trying again", chain(&error));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
