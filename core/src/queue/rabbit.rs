//! The queue on RabbitMQ: one quorum queue of rides and one of dead letters for each stack.
//!
//! - [`broker`]: one connection, whose loss is detected and always reported.
//! - [`topology`]: the queues and their arguments.
//! - [`publish`]: starts a publisher; its `publisher_channel`s send messages and wait for their
//!   confirms, `backlog` polls the backlog.
//! - [`consumer`]: messages in the order of their tags, acknowledged by prefix; `deliveries`: the channel they arrive on.
//! - `depth`: queue depth. [`probe`]: diagnosis of the broker.
//! - [`dead_letter_publisher`]: publishes lines that cannot be applied.
//!   [`dead_letter_queue`]: reads them, and republishes them.
//!
//! lapin's automatic recovery stays off: a lost connection ends channel, buffer and batch, because a tag of the old channel
//! must never acknowledge a message of the new one.

mod backlog;
pub mod broker;
mod confirmed;
pub mod consumer;
pub mod dead_letter_publisher;
pub mod dead_letter_queue;
mod deliveries;
mod depth;
pub mod probe;
mod publisher_channel;
pub mod topology;

use std::sync::Arc;

use super::admission::Admission;
use super::publisher::{Publisher, PublisherConfig};
use crate::lifecycle::{Lifecycle, TaskError, chain};
use crate::stack::StackName;
pub use broker::{Broker, BrokerError};
pub use consumer::Consumer;
pub use dead_letter_publisher::DeadLetterPublisher;
pub use dead_letter_queue::RabbitDeadLetterQueue;
pub use depth::RabbitDepth;
use publisher_channel::RabbitPublisherChannel;
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
    lifecycle: &Lifecycle,
) -> Result<Publisher, BrokerError> {
    if let Err(error) = topology::check(&broker, stack).await {
        if error.is_permanent() {
            return Err(error);
        }
        tracing::warn!("{}; retrying", chain(&error));
    }
    let publisher = Publisher::new(config, admission);
    let channels = PublisherChannels {
        publisher: publisher.clone(),
        broker: Arc::clone(&broker),
        stack: stack.clone(),
        lifecycle: lifecycle.clone(),
    };
    let mut desired = publisher.desired_channels();
    channels.set(*desired.borrow_and_update());
    lifecycle.spawn("publisher channels", channels.keep(desired));
    let watching = backlog::watch(
        // A separate connection: RabbitMQ does not read from a blocked one.
        broker.another("backlog"),
        broker,
        stack.ride_queue(),
        publisher.clone(),
        lifecycle.draining(),
    );
    lifecycle.spawn("backlog watch", watching);
    Ok(publisher)
}

/// Starts and stops publisher channels.
struct PublisherChannels {
    publisher: Publisher,
    broker: Arc<Broker>,
    stack: StackName,
    lifecycle: Lifecycle,
}

impl PublisherChannels {
    /// Keeps the configured number of channels running, until the process drains.
    async fn keep(self, mut desired: watch::Receiver<usize>) -> Result<(), TaskError> {
        let draining = self.lifecycle.draining();
        // The sender exists as long as this publisher.
        while let Some(Ok(())) = draining.run_until_cancelled(desired.changed()).await {
            self.set(*desired.borrow_and_update());
        }
        Ok(())
    }

    fn set(&self, count: usize) {
        for channel in self.publisher.set_channels(count) {
            let closing = channel.closing.clone();
            let channel = RabbitPublisherChannel {
                number: channel.number,
                buffer: channel.buffer,
                broker: Arc::clone(&self.broker),
                stack: self.stack.clone(),
                closing: channel.closing,
            };
            self.lifecycle
                .spawn_until(closing, "publisher channel", channel.run());
        }
    }
}
