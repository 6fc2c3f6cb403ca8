//! The response to an upload.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use skilift_core::catalogue::NotListed;
use skilift_core::message::{LineError, MAX_LINE_BYTES};
use skilift_core::queue::PublishError;
use utoipa::ToSchema;

use super::chunks::MAX_BYTES;
use crate::error::retry_after_seconds;
use crate::extract::ApiJson;
use crate::ingest::{AuthError, InsufficientScope};

/// Maximum rejected lines listed in a response.
const MAX_NAMED: usize = 100;
/// `Retry-After` of an upload that a drain ended.
const AFTER_DRAIN: Duration = Duration::from_secs(1);

/// Why an upload ends before its body.
#[derive(Debug)]
pub(super) enum Stop {
    /// A message was rejected.
    Refused(PublishError),
    /// The rest of the body cannot be read.
    Broken(String),
    /// The body is too large.
    TooLarge,
    /// The body stalled, or arrived too slowly.
    Halted,
    /// The process is shutting down.
    Draining,
    /// The ingest key of the caller is no longer valid.
    Unauthorized(AuthError),
}

/// Why a line is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineRefusal {
    /// The line is not a ride.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The ride is impossible according to the catalogue.
    #[error(transparent)]
    NotListed(#[from] NotListed),
    /// The ingest key is not valid for the ride's resort.
    #[error(transparent)]
    InsufficientScope(#[from] InsufficientScope),
}

/// Results of some lines.
#[derive(Default)]
pub(super) struct Tally {
    accepted: u64,
    rejected: u64,
    /// The first rejected lines.
    errors: Vec<LineProblem>,
    has_long_line: bool,
}

impl Tally {
    pub(super) fn accept(&mut self, rides: usize) {
        self.accepted += rides as u64;
    }

    pub(super) fn reject(&mut self, line: u64, refusal: LineRefusal) {
        self.rejected += 1;
        self.has_long_line |= matches!(refusal, LineRefusal::Line(LineError::TooLong(_)));
        if self.errors.len() < MAX_NAMED {
            let message = refusal.to_string();
            self.errors.push(LineProblem { line, message });
        }
    }

    /// Adds the results of the following lines.
    pub(super) fn add(&mut self, later: Self) {
        self.accepted += later.accepted;
        self.rejected += later.rejected;
        self.has_long_line |= later.has_long_line;
        let room = MAX_NAMED - self.errors.len();
        self.errors.extend(later.errors.into_iter().take(room));
    }
}

/// Results of the lines.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkAnswer {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
    #[serde(skip)]
    challenge: Option<&'static str>,
    /// The error; only if the status is not 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
    /// Number of durably accepted rides.
    accepted: u64,
    /// Number of rejected lines.
    rejected: u64,
    /// The first 100 rejected lines.
    #[schema(max_items = 100)]
    errors: Vec<LineProblem>,
    /// The first line that is not settled, where a new request can continue. The numbers here count the lines before it.
    #[serde(rename = "nextLine", skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, nullable = false)]
    next_line: Option<u64>,
}

/// A line that was rejected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineProblem {
    /// Its number, from 1.
    #[schema(minimum = 1)]
    line: u64,
    #[schema(example = "liftID must be a whole number from 1 to 1000, not 0")]
    message: String,
}

impl BulkAnswer {
    /// Builds the response from the `settled` lines, and from what ended the upload before the given line.
    pub(super) fn new(settled: Tally, stop: Option<(Stop, u64)>) -> Self {
        let (stop, next_line) = stop.unzip();
        let retry_after = match &stop {
            Some(Stop::Refused(error)) => Some(error.retry_after()),
            Some(Stop::Draining) => Some(AFTER_DRAIN),
            Some(Stop::Unauthorized(refused)) => refused.retry_after(),
            _ => None,
        };
        let challenge = match &stop {
            Some(Stop::Unauthorized(refused)) => refused.challenge(),
            _ => None,
        };
        let (status, message) = match stop {
            Some(stop) => stop.describe(),
            None if settled.has_long_line => (
                StatusCode::PAYLOAD_TOO_LARGE,
                Some(format!(
                    "lines with more than {MAX_LINE_BYTES} bytes were rejected; the others are stored"
                )),
            ),
            None => (StatusCode::OK, None),
        };
        Self {
            status,
            retry_after,
            challenge,
            message,
            accepted: settled.accepted,
            rejected: settled.rejected,
            errors: settled.errors,
            next_line,
        }
    }
}

impl Stop {
    fn describe(self) -> (StatusCode, Option<String>) {
        let (status, message) = match self {
            Self::Refused(error) => (StatusCode::SERVICE_UNAVAILABLE, error.public_message()),
            Self::Broken(why) => (StatusCode::BAD_REQUEST, why),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body has more than {MAX_BYTES} bytes"),
            ),
            Self::Halted => (
                StatusCode::REQUEST_TIMEOUT,
                "upload stalled or too slow".to_owned(),
            ),
            Self::Draining => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is shutting down".to_owned(),
            ),
            Self::Unauthorized(refused) => (refused.status(), refused.to_string()),
        };
        let rest = "the rides before nextLine are stored";
        (status, Some(format!("{message}; {rest}")))
    }
}

impl IntoResponse for BulkAnswer {
    fn into_response(self) -> Response {
        let (status, retry_after, challenge) = (self.status, self.retry_after, self.challenge);
        let mut response = (status, ApiJson(self)).into_response();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(accepted: usize, rejected: u64, first_line: u64) -> Tally {
        let mut tally = Tally::default();
        tally.accept(accepted);
        for line in first_line..first_line + rejected {
            tally.reject(line, LineError::NotARide("no".to_owned()).into());
        }
        tally
    }

    #[test]
    fn counts_all_and_names_the_first_hundred() {
        let mut settled = tally(5, 60, 1);
        settled.add(tally(7, 150, 1000));
        let answer = BulkAnswer::new(settled, None);
        assert_eq!((answer.accepted, answer.rejected), (12, 210));
        assert_eq!(answer.errors.len(), MAX_NAMED);
        assert_eq!((answer.errors[59].line, answer.errors[60].line), (60, 1000));
        assert_eq!(answer.status, StatusCode::OK);
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json.get("nextLine").or(json.get("message")), None);
    }

    #[test]
    fn a_long_line_makes_it_413_but_stops_nothing() {
        let mut settled = tally(5, 0, 1);
        settled.reject(9, LineError::TooLong(2000).into());
        let answer = BulkAnswer::new(settled, None);
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(answer.next_line, None);
    }

    #[test]
    fn what_ends_an_upload_says_where_to_go_on() {
        for (stop, status) in [
            (Stop::Refused(PublishError::TooManyInFlight), 503),
            (Stop::Broken("x".to_owned()), 400),
            (Stop::TooLarge, 413),
            (Stop::Halted, 408),
            (Stop::Draining, 503),
        ] {
            let answer = BulkAnswer::new(Tally::default(), Some((stop, 7)));
            assert_eq!(
                (answer.status.as_u16(), answer.next_line),
                (status, Some(7))
            );
            assert_eq!(answer.retry_after.is_some(), status == 503);
            assert!(answer.message.is_some_and(|text| text.contains("nextLine")));
        }
    }
}
