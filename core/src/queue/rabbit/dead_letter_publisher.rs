//! Publishes lines that cannot be applied to a separate queue, with the reason.
//!
//! The worker publishes here, confirmed and mandatory, before it acknowledges the message that contained the line. After a
//! crash in between, the line is redelivered and is here twice, with the same id.

use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Confirmation};

use super::broker::{Broker, BrokerError};
use super::confirmed::{open_channel, publish};
use crate::queue::QueueError;
use crate::queue::dead_letter::{DeadLetter, DeadLetterError};
use crate::stack::StackName;

/// Publisher of dead letters.
#[derive(Debug)]
pub struct DeadLetterPublisher {
    channel: Channel,
    queue: String,
}

impl DeadLetterPublisher {
    /// Opens a separate channel, so that errors here do not affect the consumer.
    ///
    /// # Errors
    /// If RabbitMQ cannot be reached or denies access.
    pub async fn open(broker: &Broker, stack: &StackName) -> Result<Self, BrokerError> {
        let channel = open_channel(broker, stack).await?;
        Ok(Self {
            channel,
            queue: stack.dead_letter_queue(),
        })
    }

    /// Publishes one dead letter, and waits for RabbitMQ's confirm.
    ///
    /// # Errors
    /// If it is not confirmed: the queue is full or missing, or RabbitMQ cannot be reached.
    pub async fn put(&self, letter: &DeadLetter) -> Result<(), DeadLetterError> {
        let mut headers = FieldTable::default();
        headers.insert(
            "reason".into(),
            AMQPValue::LongString(letter.reason.as_str().into()),
        );
        let id = AMQPValue::LongString(letter.id.as_str().into());
        headers.insert("id".into(), id);
        // It distinguishes a duplicate dead letter from one that was replayed and failed again.
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
