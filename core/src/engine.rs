//! What a worker works on: a queue to take rides from and a store to put them into, behind one port.
//!
//! - [`rabbit_redis`]: RabbitMQ and Redis, for a fleet. [`embedded`]: a data folder, for one process.
//!
//! Queue and store are one port because the acknowledgement ties them together: nothing may leave the queue that is not in
//! the store. On RabbitMQ and Redis each step is safe by itself and the acknowledgement comes last; in a data folder all
//! steps are one atomic write, and the acknowledgement is what writes it.

pub mod embedded;
pub mod rabbit_redis;

use std::future::Future;

use crate::books::Settlement;
use crate::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use crate::store::batch::Batch;
use crate::store::{Applied, StoreError};
pub use embedded::Embedded;
pub use rabbit_redis::RabbitRedis;

/// What went wrong when a worker turned to its queue or to its store.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// With the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// With the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    /// Whether trying again is useless until somebody changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_permanent(),
            Self::Store(error) => error.is_permanent(),
        }
    }

    /// Whether the process must end.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Queue(error) => error.is_fatal(),
            Self::Store(error) => error.is_fatal(),
        }
    }
}

/// A queue and a store.
pub trait Engine: Send + Sync + 'static {
    /// One worker lane's way to both.
    type Intake: Intake;

    /// How many intakes may be open at once.
    const MOST_INTAKES: usize;

    /// Finds out at start what no waiting would mend.
    ///
    /// # Errors
    /// [`EngineError::is_permanent`] tells whether it is worth waiting.
    fn check(&self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Begins to consume, with at most `prefetch` messages unacknowledged. The store is looked at first: nothing is taken
    /// from the queue that cannot be stored.
    ///
    /// # Errors
    /// When queue or store cannot be reached or refuse.
    fn open(&self, prefetch: u16)
    -> impl Future<Output = Result<Self::Intake, EngineError>> + Send;

    /// Makes room for so many intakes to be open at once.
    fn make_room(&self, intakes: usize);

    /// Stores a batch outside of any intake: no other probe says as well whether the store takes it again.
    ///
    /// # Errors
    /// When it does not.
    fn apply(&self, batch: &Batch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Puts letters away outside of any intake. Those that are safe leave the list.
    ///
    /// # Errors
    /// When some are not.
    fn put_away(
        &self,
        letters: &mut Vec<DeadLetter>,
    ) -> impl Future<Output = Result<(), DeadLetterError>> + Send;
}

/// One worker lane's way from the queue to the store.
///
/// There is one batch at a time: applied, its dead letters put away, settled, acknowledged, and then the next one.
///
/// What [`Self::apply`], [`Self::put_away`] and [`Self::settle`] did is safe at the latest when [`Self::ack_through`]
/// returns. Until then each may be done again, by this lane or by the next one that the messages come to, and changes nothing
/// the second time.
pub trait Intake: Send {
    /// How many messages may be unacknowledged.
    fn prefetch(&self) -> u16;

    /// The next message; `None` after [`Self::cancel`], once all that was delivered is handed out. It may be called again
    /// when it was dropped half-way; no message is lost by that.
    ///
    /// # Errors
    /// When the way is lost. What was delivered on it comes again.
    fn next(&mut self) -> impl Future<Output = Option<Result<Delivery, QueueError>>> + Send;

    /// Stores a batch. After an error, do it again.
    ///
    /// # Errors
    /// When the store did not take all of it.
    fn apply(&mut self, batch: &Batch) -> impl Future<Output = Result<Applied, StoreError>> + Send;

    /// Puts letters away. Those that need not be put away again leave the list.
    ///
    /// # Errors
    /// When some could not be put away.
    fn put_away(
        &mut self,
        letters: &mut Vec<DeadLetter>,
    ) -> impl Future<Output = Result<(), DeadLetterError>> + Send;

    /// Writes in the books what became of messages, once everything that they hold is applied or put away and before they are
    /// acknowledged. After an error, do it again: a message of ours is counted once, one of others again. What was applied is
    /// found by every way when it returns.
    ///
    /// # Errors
    /// When the store did not take it.
    fn settle(
        &mut self,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Acknowledges every message up to and including `tag`.
    ///
    /// # Errors
    /// When the messages may come again.
    fn ack_through(&mut self, tag: u64) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Asks for no more messages. Those delivered already are still handed out, and are to be acknowledged.
    ///
    /// # Errors
    /// When the way is lost.
    fn cancel(&mut self) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Consumes again after [`Self::cancel`], with another prefetch.
    ///
    /// # Errors
    /// When the way is lost.
    fn resume(&mut self, prefetch: u16) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Ends the intake: whatever is not acknowledged goes back to the queue.
    fn close(self) -> impl Future<Output = ()> + Send;
}
