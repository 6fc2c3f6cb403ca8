//! The report of a run: its figures and charts as files in a directory.
//!
//! | file | holds |
//! |---|---|
//! | `index.html` | the summary as text and all charts on one page |
//! | `summary.json` | `{"parameters": .., "summary": ..}`, both as given by the caller |
//! | `timeline.csv` | one row per second, units in the header, empty if unknown |
//! | `timeline.json` | the same as [`Timeline`] |
//! | `throughput.svg`, `latency.svg`, `errors.svg` | the run second by second |
//! | `breaker.svg`, `backlog.svg` | only if there was a circuit breaker, or the server reported its backlog |

mod charts;
mod folder;
mod page;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use askama::Template as _;
use serde::Serialize;

use crate::timeline::Timeline;

pub use folder::{ReportError, check_writable};

/// All files that a report may have; files of an earlier report that this one does not have are removed.
const FILES: [&str; 9] = [
    "index.html",
    "summary.json",
    "timeline.csv",
    "timeline.json",
    "throughput.svg",
    "latency.svg",
    "errors.svg",
    "breaker.svg",
    "backlog.svg",
];

/// Properties of the run for the charts.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Subtitle of all charts, for example "200,000 rides, 64 threads"; one line.
    pub caption: String,
    /// The run in one line, for the page.
    pub verdict: String,
    /// The summary as text, for the page.
    pub text: String,
    /// Length of the run; an incomplete last second is omitted from rates, where it would look like a dip.
    pub elapsed: Duration,
    /// The circuit breaker, if the run had one.
    pub breaker: Option<Breaker>,
}

/// Limits of the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// It opens above this number of rides and reads in an interval.
    pub open: u64,
    /// It closes below this number.
    pub close: u64,
    /// The interval in which they are counted.
    pub interval: Duration,
    /// Whether a request may contain several rides, so that the limits are not in the plotted unit.
    pub bulk: bool,
}

/// Writes the report of a run to a directory, which is created if necessary; returns the files in the order of the table above.
///
/// Each file is written atomically. Files of an earlier report are replaced or, if this run has no such chart,
/// removed; other files are unchanged. Blocks on the disk.
///
/// # Errors
/// If the directory or a file cannot be written, or the summary or the parameters cannot be serialised as JSON.
pub fn write(
    folder: &Path,
    run: &Run,
    timeline: &Timeline,
    parameters: &impl Serialize,
    summary: &impl Serialize,
) -> Result<Vec<PathBuf>, ReportError> {
    folder::create(folder)?;
    let unwritable = |source| ReportError::Json {
        file: "summary.json",
        source,
    };
    let summary = serde_json::json!({
        "parameters": serde_json::to_value(parameters).map_err(unwritable)?,
        "summary": serde_json::to_value(summary).map_err(unwritable)?,
    });
    let seconds = serde_json::to_string(timeline).map_err(|source| ReportError::Json {
        file: "timeline.json",
        source,
    })?;
    let files = [
        ("summary.json", format!("{summary:#}\n")),
        ("timeline.csv", rows::to_csv(timeline)),
        ("timeline.json", seconds + "\n"),
    ];
    let charts: Vec<_> = charts::all(run, timeline).collect();
    let page = page::IndexPage {
        caption: &run.caption,
        verdict: &run.verdict,
        text: &run.text,
        charts: charts
            .iter()
            .map(|of| (of.file, of.chart.title.as_str()))
            .collect(),
        files: files.each_ref().map(|(name, _)| *name),
    };
    let page = page.render().map_err(ReportError::Page)?;
    let mut files: Vec<(&str, String)> = files.into();
    files.extend(charts.iter().map(|of| (of.file, of.chart.to_document())));
    // The page last: it shows the others.
    files.push(("index.html", page));

    let mut written = Vec::new();
    for (name, content) in &files {
        written.push(folder::replace(folder, name, content)?);
    }
    for name in FILES {
        if !files.iter().any(|(written, _)| *written == name) {
            folder::remove(folder, name)?;
        }
    }
    Ok(written)
}
