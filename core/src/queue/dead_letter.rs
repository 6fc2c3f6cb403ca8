//! A line that cannot be applied: it is stored separately as a dead letter, with the reason.

use xxhash_rust::xxh3::xxh3_64;

use super::{Delivery, QueueError};
use crate::message::MessageId;

/// A line that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its id, which is stable: message id and line number, or `foreign-` and a hash for a foreign line; a line that was
    /// replayed and failed again keeps its id.
    pub id: String,
    /// The line.
    pub line: Vec<u8>,
    /// The reason, for people.
    pub reason: String,
    /// The message that contained it; `None` for a foreign message.
    pub message: Option<MessageId>,
    /// The line's number in it, from 1.
    pub line_number: usize,
}

impl DeadLetter {
    /// The dead letter for a line of a message.
    #[must_use]
    pub fn of_line(delivery: &Delivery, line_number: usize, line: &[u8], reason: String) -> Self {
        let id = match (&delivery.replay_of, delivery.id) {
            // A replayed message has only one line.
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

/// The id of a foreign line: the same line is the same dead letter.
pub(super) fn foreign_id(line: &[u8]) -> String {
    format!("foreign-{:016x}", xxh3_64(line))
}

/// Why dead letters could not be stored. Nothing may be acknowledged then.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// The limit is reached.
    #[error("{0} is full: nothing is stored until dead letters are replayed or discarded")]
    Full(String),
    /// RabbitMQ does not have the queue.
    #[error("the queue {0} does not exist")]
    NoQueue(String),
    /// The dead-letter queue could not be reached.
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
