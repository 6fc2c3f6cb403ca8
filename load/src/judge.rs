//! Evaluation of a response for the rides and reads of its request.

use std::ops::Range;

use serde::Deserialize;

use crate::attempt_error::AttemptError;
use crate::connection::HttpResponse;
use crate::workload::ReadRequest;

/// Result of a posted ride.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RideVerdict {
    /// 201: the ride is durable.
    Accepted,
    /// 4xx: the ride is rejected and not stored.
    Refused,
    /// 5xx: the ride may or may not be stored; sending it again is safe.
    Again,
    /// Any other status: the ride may or may not be stored.
    Unclear,
}

pub(crate) fn judge_ride(answer: &HttpResponse) -> RideVerdict {
    match answer.status {
        201 => RideVerdict::Accepted,
        400..=499 => RideVerdict::Refused,
        500..=599 => RideVerdict::Again,
        _ => RideVerdict::Unclear,
    }
}

/// Result of a bulk request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct BulkVerdict {
    /// Number of durable rides.
    pub(crate) accepted: Vec<Range<u64>>,
    /// The rejected rides.
    pub(crate) refused: Vec<Range<u64>>,
    /// The rides after the settled ones, for a retry.
    pub(crate) rest: Range<u64>,
    /// The error, with the message of the server.
    pub(crate) error: Option<(AttemptError, String)>,
}

/// See the API's `BulkAnswer`.
#[derive(Debug, Deserialize)]
struct BulkBody {
    accepted: u64,
    rejected: u64,
    #[serde(default)]
    errors: Vec<LineProblem>,
    #[serde(rename = "nextLine")]
    next_line: Option<u64>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LineProblem {
    line: u64,
    message: String,
}

/// Parses the results of the rides `sent` in one body. A ride in none of the lists is unknown: the server lists only the first
/// hundred rejected lines.
pub(crate) fn judge_bulk(answer: &HttpResponse, sent: &Range<u64>) -> BulkVerdict {
    let status = AttemptError::Status(answer.status);
    let nothing = |rest: Range<u64>, error| BulkVerdict {
        rest,
        error: Some((error, answer.message())),
        ..BulkVerdict::default()
    };
    let none = sent.end..sent.end;
    let Ok(body) = serde_json::from_slice::<BulkBody>(&answer.body) else {
        return match answer.status {
            500..=599 => nothing(sent.clone(), status),
            400..=499 => BulkVerdict {
                refused: vec![sent.clone()],
                ..nothing(none, status)
            },
            200..=299 => nothing(none, AttemptError::Unreadable),
            _ => nothing(none, status),
        };
    };
    let lines = sent.end - sent.start;
    let settled = body.next_line.map_or(lines, |next| next.saturating_sub(1));
    if settled > lines || body.accepted.checked_add(body.rejected) != Some(settled) {
        return nothing(none, AttemptError::Unreadable);
    }
    let rest = sent.start + settled..sent.end;
    let mut named: Vec<u64> = body.errors.iter().map(|problem| problem.line).collect();
    named.sort_unstable();
    named.dedup();
    named.retain(|line| (1..=settled).contains(line));
    let refused = named
        .iter()
        .map(|line| sent.start + line - 1..sent.start + line)
        .collect();
    // If not all rejected lines are listed, the result of every other line is unknown.
    let accepted = if named.len() as u64 == body.rejected {
        between(sent.start..rest.start, &named)
    } else {
        Vec::new()
    };
    let error = match (answer.status, body.errors.first()) {
        (200, None) => None,
        (200, Some(problem)) => Some((AttemptError::RejectedLines, problem.message.clone())),
        _ => Some((status, body.message.unwrap_or_else(|| answer.message()))),
    };
    BulkVerdict {
        accepted,
        refused,
        rest,
        error,
    }
}

/// The rides of a range without those on the given lines, which are sorted and start at 1.
fn between(rides: Range<u64>, lines: &[u64]) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    let mut from = rides.start;
    for line in lines {
        let ride = rides.start + line - 1;
        ranges.push(from..ride);
        from = ride + 1;
    }
    ranges.push(from..rides.end);
    ranges.retain(|range| !range.is_empty());
    ranges
}

#[derive(Deserialize)]
struct SeasonVertical {
    resorts: Vec<Season>,
}

#[derive(Deserialize)]
struct Season {
    #[serde(rename = "totalVert")]
    #[expect(dead_code, reason = "only its type is checked")]
    total_vert: u64,
}

#[derive(Deserialize)]
struct DaySkiers {
    #[serde(rename = "numSkiers")]
    #[expect(dead_code, reason = "only its type is checked")]
    num_skiers: u64,
}

/// Whether a response is a valid response to a read; 404 is valid, because there may be no such rides (yet).
pub(crate) fn judge_read(
    read_request: &ReadRequest,
    answer: &HttpResponse,
) -> Result<(), AttemptError> {
    let readable = match (answer.status, read_request) {
        (404, _) => true,
        (200, ReadRequest::DayVertical(_)) => day_vertical(answer).is_some(),
        (200, ReadRequest::SeasonVertical(_)) => {
            serde_json::from_slice::<SeasonVertical>(&answer.body)
                .is_ok_and(|body| !body.resorts.is_empty())
        }
        (200, ReadRequest::ResortDaySkiers(_)) => {
            serde_json::from_slice::<DaySkiers>(&answer.body).is_ok()
        }
        (status, _) => return Err(AttemptError::Status(status)),
    };
    if readable {
        Ok(())
    } else {
        Err(AttemptError::Unreadable)
    }
}

/// A day's vertical, in metres; `None` if the body is not a number.
pub(crate) fn day_vertical(answer: &HttpResponse) -> Option<u64> {
    serde_json::from_slice(&answer.body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> HttpResponse {
        HttpResponse {
            status,
            retry_after: None,
            body: body.to_owned().into(),
        }
    }

    fn bulk(status: u16, body: &str) -> BulkVerdict {
        judge_bulk(&answer(status, body), &(100..110))
    }

    fn vec_of(range: Range<u64>) -> Vec<Range<u64>> {
        std::iter::once(range).collect()
    }

    #[test]
    fn a_whole_bulk_is_accepted() {
        let verdict = bulk(200, r#"{"accepted":10,"rejected":0,"errors":[]}"#);
        assert_eq!(verdict.accepted, vec_of(100..110));
        assert_eq!((verdict.rest, verdict.error), (110..110, None));
    }

    #[test]
    fn rejected_lines_are_told_from_accepted_ones() {
        let body = r#"{"accepted":8,"rejected":2,"errors":[{"line":1,"message":"no"},{"line":4,"message":"no"}]}"#;
        let verdict = bulk(200, body);
        assert_eq!(verdict.refused, [100..101, 103..104]);
        assert_eq!(verdict.accepted, [101..103, 104..110]);
        assert_eq!(verdict.error.unwrap().0, AttemptError::RejectedLines);
    }

    #[test]
    fn unnamed_rejected_lines_leave_the_others_unclear() {
        let body = r#"{"accepted":8,"rejected":2,"errors":[{"line":1,"message":"no"}]}"#;
        let verdict = bulk(200, body);
        assert_eq!((verdict.refused.len(), verdict.accepted.len()), (1, 0));
    }

    #[test]
    fn a_stopped_upload_goes_on_behind_what_is_settled() {
        let body = r#"{"message":"full","accepted":5,"rejected":1,"errors":[{"line":2,"message":"no"}],"nextLine":7}"#;
        let verdict = bulk(503, body);
        assert_eq!(verdict.accepted, [100..101, 102..106]);
        assert_eq!(verdict.rest, 106..110);
        assert_eq!(
            verdict.error,
            Some((AttemptError::Status(503), "full".to_owned()))
        );
    }

    #[test]
    fn answers_that_are_none_settle_nothing() {
        assert_eq!(bulk(503, "down").rest, 100..110);
        assert_eq!(bulk(404, "nothing here").refused, vec_of(100..110));
        for (status, body) in [
            (200, "hello"),
            (200, r#"{"accepted":11,"rejected":0}"#),
            (200, r#"{"accepted":3,"rejected":0}"#),
            (
                503,
                r#"{"accepted":18446744073709551615,"rejected":1,"nextLine":1}"#,
            ),
        ] {
            let verdict = bulk(status, body);
            assert!(
                verdict.accepted.is_empty() && verdict.refused.is_empty(),
                "{body}"
            );
            assert_eq!(verdict.error.unwrap().0, AttemptError::Unreadable, "{body}");
        }
    }

    #[test]
    fn questions_are_answered_by_what_they_ask_for() {
        let text =
            r#"{"resortID":1,"seasonID":"2025","dayID":12,"skierID":7,"time":217,"liftID":21}"#;
        let ride = serde_json::from_str(text).unwrap();
        let judge = |read_request: fn(_) -> ReadRequest, status, body| {
            judge_read(&read_request(ride), &answer(status, body))
        };
        assert_eq!(judge(ReadRequest::DayVertical, 200, "210"), Ok(()));
        assert_eq!(judge(ReadRequest::DayVertical, 404, "{}"), Ok(()));
        assert_eq!(
            judge(ReadRequest::DayVertical, 200, "<html>"),
            Err(AttemptError::Unreadable)
        );
        assert_eq!(
            judge(ReadRequest::DayVertical, 500, "210"),
            Err(AttemptError::Status(500))
        );
        assert_eq!(
            judge(
                ReadRequest::ResortDaySkiers,
                200,
                r#"{"time":"x","numSkiers":1}"#
            ),
            Ok(())
        );
        let season = r#"{"resorts":[{"seasonID":"2025","totalVert":5}]}"#;
        assert_eq!(judge(ReadRequest::SeasonVertical, 200, season), Ok(()));
        assert_eq!(
            judge(ReadRequest::SeasonVertical, 200, "{}"),
            Err(AttemptError::Unreadable)
        );
    }
}
