//! The charts of a report: cost against latency, and throughput against threads.

use std::collections::BTreeMap;

use skilift_plot::{
    CurveChart, CurveMark, CurvePosition, FluidThreshold, Observation, Quantity, ScatterChart,
    ScatterMark, ScatterPoint,
};
use skilift_tuning::interval::{Interval, mean};

use super::compare::{compared, latency_name};
use super::marks::{mark, standing};
use super::words::{Names, latency, ms, offered, usd, whole};
use crate::pages::html::{Markup, markup, sentence};
use crate::view::tuning::{PointView, ScalingModel, SweepView};

/// The chart of cost against latency.
pub(super) struct Pareto {
    pub(super) svg: Markup,
    /// Name of the vertical axis.
    pub(super) y_label: String,
    /// The objective, for the legend.
    pub(super) objective: Option<String>,
    /// What stands in for the cost, if no price is known.
    pub(super) note: Option<&'static str>,
}

/// The chart of throughput against threads.
pub(super) struct Curve {
    /// The chart; `None` if nothing was measured.
    pub(super) svg: Option<Markup>,
    /// Why there is no fitted curve.
    pub(super) error: Option<String>,
    /// The incoming rate, for the legend.
    pub(super) incoming: Option<String>,
    /// The models in words.
    pub(super) words: Vec<String>,
}

/// Whether the price of any point is known.
pub(super) fn has_prices(view: &SweepView) -> bool {
    view.points
        .iter()
        .any(|point| point.usd_per_million.is_some())
}

/// Cost against latency; `None` if no point has both.
pub(super) fn pareto(view: &SweepView) -> Option<Pareto> {
    let (names, has_prices) = (Names::of(view), has_prices(view));
    let labelled: Vec<_> = compared(view).iter().map(|point| point.config).collect();
    let point = |of: &PointView| {
        let cost = if has_prices {
            of.usd_per_million
        } else {
            of.cpu_s_per_million
        };
        let x = cost?;
        let p99 = of.p99_ms.as_ref()?;
        let mark = mark(of);
        let cost = if has_prices {
            format!("${} per million", usd(Some(x)))
        } else {
            format!("{} CPU s per million", ms(x))
        };
        let name = match mark {
            ScatterMark::Recommended => Some("Recommended"),
            ScatterMark::RunnerUp => Some("Runner-up"),
            ScatterMark::Current => Some("Current"),
            _ => None,
        };
        let name = name.filter(|_| labelled.contains(&of.config));
        Some(ScatterPoint {
            x,
            y: p99.mean,
            mark,
            is_on_front: of.is_on_front,
            label: format!(
                "{}: {cost}, p99 {} ({})",
                names.long(of.config),
                latency(p99),
                standing(of)
            ),
            visible_label: name.map(|name| [name.to_owned(), names.short(of.config)]),
        })
    };
    let points: Vec<ScatterPoint> = view.points.iter().filter_map(point).collect();
    if points.is_empty() {
        return None;
    }
    let x_label = if has_prices {
        "$ per million stored rides"
    } else {
        "CPU seconds per million stored rides"
    };
    let y_name = latency_name(view);
    let objective = view.spec.objective.p99_ms;
    let chart = ScatterChart {
        id: format!("{}-pareto", view.id),
        title: format!(
            "{y_name} against {x_label}, {} points of sweep {}",
            points.len(),
            view.id
        ),
        description: described(&points),
        x_label: x_label.to_owned(),
        x_quantity: if has_prices {
            Quantity::Dollars
        } else {
            Quantity::Count
        },
        y_quantity: Quantity::Milliseconds,
        objective,
        points,
    };
    Some(Pareto {
        svg: markup(chart.to_svg()),
        y_label: format!("{y_name}; lower left is better"),
        objective: objective.map(|most| format!("objective {} ms", ms(most))),
        note: (!has_prices).then_some(
            "No price is known, so the chart shows CPU time of API nodes and workers instead of cost.",
        ),
    })
}

/// The points with a name in sentences.
fn described(points: &[ScatterPoint]) -> String {
    let named = points.iter().filter(|point| point.visible_label.is_some());
    let mut sentences: Vec<String> = named.map(|point| sentence(&point.label)).collect();
    let missed = points
        .iter()
        .filter(|point| point.mark == ScatterMark::Missed)
        .count();
    sentences.push(match missed {
        0 => "No point misses the objective.".to_owned(),
        1 => "One point misses the objective.".to_owned(),
        missed => format!("{missed} points miss the objective."),
    });
    sentences.join(" ")
}

/// Throughput against threads.
pub(super) fn curve(view: &SweepView) -> Curve {
    let model = &view.threads_model;
    let incoming = offered(&view.spec.load);
    let mut words: Vec<String> = model.words.iter().map(|words| sentence(words)).collect();
    if let Some(r_squared) = model.r_squared {
        words.push(format!(
            "Universal Scalability Law, R² {r_squared:.3}, fitted to {} measurements.",
            model.measured.len()
        ));
    }
    let of_workers = view.workers_model.words.iter();
    words.extend(of_workers.map(|words| format!("Against workers: {}", sentence(words))));
    if let Some(bottleneck) = &view.bottleneck {
        words.push(sentence(&format!("the limit is {bottleneck}")));
    }
    let chart = chart(view, model, incoming);
    Curve {
        svg: chart.map(|chart| markup(chart.to_svg())),
        error: model.error.as_deref().map(sentence),
        incoming: incoming.map(|rate| format!("incoming {}", whole(rate))),
        words,
    }
}

fn chart(view: &SweepView, model: &ScalingModel, incoming: Option<f64>) -> Option<CurveChart> {
    let measured = observations(model);
    if measured.is_empty() {
        return None;
    }
    let ends = |low: Option<f64>, high: Option<f64>| Some((low?, high?));
    let curve = model.curve.iter().map(|at| CurvePosition {
        n: at.n,
        rate: at.rate,
        interval: ends(at.low, at.high),
    });
    let marks = compared(view).into_iter().filter_map(|point| {
        let threads = u64::from(point.config.workers) * u64::from(point.config.threads);
        let mark = mark(point);
        let name = match mark {
            ScatterMark::Recommended => "recommended",
            ScatterMark::RunnerUp => "runner-up",
            _ => "current",
        };
        Some(CurveMark {
            n: threads as f64,
            rate: point.saturation_per_s?.mean,
            mark,
            label: format!("{name}: {threads} threads"),
        })
    });
    Some(CurveChart {
        id: format!("{}-curve", view.id),
        title: format!(
            "Stored rides per second at saturation against worker threads, sweep {}",
            view.id
        ),
        description: model
            .words
            .as_deref()
            .map_or_else(|| "There is no fitted curve.".to_owned(), sentence),
        x_label: "worker threads, total of all nodes".to_owned(),
        curve: curve.collect(),
        peak: model.peak,
        thresholds: incoming
            .map(|rate| FluidThreshold {
                name: format!("incoming: {} rides/s", whole(rate)),
                value: rate,
                is_calm: true,
            })
            .into_iter()
            .collect(),
        marks: marks.collect(),
        measured,
    })
}

/// The measurements of each number of threads together.
fn observations(model: &ScalingModel) -> Vec<Observation> {
    let mut rates: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for point in &model.measured {
        let of = rates.entry(point.n.max(0.0).round() as u64).or_default();
        of.push(point.rate);
    }
    let observation = |(n, rates): (u64, Vec<f64>)| {
        let interval = Interval::of_mean(&rates);
        let mean = mean(&rates);
        Observation {
            n: n as f64,
            mean,
            interval: interval.map(|of| (of.low, of.high)),
            label: format!("{n} threads: {} rides/s", whole(mean)),
        }
    };
    rates.into_iter().map(observation).collect()
}
