//! A sweep as CSV: each measurement in a row.

use serde::Serialize;

use super::csv;
use super::tuning::{PointView, RunView, SweepView};

/// The columns.
const COLUMNS: [&str; 23] = [
    "workers",
    "worker_type",
    "threads",
    "batch",
    "api",
    "repeat",
    "at_ms",
    "accepted_per_s",
    "stored_per_s",
    "reads_per_s",
    "accept_to_stored_p50_ms",
    "accept_to_stored_p99_ms",
    "request_p99_ms",
    "busy",
    "worker_cores",
    "api_cores",
    "backlog_rides",
    "drain_s",
    "lost_messages",
    "duplicate_rides",
    "usd_per_h",
    "standing",
    "failed",
];

/// A measurement.
#[derive(Serialize)]
struct Row<'a> {
    workers: u32,
    worker_type: Option<&'a str>,
    threads: u32,
    batch: u32,
    api: u32,
    repeat: u32,
    at_ms: u64,
    accepted_per_s: Option<f64>,
    stored_per_s: Option<f64>,
    reads_per_s: Option<f64>,
    accept_to_stored_p50_ms: Option<f64>,
    accept_to_stored_p99_ms: Option<f64>,
    request_p99_ms: Option<f64>,
    busy: Option<f64>,
    worker_cores: Option<f64>,
    api_cores: Option<f64>,
    backlog_rides: Option<u64>,
    drain_s: Option<f64>,
    lost_messages: Option<u64>,
    duplicate_rides: Option<u64>,
    usd_per_h: Option<f64>,
    standing: &'static str,
    failed: Option<&'a str>,
}

/// The measurements of a sweep as CSV, point by point.
///
/// # Errors
/// If a row cannot be written.
pub fn csv(sweep: &SweepView) -> Result<String, ::csv::Error> {
    let rows: Vec<Row<'_>> = sweep
        .points
        .iter()
        .flat_map(|point| point.runs.iter().map(move |run| row(point, run)))
        .collect();
    csv::rows(&COLUMNS, &rows)
}

fn row<'a>(point: &'a PointView, run: &'a RunView) -> Row<'a> {
    Row {
        workers: point.config.workers,
        worker_type: point.config.worker_type.as_deref(),
        threads: point.config.threads,
        batch: point.config.batch,
        api: point.config.api,
        repeat: run.repeat,
        at_ms: run.at_ms,
        accepted_per_s: run.accepted_per_s,
        stored_per_s: run.stored_per_s,
        reads_per_s: run.reads_per_s,
        accept_to_stored_p50_ms: run.accept_to_stored_p50_ms,
        accept_to_stored_p99_ms: run.accept_to_stored_p99_ms,
        request_p99_ms: run.request_p99_ms,
        busy: run.busy,
        worker_cores: run.worker_cores,
        api_cores: run.api_cores,
        backlog_rides: run.backlog_rides,
        drain_s: run.drain_s,
        lost_messages: run.lost_messages,
        duplicate_rides: run.duplicate_rides,
        usd_per_h: run.usd_per_h,
        standing: point.standing.words(),
        failed: run.failed.as_deref(),
    }
}
