//! The history as a table: one row per minute.

use super::series::{
    Aggregate, Pick, Window, backlog, dead_letters, oldest, p99, publish, reads, stored, threads,
    workers,
};
use super::{count, milliseconds};
use crate::pages::html::{Markup, per_s, time};
use crate::view::queue::HistoryPoint;

const MINUTE_MS: u64 = 60_000;
/// Maximum number of rows.
const MAX_ROWS: u64 = 60;

/// A column: the aggregation, the number and its format.
type Column = (Aggregate, Pick, fn(f64) -> String);

/// The columns, in the order of the template.
const COLUMNS: [Column; 9] = [
    (Aggregate::Mean, publish, per_s),
    (Aggregate::Mean, stored, per_s),
    (Aggregate::Mean, reads, per_s),
    (Aggregate::Mean, backlog, count),
    (Aggregate::Mean, p99, milliseconds),
    (Aggregate::Mean, oldest, oldest_ride),
    (Aggregate::Last, dead_letters, count),
    (Aggregate::Last, workers, count),
    (Aggregate::Last, threads, count),
];

/// A minute of the history.
pub(in crate::pages) struct HistoryRow {
    /// Its start.
    pub(in crate::pages) at: Markup,
    /// Its values, with "unknown" for those that are unknown.
    pub(in crate::pages) cells: Vec<String>,
}

/// The last whole minutes of a window, newest first. Minutes before the first point are omitted.
pub(super) fn rows(points: &[HistoryPoint], window: Window, now_ms: u64) -> Vec<HistoryRow> {
    let to = window.to_ms / MINUTE_MS;
    let from = window.oldest_ms.div_ceil(MINUTE_MS);
    let from = from.max(to.saturating_sub(MAX_ROWS)).min(to);
    let minutes = Window {
        from_ms: from * MINUTE_MS,
        to_ms: to * MINUTE_MS,
        step_ms: MINUTE_MS,
        oldest_ms: from * MINUTE_MS,
    };
    let recorded = minutes.values(points, Aggregate::Last, |_| Some(1.0));
    let first = recorded.iter().position(Option::is_some);
    let columns = COLUMNS.map(|(aggregate, pick, show)| {
        let values = minutes.values(points, aggregate, pick);
        let cell = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), show);
        values.into_iter().map(cell).collect::<Vec<String>>()
    });
    let row = |minute: usize| HistoryRow {
        at: time(minutes.from_ms + minute as u64 * MINUTE_MS, now_ms),
        cells: columns
            .iter()
            .map(|column| column[minute].clone())
            .collect(),
    };
    let shown = first.unwrap_or(recorded.len())..recorded.len();
    shown.rev().map(row).collect()
}

fn oldest_ride(ms: f64) -> String {
    if ms.round() == 0.0 {
        "none waiting".to_owned()
    } else {
        milliseconds(ms)
    }
}
