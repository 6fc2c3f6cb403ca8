//! The report of a run: its numbers and its pictures as files in a folder.
//!
//! | file | holds |
//! |---|---|
//! | `summary.json` | `{"parameters": .., "summary": ..}`, both as the caller gives them |
//! | `timeline.csv` | one row a second, units in the header, empty where unknown |
//! | `timeline.json` | the same as [`Timeline`] |
//! | `throughput.svg`, `latency.svg`, `errors.svg` | the run second by second |
//! | `breaker.svg`, `backlog.svg` | only where there was a circuit breaker, or the server told its backlog |

mod charts;
mod folder;
mod rows;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::timeline::Timeline;

pub use folder::{ReportError, check_writable};

/// Every file that a report may have. Those of an earlier report that this one lacks are removed.
const FILES: [&str; 8] = [
    "summary.json",
    "timeline.csv",
    "timeline.json",
    "throughput.svg",
    "latency.svg",
    "errors.svg",
    "breaker.svg",
    "backlog.svg",
];

/// What the pictures say about the run beside its timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Stands below each title, such as "200,000 rides, 64 threads"; one line.
    pub caption: String,
    /// How long the run took. A last second that it did not fill is left out of rates, where it would look like a dip.
    pub elapsed: Duration,
    /// The circuit breaker, if the run had one.
    pub breaker: Option<Breaker>,
}

/// Where the circuit breaker opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// It opens above so many rides and reads in an interval.
    pub open: u64,
    /// It closes below so many.
    pub close: u64,
    /// The interval in which they are counted.
    pub interval: Duration,
    /// Whether a request may carry several rides, so that its limits are none of the plotted requests.
    pub bulk: bool,
}

/// Writes the report of a run into a folder, which is created if need be. Returns the files, in the order of the table above.
///
/// Each file appears complete or not at all. What an earlier report left under the same names is replaced or, if this run has no such picture,
/// removed; other files stay as they are. Blocks on the disk.
///
/// # Errors
/// If the folder or a file cannot be written, or the summary or the parameters cannot be put into JSON.
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
    let mut files = vec![
        ("summary.json", format!("{summary:#}\n")),
        ("timeline.csv", rows::to_csv(timeline)),
        ("timeline.json", seconds + "\n"),
    ];
    files.extend(charts::all(run, timeline).map(|chart| (chart.file, chart.chart.to_document())));

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
