//! The content of a report, for its page and for its file.

use skilift_plot::ScatterMark;

use super::charts::{Curve, Pareto, curve, has_prices, pareto};
use super::compare::{Compare, latency_name};
use super::marks::{key, mark, standing};
use super::words::{
    Names, UNKNOWN, at, environment, facts, interval, latency, mean, ms, objective, pace, usd,
    value_of, whole,
};
use crate::pages::html::{Markup, Verdict, sentence};
use crate::view::figures::{counted, grouped};
use crate::view::tuning::{
    PointConfig, PointStanding, PointView, RecommendationView, SweepState, SweepView,
};

/// A report.
pub(super) struct Report {
    pub(super) id: String,
    pub(super) sub: String,
    pub(super) verdict: Verdict,
    pub(super) facts: Vec<String>,
    /// The recommended point as the value of a field, to plan it.
    pub(super) recommended: Option<String>,
    /// Whether the sweep ended before it had measured everything.
    pub(super) can_resume: bool,
    pub(super) compare: Option<Compare>,
    pub(super) pareto: Option<Pareto>,
    pub(super) curve: Curve,
    pub(super) legend: [(Markup, &'static str); 3],
    pub(super) latency: &'static str,
    pub(super) rows: Vec<PointRow>,
    /// Points that do not count, and why.
    pub(super) failed: Vec<(String, String)>,
    pub(super) has_prices: bool,
    pub(super) measures: Vec<(&'static str, String)>,
    pub(super) environment: Vec<(&'static str, String)>,
}

/// A row of the table of points.
pub(super) struct PointRow {
    pub(super) name: String,
    pub(super) batch: String,
    pub(super) api: String,
    pub(super) usd_per_million: String,
    pub(super) usd_per_h: String,
    pub(super) cpu_s: String,
    pub(super) p99: String,
    pub(super) p99_interval: String,
    pub(super) stored: String,
    pub(super) saturation: String,
    pub(super) key: Markup,
    pub(super) standing: String,
    pub(super) is_recommended: bool,
}

impl Report {
    /// The report of a sweep.
    pub(super) fn of(view: &SweepView) -> Self {
        let found = view.recommendation.as_ref();
        let failed = view.points.iter().filter_map(|point| {
            let why = point.failed.as_deref()?;
            Some((Names::of(view).long(point.config), sentence(why)))
        });
        Self {
            id: view.id.clone(),
            sub: sub(view),
            verdict: verdict(view),
            facts: verdict_facts(view),
            recommended: found
                .filter(|found| found.point != view.before)
                .map(|found| value_of(found.point)),
            can_resume: can_resume(view),
            compare: Compare::of(view),
            pareto: pareto(view),
            curve: curve(view),
            legend: [
                (key(ScatterMark::Front), "not dominated"),
                (key(ScatterMark::Dominated), "dominated"),
                (key(ScatterMark::Missed), "misses the objective"),
            ],
            latency: latency_name(view),
            rows: view.points.iter().map(row).collect(),
            failed: failed.collect(),
            has_prices: has_prices(view),
            measures: facts(view),
            environment: environment(view),
        }
    }
}

/// Whether a sweep was stopped or failed before every point was measured as often as it repeats.
fn can_resume(view: &SweepView) -> bool {
    let has_ended_early = matches!(view.state, SweepState::Stopped | SweepState::Failed);
    let is_left = |point: &PointView| {
        point.failed.is_none() && (point.runs.len() as u64) < u64::from(view.spec.repeats)
    };
    has_ended_early && (!view.pending.is_empty() || view.points.iter().any(is_left))
}

/// What was measured, when, and by whom.
pub(super) fn sub(view: &SweepView) -> String {
    let state = match (view.state, view.ended_at_ms) {
        (SweepState::Running, _) => "running".to_owned(),
        (state, Some(ended)) => format!("{state} {}", at(ended)),
        (state, None) => state.to_string(),
    };
    format!(
        "{} at {}, each measured at least {} for {} s; {state}, started by {} at {}.",
        counted(view.points.len() as u64, "point", "points"),
        pace(&view.spec.load),
        counted(view.spec.repeats.into(), "time", "times"),
        view.spec.measure_s,
        view.created_by,
        at(view.started_at_ms)
    )
}

fn point_of(view: &SweepView, config: PointConfig) -> Option<&PointView> {
    view.points.iter().find(|point| point.config == config)
}

fn verdict(view: &SweepView) -> Verdict {
    let names = Names::of(view);
    let (kind, message) = match &view.recommendation {
        Some(found) => {
            let kind = if found.is_certain { "ok" } else { "warn" };
            (kind, recommendation(view, found, names))
        }
        None if view.points.is_empty() => ("warn", "Nothing was measured.".to_owned()),
        None if view.state == SweepState::Running => (
            "busy",
            "No point that was measured meets the objective yet.".to_owned(),
        ),
        None if view.state == SweepState::Finished => {
            ("warn", "No point meets the objective.".to_owned())
        }
        None => (
            "warn",
            "It ended before it was complete, and no point that was measured meets the objective."
                .to_owned(),
        ),
    };
    Verdict { kind, message }
}

fn recommendation(view: &SweepView, found: &RecommendationView, names: Names) -> String {
    let point = names.long(found.point);
    let meet = if found.is_certain {
        "meet the objective"
    } else {
        "may meet the objective"
    };
    if found.point == view.before {
        return format!("The current configuration is recommended: {point} {meet}.");
    }
    let Some(change) = found.cost_change else {
        return format!("{point} {meet}.");
    };
    let percent = format!("{:.0} %", change.abs() * 100.0);
    let cost = match change {
        _ if percent == "0 %" => "the same cost".to_owned(),
        change if change < 0.0 => format!("{percent} lower cost"),
        _ => format!("{percent} higher cost"),
    };
    format!("{point} {meet} at {cost}.")
}

/// What supports the verdict, in sentences.
fn verdict_facts(view: &SweepView) -> Vec<String> {
    let mut facts = Vec::new();
    match &view.recommendation {
        Some(found) => {
            facts.extend(recommended_facts(view, found));
            if !has_prices(view) {
                facts.push(
                    "Prices are unknown: points with fewer nodes count as cheaper.".to_owned(),
                );
            }
        }
        None => facts.extend(nearest(view)),
    }
    facts.extend(view.message.as_deref().map(sentence));
    facts.extend(view.settings_message.as_deref().map(sentence));
    facts
}

fn recommended_facts(view: &SweepView, found: &RecommendationView) -> Vec<String> {
    let best = point_of(view, found.point);
    let current = point_of(view, view.before);
    let usd_of = |point: Option<&PointView>| point.and_then(|point| point.usd_per_million);
    let mut facts = Vec::new();
    match (usd_of(best), usd_of(current)) {
        (Some(cost), Some(now)) if found.point != view.before => facts.push(format!(
            "${} instead of ${} per million stored rides.",
            usd(Some(cost)),
            usd(Some(now))
        )),
        (Some(cost), _) => facts.push(format!("${} per million stored rides.", usd(Some(cost)))),
        (None, _) => {}
    }
    if let Some(p99) = best.and_then(|best| best.p99_ms.as_ref()) {
        facts.push(format!(
            "{} {}; the objective is: {}.",
            latency_name(view),
            latency(p99),
            objective(&view.spec)
        ));
    }
    if !found.is_certain {
        facts.push(
            "Its means meet the objective, but its intervals reach beyond it: more repeats would decide.".to_owned(),
        );
    }
    facts
}

/// The point with the lowest latency of those that stored the load, where none meets the objective.
fn nearest(view: &SweepView) -> Vec<String> {
    let mut facts = vec![format!("The objective is: {}.", objective(&view.spec))];
    let stored = view.points.iter().filter(|point| point.failed.is_none());
    let with_latency = stored.filter_map(|point| Some((point, point.p99_ms?)));
    let nearest = with_latency.min_by(|(_, a), (_, b)| a.mean.total_cmp(&b.mean));
    if let Some((point, p99)) = nearest {
        facts.push(format!(
            "The nearest point that stored the load: {}, p99 {}, {} rides/s stored.",
            Names::of(view).long(point.config),
            latency(&p99),
            mean(point.stored_per_s.as_ref(), whole)
        ));
    } else if !view.points.is_empty() {
        facts.push("No point stored the load.".to_owned());
    }
    facts
}

fn row(point: &PointView) -> PointRow {
    let config = point.config;
    let p99 = point.p99_ms.as_ref();
    PointRow {
        name: format!("{} × {}", config.workers, config.threads),
        batch: grouped(config.batch.into()),
        api: grouped(config.api.into()),
        usd_per_million: usd(point.usd_per_million),
        usd_per_h: usd(point.usd_per_h),
        cpu_s: point
            .cpu_s_per_million
            .map_or_else(|| UNKNOWN.to_owned(), ms),
        p99: mean(p99, ms),
        p99_interval: interval(p99, ms).unwrap_or_else(|| UNKNOWN.to_owned()),
        stored: mean(point.stored_per_s.as_ref(), whole),
        saturation: mean(point.saturation_per_s.as_ref(), whole),
        key: key(mark(point)),
        standing: standing(point),
        is_recommended: point.standing == PointStanding::Recommended,
    }
}
