//! Reading dead letters from their queue, and republishing them to the queue of rides.

use std::sync::Arc;

use async_trait::async_trait;

use super::QueueError;
use super::dead_letter::DeadLetter;
use crate::control::heartbeat::LaneConfirmed;
use crate::message::lines;

/// A dead letter to be republished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepublishedLetter {
    /// Its id: [`DeadLetter::id`]. It is sent with the line, so that the dead letter keeps its id if it fails again.
    pub id: String,
    /// The line.
    pub line: Vec<u8>,
}

impl RepublishedLetter {
    /// The number of rides: one, except for dead letters of other publishers.
    pub(super) fn rides(&self) -> u32 {
        u32::try_from(lines(&self.line).count()).unwrap_or(u32::MAX)
    }
}

/// Why dead letters were not republished.
#[derive(Debug, thiserror::Error)]
pub enum RepublishError {
    /// The queue of rides rejects them.
    #[error("{0}")]
    Refused(Arc<str>),
    /// The queue could not be reached.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl RepublishError {
    /// Whether the process must end; see [`QueueError::is_fatal`].
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Queue(error) if error.is_fatal())
    }
}

/// The dead-letter queue of a stack. Only one process at a time can receive from it.
#[async_trait]
pub trait DeadLetterQueue: Send + Sync {
    /// Waits for dead letters, and returns at most `most` of them, oldest first. They stay in the queue until
    /// [`Self::ack`], and are redelivered without it. Cancel-safe: no dead letter is lost if the future is dropped.
    ///
    /// # Errors
    /// If the queue cannot be reached, or another process is the reader. It can be retried.
    async fn receive(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// Acknowledges the received dead letters, after they are stored elsewhere.
    ///
    /// # Errors
    /// If they may be redelivered.
    async fn ack(&self) -> Result<(), QueueError>;

    /// Republishes dead letters, each as a separate message, in order, and returns when the queue has confirmed all of them.
    ///
    /// # Errors
    /// If the result of some is unknown. Sending all again is safe: a ride is never stored twice.
    async fn republish(&self, letters: &[RepublishedLetter]) -> Result<(), RepublishError>;

    /// Confirmed high-water marks of republished messages, for reconciliation; see [`super::Publisher::confirmed`].
    fn confirmed(&self) -> Vec<LaneConfirmed>;

    /// Closes the connections. Received and unacknowledged dead letters are requeued at once.
    async fn close(&self);
}
