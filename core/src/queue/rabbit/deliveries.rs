//! Messages of one queue, delivered on a channel of their own.

use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};

use super::broker::{BrokerError, within_timeout};

/// The deliveries of one channel, in the order of their tags. Tags are valid on this channel only.
///
/// Dropping this closes the channel, which returns every unacknowledged message to the queue.
/// `basic.cancel` is never sent, because a quorum queue (RabbitMQ 3.10) loses what it delivers while a cancel is under way.
#[derive(Debug)]
pub(super) struct Deliveries {
    // Dropped before `messages`, whose drop sends `basic.cancel` on a channel that is still open.
    channel: ClosedOnDrop,
    messages: lapin::Consumer,
    /// The tag of the last message that was handed out; a channel counts from 1.
    last_tag: u64,
}

/// A channel that is closed when it is dropped, even if lapin still waits for the reply to `basic.consume`: lapin itself would
/// then keep the channel and its consumer, and the messages delivered to it would be held until the connection closes.
#[derive(Debug)]
struct ClosedOnDrop(Channel);

impl Drop for ClosedOnDrop {
    fn drop(&mut self) {
        // The first poll sends the frame; nothing waits for the reply. A channel that is closed already returns an error.
        let _ = self.0.close(200, "bye".into()).now_or_never();
    }
}

impl Deliveries {
    /// Consumes a queue with at most `prefetch` messages unacknowledged.
    ///
    /// # Errors
    /// If RabbitMQ cannot be reached, or rejects the call.
    pub(super) async fn open(
        channel: Channel,
        queue: &str,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let channel = ClosedOnDrop(channel);
        // Per consumer, as quorum queues require: https://www.rabbitmq.com/docs/quorum-queues#global-qos
        let options = BasicQosOptions { global: false };
        let limit = channel.0.basic_qos(prefetch, options);
        within_timeout("set the prefetch", limit).await?;
        let consuming = channel.0.basic_consume(
            queue.into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let messages = within_timeout("start a consumer", consuming).await?;
        Ok(Self {
            channel,
            messages,
            last_tag: 0,
        })
    }

    /// Waits for the next message; `None` if RabbitMQ has cancelled the consumer.
    ///
    /// # Errors
    /// If the channel is lost, or a delivery was missed: an acknowledgement with `multiple` would cover it.
    pub(super) async fn next(&mut self) -> Option<Result<Delivery, BrokerError>> {
        let delivered = self.messages.next().await?;
        Some(self.check(delivered))
    }

    /// The next message that has already arrived, if any.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(super) fn next_arrived(&mut self) -> Option<Result<Delivery, BrokerError>> {
        let delivered = self.messages.next().now_or_never()??;
        Some(self.check(delivered))
    }

    /// The tag of the last message that was handed out; 0 if none was.
    pub(super) fn last_tag(&self) -> u64 {
        self.last_tag
    }

    fn check(&mut self, delivered: lapin::Result<Delivery>) -> Result<Delivery, BrokerError> {
        let delivered = delivered.map_err(|source| BrokerError::Call {
            doing: "deliver a message",
            source,
        })?;
        let (last, next) = (self.last_tag, delivered.delivery_tag);
        if next != last + 1 {
            return Err(BrokerError::MissedDelivery { last, next });
        }
        self.last_tag = next;
        Ok(delivered)
    }

    /// Acknowledges every message up to and including `tag`.
    ///
    /// # Errors
    /// If the channel is lost: the messages are redelivered.
    pub(super) async fn ack_up_to(&self, tag: u64) -> Result<(), BrokerError> {
        // `multiple`: https://www.rabbitmq.com/amqp-0-9-1-reference#basic.ack.multiple
        let options = BasicAckOptions { multiple: true };
        let acking = self.channel.0.basic_ack(tag, options);
        within_timeout("take an acknowledgement", acking).await
    }

    /// Closes the channel and waits for it: every unacknowledged message is back in the queue then.
    pub(super) async fn close(self) {
        let closing = self.channel.0.close(200, "bye".into());
        if let Err(error) = within_timeout("close a channel", closing).await {
            tracing::debug!("closing a consumer's channel: {error}");
        }
    }
}
