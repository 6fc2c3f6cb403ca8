//! Why a command did not do what it was asked to, and the exit code that follows.

use std::time::Duration;

use skilift_console::view::{Problem, ProblemCode};

use super::follow::Trail;
use crate::exit::Exit;

/// What a client runs into.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The command line, the environment or the contexts cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// Nobody agreed to it, or it may not be asked for.
    #[error("{0}")]
    Refused(String),
    /// Nobody listens there.
    #[error(
        "cannot connect to the console at {server}: start it with skictl up or skictl serve console, or name another with \
         --server URL"
    )]
    Unreachable {
        /// Where.
        server: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Who answers cannot prove who it is.
    #[error(
        "the certificate of {server} cannot be trusted ({why}); SSL_CERT_FILE names a file with the authorities to trust"
    )]
    Untrusted {
        /// Who.
        server: String,
        /// Why.
        why: rustls::Error,
    },
    /// The connection broke, or the answer did not come in time.
    #[error("{server} gave no complete answer")]
    NoAnswer {
        /// Who.
        server: String,
        /// Why.
        source: reqwest::Error,
    },
    /// Who answers is no console.
    #[error(
        "{server} answers with status {status}, but not as Skilift's console does: the console has an address of its own, \
         usually with port 8081"
    )]
    NotAConsole {
        /// Who.
        server: String,
        /// The HTTP status.
        status: u16,
    },
    /// The console's answer has a form that this skictl does not know.
    #[error("the console's answer cannot be read: is it of another version than {}?", env!("CARGO_PKG_VERSION"))]
    Unreadable(#[source] serde_json::Error),
    /// The console refused it, or failed.
    #[error("{}", .0.message)]
    Problem(Problem),
    /// A plan is still being applied, or it is not known whether it is.
    #[error(
        "plan {} may still be under way: its answer was lost, or did not come within {}. {trail}; do not send it again before",
        .trail.plan(),
        humantime::format_duration(*.within)
    )]
    UnderWay {
        /// How long it was waited for, at most.
        within: Duration,
        /// How it is followed.
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
            Self::UnderWay { .. } => Exit::TimedOut,
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

    /// Whether asking again later may do better.
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
