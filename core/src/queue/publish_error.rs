//! Why a ride was not accepted.

use std::sync::Arc;
use std::time::Duration;

use super::admission::Shed;

/// Why a ride was not accepted. It may still be stored if only the confirm was lost; sending it again is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Load is shed.
    #[error("{}", .0.message())]
    Shed(Shed),
    /// The limit of rides in flight is reached.
    #[error("too many rides are waiting for a confirm of the queue")]
    TooManyInFlight,
    /// The queue rejected the message, or could not be reached.
    #[error("{0}")]
    Unavailable(Arc<str>),
}

impl PublishError {
    /// When a retry makes sense.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Shed(_) => Duration::from_secs(5),
            Self::TooManyInFlight | Self::Unavailable(_) => Duration::from_secs(1),
        }
    }
}
