//! The queue on RabbitMQ: one quorum queue of rides and one of dead letters for each stack.
//!
//! - [`broker`]: one connection, whose loss is detected and always reported.
//! - [`topology`]: the queues and their arguments.
//! - [`publish`]: starts a publisher; its `lane`s send messages and wait for their confirms, `backlog` polls the backlog.
//! - [`consumer`]: messages in the order of their tags, acknowledged by prefix; `deliveries`: the channel they arrive on.
//! - `depth`: queue depth. [`probe`]: diagnosis of the broker.
//! - [`dead_letters`]: publishes lines that cannot be applied. [`office`]: reads them, and republishes them.
//!
//! lapin's automatic recovery stays off: a lost connection ends channel, buffer and batch, because a tag of the old channel
//! must never acknowledge a message of the new one.

mod backlog;
pub mod broker;
mod confirmed;
pub mod consumer;
pub mod dead_letters;
mod deliveries;
mod depth;
mod lane;
pub mod office;
pub mod probe;
pub mod topology;

use std::sync::Arc;

use super::admission::Admission;
use super::publisher::{Publisher, PublisherConfig};
use crate::lifecycle::{Lifecycle, TaskError, chain};
use crate::stack::StackName;
pub use broker::{Broker, BrokerError};
pub use consumer::Consumer;
pub use dead_letters::DeadLetters;
pub use depth::RabbitDepth;
use lane::Lane;
pub use office::RabbitOffice;
use tokio::sync::watch;

/// Declares the queues and starts a publisher that sends to them.
///
/// If the broker is only unreachable, the channels wait for it; until it is available every ride is rejected.
///
/// # Errors
/// If RabbitMQ denies access or has the queues with other arguments: waiting would not help.
pub async fn publish(
    config: &PublisherConfig,
    broker: Arc<Broker>,
    stack: &StackName,
    admission: Arc<Admission>,
    life: &Lifecycle,
) -> Result<Publisher, BrokerError> {
    if let Err(error) = topology::check(&broker, stack).await {
        if error.is_permanent() {
            return Err(error);
        }
        tracing::warn!("{}; retrying", chain(&error));
    }
    let publisher = Publisher::new(config, admission);
    let lanes = Lanes {
        publisher: publisher.clone(),
        broker: Arc::clone(&broker),
        stack: stack.clone(),
        life: life.clone(),
    };
    let mut wanted = publisher.wanted_lanes();
    lanes.set(*wanted.borrow_and_update());
    life.spawn("publisher channels", lanes.keep(wanted));
    let watching = backlog::watch(
        // A separate connection: RabbitMQ does not read from a blocked one.
        broker.another("backlog"),
        broker,
        stack.ride_queue(),
        publisher.clone(),
        life.draining(),
    );
    life.spawn("backlog watch", watching);
    Ok(publisher)
}

/// Starts and stops publisher channels.
struct Lanes {
    publisher: Publisher,
    broker: Arc<Broker>,
    stack: StackName,
    life: Lifecycle,
}

impl Lanes {
    /// Keeps the configured number of channels running, until the process drains.
    async fn keep(self, mut wanted: watch::Receiver<usize>) -> Result<(), TaskError> {
        let draining = self.life.draining();
        // The sender exists as long as this publisher.
        while let Some(Ok(())) = draining.run_until_cancelled(wanted.changed()).await {
            self.set(*wanted.borrow_and_update());
        }
        Ok(())
    }

    fn set(&self, count: usize) {
        for lane in self.publisher.set_lanes(count) {
            let closing = lane.closing.clone();
            let lane = Lane {
                number: lane.number,
                room: lane.room,
                broker: Arc::clone(&self.broker),
                stack: self.stack.clone(),
                closing: lane.closing,
            };
            self.life
                .spawn_until(closing, "publisher channel", lane.run());
        }
    }
}
