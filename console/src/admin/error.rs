//! How a refusal looks: always [`Problem`], with the status that belongs to its kind.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::chain;
use skilift_core::ranged::RangeError;
use skilift_core::store::StoreError;
use skilift_core::store::leaders::LeadersError;

use super::extract::ApiJson;
use crate::access::password::PasswordError;
use crate::view::{Problem, ProblemCode};

/// Longest message, in characters.
const MESSAGE_CHARS: usize = 1_000;

/// Why a request is not answered as it wished.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    problem: Problem,
    /// After how many seconds it is worth trying again.
    retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // It may repeat what was sent.
        let end = message.char_indices().nth(MESSAGE_CHARS);
        message.truncate(end.map_or(message.len(), |(end, _)| end));
        Self {
            status: status(code),
            problem: Problem { message, code },
            retry_after_s: None,
        }
    }

    /// The request cannot be understood.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Invalid, message)
    }

    /// Who asks is not known.
    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Unauthenticated, message)
    }

    /// Who asks may not do this.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::Forbidden, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ProblemCode::NotFound, message)
    }

    /// It was changed meanwhile.
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

    /// Something that it needs cannot be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self {
            retry_after_s: Some(1),
            ..Self::new(ProblemCode::Unavailable, message)
        }
    }

    /// A fault of ours. The cause goes to the log alone.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!("a request failed through our own fault: {cause}");
        Self::new(
            ProblemCode::Internal,
            "the console made a mistake; its log says more",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            ..Self::invalid("this URL knows other methods; the header Allow names them")
        }
    }

    /// The same problem under another status of its kind.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.problem.message
    }
}

fn status(code: ProblemCode) -> StatusCode {
    match code {
        ProblemCode::Invalid => StatusCode::BAD_REQUEST,
        ProblemCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ProblemCode::Forbidden => StatusCode::FORBIDDEN,
        ProblemCode::NotFound => StatusCode::NOT_FOUND,
        ProblemCode::Conflict => StatusCode::CONFLICT,
        ProblemCode::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ProblemCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, ApiJson(self.problem)).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<DiskError> for ApiError {
    fn from(error: DiskError) -> Self {
        Self::internal(chain(&error))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::internal(chain(error)),
            error => {
                tracing::debug!("a question to the store failed: {}", chain(error));
                Self::unavailable(format!("the store does not answer: {error}"))
            }
        }
    }
}

impl From<LeadersError> for ApiError {
    fn from(error: LeadersError) -> Self {
        match error {
            LeadersError::Store(error) => Self::from(&*error),
            LeadersError::Busy => Self::unavailable(error.to_string()),
        }
    }
}

impl From<RangeError> for ApiError {
    fn from(error: RangeError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::too_many(error.to_string(), 5_000),
            PasswordError::Hash => Self::internal(error),
        }
    }
}
