//! Why a ride was not accepted.

use std::sync::Arc;
use std::time::Duration;

use super::admission::Shed;

/// Why a ride was not accepted. It may be stored all the same, where a confirm was lost; sending it again is safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Load is shed.
    #[error("{}", .0.message())]
    Shed(Shed),
    /// As many rides wait for their confirm as may.
    #[error("too many rides are waiting until the queue has them safe")]
    TooManyInFlight,
    /// The queue did not take the message, or could not be asked.
    #[error("{0}")]
    Unavailable(Arc<str>),
}

impl PublishError {
    /// After how long it is worth trying again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Shed(_) => Duration::from_secs(5),
            Self::TooManyInFlight | Self::Unavailable(_) => Duration::from_secs(1),
        }
    }
}
