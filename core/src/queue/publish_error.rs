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
    /// The queue did not confirm it.
    #[error(
        "the queue did not confirm the ride: it may or may not be stored; sending it again is safe"
    )]
    Unconfirmed,
}

impl PublishError {
    /// When a retry makes sense.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        match self {
            Self::Shed(_) => Duration::from_secs(5),
            Self::TooManyInFlight | Self::Unavailable(_) | Self::Unconfirmed => {
                Duration::from_secs(1)
            }
        }
    }

    /// The message for a client, which does not learn where the servers behind the API are, nor the user: what names them has their
    /// URL.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Unavailable(why) if why.contains("://") => {
                "RabbitMQ is unavailable: no ride is accepted now; send it again".to_owned()
            }
            error => error.to_string(),
        }
    }
}
