//! Takes messages from the queue and acknowledges them by prefix.

use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::broker::{Broker, BrokerError, within_timeout};
use super::topology;
use crate::queue::delivery::{Delivery, letter_id};
use crate::stack::StackName;

/// One consumer on one channel. Its tags mean nothing on any other.
///
/// It never sends `basic.cancel`: a quorum queue (RabbitMQ 3.10) loses what it delivers while a cancel is under way. Closing the
/// channel returns those messages to the queue instead. A tag that does not follow the one before it ends the channel, because
/// an acknowledgement with `multiple` would cover what was missed.
#[derive(Debug)]
pub struct Consumer {
    channel: Channel,
    messages: lapin::Consumer,
    prefetch: u16,
    /// The tag of the last message that was handed out; a channel counts from 1.
    last_tag: u64,
    is_cancelled: bool,
}

impl Consumer {
    /// Declares the queues and consumes rides, with at most `prefetch` messages unacknowledged.
    ///
    /// # Errors
    /// When RabbitMQ cannot be reached or refuses.
    pub async fn open(
        broker: &Broker,
        stack: &StackName,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let channel = broker.channel().await?;
        topology::declare(&channel, stack).await?;
        let messages = consume(&channel, &stack.ride_queue(), prefetch).await?;
        Ok(Self {
            channel,
            messages,
            prefetch,
            last_tag: 0,
            is_cancelled: false,
        })
    }

    /// How many messages may be unacknowledged.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        self.prefetch
    }

    /// The next message; `None` after [`Self::cancel`], once all that was delivered is handed out.
    ///
    /// # Errors
    /// When the channel is lost. What was delivered on it comes again, to whoever consumes next.
    pub async fn next(&mut self) -> Option<Result<Delivery, BrokerError>> {
        let delivered = if self.is_cancelled {
            self.messages.next().now_or_never()??
        } else {
            self.messages.next().await?
        };
        let lost = |source| BrokerError::Call {
            doing: "deliver",
            source,
        };
        Some(delivered.map_err(lost).and_then(|delivered| {
            let (last, next) = (self.last_tag, delivered.delivery_tag);
            if next != last + 1 {
                return Err(BrokerError::MissedDelivery { last, next });
            }
            self.last_tag = next;
            Ok(read(delivered))
        }))
    }

    /// Acknowledges every message up to and including `tag`.
    ///
    /// # Errors
    /// When the channel is lost: the messages come again.
    pub async fn ack_through(&self, tag: u64) -> Result<(), BrokerError> {
        // `multiple`: https://www.rabbitmq.com/amqp-0-9-1-reference#basic.ack.multiple
        let acking = self
            .channel
            .basic_ack(tag, BasicAckOptions { multiple: true });
        within_timeout("take an acknowledgement", acking).await
    }

    /// Takes no more messages from RabbitMQ. Those that have arrived are still handed out, and are to be acknowledged; those
    /// that arrive later return to the queue when the channel is closed.
    pub fn cancel(&mut self) {
        self.is_cancelled = true;
    }

    /// Consumes again after [`Self::cancel`], with another prefetch.
    ///
    /// # Errors
    /// When the channel is lost.
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

    /// Closes the channel: whatever is not acknowledged goes back to the queue, at once and exactly once.
    pub async fn close(self) {
        let closing = self.channel.close(200, "bye".into());
        if let Err(error) = within_timeout("close a channel", closing).await {
            tracing::debug!("closing a consumer's channel: {error}");
        }
    }
}

async fn consume(
    channel: &Channel,
    queue: &str,
    prefetch: u16,
) -> Result<lapin::Consumer, BrokerError> {
    // Per consumer, as quorum queues want it: https://www.rabbitmq.com/docs/quorum-queues#global-qos
    let limit = channel.basic_qos(prefetch, BasicQosOptions { global: false });
    within_timeout("set the prefetch", limit).await?;
    let consuming = channel.basic_consume(
        queue.into(),
        ShortString::default(),
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    within_timeout("start a consumer", consuming).await
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
