//! The history as CSV.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use skilift_core::clock::epoch_ms;

use super::QueueQuery;
use crate::console::Console;
use crate::pages::charts::Range;
use crate::pages::error::PageError;
use crate::view::queue::{HistoryPoint, HistoryView};

/// `GET /queue/history.csv?range=`
pub(in crate::pages) async fn csv(
    State(console): State<Arc<Console>>,
    Query(query): Query<QueueQuery>,
) -> Result<Response, PageError> {
    let range = Range::parse(query.range.as_deref())?;
    let since_ms = epoch_ms().saturating_sub(range.span_ms());
    let history = console.monitor.history(range.step_s(), since_ms);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"skilift-history.csv\"",
        ),
    ];
    Ok((headers, history_csv(&history)).into_response())
}

fn history_csv(history: &HistoryView) -> String {
    let mut text =
        "at_ms,publish_per_s,ack_per_s,reads_per_s,backlog_rides,accept_to_stored_p99_ms,\
        oldest_ride_age_ms,dead_letters,workers,threads\n"
            .to_owned();
    for point in &history.points {
        let HistoryPoint {
            at_ms,
            publish_per_s,
            ack_per_s,
            reads_per_s,
            backlog_rides,
            accept_to_stored_p99_ms,
            oldest_ride_age_ms,
            dead_letters,
            workers,
            threads,
        } = point;
        text += &at_ms.to_string();
        for rate in [publish_per_s, ack_per_s, reads_per_s] {
            text += &rate.map_or_else(|| ",".to_owned(), |rate| format!(",{rate}"));
        }
        for count in [
            backlog_rides,
            accept_to_stored_p99_ms,
            oldest_ride_age_ms,
            dead_letters,
            workers,
            threads,
        ] {
            text += &count.map_or_else(|| ",".to_owned(), |count| format!(",{count}"));
        }
        text.push('\n');
    }
    text
}
