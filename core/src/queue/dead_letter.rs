//! A line that cannot be applied: it is put away beside the queue, with the reason.

use xxhash_rust::xxh3::xxh3_64;

use super::{Delivery, QueueError};
use crate::message::MessageId;

/// A line that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// By what it is known, however often it is put away: its message's id and its line, `foreign-` and a hash of a line that
    /// no publisher of ours sent, or, where it had been sent again and died again, what it was known by before.
    pub id: String,
    /// The line alone.
    pub line: Vec<u8>,
    /// Why, for a person to read.
    pub reason: String,
    /// The message that held it; `None` on a message that no publisher of ours sent.
    pub message: Option<MessageId>,
    /// The line's number in it, from 1.
    pub line_number: usize,
}

impl DeadLetter {
    /// The letter for a line of a message.
    #[must_use]
    pub fn of_line(delivery: &Delivery, line_number: usize, line: &[u8], reason: String) -> Self {
        let id = match (&delivery.replay_of, delivery.id) {
            // Only one line is sent again in one message.
            (Some(replayed), _) if line_number == 1 => replayed.clone(),
            (Some(replayed), _) => format!("{replayed}-{line_number}"),
            (None, Some(message)) => format!("{message}-{line_number}"),
            (None, None) => foreign_id(line),
        };
        Self {
            id,
            line: line.to_vec(),
            reason,
            message: delivery.id,
            line_number,
        }
    }
}

/// The id of a line that no publisher of ours sent: the same line is the same letter.
pub(super) fn foreign_id(line: &[u8]) -> String {
    format!("foreign-{:016x}", xxh3_64(line))
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
