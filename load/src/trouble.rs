//! What can go wrong with a try, in kinds that can be counted.

use std::fmt;

use crate::connection::CallError;

/// A kind of failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// No connection.
    CannotConnect,
    /// The connection broke before the answer was complete.
    ConnectionLost,
    /// No answer in time.
    TimedOut,
    /// Bytes that are not HTTP.
    NotHttp,
    /// An answer longer than any of the API.
    TooLarge,
    /// A status that the API does not give here.
    Status(u16),
    /// The status was right, the body was not.
    Unreadable,
    /// Lines of a bulk request that the server took for no rides.
    RejectedLines,
    /// The run was ended while the request was under way.
    Abandoned,
}

impl Trouble {
    /// The kind of a call without an answer.
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

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CannotConnect => "cannot connect",
            Self::ConnectionLost => "connection lost",
            Self::TimedOut => "no answer in time",
            Self::NotHttp => "answer is not HTTP",
            Self::TooLarge => "answer too large",
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Unreadable => "unreadable answer",
            Self::RejectedLines => "lines rejected",
            Self::Abandoned => "ended while under way",
        })
    }
}
