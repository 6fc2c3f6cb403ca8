//! The worker: consumes rides from the queue and stores them.
//!
//! # Layout
//!
//! - [`start`] checks for permanent errors and starts the consumers.
//! - `desired`: the desired state of the consumers. `reconcile`: applies it, also when the console changes it.
//! - `consumer`: the loop of one consumer over its sessions.
//! - `session`: the loop of one session: gather a batch, store it, acknowledge it.
//! - `decode`: messages to rides and dead letters. `prefetch`: number of messages for the desired number of rides.
//! - `consumer_state`: state of a consumer; `consumers`: resulting health of the worker, for the health check
//!   and the heartbeat.
//!   [`Counts`]: numbers of rides by result.
//!
//! A consumer acknowledges a batch only after all its rides, indexes and dead letters are durable. Work that fails before that
//! is repeated by this or another consumer; repeating it has no effect.

mod consumer;
mod consumer_state;
mod consumers;
mod counts;
mod decode;
mod desired;
mod prefetch;
mod reconcile;
mod session;

use std::sync::Arc;

use skilift_core::control::{DesiredState, Status, WorkerSettings};
use skilift_core::engine::{Engine, EngineError};
use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, chain};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use counts::Counts;

use crate::consumers::Consumers;
use crate::desired::DesiredWorkerState;
use crate::reconcile::{Reconciler, announce};

/// A running worker.
pub struct Worker {
    /// Its health.
    pub health: HealthCheck,
    /// Numbers of rides by result so far.
    pub counts: Arc<Counts>,
    consumers: Arc<Consumers>,
    draining: CancellationToken,
}

impl Worker {
    /// Its part of the heartbeat; times from acceptance to storage cover the time since the last call.
    #[must_use]
    pub fn status(&self) -> Status {
        self.consumers.status(self.draining.is_cancelled())
    }
}

/// Starts the consumers, which end when `lifecycle` drains; they use the settings of `flags`
/// until `desired_state` changes them.
///
/// An unavailable queue or store is retried.
///
/// # Errors
/// If queue or store refuse the connection, the queues have other arguments, the store is not durable, or its data is newer
/// than this version.
pub async fn start<E: Engine>(
    flags: WorkerSettings,
    desired_state: watch::Receiver<DesiredState>,
    engine: Arc<E>,
    lifecycle: &Lifecycle,
) -> Result<Worker, EngineError> {
    tolerate_transient(engine.check().await)?;
    let desired = DesiredWorkerState::resolve(&desired_state.borrow(), flags, None);
    announce(&desired);
    let consumers = Arc::new(Consumers::new(desired, E::MAX_PIPELINES));
    let reconciler = Reconciler {
        flags,
        consumers: Arc::clone(&consumers),
        engine,
        lifecycle: lifecycle.clone(),
    };
    lifecycle.spawn("worker settings", reconciler.run(desired_state));
    let (watched, draining) = (Arc::clone(&consumers), lifecycle.draining());
    let health: HealthCheck = Arc::new(move || watched.health(draining.is_cancelled()));
    Ok(Worker {
        health,
        counts: Arc::clone(&consumers.counts),
        consumers,
        draining: lifecycle.draining(),
    })
}

/// Ignores and logs transient errors.
fn tolerate_transient(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(error) if error.is_permanent() => Err(error),
        Err(error) => {
            tracing::warn!("{}; retrying", chain(&error));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
