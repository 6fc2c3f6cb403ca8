//! Why a request of an operator failed, whatever it came through. `admin/error.rs` answers it as JSON.

use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::chain;
use skilift_core::ranged::RangeError;
use skilift_core::store::StoreError;
use skilift_core::store::leaders::LeadersError;

use crate::access::password::PasswordError;
use crate::view::ProblemCode;

/// Longest message, in characters.
const MESSAGE_CHARS: usize = 1_000;

/// Why a request failed.
#[derive(Debug, Clone)]
pub(crate) struct Error {
    code: ProblemCode,
    message: String,
    /// Seconds after which a retry makes sense.
    retry_after_s: Option<u64>,
}

impl Error {
    fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // The message may contain request data.
        let end = message.char_indices().nth(MESSAGE_CHARS);
        message.truncate(end.map_or(message.len(), |(end, _)| end));
        Self {
            code,
            message,
            retry_after_s: None,
        }
    }

    /// The request is invalid.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Invalid, message)
    }

    /// The caller is not authenticated.
    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Unauthenticated, message)
    }

    /// The caller's role does not permit this.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Forbidden, message)
    }

    /// Not found.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::NotFound, message)
    }

    /// It was changed in the meantime.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Conflict, message)
    }

    /// A guard refuses it.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Refused, message)
    }

    /// Too many attempts.
    pub(crate) fn too_many(message: impl Into<String>, retry_after_ms: u64) -> Self {
        Self {
            retry_after_s: Some(retry_after_ms.div_ceil(1000).max(1)),
            ..Self::new(ProblemCode::TooMany, message)
        }
    }

    /// A required service is unavailable.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(ProblemCode::Unavailable, message)
        }
    }

    /// An internal error. The cause is only logged.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!("internal error: {cause}");
        Self::new(
            ProblemCode::Internal,
            "internal error; see the console's log",
        )
    }

    /// Its kind.
    pub(crate) fn code(&self) -> ProblemCode {
        self.code
    }

    /// The message, of at most 1,000 characters.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Seconds after which a retry makes sense.
    pub(crate) fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }
}

impl From<DiskError> for Error {
    fn from(error: DiskError) -> Self {
        Self::internal(chain(&error))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Error {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::internal(chain(error)),
            StoreError::Archive(_) | StoreError::NoArchive { .. } => {
                Self::unavailable(chain(error))
            }
            error => {
                tracing::debug!("a query to the store failed: {}", chain(error));
                Self::unavailable(format!("store unavailable: {error}"))
            }
        }
    }
}

impl From<LeadersError> for Error {
    fn from(error: LeadersError) -> Self {
        match error {
            LeadersError::Store(error) => Self::from(&*error),
            LeadersError::Busy => Self::unavailable(error.to_string()),
        }
    }
}

impl From<RangeError> for Error {
    fn from(error: RangeError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::too_many(error.to_string(), 5_000),
            PasswordError::Hash => Self::internal(error),
            PasswordError::Length { .. } => Self::invalid(error.to_string()),
        }
    }
}
