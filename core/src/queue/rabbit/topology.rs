//! The queues of a stack and their arguments.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::broker::{Broker, BrokerError, broker_reply, within_timeout};
use crate::stack::StackName;

/// Maximum size of a queue, in bytes of message bodies. RabbitMQ rejects further messages.
pub const QUEUE_BYTES: i64 = 1 << 30;

/// How often a message may be redelivered before RabbitMQ drops it. The default of RabbitMQ 4 is 20, and a dropped message
/// is lost: the worker dead-letters a message long before this.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// Declares the queue of rides and the dead-letter queue; does nothing if they already exist with these arguments.
///
/// # Errors
/// If one exists with other arguments, or RabbitMQ cannot be reached.
pub async fn declare(channel: &Channel, stack: &StackName) -> Result<(), BrokerError> {
    declare_queue(channel, stack.ride_queue()).await?;
    declare_queue(channel, stack.dead_letter_queue()).await
}

/// Checks at start for errors that waiting would not fix: connects and declares.
///
/// # Errors
/// As [`declare`]; [`BrokerError::is_permanent`]: whether waiting is useless.
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
    // A full queue rejects with a nack, instead of dropping its oldest messages.
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

/// Length of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLength {
    /// Ready messages, without delivered ones.
    pub ready: u32,
    /// Consumers.
    pub consumers: u32,
}

/// The length of a queue; `None` if the queue does not exist.
///
/// # Errors
/// When RabbitMQ cannot be reached. After an error or `None` the channel is closed.
pub async fn queue_length(
    channel: &Channel,
    queue: &str,
) -> Result<Option<QueueLength>, BrokerError> {
    // `passive` does not create the queue: https://www.rabbitmq.com/amqp-0-9-1-reference#queue.declare.passive
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
