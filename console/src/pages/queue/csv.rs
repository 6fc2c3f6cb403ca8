//! The history as CSV.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use skilift_core::clock::epoch_ms;

use super::QueueQuery;
use crate::console::Console;
use crate::error::Error;
use crate::pages::charts::Range;
use crate::pages::error::PageError;
use crate::view::csv;
use crate::view::queue::HistoryPoint;

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
    let text = csv::rows(&HistoryPoint::COLUMNS, &history.points).map_err(Error::internal)?;
    Ok((headers, text).into_response())
}
