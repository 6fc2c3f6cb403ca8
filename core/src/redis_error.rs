//! Errors of Redis, in its own words and not in those of the client library.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// An error of Redis, or of the connection to it.
#[derive(Debug, thiserror::Error)]
pub struct RedisFailure(RedisError);

impl RedisFailure {
    /// The code with which Redis itself refused a call, such as `WRONGTYPE`; `None` when it did not answer.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code()
    }
}

impl From<RedisError> for RedisFailure {
    /// Of an aborted transaction, the error of its first refused command: the one that says why.
    fn from(error: RedisError) -> Self {
        if error.kind() != ErrorKind::Server(ServerErrorKind::ExecAbort) {
            return Self(error);
        }
        let refused = error.clone().into_server_errors();
        let first = refused.and_then(|refused| Some(refused.first()?.1.clone()));
        Self(first.map_or(error, RedisError::from))
    }
}

impl From<std::io::Error> for RedisFailure {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for RedisFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.code(), self.0.detail()) {
            (Some(code), Some(detail)) => write!(f, "{code} {detail}"),
            (Some(code), None) => f.write_str(code),
            (None, _) => self.0.fmt(f),
        }
    }
}
