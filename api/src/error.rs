//! Error responses: JSON with a `message`, and a status that shows whether the client or the server must act.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use skilift_core::catalogue::NotListed;
use skilift_core::clock::epoch_ms;
use skilift_core::lifecycle::chain;
use skilift_core::queue::PublishError;
use skilift_core::ranged::RangeError;
use skilift_core::store::StoreError;
use skilift_core::store::leaders::{self, LeadersError};
use utoipa::ToSchema;

use crate::extract::ApiJson;

/// Milliseconds between two warnings about refused queries.
const WARN_INTERVAL_MS: u64 = 10_000;

/// When to ask again for rides whose files are missing: someone has to see to it.
const ARCHIVE_RETRY: Duration = Duration::from_secs(60);

/// An error response.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400: the request is invalid; the text names the fault.
    BadRequest(String),
    /// 401: authentication is required; the second value is the `WWW-Authenticate` header.
    Unauthorized(String, &'static str),
    /// 403: the caller lacks the permission; the second value is the `WWW-Authenticate` header.
    Forbidden(String, &'static str),
    /// 404: the requested data does not exist.
    NotFound(String),
    /// 405: the URL does not support this method.
    MethodNotAllowed,
    /// 408: the request timed out.
    TooSlow,
    /// 413: the body is too large.
    TooLarge(String),
    /// 415: the media type of the body is not supported.
    UnsupportedMedia(String),
    /// 503: temporarily unavailable.
    Unavailable {
        /// The reason.
        message: String,
        /// Time after which a retry makes sense.
        retry_after: Duration,
    },
    /// 500: an internal error; the text is only logged.
    Internal(String),
}

/// The error.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Readable text; for an invalid field it names the field and its range.
    #[schema(example = "time must be a whole number from 1 to 1440, not 1441")]
    pub(crate) message: String,
}

impl ApiError {
    fn into_parts(self) -> (StatusCode, String, Option<Duration>) {
        match self {
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message, None),
            Self::Unauthorized(message, _) => (StatusCode::UNAUTHORIZED, message, None),
            Self::Forbidden(message, _) => (StatusCode::FORBIDDEN, message, None),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message, None),
            Self::MethodNotAllowed => {
                let message = "method not allowed (see Allow header)";
                (StatusCode::METHOD_NOT_ALLOWED, message.to_owned(), None)
            }
            Self::TooSlow => {
                let message = "the request body did not arrive in time";
                (StatusCode::REQUEST_TIMEOUT, message.to_owned(), None)
            }
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message, None),
            Self::UnsupportedMedia(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message, None),
            Self::Unavailable {
                message,
                retry_after,
            } => (StatusCode::SERVICE_UNAVAILABLE, message, Some(retry_after)),
            Self::Internal(cause) => {
                tracing::error!("internal error in a request: {cause}");
                let message = "internal error; see the server's log";
                (StatusCode::INTERNAL_SERVER_ERROR, message.to_owned(), None)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let challenge = match &self {
            Self::Unauthorized(_, challenge) | Self::Forbidden(_, challenge) => Some(*challenge),
            _ => None,
        };
        let (status, message, retry_after) = self.into_parts();
        let mut response = (status, ApiJson(Problem { message })).into_response();
        if let Some(after) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, retry_after_seconds(after));
        }
        if let Some(challenge) = challenge {
            let challenge = HeaderValue::from_static(challenge);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The value of `Retry-After`: whole seconds, at least one.
pub(crate) fn retry_after_seconds(after: Duration) -> HeaderValue {
    after.as_secs().max(1).into()
}

impl From<RangeError> for ApiError {
    fn from(error: RangeError) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<NotListed> for ApiError {
    fn from(error: NotListed) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        Self::Unavailable {
            message: error.public_message(),
            retry_after: error.retry_after(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<LeadersError> for ApiError {
    fn from(error: LeadersError) -> Self {
        match error {
            LeadersError::Busy => Self::Unavailable {
                message: error.to_string(),
                retry_after: leaders::KEPT,
            },
            LeadersError::Store(error) => Self::from(&*error),
        }
    }
}

impl From<&StoreError> for ApiError {
    fn from(error: &StoreError) -> Self {
        if matches!(error, StoreError::Corrupt { .. }) {
            return Self::Internal(chain(error));
        }
        if matches!(error, StoreError::Archive(_) | StoreError::NoArchive { .. }) {
            if may_warn() {
                tracing::warn!("a query needs an archived day: {}", chain(error));
            }
            return Self::Unavailable {
                message: "these rides are archived, and the archive cannot be read now".to_owned(),
                retry_after: ARCHIVE_RETRY,
            };
        }
        if let Some(code) = error.refusal() {
            if may_warn() {
                tracing::warn!("the store refused a query: {}", chain(error));
            }
            return Self::Unavailable {
                message: format!("{} refused the query ({code})", error.store()),
                retry_after: Duration::from_secs(1),
            };
        }
        if error.is_fatal() && may_warn() {
            // Only this query reads the damaged data.
            tracing::error!("a query failed: {}", chain(error));
        }
        // The store capacity watch already logs once that the store is unavailable.
        tracing::debug!("a query to the store failed: {}", chain(error));
        Self::Unavailable {
            message: format!(
                "{} does not respond: rides are accepted, reads fail",
                error.store()
            ),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// Whether a warning about refused queries is due again.
fn may_warn() -> bool {
    static LAST_MS: AtomicU64 = AtomicU64::new(0);
    let (now, last) = (epoch_ms(), LAST_MS.load(Ordering::Relaxed));
    let warn = || LAST_MS.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
    now.abs_diff(last) >= WARN_INTERVAL_MS && warn().is_ok()
}
