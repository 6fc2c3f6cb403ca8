//! The recommended point, the runner-up and the current one side by side.

use skilift_plot::ScatterMark;

use super::marks::key;
use super::words::{UNKNOWN, interval, lost_and_duplicated, mean, ms, usd, value_of, whole};
use crate::pages::html::Markup;
use crate::view::tuning::{PointStanding, PointView, SweepView};

/// The table.
pub(super) struct Compare {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// Whether the latencies differ.
    pub(super) note: String,
}

/// A point.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) key: Markup,
    /// The point as the value of a field, to plan it; `None` if it ran before.
    pub(super) point: Option<String>,
}

/// A figure of each point.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) cells: Vec<Value>,
}

/// A figure.
pub(super) struct Value {
    pub(super) text: String,
    pub(super) interval: Option<String>,
    pub(super) is_recommended: bool,
}

/// The points of the table: the recommended one, the runner-up, and the current one if it is neither.
pub(super) fn compared(view: &SweepView) -> Vec<&PointView> {
    let of = |wanted: PointStanding| {
        let mut points = view.points.iter();
        points.find(|point| point.standing == wanted)
    };
    let mut points: Vec<&PointView> = of(PointStanding::Recommended)
        .into_iter()
        .chain(of(PointStanding::RunnerUp))
        .collect();
    if !points.iter().any(|point| point.is_current) {
        points.extend(view.points.iter().find(|point| point.is_current));
    }
    points
}

impl Compare {
    /// The table; `None` if there is no recommendation.
    pub(super) fn of(view: &SweepView) -> Option<Self> {
        let found = view.recommendation.as_ref()?;
        let points = compared(view);
        let current = points.iter().find(|point| point.is_current).copied();
        let row = |name, unit, value: &dyn Fn(&PointView) -> (String, Option<String>)| {
            let cells = points.iter().map(|point| {
                let (text, interval) = value(point);
                Value {
                    text,
                    interval,
                    is_recommended: point.standing == PointStanding::Recommended,
                }
            });
            Row {
                name,
                unit,
                cells: cells.collect(),
            }
        };
        let has_prices = points.iter().any(|point| point.usd_per_million.is_some());
        let cpu = |point: &PointView| {
            let s = point.cpu_s_per_million;
            (s.map_or_else(|| UNKNOWN.to_owned(), ms), None)
        };
        let mut rows = vec![
            row("Workers × threads", "", &|point| {
                let config = point.config;
                (format!("{} × {}", config.workers, config.threads), None)
            }),
            row("Batch", "rides", &|point| {
                (whole(point.config.batch.into()), None)
            }),
            row("API nodes", "", &|point| {
                (whole(point.config.api.into()), None)
            }),
            row("Per million stored rides", "$", &|point| {
                (usd(point.usd_per_million), None)
            }),
            row("Cost", "$/hour", &|point| (usd(point.usd_per_h), None)),
        ];
        if has_prices {
            rows.push(row("Compared with now", "", &|point| {
                (change(point, current), None)
            }));
        } else {
            rows.push(row("CPU time per million stored rides", "s", &cpu));
        }
        rows.extend([
            row(latency_name(view), "ms", &|point| {
                let p99 = point.p99_ms.as_ref();
                (mean(p99, ms), interval(p99, ms))
            }),
            row("Capacity", "stored rides/s", &|point| {
                let rate = point.saturation_per_s.as_ref();
                (mean(rate, whole), interval(rate, whole))
            }),
            row("With one worker less", "stored rides/s", &|point| {
                let rate = point.with_one_worker_less_per_s;
                (rate.map_or_else(|| UNKNOWN.to_owned(), whole), None)
            }),
            row("Lost, duplicated", "", &|point| {
                (lost_and_duplicated(point), None)
            }),
        ]);
        let is_repeated = |point: &&PointView| point.p99_ms.is_some_and(|p99| p99.low.is_some());
        let has_intervals = points.iter().any(is_repeated);
        Some(Self {
            columns: points.iter().map(|point| column(point)).collect(),
            rows,
            note: match found.is_latency_different {
                Some(true) => "The p99 of the recommended point and that of the current one differ measurably: their intervals do not overlap.",
                Some(false) => "There is no measurable difference between the p99 of the recommended point and that of the current one: their intervals overlap.",
                None if !has_intervals => "With a single measurement of each point there are no intervals: a difference may be chance.",
                None => "An interval says where a further measurement will lie, with 95 % confidence.",
            }
            .to_owned(),
        })
    }
}

/// The name of the latency of the objective.
pub(super) fn latency_name(view: &SweepView) -> &'static str {
    match view.spec.objective.latency {
        crate::view::tuning::SweepLatency::AcceptToStored => "Accept to stored, p99",
        crate::view::tuning::SweepLatency::Request => "Request, p99",
    }
}

fn column(point: &PointView) -> Column {
    let (name, mark) = match (point.standing, point.is_current) {
        (PointStanding::Recommended, true) => ("Recommended, current", ScatterMark::Recommended),
        (PointStanding::Recommended, false) => ("Recommended", ScatterMark::Recommended),
        (PointStanding::RunnerUp, true) => ("Runner-up, current", ScatterMark::RunnerUp),
        (PointStanding::RunnerUp, false) => ("Runner-up", ScatterMark::RunnerUp),
        _ => ("Current", ScatterMark::Current),
    };
    Column {
        name,
        key: key(mark),
        point: (!point.is_current).then(|| value_of(point.config)),
    }
}

/// The cost of a point compared with that of the current one.
fn change(point: &PointView, current: Option<&PointView>) -> String {
    let costs = point
        .usd_per_million
        .zip(current.and_then(|of| of.usd_per_million));
    match costs {
        Some((cost, now)) if !point.is_current && now > 0.0 => percent(cost / now - 1.0),
        _ => UNKNOWN.to_owned(),
    }
}

/// A change in percent, with its sign.
fn percent(change: f64) -> String {
    let size = format!("{:.0} %", change.abs() * 100.0);
    match change {
        _ if size == "0 %" => size,
        change if change < 0.0 => format!("−{size}"),
        _ => format!("+{size}"),
    }
}
