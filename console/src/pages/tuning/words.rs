//! Configurations, figures and specifications as the pages write them.

use crate::view::figures::{counted, grouped, moment, span_s};
use crate::view::tuning::{
    InstanceType, MeasuredFigure, PointConfig, PointView, SweepLoad, SweepSpec, SweepView,
};

/// What stands for a figure that is unknown.
pub(super) const UNKNOWN: &str = "–";

/// A whole number.
pub(super) fn whole(value: f64) -> String {
    grouped(value.max(0.0).round() as u64)
}

/// Milliseconds, without their unit.
pub(super) fn ms(value: f64) -> String {
    if value >= 100.0 {
        whole(value)
    } else {
        format!("{:.1}", value.max(0.0))
    }
}

/// US dollars, without their sign.
pub(super) fn usd(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |usd| format!("{usd:.4}"))
}

/// US dollars of a limit.
pub(super) fn dollars(value: f64) -> String {
    format!("${value:.2}")
}

/// The mean of a figure.
pub(super) fn mean(of: Option<&MeasuredFigure>, show: fn(f64) -> String) -> String {
    of.map_or_else(|| UNKNOWN.to_owned(), |of| show(of.mean))
}

/// The interval of a figure.
pub(super) fn interval(of: Option<&MeasuredFigure>, show: fn(f64) -> String) -> Option<String> {
    let of = of?;
    Some(format!("{} to {}", show(of.low?), show(of.high?)))
}

/// A latency with its unit and its interval.
pub(super) fn latency(of: &MeasuredFigure) -> String {
    let mean = ms(of.mean);
    match interval(Some(of), ms) {
        Some(ends) => format!("{mean} ms ({ends})"),
        None => format!("{mean} ms"),
    }
}

/// A moment in UTC.
pub(super) fn at(ms: u64) -> String {
    let text = moment(ms);
    format!("{} {} UTC", &text[..10], &text[11..16])
}

/// How the configurations of a sweep are named.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// Whether they differ in their batch.
    pub(super) has_batches: bool,
}

impl Names {
    /// For the configurations of a sweep.
    pub(super) fn of(view: &SweepView) -> Self {
        let measured = view.points.iter().map(|point| point.config);
        let mut all = measured.chain(view.pending.iter().copied());
        let first = all.next().map(|config| config.batch);
        Self {
            has_batches: all.any(|config| Some(config.batch) != first),
        }
    }

    /// For a sentence: "2 workers with 8 threads and 2 API nodes".
    pub(super) fn long(self, of: PointConfig) -> String {
        format!(
            "{}{} with {} and {}{}",
            counted(of.workers.into(), "worker", "workers"),
            of.worker_type
                .map_or_else(String::new, |of| format!(" ({of})")),
            counted(of.threads.into(), "thread", "threads"),
            counted(of.api.into(), "API node", "API nodes"),
            self.batch(of)
        )
    }

    /// For a label: "2 workers × 8, 2 API".
    pub(super) fn short(self, of: PointConfig) -> String {
        let PointConfig {
            api,
            workers,
            threads,
            ..
        } = of;
        let workers = counted(workers.into(), "worker", "workers");
        let kind = of
            .worker_type
            .map_or_else(String::new, |of| format!("{of}: "));
        format!("{kind}{workers} × {threads}, {api} API{}", self.batch(of))
    }

    fn batch(self, of: PointConfig) -> String {
        if self.has_batches {
            format!(", batch {}", grouped(of.batch.into()))
        } else {
            String::new()
        }
    }
}

/// The configuration as the value of a field.
pub(super) fn value_of(of: PointConfig) -> String {
    let PointConfig {
        api,
        workers,
        threads,
        batch,
        worker_type,
    } = of;
    let kind = worker_type.map_or_else(String::new, |of| format!("-{of}"));
    format!("{api}-{workers}-{threads}-{batch}{kind}")
}

/// The configuration of the value of a field.
pub(super) fn point_of(value: &str) -> Option<PointConfig> {
    // An instance type may contain a hyphen.
    let mut parts = value.splitn(5, '-');
    let mut next = || parts.next()?.parse().ok();
    Some(PointConfig {
        api: next()?,
        workers: next()?,
        threads: next()?,
        batch: next()?,
        worker_type: match parts.next() {
            Some(of) => Some(InstanceType::from(of).ok()?),
            None => None,
        },
    })
}

/// The objective.
pub(super) fn objective(spec: &SweepSpec) -> String {
    let of = &spec.objective;
    let mut words = Vec::new();
    words.extend(
        of.p99_ms
            .map(|most| format!("{} at most {} ms", of.latency.words(), ms(most))),
    );
    words.extend(
        of.min_rate
            .map(|rate| format!("at least {} rides/s", whole(rate))),
    );
    words.extend(
        of.max_usd_per_h
            .map(|most| format!("at most {} per hour", dollars(most))),
    );
    words.join("; ")
}

/// The pace of the load.
pub(super) fn pace(load: &SweepLoad) -> String {
    match load.rate {
        Some(rate) => format!("{} requests/s", whole(rate)),
        None => "as many requests as are answered".to_owned(),
    }
}

/// The rides per second that the load offers, if they are fixed.
pub(super) fn offered(load: &SweepLoad) -> Option<f64> {
    let writes = 1.0 - load.reads.unwrap_or(0.0);
    let rides = load.rate? * writes * f64::from(load.bulk.unwrap_or(1));
    (rides > 0.0).then_some(rides)
}

/// What a sweep measures: names and values.
pub(super) fn facts(view: &SweepView) -> Vec<(&'static str, String)> {
    let (spec, before) = (&view.spec, view.before);
    let list = |values: &[u32], now: u32| match values {
        [] => format!("{} (as before)", grouped(now.into())),
        values => {
            let words: Vec<String> = values.iter().map(|of| grouped((*of).into())).collect();
            words.join(", ")
        }
    };
    let mut facts = vec![
        ("Objective", objective(spec)),
        ("Load", pace(&spec.load)),
        ("Workers", list(&spec.space.workers, before.workers)),
        (
            "Worker types",
            match spec.space.worker_types.as_slice() {
                [] => "any".to_owned(),
                types => types.join(", "),
            },
        ),
        ("Threads", list(&spec.space.threads, before.threads)),
        ("Batch", list(&spec.space.batch, before.batch)),
        ("API nodes", list(&spec.space.api, before.api)),
        (
            "Each point",
            format!(
                "{} s warm-up, {} s measured, {}",
                spec.warm_up_s,
                spec.measure_s,
                counted(spec.repeats.into(), "time", "times")
            ),
        ),
    ];
    if let Some(most) = spec.max_usd {
        facts.push(("Most to spend", dollars(most)));
    }
    let end = if spec.apply {
        "the recommendation is applied"
    } else {
        "settings and instances are restored"
    };
    facts.push(("Afterwards", end.to_owned()));
    facts
}

/// Where a sweep was measured: names and values.
pub(super) fn environment(view: &SweepView) -> Vec<(&'static str, String)> {
    let of = &view.environment;
    let mut facts = vec![
        ("Skilift", of.version.clone()),
        ("Stack", of.stack.clone()),
        ("Engine", of.engine.clone()),
    ];
    facts.extend(of.region.clone().map(|region| ("Region", region)));
    if !of.instance_types.is_empty() {
        facts.push(("Instance types", of.instance_types.join(", ")));
    }
    facts.push(("Prices of", of.prices_date.clone()));
    if let Some(target) = &view.spec.load.target {
        facts.push(("Target", target.clone()));
    }
    facts.push(("Seed", of.seed.to_string()));
    facts.push((
        "Spent",
        view.spent_usd
            .map_or_else(|| "unknown".to_owned(), |spent| format!("${spent:.4}")),
    ));
    if let Some(ended) = view.ended_at_ms {
        let took = ended.saturating_sub(view.started_at_ms) as f64 / 1_000.0;
        facts.push(("Took", span_s(took)));
    }
    facts
}

/// Messages lost and rides duplicated, over all measurements of a point.
pub(super) fn lost_and_duplicated(point: &PointView) -> String {
    let sum = |of: fn(&crate::view::tuning::RunView) -> Option<u64>| {
        let all: Option<Vec<u64>> = point.runs.iter().map(of).collect();
        all.map_or_else(
            || "unknown".to_owned(),
            |all| grouped(all.iter().fold(0_u64, |sum, of| sum.saturating_add(*of))),
        )
    };
    format!(
        "{}, {}",
        sum(|run| run.lost_messages),
        sum(|run| run.duplicate_rides)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_as_it_is_written() {
        let point = PointConfig {
            api: 2,
            workers: 3,
            threads: 8,
            batch: 500,
            worker_type: None,
        };
        let typed = PointConfig {
            worker_type: Some(InstanceType::from("u-6tb1.metal").unwrap()),
            ..point
        };
        for point in [point, typed] {
            assert_eq!(point_of(&value_of(point)), Some(point));
        }
        for value in ["", "1-2-3", "1-2-3-x", "1--2-3-4"] {
            assert_eq!(point_of(value), None, "{value}");
        }
        let names = Names { has_batches: true };
        assert_eq!(
            names.long(point),
            "3 workers with 8 threads and 2 API nodes, batch 500"
        );
        assert_eq!(
            names.short(typed),
            "u-6tb1.metal: 3 workers × 8, 2 API, batch 500"
        );
        assert_eq!(
            Names { has_batches: false }.short(point),
            "3 workers × 8, 2 API"
        );
    }

    #[test]
    fn figures_are_short() {
        let figure = MeasuredFigure {
            mean: 121.4,
            low: Some(117.0),
            high: Some(125.2),
        };
        assert_eq!(latency(&figure), "121 ms (117 to 125)");
        assert_eq!(ms(35.04), "35.0");
        assert_eq!(usd(None), UNKNOWN);
        assert_eq!(interval(None, ms), None);
    }
}
