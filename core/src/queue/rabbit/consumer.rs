//! Takes messages from the queue and acknowledges them by prefix.

use lapin::types::AMQPValue;

use super::broker::{Broker, BrokerError};
use super::deliveries::Deliveries;
use super::topology;
use crate::queue::delivery::{Delivery, letter_id};
use crate::stack::StackName;

/// One consumer of rides, on one channel: tags are valid until [`Self::resume`].
#[derive(Debug)]
pub struct Consumer {
    deliveries: Deliveries,
    prefetch: u16,
    is_cancelled: bool,
}

impl Consumer {
    /// Declares the queues and consumes rides, with at most `prefetch` messages unacknowledged.
    ///
    /// Dropping the future at any point returns all messages to the queue.
    ///
    /// # Errors
    /// If RabbitMQ cannot be reached, or rejects a call.
    pub async fn open(
        broker: &Broker,
        stack: &StackName,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let channel = broker.channel().await?;
        topology::declare(&channel, stack).await?;
        Ok(Self {
            deliveries: Deliveries::open(channel, &stack.ride_queue(), prefetch).await?,
            prefetch,
            is_cancelled: false,
        })
    }

    /// Maximum number of unacknowledged messages.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// The next message; `None` after [`Self::cancel`], when all messages that had arrived are handed out.
    ///
    /// # Errors
    /// If the channel is lost: its unacknowledged messages are redelivered to the next consumer.
    pub async fn next(&mut self) -> Option<Result<Delivery, BrokerError>> {
        let delivered = if self.is_cancelled {
            self.deliveries.next_arrived()?
        } else {
            self.deliveries.next().await?
        };
        Some(delivered.map(read))
    }

    /// Acknowledges every message up to and including `tag`.
    ///
    /// # Errors
    /// If the channel is lost: the messages are redelivered.
    pub async fn ack_up_to(&self, tag: u64) -> Result<(), BrokerError> {
        self.deliveries.ack_up_to(tag).await
    }

    /// Takes no more messages from RabbitMQ. Those that have arrived are still handed out and should be acknowledged; later
    /// ones return to the queue when the channel is closed.
    pub fn cancel(&mut self) {
        self.is_cancelled = true;
    }

    /// Consumes again after [`Self::cancel`], on a new channel with another prefetch.
    ///
    /// # Errors
    /// If the channel is lost.
    pub async fn resume(
        &mut self,
        broker: &Broker,
        stack: &StackName,
        prefetch: u16,
    ) -> Result<(), BrokerError> {
        let resumed = Self::open(broker, stack, prefetch).await?;
        std::mem::replace(self, resumed).close().await;
        Ok(())
    }

    /// Closes the channel: all unacknowledged messages return to the queue.
    pub async fn close(self) {
        self.deliveries.close().await;
    }
}

fn read(delivery: lapin::message::Delivery) -> Delivery {
    let headers = delivery.properties.headers().as_ref();
    let header = |name: &str| headers?.inner().get(name);
    let number = |name: &str| header(name).and_then(to_u64);
    let text = |name: &str| match header(name) {
        Some(AMQPValue::LongString(text)) => Some(text.as_bytes()),
        _ => None,
    };
    let id = text("id").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    Delivery {
        tag: delivery.delivery_tag,
        id,
        format: number("v").map(|version| u32::try_from(version).unwrap_or(u32::MAX)),
        rides: number("rides").and_then(|rides| rides.try_into().ok()),
        accepted_at_ms: number("accepted-at"),
        replay_of: text("replay").and_then(letter_id),
        // Set by quorum queues: https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
        returns: number("x-delivery-count").unwrap_or(0),
        body: delivery.data,
    }
}

/// A header's number, whichever integer type its sender chose.
fn to_u64(value: &AMQPValue) -> Option<u64> {
    match *value {
        AMQPValue::ShortShortInt(n) => n.try_into().ok(),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => n.try_into().ok(),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => n.try_into().ok(),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => n.try_into().ok(),
        AMQPValue::Timestamp(n) => Some(n),
        _ => None,
    }
}
