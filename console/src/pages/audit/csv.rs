//! The audit as CSV, in the columns of `skictl audit --output csv`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::query::{AuditQuery, number};
use crate::audit::{self, AuditFilter};
use crate::console::Console;
use crate::error::Error;
use crate::pages::error::PageError;
use crate::view::audit::AuditEntry;
use crate::view::csv;

/// Maximum rows.
const MAX_ROWS: usize = 10_000;

/// `GET /audit.csv`
pub(in crate::pages) async fn csv(
    State(console): State<Arc<Console>>,
    Query(query): Query<AuditQuery>,
) -> Result<Response, PageError> {
    let filter = query.filter()?;
    let before = number("before", &query.before)?;
    let reading = tokio::task::spawn_blocking(move || read(&console, &filter, before));
    let text = reading.await.map_err(Error::internal)??;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"audit.csv\"",
        ),
    ];
    Ok((headers, text).into_response())
}

fn read(console: &Console, filter: &AuditFilter, mut before: Option<u64>) -> Result<String, Error> {
    let mut entries = Vec::new();
    while entries.len() < MAX_ROWS {
        let view = audit::page(console, filter, before, MAX_ROWS - entries.len())?;
        entries.extend(view.entries);
        if view.next.is_none() {
            break;
        }
        before = view.next;
    }
    csv::rows(&AuditEntry::COLUMNS, &entries).map_err(Error::internal)
}
