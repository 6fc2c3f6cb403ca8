//! The engine of a worker: a queue to consume rides from and a store to write them to, behind one trait.
//!
//! - [`rabbit_redis`]: RabbitMQ and Redis, for a fleet. [`embedded`]: a data directory, for one process.
//!
//! Queue and store share one trait because the acknowledgement connects them: nothing may leave the queue that is not in the
//! store. On RabbitMQ and Redis each step is safe by itself and the acknowledgement comes last; in a data directory all
//! steps are one atomic write, which the acknowledgement performs.

pub mod embedded;
pub mod rabbit_redis;

use std::future::Future;

use crate::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use crate::reconciliation::Settlement;
use crate::store::batch::Batch;
use crate::store::{Applied, StoreError};
pub use embedded::Embedded;
pub use rabbit_redis::RabbitRedis;

/// An error of the queue or the store of a worker.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An error of the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// An error of the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EngineError {
    /// Whether a retry is useless until an operator changes something.
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
    /// The connection of one worker thread to both.
    type Pipeline: Pipeline;

    /// Maximum number of open pipelines.
    const MAX_PIPELINES: usize;

    /// Checks at start for errors that waiting would not fix.
    ///
    /// # Errors
    /// [`EngineError::is_permanent`]: whether waiting is useless.
    fn check(&self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Begins to consume, with at most `prefetch` messages unacknowledged. The store is checked first: nothing is consumed
    /// that cannot be stored.
    ///
    /// # Errors
    /// If queue or store cannot be reached or deny access.
    fn open(
        &self,
        prefetch: u16,
    ) -> impl Future<Output = Result<Self::Pipeline, EngineError>> + Send;

    /// Sets how many pipelines may be open at once.
    fn set_max_pipelines(&self, pipelines: usize);

    /// Stores a batch outside of any pipeline: the most reliable probe of whether the store accepts it again.
    ///
    /// # Errors
    /// If it does not.
    fn apply(&self, batch: &Batch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Publishes dead letters outside of any pipeline. Those that are safe are removed from the list.
    ///
    /// # Errors
    /// If some are not.
    fn publish_dead_letters(
        &self,
        letters: &mut Vec<DeadLetter>,
    ) -> impl Future<Output = Result<(), DeadLetterError>> + Send;
}

/// The pipeline of one worker thread from the queue to the store.
///
/// There is one batch at a time: applied, its dead letters published, settled, acknowledged, and then the next one.
///
/// What [`Self::apply`], [`Self::publish_dead_letters`] and [`Self::settle`] did is safe at the
/// latest when [`Self::ack_up_to`]
/// returns. Until then each may be repeated, by this thread or by another one that receives the messages, and changes
/// nothing the second time.
pub trait Pipeline: Send {
    /// Maximum number of unacknowledged messages.
    fn prefetch(&self) -> u16;

    /// The next message; `None` after [`Self::cancel`], when all delivered messages have been returned. Cancel-safe: no
    /// message is lost if the future is dropped.
    ///
    /// # Errors
    /// If the connection is lost. Its deliveries are redelivered.
    fn next(&mut self) -> impl Future<Output = Option<Result<Delivery, QueueError>>> + Send;

    /// Stores a batch. Repeat it after an error.
    ///
    /// # Errors
    /// If the store did not accept all of it.
    fn apply(&mut self, batch: &Batch) -> impl Future<Output = Result<Applied, StoreError>> + Send;

    /// Publishes dead letters. Those that are safe are removed from the list.
    ///
    /// # Errors
    /// If some could not be published.
    fn publish_dead_letters(
        &mut self,
        letters: &mut Vec<DeadLetter>,
    ) -> impl Future<Output = Result<(), DeadLetterError>> + Send;

    /// Records messages as settled, after all their lines are applied or dead-lettered and before they are acknowledged.
    /// Repeat it after an error: a message of Skilift is counted once, a foreign one again. Applied rides are visible to all
    /// queries when it returns.
    ///
    /// # Errors
    /// If the store did not accept it.
    fn settle(
        &mut self,
        settlements: &[Settlement],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Acknowledges every message up to and including `tag`.
    ///
    /// # Errors
    /// If the messages may be redelivered.
    fn ack_up_to(&mut self, tag: u64) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Stops consuming. Messages already delivered are still returned, and must be acknowledged.
    ///
    /// # Errors
    /// If the connection is lost.
    fn cancel(&mut self) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Consumes again after [`Self::cancel`], with another prefetch.
    ///
    /// # Errors
    /// If the connection is lost.
    fn resume(&mut self, prefetch: u16) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Closes the pipeline: unacknowledged messages are requeued.
    fn close(self) -> impl Future<Output = ()> + Send;
}
