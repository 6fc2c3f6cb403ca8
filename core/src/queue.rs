//! The queue between accepting a ride and storing it.
//!
//! - Publishing: [`publisher`] accepts rides, `publish_buffer` collects them into messages, `lane_epoch` numbers these,
//!   [`admission`] decides when to shed load, [`backlog`] tracks the backlog. Each queue provides the channels that send the
//!   messages.
//! - Consuming: [`delivery`], a message as delivered to a worker, and [`dead_letter`], a line that cannot be applied.
//! - Monitoring: [`depth`], the queue depth.
//! - Dead letters: [`dead_letter_queue`], reads them from their queue and republishes them as rides.
//! - The queues: [`rabbit`] on RabbitMQ for a fleet, [`embedded`] in a data directory for one process.

pub mod admission;
pub mod backlog;
pub mod dead_letter;
pub mod dead_letter_queue;
pub mod delivery;
pub mod depth;
pub mod embedded;
mod lane_epoch;
mod publish_buffer;
mod publish_error;
pub mod publisher;
pub mod rabbit;

pub use admission::{Admission, Shed};
pub use dead_letter::{DeadLetter, DeadLetterError};
pub use dead_letter_queue::{DeadLetterQueue, RepublishError, RepublishedLetter};
pub use delivery::Delivery;
pub use publish_error::PublishError;
pub use publisher::{Publisher, PublisherConfig};

use crate::embedded::DiskError;
use rabbit::BrokerError;

/// An error of a queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// An error of RabbitMQ.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// An error of the data directory.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl QueueError {
    /// Whether a retry is useless until an operator changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_permanent(),
            Self::Disk(_) => true,
        }
    }

    /// Whether the process must end, because its recent writes may not be on disk.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Disk(_))
    }
}
