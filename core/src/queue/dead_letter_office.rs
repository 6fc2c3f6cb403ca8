//! Where dead letters go from their queue: to one who keeps them, and back into the queue of rides when they are sent again.

use std::sync::Arc;

use async_trait::async_trait;

use super::QueueError;
use super::dead_letter::DeadLetter;
use crate::control::heartbeat::LaneConfirmed;
use crate::message::lines;

/// A dead letter that is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resent {
    /// By what it is known: [`DeadLetter::id`]. It goes with the line, so that it is the same letter when it dies again.
    pub id: String,
    /// The line.
    pub line: Vec<u8>,
}

impl Resent {
    /// Rides in it: one, but for what somebody else put among the dead letters.
    pub(super) fn rides(&self) -> u32 {
        u32::try_from(lines(&self.line).count()).unwrap_or(u32::MAX)
    }
}

/// Why letters were not sent again.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// The queue of rides does not take them.
    #[error("{0}")]
    Refused(Arc<str>),
    /// The queue could not be asked.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl ResendError {
    /// Whether the process must end; see [`QueueError::is_fatal`].
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Queue(error) if error.is_fatal())
    }
}

/// The dead letters of a stack. Of all who ask, in all processes, one is handed letters at a time.
#[async_trait]
pub trait DeadLetterOffice: Send + Sync {
    /// Waits for letters, and hands out at most `most` of them, oldest first. They stay where they are until
    /// [`Self::release`], and are handed out again when that does not come. No letter is lost when it is dropped half-way.
    ///
    /// # Errors
    /// When the queue cannot be reached, or hands its letters to somebody else. It may be tried again.
    async fn take(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError>;

    /// What was handed out is safe elsewhere: it leaves its place.
    ///
    /// # Errors
    /// When it may be handed out again.
    async fn release(&self) -> Result<(), QueueError>;

    /// Sends letters again, each as a message of its own in their order, and returns when the queue has all of them safe.
    ///
    /// # Errors
    /// When nothing is known of some. Sending all again is harmless: what was stored is not stored twice.
    async fn resend(&self, letters: &[Resent]) -> Result<(), ResendError>;

    /// How far what was sent again is confirmed, for the books: as [`super::Publisher::confirmed`].
    fn confirmed(&self) -> Vec<LaneConfirmed>;

    /// Lets go of everything. What was handed out and not released is free for others at once.
    async fn close(&self);
}
