//! A sweep as a page, as lines, and as CSV.

use skilift_console::view::figures::{counted, grouped, moment, span_s};
use skilift_console::view::tuning::{
    MeasuredFigure, PointStanding, PointView, RunView, SweepList, SweepSpec, SweepState, SweepView,
};
use skilift_console::view::tuning_csv;

use crate::client::columns::Columns;
use crate::client::figures::usd;
use crate::client::page::{Page, Style, plain};

/// A dash for what is unknown.
const UNKNOWN: &str = "-";

/// All sweeps.
pub(super) fn list(list: &SweepList, page: &mut Page) {
    let terminal_style = page.terminal_style;
    let rows = list.sweeps.iter().map(|sweep| {
        [
            plain(&sweep.id),
            plain(moment(sweep.started_at_ms)),
            plain(&sweep.created_by),
            (sweep.state.to_string(), style(sweep.state)),
            plain(terminal_style.count(sweep.points as u64)),
            plain(terminal_style.count(sweep.runs_done as u64)),
            plain(
                sweep
                    .recommended
                    .map_or_else(|| UNKNOWN.to_owned(), |of| of.to_string()),
            ),
            plain(dollars(sweep.usd_per_million)),
        ]
    });
    page.table(
        &Columns {
            names: [
                "sweep",
                "started",
                "by",
                "state",
                ">points",
                ">measured",
                "~recommended",
                ">$/million",
            ],
            optional_columns: &["measured", "by"],
        },
        rows,
        "no sweeps",
    );
}

fn style(state: SweepState) -> Style {
    match state {
        SweepState::Running | SweepState::Stopped => Style::Warning,
        SweepState::Finished => Style::Good,
        SweepState::Failed => Style::Alarm,
    }
}

/// A sweep with its report.
pub(super) fn sweep(sweep: &SweepView, page: &mut Page) {
    page.pair("sweep", &sweep.id);
    page.styled_pair("state", sweep.state.to_string(), style(sweep.state));
    page.pair(
        "started",
        format!("{} by {}", moment(sweep.started_at_ms), sweep.created_by),
    );
    page.pair("objective", objective(&sweep.spec));
    page.pair("load", load(&sweep.spec));
    if let Some(progress) = &sweep.progress {
        let mut says = progress.phase.words().to_owned();
        if let Some(point) = progress.point {
            says = format!("{says} {point}, measurement {}", progress.repeat);
        }
        page.pair("now", says);
        let left = progress
            .left_s
            .map(|s| format!(", about {} left", span_s(s as f64)));
        page.pair(
            "progress",
            format!(
                "{} of {}{}",
                progress.runs_done,
                counted(
                    (progress.runs_done + progress.runs_left) as u64,
                    "measurement",
                    "measurements"
                ),
                left.unwrap_or_default()
            ),
        );
    }
    if let Some(spent) = sweep.spent_usd.filter(|spent| *spent > 0.0) {
        page.pair("spent", usd(spent));
    }
    recommendation(sweep, page);
    if let Some(message) = &sweep.message {
        page.styled_pair("ended", message, Style::Warning);
    }
    if let Some(message) = &sweep.settings_message {
        page.pair("settings", message);
    }
    points(sweep, page);
    for (name, model) in [
        ("threads", &sweep.threads_model),
        ("workers", &sweep.workers_model),
    ] {
        match (&model.words, &model.error) {
            (Some(words), _) => page.note(format!("against {name}: {words}")),
            (None, Some(error)) if !sweep.points.is_empty() && name == "threads" => {
                page.note(format!("against {name}: no model: {error}"));
            }
            _ => {}
        }
    }
    if let Some(bottleneck) = &sweep.bottleneck {
        page.note(format!("the limit is {bottleneck}"));
    }
    for point in &sweep.points {
        if let Some(why) = &point.failed {
            page.note(format!("{} does not count: {why}", point.config));
        }
    }
}

fn recommendation(sweep: &SweepView, page: &mut Page) {
    let Some(found) = &sweep.recommendation else {
        if sweep.state == SweepState::Finished {
            page.styled_pair(
                "recommended",
                "no point meets the objective",
                Style::Warning,
            );
        }
        return;
    };
    let certain = if found.is_certain {
        ""
    } else {
        " (may meet the objective: its interval reaches beyond it)"
    };
    page.styled_pair(
        "recommended",
        format!("{}{certain}", found.point),
        Style::Good,
    );
    if let Some(runner_up) = found.runner_up {
        page.pair("runner-up", runner_up.to_string());
    }
    page.pair("before", sweep.before.to_string());
    if let Some(change) = found.cost_change {
        page.pair(
            "cost",
            format!("{:+.0} % per million stored rides", change * 100.0),
        );
    }
    match found.is_latency_different {
        Some(true) => page.pair("latency", "differs from before"),
        Some(false) => page.pair(
            "latency",
            "no measurable difference from before: the intervals overlap",
        ),
        None => {}
    }
}

fn points(sweep: &SweepView, page: &mut Page) {
    let rows = sweep.points.iter().map(|point| {
        let style = match point.standing {
            PointStanding::Recommended | PointStanding::RunnerUp => Style::Good,
            PointStanding::Misses | PointStanding::Unknown => Style::Warning,
            PointStanding::Meets | PointStanding::MayMeet => Style::Plain,
        };
        [
            plain(match point.config.worker_type {
                Some(of) => format!("{} × {of}", point.config.workers),
                None => point.config.workers.to_string(),
            }),
            plain(point.config.threads.to_string()),
            plain(point.config.batch.to_string()),
            plain(point.config.api.to_string()),
            plain(dollars(point.usd_per_million)),
            plain(figure(point.p99_ms.as_ref(), tenths)),
            plain(figure(point.stored_per_s.as_ref(), whole)),
            plain(
                point
                    .saturation_per_s
                    .map_or_else(|| UNKNOWN.to_owned(), |of| whole(of.mean)),
            ),
            (standing(point), style),
        ]
    });
    page.table(
        &Columns {
            names: [
                ">workers",
                ">threads",
                ">batch",
                ">API",
                ">$/million",
                ">p99 ms",
                ">stored/s",
                ">saturation/s",
                "~standing",
            ],
            optional_columns: &["$/million", "API", "saturation/s"],
        },
        rows,
        "no points measured yet",
    );
}

fn standing(point: &PointView) -> String {
    let mut words = vec![point.standing.words()];
    if point.is_on_front {
        words.push("not dominated");
    }
    if point.is_current {
        words.push("current");
    }
    words.join(", ")
}

fn objective(spec: &SweepSpec) -> String {
    let of = &spec.objective;
    let mut words = Vec::new();
    words.extend(
        of.p99_ms
            .map(|ms| format!("{} at most {ms} ms", of.latency.words())),
    );
    words.extend(of.min_rate.map(|rate| format!("at least {rate} rides/s")));
    words.extend(
        of.max_usd_per_h
            .map(|most| format!("at most {}/hour", usd(most))),
    );
    words.join(", ")
}

fn load(spec: &SweepSpec) -> String {
    let pace = match spec.load.rate {
        Some(rate) => format!("{rate} requests/s"),
        None => "closed loop".to_owned(),
    };
    format!(
        "{pace}, {} s after {} s of warm-up, {} times",
        spec.measure_s, spec.warm_up_s, spec.repeats
    )
}

/// A line for each measurement, in the order of the measurements.
pub(super) fn runs(sweep: &SweepView) -> Vec<String> {
    let mut all: Vec<(&PointView, &RunView)> = sweep
        .points
        .iter()
        .flat_map(|point| point.runs.iter().map(move |run| (point, run)))
        .collect();
    all.sort_by_key(|(_, run)| run.at_ms);
    let line = |(number, (point, run)): (usize, &(&PointView, &RunView))| {
        let says = match (&run.failed, run.stored_per_s) {
            (Some(why), _) => why.clone(),
            (None, stored) => format!(
                "stored {} rides/s, p99 {} ms",
                whole(stored.unwrap_or_default()),
                run.accept_to_stored_p99_ms
                    .or(run.request_p99_ms)
                    .map_or_else(|| UNKNOWN.to_owned(), tenths),
            ),
        };
        format!(
            "{}: {}, measurement {}: {says}",
            number + 1,
            point.config,
            run.repeat
        )
    };
    all.iter().enumerate().map(line).collect()
}

/// Each measurement in a row.
pub(super) fn csv(sweep: &SweepView) -> anyhow::Result<String> {
    Ok(tuning_csv::csv(sweep)?)
}

fn figure(of: Option<&MeasuredFigure>, show: fn(f64) -> String) -> String {
    match of {
        None => UNKNOWN.to_owned(),
        Some(MeasuredFigure {
            mean,
            low: Some(low),
            high: Some(high),
        }) => format!(
            "{} ({} to {})",
            show(*mean),
            show(low.max(0.0)),
            show(*high)
        ),
        Some(of) => show(of.mean),
    }
}

fn whole(value: f64) -> String {
    grouped(value.max(0.0).round() as u64)
}

fn tenths(value: f64) -> String {
    if value >= 100.0 {
        whole(value)
    } else {
        format!("{value:.1}")
    }
}

fn dollars(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), usd)
}
