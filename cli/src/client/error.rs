//! Errors of the client and their exit codes.

use std::time::Duration;

use skilift_console::view::{Problem, ProblemCode};

use super::follow::Trail;
use crate::exit::Exit;

/// An error of the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The command line, the environment or the contexts file is invalid.
    #[error("{0}")]
    Usage(String),
    /// The change was not confirmed, or cannot be confirmed without a terminal.
    #[error("{0}")]
    Refused(String),
    /// The connection was refused.
    #[error(
        "cannot connect to the console at {server}: start it with `skictl up` or `skictl serve console`, or set another one with \
        --server URL"
    )]
    Unreachable {
        /// URL of the server.
        server: String,
        /// Cause.
        source: reqwest::Error,
    },
    /// The TLS certificate of the server is not trusted.
    #[error(
        "the certificate of {server} is not trusted ({why}); set SSL_CERT_FILE to a file with trusted certificates"
    )]
    Untrusted {
        /// URL of the server.
        server: String,
        /// Cause.
        why: rustls::Error,
    },
    /// The connection was lost, or the response timed out.
    #[error("{server} did not send a complete response")]
    NoAnswer {
        /// URL of the server.
        server: String,
        /// Cause.
        source: reqwest::Error,
    },
    /// The server is not a console.
    #[error(
        "{server} responded with status {status}, but it is not a Skilift console: the console has its own address, \
        usually with port 8081"
    )]
    NotAConsole {
        /// URL of the server.
        server: String,
        /// The HTTP status.
        status: u16,
    },
    /// This skictl cannot parse the response of the console.
    #[error("cannot parse the response of the console: is its version different from {}?", env!("CARGO_PKG_VERSION"))]
    Unreadable(#[source] serde_json::Error),
    /// The console rejected the request, or failed.
    #[error("{}", .0.message)]
    Problem(Problem),
    /// A plan may still be running.
    #[error(
        "plan {} may still be running: its response was lost, or did not arrive within {}; {trail}; do not send it again before that",
        .trail.plan(),
        humantime::format_duration(*.within)
    )]
    OutcomeUnknown {
        /// Maximum time waited.
        within: Duration,
        /// How to follow the plan.
        trail: Trail,
    },
}

impl ClientError {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Refused(_) => Exit::Refused,
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Untrusted { .. }
            | Self::NotAConsole { .. }
            | Self::Unreadable(_) => Exit::Failed,
            Self::OutcomeUnknown { .. } => Exit::TimedOut,
            Self::Problem(problem) => match problem.code {
                ProblemCode::Invalid => Exit::Usage,
                ProblemCode::Unauthenticated | ProblemCode::Forbidden => Exit::Forbidden,
                ProblemCode::NotFound | ProblemCode::Conflict | ProblemCode::Refused => {
                    Exit::Refused
                }
                ProblemCode::TooMany => Exit::Capacity,
                ProblemCode::Unavailable | ProblemCode::Internal => Exit::Failed,
            },
        }
    }

    /// Whether a later retry may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => true,
            Self::Problem(problem) => matches!(
                problem.code,
                ProblemCode::Unavailable | ProblemCode::Internal | ProblemCode::TooMany
            ),
            _ => false,
        }
    }
}
