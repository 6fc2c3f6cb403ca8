//! Where a line goes that cannot be applied: a queue of its own, with the reason beside it.
//!
//! The worker publishes here itself, confirmed and mandatory, before it acknowledges the message that held the line. If a
//! crash comes between the two, the line comes again and is here twice, with the same id.

use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation};

use super::broker::{Broker, BrokerError};
use super::confirmed::{open_channel, publish};
use crate::queue::QueueError;
use crate::queue::dead_letter::{DeadLetter, DeadLetterError};
use crate::stack::StackName;

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
        let id = AMQPValue::LongString(letter.id.as_str().into());
        headers.insert("id".into(), id);
        // By it a letter that is here twice is told from one that was sent again and died again.
        if let Some(message) = letter.message {
            let message = AMQPValue::LongString(message.to_string().into());
            headers.insert("message".into(), message);
        }
        let published = publish(&self.channel, &self.queue, &letter.line, headers).await;
        match published.map_err(QueueError::Broker)? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Nack(_) => {
                Err(DeadLetterError::Full(format!("the queue {}", self.queue)))
            }
            Confirmation::Ack(Some(_)) | Confirmation::NotRequested => {
                Err(DeadLetterError::NoQueue(self.queue.clone()))
            }
        }
    }
}
