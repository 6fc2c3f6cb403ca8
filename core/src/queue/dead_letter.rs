//! A line that cannot be applied: it is put away beside the queue, with the reason.

use super::QueueError;
use crate::message::MessageId;

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
    /// There are as many as there may be.
    #[error("{0} is full: nothing is stored until there is room for more dead letters")]
    Full(String),
    /// RabbitMQ has no such queue.
    #[error("the queue {0} is gone")]
    NoQueue(String),
    /// The queue of dead letters could not be asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl DeadLetterError {
    /// Whether the process must end; see [`QueueError::is_fatal`].
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Queue(error) if error.is_fatal())
    }
}
