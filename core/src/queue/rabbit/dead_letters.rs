//! Where a line goes that cannot be applied: a queue of its own, with the reason beside it.
//!
//! The worker publishes here itself, confirmed and mandatory, before it acknowledges the message that held the line. If a
//! crash comes between the two, the line comes again and is here twice, with the same id.

use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation};

use super::broker::{Broker, BrokerError};
use super::confirmed::{open_channel, publish};
use crate::message::MessageId;
use crate::stack::StackName;

/// A line that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The line alone.
    pub line: Vec<u8>,
    /// Why, for a person to read.
    pub reason: String,
    /// The message that held it; `None` on a message that no publisher of ours sent.
    pub message: Option<MessageId>,
    /// The line's number in it, from 1.
    pub line_number: usize,
}

/// Why dead letters could not be put away. Nothing may be acknowledged then.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// Their queue holds as much as it may.
    #[error("the queue {0} is full: read, replay or discard dead letters to make room")]
    Full(String),
    /// RabbitMQ has no such queue.
    #[error("the queue {0} is gone")]
    NoQueue(String),
    /// RabbitMQ could not be asked.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// The way into the queue of dead letters.
#[derive(Debug)]
pub struct DeadLetters {
    channel: Channel,
    queue: String,
}

impl DeadLetters {
    /// Opens a channel of its own, so that trouble here does not touch the consumer.
    ///
    /// # Errors
    /// When RabbitMQ cannot be reached or refuses.
    pub async fn open(broker: &Broker, stack: &StackName) -> Result<Self, BrokerError> {
        let channel = open_channel(broker, stack).await?;
        Ok(Self {
            channel,
            queue: stack.dead_letter_queue(),
        })
    }

    /// Puts one line away, and waits until RabbitMQ has it safe.
    ///
    /// # Errors
    /// When it is not safe: the queue is full or gone, or RabbitMQ cannot be asked.
    pub async fn put(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let mut headers = FieldTable::default();
        headers.insert(
            "reason".into(),
            AMQPValue::LongString(letter.reason.as_str().into()),
        );
        if let Some(message) = letter.message {
            let id = format!("{message}:{}", letter.line_number);
            headers.insert("id".into(), AMQPValue::LongString(id.into()));
        }
        match publish(&self.channel, &self.queue, &letter.line, headers).await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Nack(_) => Err(DeadLetterError::Full(self.queue.clone())),
            Confirmation::Ack(Some(_)) | Confirmation::NotRequested => {
                Err(DeadLetterError::NoQueue(self.queue.clone()))
            }
        }
    }
}
