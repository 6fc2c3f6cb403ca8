//! The panel of a sweep that is running.

use super::words::{Names, UNKNOWN, at, ms, whole};
use crate::pages::html::Figure;
use crate::view::figures::{counted, grouped, span, span_s};
use crate::view::tuning::{
    PointConfig, RunView, SweepLatency, SweepPhase, SweepProgress, SweepView,
};

/// A running sweep.
pub(super) struct Running {
    pub(super) id: String,
    pub(super) message: String,
    pub(super) facts: String,
    /// Measurements done, and known to be needed.
    pub(super) done: usize,
    pub(super) all: usize,
    /// Whether it can still be stopped: it does not restore yet.
    pub(super) can_stop: bool,
    pub(super) heading: String,
    pub(super) phase: String,
    pub(super) figures: Vec<Figure>,
}

impl Running {
    /// The panel; `None` if the sweep has ended.
    pub(super) fn of(view: &SweepView) -> Option<Self> {
        let progress = view.progress.as_ref()?;
        let all = progress.runs_done + progress.runs_left;
        let point = progress.point.map(|point| Names::of(view).long(point));
        Some(Self {
            id: view.id.clone(),
            message: format!(
                "Sweep {} is running: {} of {} done. {}",
                view.id,
                grouped(progress.runs_done as u64),
                counted(all as u64, "measurement", "measurements"),
                point.map_or_else(
                    || "No point is measured now.".to_owned(),
                    |point| format!("Current point: {point}."),
                )
            ),
            facts: facts(view, progress),
            done: progress.runs_done,
            all: all.max(1),
            can_stop: progress.phase != SweepPhase::Restoring,
            heading: latest(view).map_or_else(
                || "Latest measurement: none yet".to_owned(),
                |(point, _)| format!("Latest measurement: {}", Names::of(view).long(point)),
            ),
            phase: phase(view, progress),
            figures: figures(view),
        })
    }
}

fn facts(view: &SweepView, progress: &SweepProgress) -> String {
    let left = match progress.left_s {
        Some(s) => format!("about {} left", span_s(s as f64)),
        None => "the time left is known after the first measurement".to_owned(),
    };
    let spent = match (view.spent_usd, view.spec.max_usd) {
        (Some(spent), Some(most)) => format!("${spent:.2} of at most ${most:.2} spent."),
        (Some(spent), None) if spent > 0.0 => format!("${spent:.2} spent."),
        (Some(_), None) => String::new(),
        (None, _) => "Its cost is unknown, because a price is unknown.".to_owned(),
    };
    let facts = format!(
        "Started by {} at {}; {left}. {spent}",
        view.created_by,
        at(view.started_at_ms)
    );
    facts.trim_end().to_owned()
}

fn phase(view: &SweepView, progress: &SweepProgress) -> String {
    let mut words = progress.phase.words().to_owned();
    let passed = progress.phase_ms / 1_000;
    words += &match progress.phase_length_ms {
        Some(length) => format!(
            ", second {} of {}",
            passed.min(length / 1_000),
            length / 1_000
        ),
        None => format!(" for {}", span(passed * 1_000)),
    };
    if progress.repeat > 0 {
        words += &format!(
            ", measurement {} of {}",
            progress.repeat,
            view.spec.repeats.max(progress.repeat)
        );
    }
    words
}

/// The measurement that ended last, and its point.
fn latest(view: &SweepView) -> Option<(PointConfig, &RunView)> {
    let runs = view.points.iter().flat_map(|point| {
        let config = point.config;
        point.runs.iter().map(move |run| (config, run))
    });
    runs.max_by_key(|(_, run)| run.at_ms)
}

/// The figures of the measurement that ended last.
fn figures(view: &SweepView) -> Vec<Figure> {
    let run = latest(view).map_or_else(RunView::default, |(_, run)| run.clone());
    let objective = &view.spec.objective;
    let p99 = match objective.latency {
        SweepLatency::AcceptToStored => run.accept_to_stored_p99_ms,
        SweepLatency::Request => run.request_p99_ms,
    };
    let figure = |id, label, value: Option<String>, unit, note: String| match value {
        Some(value) => Figure::known(id, label, value, unit, note),
        None => Figure::text(id, label, UNKNOWN, note),
    };
    let lost = run.lost_messages.zip(run.duplicate_rides);
    vec![
        figure(
            "tu-offered",
            "Offered",
            view.spec.load.rate.map(whole),
            " requests/s",
            match view.spec.load.rate {
                Some(_) => "by skictl load, open loop".to_owned(),
                None => "by skictl load, closed loop".to_owned(),
            },
        ),
        figure(
            "tu-stored",
            "Stored",
            run.stored_per_s.map(whole),
            " rides/s",
            String::new(),
        ),
        figure(
            "tu-p99",
            match objective.latency {
                SweepLatency::AcceptToStored => "Accept to stored, p99",
                SweepLatency::Request => "Request, p99",
            },
            p99.map(ms),
            " ms",
            match objective.p99_ms {
                Some(most) => format!("objective {} ms", ms(most)),
                None => String::new(),
            },
        ),
        figure(
            "tu-backlog",
            "Backlog",
            run.backlog_rides.map(grouped),
            " rides",
            "at the end of the measurement".to_owned(),
        ),
        figure(
            "tu-late",
            "Sent late, p99",
            run.sent_late_p99_ms.map(ms),
            " ms",
            match run.failed_requests {
                Some(failed) => format!("{} failed", counted(failed, "request", "requests")),
                None => String::new(),
            },
        ),
        figure(
            "tu-lost",
            "Lost, duplicated",
            lost.map(|(lost, twice)| format!("{}, {}", grouped(lost), grouped(twice))),
            "",
            match &run.failed {
                Some(why) => why.clone(),
                None => String::new(),
            },
        ),
    ]
}
