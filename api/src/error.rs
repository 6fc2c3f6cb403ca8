//! How a refusal looks: always JSON with a `message`, and a status that says who must act.

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

/// Milliseconds between two warnings of refused questions.
const WARN_INTERVAL_MS: u64 = 10_000;

/// Why a request is not answered as it wished.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400: the request is wrong, and the text says where.
    BadRequest(String),
    /// 401: it must be shown who asks. The second is what `WWW-Authenticate` says.
    Unauthorized(String, &'static str),
    /// 403: who asks may not do this. The second is what `WWW-Authenticate` says.
    Forbidden(String, &'static str),
    /// 404: there is nothing of what was asked for.
    NotFound(String),
    /// 405: this URL knows other methods.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    TooSlow,
    /// 413: the body is larger than it may be.
    TooLarge(String),
    /// 415: the body is of a kind that is not understood here.
    UnsupportedMedia(String),
    /// 503: it will work later.
    Unavailable {
        /// What is missing.
        message: String,
        /// After how long it is worth trying again.
        retry_after: Duration,
    },
    /// 500: the fault is ours. The text goes to the log alone.
    Internal(String),
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub(crate) struct Problem {
    /// For a person to read. It names the field and its range where one is wrong.
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
                let message = "this URL knows other methods; the header Allow names them";
                (StatusCode::METHOD_NOT_ALLOWED, message.to_owned(), None)
            }
            Self::TooSlow => {
                let message = "the request's body did not arrive in time";
                (StatusCode::REQUEST_TIMEOUT, message.to_owned(), None)
            }
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message, None),
            Self::UnsupportedMedia(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message, None),
            Self::Unavailable {
                message,
                retry_after,
            } => (StatusCode::SERVICE_UNAVAILABLE, message, Some(retry_after)),
            Self::Internal(cause) => {
                tracing::error!("a request failed through our own fault: {cause}");
                let message = "the server made a mistake; its log says more";
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
            message: error.to_string(),
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
        if let Some(code) = error.refusal() {
            if may_warn() {
                tracing::warn!("the store refused a question: {}", chain(error));
            }
            return Self::Unavailable {
                message: format!("{} refused the question ({code})", error.store()),
                retry_after: Duration::from_secs(1),
            };
        }
        if error.is_fatal() && may_warn() {
            // Nobody else reads what this question asked for.
            tracing::error!("a question failed: {}", chain(error));
        }
        // The room watch logs once that the store is gone; every request would say it again.
        tracing::debug!("a question to the store failed: {}", chain(error));
        Self::Unavailable {
            message: format!(
                "{} does not answer: rides are accepted, questions are not",
                error.store()
            ),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// Whether it is time to warn again of refused questions.
fn may_warn() -> bool {
    static LAST_MS: AtomicU64 = AtomicU64::new(0);
    let (now, last) = (epoch_ms(), LAST_MS.load(Ordering::Relaxed));
    let warn = || LAST_MS.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed);
    now.abs_diff(last) >= WARN_INTERVAL_MS && warn().is_ok()
}
