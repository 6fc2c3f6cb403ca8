//! Kinds of failed attempts.

use std::fmt;

use crate::connection::CallError;

/// A kind of failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptError {
    /// The connection failed.
    CannotConnect,
    /// The connection was lost before the response was complete.
    ConnectionLost,
    /// The response timed out.
    TimedOut,
    /// The received bytes are not HTTP.
    NotHttp,
    /// The response is larger than any response of the API.
    TooLarge,
    /// An unexpected status.
    Status(u16),
    /// The status was expected, but the body was invalid.
    Unreadable,
    /// The server rejected lines of a bulk request.
    RejectedLines,
    /// The run ended while the request was in flight.
    Abandoned,
}

impl AttemptError {
    /// The kind of a request without a response.
    #[must_use]
    pub fn of(error: &CallError) -> Self {
        match error {
            CallError::Connect { .. } | CallError::ConnectTimeout { .. } => Self::CannotConnect,
            CallError::Lost(_) => Self::ConnectionLost,
            CallError::Timeout(_) => Self::TimedOut,
            CallError::NotHttp(_) => Self::NotHttp,
            CallError::TooLarge => Self::TooLarge,
            CallError::Request(_) => Self::Unreadable,
        }
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CannotConnect => "cannot connect",
            Self::ConnectionLost => "connection lost",
            Self::TimedOut => "no response in time",
            Self::NotHttp => "response is not HTTP",
            Self::TooLarge => "response too large",
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Unreadable => "invalid response",
            Self::RejectedLines => "lines rejected",
            Self::Abandoned => "aborted in flight",
        })
    }
}
