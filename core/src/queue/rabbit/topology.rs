//! The queues of a stack and their arguments.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::broker::{Broker, BrokerError, broker_reply, within_timeout};
use crate::stack::StackName;

/// The most that a queue holds, in bytes of message bodies. RabbitMQ rejects what comes on top of it.
pub const QUEUE_BYTES: i64 = 1 << 30;

/// How often a message may come back before RabbitMQ drops it. RabbitMQ 4 sets 20 where nothing is said, and a dropped
/// message is a lost one: the worker itself decides when a message is dead, long before this.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// Declares the queue of rides and the queue of dead letters; does nothing where they are as they should be.
///
/// # Errors
/// When one exists with other arguments, or RabbitMQ cannot be reached.
pub async fn declare(channel: &Channel, stack: &StackName) -> Result<(), BrokerError> {
    declare_queue(channel, stack.ride_queue()).await?;
    declare_queue(channel, stack.dead_letter_queue()).await
}

/// Finds out at start what no waiting would mend: connects and declares.
///
/// # Errors
/// As [`declare`]; [`BrokerError::is_permanent`] tells whether it is worth waiting.
pub async fn check(broker: &Broker, stack: &StackName) -> Result<(), BrokerError> {
    declare(&broker.channel().await?, stack).await
}

pub(super) async fn declare_queue(channel: &Channel, queue: String) -> Result<(), BrokerError> {
    let mut arguments = FieldTable::default();
    let mut set = |name: &str, value: AMQPValue| {
        arguments.insert(name.into(), value);
    };
    // Replicated, fsynced before the confirm: https://www.rabbitmq.com/docs/quorum-queues
    set("x-queue-type", AMQPValue::LongString("quorum".into()));
    // A full queue says so with a nack, instead of dropping its oldest messages.
    set("x-overflow", AMQPValue::LongString("reject-publish".into()));
    set("x-max-length-bytes", AMQPValue::LongLongInt(QUEUE_BYTES));
    set("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT));

    let declaring = channel.queue_declare(
        queue.as_str().into(),
        QueueDeclareOptions::durable(),
        arguments,
    );
    match within_timeout("declare the queue", declaring).await {
        Ok(_) => Ok(()),
        Err(BrokerError::Call { doing, source }) => match broker_reply(&source) {
            // 406 PRECONDITION_FAILED: https://www.rabbitmq.com/docs/queues#property-equivalence
            Some((406, reason)) => Err(BrokerError::OtherArguments { queue, reason }),
            _ => Err(BrokerError::Call { doing, source }),
        },
        Err(error) => Err(error),
    }
}

/// How long a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLength {
    /// Messages that wait, delivered ones not counted.
    pub ready: u32,
    /// Consumers.
    pub consumers: u32,
}

/// How long a queue is; `None` where there is no such queue.
///
/// # Errors
/// When RabbitMQ cannot be reached. After an error or `None` the channel is closed.
pub async fn queue_length(
    channel: &Channel,
    queue: &str,
) -> Result<Option<QueueLength>, BrokerError> {
    // `passive` only looks: https://www.rabbitmq.com/amqp-0-9-1-reference#queue.declare.passive
    let look = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let looking = channel.queue_declare(queue.into(), look, FieldTable::default());
    match within_timeout("report the queue's length", looking).await {
        Ok(found) => Ok(Some(QueueLength {
            ready: found.message_count(),
            consumers: found.consumer_count(),
        })),
        Err(BrokerError::Call { source, .. })
            if matches!(broker_reply(&source), Some((404, _))) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
