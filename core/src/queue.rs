//! The queue between accepting a ride and storing it.
//!
//! - The way in: [`publisher`] takes rides, `waiting_room` gathers them into messages, `lane_life` numbers
//!   these, [`admission`] says when to refuse,
//!   [`backlog`] how many wait. Each queue brings the lanes that send the messages.
//! - The way out: [`delivery`], a message as it is handed to a worker, and [`dead_letter`], a line that cannot be applied.
//! - Beside them: [`depth`], how much waits.
//! - The way of a dead letter: [`dead_letter_office`], out of its queue and, when it is sent again, back to the rides.
//! - The queues: [`rabbit`] on RabbitMQ for a fleet, [`embedded`] in a data folder for one process.

pub mod admission;
pub mod backlog;
pub mod dead_letter;
pub mod dead_letter_office;
pub mod delivery;
pub mod depth;
pub mod embedded;
mod lane_life;
mod publish_error;
pub mod publisher;
pub mod rabbit;
mod waiting_room;

pub use admission::{Admission, Shed};
pub use dead_letter::{DeadLetter, DeadLetterError};
pub use dead_letter_office::{DeadLetterOffice, ResendError, Resent};
pub use delivery::Delivery;
pub use publish_error::PublishError;
pub use publisher::{Publisher, PublisherConfig};

use crate::embedded::DiskError;
use rabbit::BrokerError;

/// What went wrong with a queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// With RabbitMQ.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// With the data folder.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl QueueError {
    /// Whether trying again is useless until somebody changes something.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Broker(error) => error.is_permanent(),
            Self::Disk(_) => true,
        }
    }

    /// Whether the process must end, because nothing that it wrote lately is certain to be on disk.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Disk(_))
    }
}
