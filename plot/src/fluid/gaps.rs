//! Intervals in which values are unknown.

use super::FluidChart;

/// Maximum number of missing steps that are only a gap in the line, so that single missing values do not clutter the chart.
const MAX_UNMARKED: usize = 2;

/// An interval in which the same lines are unknown.
#[derive(Debug, PartialEq)]
pub(super) struct Gap {
    /// Positions of its start and its end, from 0 to 1.
    pub(super) from: f64,
    pub(super) to: f64,
    /// "unknown", with the names of the lines if others are known.
    pub(super) label: String,
}

/// The intervals of a chart.
pub(super) fn gaps(chart: &FluidChart) -> Vec<Gap> {
    let missing_at = |step: usize| -> Vec<&str> {
        let lines = chart.lines.iter();
        let missing = lines.filter(|line| line.value(step).is_none());
        missing.map(|line| line.name.as_str()).collect()
    };
    let missing: Vec<Vec<&str>> = (0..chart.steps()).map(missing_at).collect();
    let mut gaps = Vec::new();
    let mut start = 0;
    for run in missing.chunk_by(|one, other| one == other) {
        let end = start + run.len();
        let names = &run[0];
        if !names.is_empty() && run.len() > MAX_UNMARKED {
            gaps.push(Gap {
                from: chart.bounds(start).0,
                to: chart.bounds(end - 1).1,
                label: if names.len() == chart.lines.len() {
                    "unknown".to_owned()
                } else {
                    format!("{} unknown", names.join(" and "))
                },
            });
        }
        start = end;
    }
    gaps
}
