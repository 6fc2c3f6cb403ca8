//! How requests are read: every refusal is a [`Problem`](crate::view::Problem) that says what is wrong.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Largest body, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A JSON body: of a request, or of an answer.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let problem = ApiError::invalid("send the header Content-Type: application/json");
            return Err(problem.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let collecting = Limited::new(request.into_body(), MAX_BYTES).collect();
        let Ok(collected) = tokio::time::timeout(ARRIVAL, collecting).await else {
            let problem = ApiError::invalid("the body did not arrive in time");
            return Err(problem.with_status(StatusCode::REQUEST_TIMEOUT));
        };
        let body = collected.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                let problem =
                    ApiError::invalid(format!("the body has more than {MAX_BYTES} bytes"));
                problem.with_status(StatusCode::PAYLOAD_TOO_LARGE)
            } else {
                ApiError::invalid(format!("the body was cut off: {error}"))
            }
        })?;
        let bytes = body.to_bytes();
        // serde would take an array for an object whose fields come in order.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(ApiError::invalid(
                "the body is an array instead of an object",
            ));
        }
        let parsed = serde_json::from_slice(&bytes);
        let parsed =
            parsed.map_err(|error| ApiError::invalid(format!("the body cannot be used: {error}")));
        Ok(Self(parsed?))
    }
}

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let headers = [
                    (header::CONTENT_TYPE, "application/json"),
                    // Answers hold secrets, once, and numbers that are old in a second.
                    (header::CACHE_CONTROL, "no-store"),
                ];
                (headers, json).into_response()
            }
            Err(error) => {
                tracing::error!("an answer cannot be written as JSON: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// What stands in the URL's path.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[expect(clippy::disallowed_types, reason = "this is what the ban points to")]
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        match path {
            Ok(path) => Ok(Self(path.0)),
            Err(error) => Err(ApiError::invalid(error.body_text())),
        }
    }
}

/// What stands behind the URL's question mark.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        match query {
            Ok(query) => Ok(Self(query.0)),
            Err(error) => Err(ApiError::invalid(error.body_text())),
        }
    }
}

/// The greatest number that every reader of JSON knows exactly.
const MOST_EXACT: u64 = (1 << 53) - 1;

/// Refuses a number that not every reader of JSON knows exactly.
pub(super) fn check_exact(name: &str, number: Option<u64>) -> Result<(), ApiError> {
    match number {
        Some(number) if number > MOST_EXACT => Err(ApiError::invalid(format!(
            "{name} must be at most {MOST_EXACT}, not {number}"
        ))),
        _ => Ok(()),
    }
}

/// How many are wanted, from 1 to `most`.
pub(crate) fn limit(wanted: Option<usize>, default: usize, most: usize) -> Result<usize, ApiError> {
    let wanted = wanted.unwrap_or(default);
    if (1..=most).contains(&wanted) {
        Ok(wanted)
    } else {
        Err(ApiError::invalid(format!(
            "limit must be from 1 to {most}, not {wanted}"
        )))
    }
}
