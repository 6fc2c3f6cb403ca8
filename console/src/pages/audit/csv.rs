//! The audit as CSV, in the columns of `skictl audit --output csv`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::query::{AuditQuery, number, outcome_name};
use crate::audit::{self, AuditFilter};
use crate::console::Console;
use crate::error::Error;
use crate::pages::error::PageError;
use crate::view::audit::AuditEntry;

/// Maximum rows.
const MAX_ROWS: usize = 10_000;
const COLUMNS: [&str; 13] = [
    "number",
    "at_ms",
    "actor",
    "role",
    "source_ip",
    "user_agent",
    "action",
    "target",
    "plan",
    "before",
    "after",
    "outcome",
    "reason",
];

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
    let mut text = COLUMNS.join(",") + "\n";
    let mut left = MAX_ROWS;
    while left > 0 {
        let view = audit::page(console, filter, before, left)?;
        left -= view.entries.len();
        for entry in &view.entries {
            text += &record(entry);
        }
        if view.next.is_none() {
            break;
        }
        before = view.next;
    }
    Ok(text)
}

fn record(entry: &AuditEntry) -> String {
    let known = |value: &Option<String>| field(value.as_deref().unwrap_or_default());
    let fields: [String; COLUMNS.len()] = [
        entry.number.to_string(),
        entry.at_ms.to_string(),
        field(&entry.actor),
        known(&entry.role),
        known(&entry.source_ip),
        known(&entry.user_agent),
        field(&entry.action),
        known(&entry.target),
        known(&entry.plan),
        known(&entry.before),
        known(&entry.after),
        outcome_name(entry.outcome).to_owned(),
        known(&entry.reason),
    ];
    fields.join(",") + "\n"
}

/// Text as a field. A spreadsheet runs no formula in it.
fn field(text: &str) -> String {
    let mut plain = text.replace(char::is_control, "\u{fffd}");
    if plain.starts_with(['=', '+', '-', '@']) {
        plain.insert(0, '\'');
    }
    if plain.contains([',', '"']) {
        format!("\"{}\"", plain.replace('"', "\"\""))
    } else {
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_and_never_a_formula() {
        for (text, expected) in [
            ("anna", "anna"),
            ("a, \"b\"", "\"a, \"\"b\"\"\""),
            (
                "=HYPERLINK(\"http://x\")",
                "\"'=HYPERLINK(\"\"http://x\"\")\"",
            ),
            ("+1", "'+1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("-2", "'-2"),
            ("a\nb", "a\u{fffd}b"),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
