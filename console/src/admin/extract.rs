//! Request parsing: every error is a [`Problem`](crate::view::Problem) with a description.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::error::Error;

fn invalid(message: impl Into<String>) -> ApiError {
    Error::invalid(message).into()
}

/// Maximum body size, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Timeout of a body upload.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A JSON body of a request or a response.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let problem = invalid("the header `Content-Type: application/json` is required");
            return Err(problem.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let collecting = Limited::new(request.into_body(), MAX_BYTES).collect();
        let Ok(collected) = tokio::time::timeout(ARRIVAL, collecting).await else {
            let problem = invalid("body upload timed out");
            return Err(problem.with_status(StatusCode::REQUEST_TIMEOUT));
        };
        let body = collected.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                let problem = invalid(format!("the body is larger than {MAX_BYTES} bytes"));
                problem.with_status(StatusCode::PAYLOAD_TOO_LARGE)
            } else {
                invalid(format!("the body is incomplete: {error}"))
            }
        })?;
        let bytes = body.to_bytes();
        // serde would accept an array as an object with its fields in order.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(Error::invalid("the body must be an object, not an array").into());
        }
        let parsed = serde_json::from_slice(&bytes);
        let parsed = parsed.map_err(|error| Error::invalid(format!("invalid body: {error}")));
        Ok(Self(parsed?))
    }
}

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
            Err(error) => {
                tracing::error!("cannot serialize a response as JSON: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Parameters of the URL path.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[expect(clippy::disallowed_types, reason = "this is what the ban points to")]
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        match path {
            Ok(path) => Ok(Self(path.0)),
            Err(error) => Err(Error::invalid(error.body_text()).into()),
        }
    }
}

/// Query parameters of the URL.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        match query {
            Ok(query) => Ok(Self(query.0)),
            Err(error) => Err(Error::invalid(error.body_text()).into()),
        }
    }
}

/// The greatest number that every JSON parser represents exactly.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Rejects a number that not every JSON parser represents exactly.
pub(super) fn check_exact(name: &str, number: Option<u64>) -> Result<(), ApiError> {
    match number {
        Some(number) if number > MAX_EXACT => {
            Err(Error::invalid(format!("{name} must be at most {MAX_EXACT}, not {number}")).into())
        }
        _ => Ok(()),
    }
}

/// The limit of a query, from 1 to `most`.
pub(crate) fn limit(wanted: Option<usize>, default: usize, most: usize) -> Result<usize, ApiError> {
    let wanted = wanted.unwrap_or(default);
    if (1..=most).contains(&wanted) {
        Ok(wanted)
    } else {
        Err(Error::invalid(format!("limit must be from 1 to {most}, not {wanted}")).into())
    }
}
