//! The charts of a run, from its timeline.

use std::time::Duration;

use super::{Breaker, Run};
use crate::timeline::{Quantiles, Second, Timeline};
use skilift_plot::{
    Middle, Panel, Quantity, Series, Shade, Shape, Threshold, TimeChart, Tone, YScale,
};

/// A chart and its file.
pub(super) struct Named {
    pub(super) file: &'static str,
    pub(super) chart: TimeChart,
}

/// All charts with data of the run.
pub(super) fn all(run: &Run, timeline: &Timeline) -> impl Iterator<Item = Named> {
    let named = |file, chart| Named { file, chart };
    [
        Some(named("throughput.svg", throughput(run, timeline))),
        Some(named("latency.svg", latency(run, timeline))),
        Some(named("errors.svg", errors(run, timeline))),
        had_breaker(run, timeline).then(|| named("breaker.svg", breaker(run, timeline))),
        knows_backlog(timeline).then(|| named("backlog.svg", backlog(run, timeline))),
    ]
    .into_iter()
    .flatten()
}

fn throughput(run: &Run, timeline: &Timeline) -> TimeChart {
    let rates = Rates::new(run, timeline);
    let mut series = vec![
        rates.series("succeeded", Tone::Blue, Shape::Area, |second| {
            Some(second.succeeded)
        }),
        rates.series("sent", Tone::Green, Shape::Line, |second| Some(second.sent)),
    ];
    if timeline
        .seconds
        .iter()
        .any(|second| second.intended.is_some())
    {
        series.push(rates.series("intended", Tone::Grey, Shape::Line, |second| {
            second.intended
        }));
    }
    if timeline.seconds.iter().any(|second| second.retried > 0) {
        series.push(rates.series("retried", Tone::Ochre, Shape::Line, |second| {
            Some(second.retried)
        }));
    }
    let mut panel = panel("requests per second", Quantity::Count, 300, series);
    panel.shades.extend(open_times(timeline));
    TimeChart {
        notes: rates.notes,
        ..chart(
            "throughput",
            "Throughput",
            "Requests per second that were sent and that succeeded.",
            run,
            vec![panel],
        )
    }
}

fn latency(run: &Run, timeline: &Timeline) -> TimeChart {
    let quantile = |name: &str, tone, pick: fn(&Quantiles) -> f64| Series {
        name: name.into(),
        tone,
        shape: Shape::Line,
        middle: Middle::Median,
        values: column(timeline, |second| second.latency.as_ref().map(pick)),
    };
    let series = vec![
        quantile("max", Tone::Grey, |latency| latency.max_ms),
        quantile("p99", Tone::Orange, |latency| latency.p99_ms),
        quantile("p95", Tone::Green, |latency| latency.p95_ms),
        quantile("p50", Tone::Blue, |latency| latency.p50_ms),
    ];
    let panel = Panel {
        scale: YScale::LogWhenWide,
        ..panel(
            "time until a request succeeded",
            Quantity::Milliseconds,
            320,
            series,
        )
    };
    let description = "Duration of successful requests, by the second in which they ended.";
    chart("latency", "Latency", description, run, vec![panel])
}

fn errors(run: &Run, timeline: &Timeline) -> TimeChart {
    let counted = |name: &str, what: &str, tone, count: fn(&Second) -> u64| {
        let total: u64 = timeline
            .seconds
            .iter()
            .map(count)
            .fold(0, u64::saturating_add);
        let series = Series {
            name: name.into(),
            tone,
            shape: Shape::Steps,
            middle: Middle::Mean,
            values: column(timeline, |second| Some(count(second) as f64)),
        };
        let heading = format!(
            "{what} per second ({} in all)",
            Quantity::Count.say(total as f64)
        );
        panel(&heading, Quantity::Count, 110, vec![series])
    };
    let mut panels = vec![
        counted("failed", "failed requests", Tone::Orange, |second| {
            second.failed
        }),
        counted("retried", "retries", Tone::Ochre, |second| second.retried),
    ];
    if had_breaker(run, timeline) {
        panels.push(counted(
            "throttled",
            "rejections by the breaker",
            Tone::Purple,
            |second| second.held_back,
        ));
    }
    let description = "Requests per second that failed permanently, and attempts that were retried or throttled. Each panel has its own scale.";
    chart("errors", "Errors", description, run, panels)
}

fn breaker(run: &Run, timeline: &Timeline) -> TimeChart {
    let rates = Rates::new(run, timeline);
    let sent = rates.series("sent", Tone::Green, Shape::Area, |second| Some(second.sent));
    let open = Series {
        name: "open".into(),
        tone: Tone::Purple,
        shape: Shape::Steps,
        middle: Middle::Mean,
        values: column(timeline, |second| second.breaker_open_share),
    };
    let mut above = panel("requests per second", Quantity::Count, 240, vec![sent]);
    let mut notes = rates.notes;
    match run.breaker {
        // Its limits have another unit than the axis.
        Some(limits) if limits.bulk => notes.push(format!(
            "The breaker counts rides, not requests: it opens above {} and closes below {} in {:?}.",
            Quantity::Count.say(limits.open as f64),
            Quantity::Count.say(limits.close as f64),
            limits.interval
        )),
        limits => above.thresholds = limits.map(thresholds).into_iter().flatten().collect(),
    }
    let below = panel(
        "share of each second in which the breaker was open",
        Quantity::Share,
        90,
        vec![open],
    );
    TimeChart {
        notes,
        ..chart(
            "breaker",
            "Circuit breaker",
            "Requests per second that were sent, and the times at which the circuit breaker was open.",
            run,
            vec![above, below],
        )
    }
}

fn backlog(run: &Run, timeline: &Timeline) -> TimeChart {
    let waiting = Series {
        name: "backlog".into(),
        tone: Tone::Purple,
        shape: Shape::Area,
        middle: Middle::Mean,
        values: column(timeline, |second| second.backlog_rides),
    };
    let panel = panel(
        "rides in the server's queue",
        Quantity::Count,
        260,
        vec![waiting],
    );
    chart(
        "backlog",
        "Backlog",
        "Accepted rides that were not stored yet.",
        run,
        vec![panel],
    )
}

/// Counts per second, without an incomplete last second.
struct Rates<'a> {
    timeline: &'a Timeline,
    whole_seconds: usize,
    notes: Vec<String>,
}

impl<'a> Rates<'a> {
    fn new(run: &Run, timeline: &'a Timeline) -> Self {
        let seconds = timeline.seconds.len();
        let last_begins = Duration::from_secs(seconds.saturating_sub(1) as u64);
        let part = run.elapsed.saturating_sub(last_begins);
        let is_partial = part < Duration::from_millis(999);
        let is_left_out = is_partial && seconds > 1;
        let part_s = part.as_secs_f64();
        let note = if is_left_out {
            format!(
                "The last {part_s:.2} s of the run are less than a whole second and are omitted from the rates."
            )
        } else {
            format!(
                "The run took {part_s:.2} s, less than a whole second: these are counts of that time, not rates."
            )
        };
        Rates {
            timeline,
            whole_seconds: if is_left_out { seconds - 1 } else { seconds },
            notes: is_partial.then_some(note).into_iter().collect(),
        }
    }

    fn series(
        &self,
        name: &str,
        tone: Tone,
        shape: Shape,
        count: fn(&Second) -> Option<u64>,
    ) -> Series {
        let mut values = column(self.timeline, |second| {
            count(second).map(|count| count as f64)
        });
        values[self.whole_seconds..].fill(None);
        Series {
            name: name.into(),
            tone,
            shape,
            middle: Middle::Mean,
            values,
        }
    }
}

fn chart(id: &str, title: &str, description: &str, run: &Run, panels: Vec<Panel>) -> TimeChart {
    TimeChart {
        id: id.into(),
        title: title.into(),
        subtitle: run.caption.clone(),
        description: description.into(),
        notes: Vec::new(),
        width: 960,
        panels,
    }
}

fn panel(heading: &str, quantity: Quantity, height: u32, series: Vec<Series>) -> Panel {
    Panel {
        heading: heading.into(),
        quantity,
        scale: YScale::Linear,
        height,
        series,
        thresholds: Vec::new(),
        shades: Vec::new(),
    }
}

fn column(timeline: &Timeline, pick: impl Fn(&Second) -> Option<f64>) -> Vec<Option<f64>> {
    timeline.seconds.iter().map(pick).collect()
}

fn had_breaker(run: &Run, timeline: &Timeline) -> bool {
    let mut seconds = timeline.seconds.iter();
    run.breaker.is_some() || seconds.any(|second| second.breaker_open_share.is_some())
}

fn knows_backlog(timeline: &Timeline) -> bool {
    timeline
        .seconds
        .iter()
        .any(|second| second.backlog_rides.is_some())
}

/// The seconds in which the breaker was open for at least half of the time, if there are any.
fn open_times(timeline: &Timeline) -> Option<Shade> {
    let open = |second: &Second| second.breaker_open_share.is_some_and(|share| share >= 0.5);
    let seconds: Vec<bool> = timeline.seconds.iter().map(open).collect();
    seconds.contains(&true).then(|| Shade {
        name: "breaker open".into(),
        seconds,
    })
}

/// The limits of the breaker as rates, because the axis shows rates.
fn thresholds(breaker: Breaker) -> [Threshold; 2] {
    let a_second = |count: u64| count as f64 / breaker.interval.as_secs_f64();
    let threshold = |verb: &str, count| Threshold {
        name: format!("{verb} {}", Quantity::Count.say(a_second(count))),
        value: a_second(count),
    };
    [
        threshold("opens above", breaker.open),
        threshold("closes below", breaker.close),
    ]
}
