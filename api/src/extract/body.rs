//! JSON bodies of requests and responses.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use skilift_core::message::without_place;

use super::media_type::{essence, is_json};
use crate::error::ApiError;

/// Maximum JSON body in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// U+FEFF at the start of a text, as some programs write it.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Timeout for receiving a body.
const ARRIVAL: Duration = Duration::from_secs(10);

/// A validated JSON body of a request, or the JSON body of a response.
pub(crate) struct ApiJson<T>(pub(crate) T);

/// A request body.
pub(crate) trait JsonBody: DeserializeOwned {
    /// Its name, for "the body is not ...".
    const IS: &'static str;
}

impl<S: Send + Sync, T: JsonBody> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        let bytes = collect(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let send = "send the header Content-Type: application/json";
    let encoding = headers.get(header::CONTENT_ENCODING);
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
        return Err(ApiError::UnsupportedMedia(format!(
            "unsupported encoding {:?}; omit Content-Encoding: only bulk uploads may be compressed",
            String::from_utf8_lossy(encoding.as_bytes())
        )));
    }
    match essence(headers) {
        Some(essence) if is_json(essence) => Ok(()),
        Some(other) => Err(ApiError::UnsupportedMedia(format!(
            "unsupported body type {other:?}; {send}"
        ))),
        None => Err(ApiError::UnsupportedMedia(format!(
            "missing Content-Type; {send}"
        ))),
    }
}

async fn collect(body: Body) -> Result<Vec<u8>, ApiError> {
    let too_large = || ApiError::TooLarge(format!("the body has more than {MAX_BYTES} bytes"));
    if body.size_hint().lower() > MAX_BYTES as u64 {
        return Err(too_large());
    }
    let collecting = async {
        let mut bytes = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let cut_off = |error| ApiError::BadRequest(format!("the body was cut off: {error}"));
            let chunk = chunk.map_err(cut_off)?;
            if bytes.len() + chunk.len() > MAX_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    // The timer is created only if the body has not arrived yet.
    let arrived = tokio::time::timeout(ARRIVAL, collecting).await;
    arrived.unwrap_or(Err(ApiError::TooSlow))
}

fn parse<T: JsonBody>(bytes: &[u8]) -> Result<T, ApiError> {
    let what = T::IS;
    // RFC 8259, section 8.1: it may be ignored.
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // serde would accept an array for an object with the fields in order.
    if bytes.trim_ascii_start().starts_with(b"[") {
        let message = format!("the body is not {what}: it is an array instead of an object");
        return Err(ApiError::BadRequest(message));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        if !error.is_data() {
            return ApiError::BadRequest(format!("the body is not JSON: {error}"));
        }
        let text = without_place(&error);
        ApiError::BadRequest(if names_range(&text) {
            text
        } else {
            format!("the body is not {what}: {text}")
        })
    })
}

/// Whether this is the text of a `RangeError`, which needs no prefix.
fn names_range(text: &str) -> bool {
    text.split_once(' ')
        .is_some_and(|(_, rest)| rest.starts_with("must be a whole number from "))
}

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let of_json = [(header::CONTENT_TYPE, "application/json")];
                (of_json, Body::from(json)).into_response()
            }
            Err(error) => {
                tracing::error!("cannot serialise a response as JSON: {error}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rides::LiftRide;

    fn message_of(body: &str) -> String {
        match parse::<LiftRide>(body.as_bytes()) {
            Err(ApiError::BadRequest(message)) => message,
            _ => panic!("{body} was not refused"),
        }
    }

    #[test]
    fn a_refused_body_says_what_is_wrong() {
        for (body, says) in [
            ("", "not JSON: EOF while parsing a value at line 1 column 0"),
            (r#"{"time":217,"liftID":"#, "not JSON: EOF"),
            (
                r#"{"time":217 "liftID":21}"#,
                "not JSON: expected `,` or `}` at line 1",
            ),
            ("\u{feff}{}", "not a lift ride: missing field `time`"),
            ("[217,21]", "not a lift ride: it is an array"),
            ("null", "not a lift ride: invalid type: null"),
            ("{}", "not a lift ride: missing field `time`"),
            (r#"{"time":217}"#, "not a lift ride: missing field `liftID`"),
            (
                r#"{"time":0,"liftID":1}"#,
                "time must be a whole number from 1 to 1440, not 0",
            ),
            (
                r#"{"time":217,"liftID":1001}"#,
                "liftID must be a whole number from 1 to 1000, not 1001",
            ),
            (
                r#"{"time":217,"liftID":1.5}"#,
                "liftID must be a whole number from 1 to 1000, not 1.5",
            ),
            (
                r#"{"time":"217","liftID":1}"#,
                "not a lift ride: invalid type: string \"217\", expected time as a whole number from 1 to 1440",
            ),
            (
                r#"{"time":217,"time":218,"liftID":1}"#,
                "not a lift ride: duplicate field `time`",
            ),
        ] {
            let message = message_of(body);
            let prefix = if says.starts_with("not ") {
                "the body is "
            } else {
                ""
            };
            assert!(
                message.starts_with(&format!("{prefix}{says}")),
                "{body}: {message}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        assert!(parse::<LiftRide>(br#" {"liftID":21,"gate":[{}],"time":217} "#).is_ok());
    }
}
