//! What the nodes can take, beside what arrives.

use crate::console::Console;
use crate::fleet::capacity::Capacity;
use crate::pages::html::per_s;
use crate::view::Reading;
use crate::view::change::ScaledRole;

/// A line of the panel: its key, what it is, and its value or why it is unknown.
pub(super) struct Line {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// The lines of the panel.
pub(super) fn lines(console: &Console) -> Vec<Line> {
    let line = |key, name, value| Line { key, name, value };
    let Some(seen) = console.monitor.latest() else {
        return Vec::new();
    };
    let instances = console.machines.listed().instances;
    let of = |role| match seen.queue.paused {
        Some(_) if role == ScaledRole::Worker => Err("consumption is paused".to_owned()),
        _ => Capacity::of(role, &seen.nodes.nodes, &instances, &console.config.prices),
    };
    let (api, workers) = (of(ScaledRole::Api), of(ScaledRole::Worker));
    vec![
        line("in", "Incoming", rate(&seen.queue.rates.publish_per_s)),
        line("api", "API nodes can accept", amount(&api, Capacity::all)),
        line("w", "Workers can store", amount(&workers, Capacity::all)),
        line(
            "less",
            "With one worker lost",
            amount(&workers, Capacity::without_the_most_able),
        ),
    ]
}

fn rate(reading: &Reading<f64>) -> String {
    match reading.value {
        Some(rate) => format!("{} rides/s", per_s(rate)),
        None => "unknown".to_owned(),
    }
}

fn amount(capacity: &Result<Capacity, String>, of: impl Fn(&Capacity) -> f64) -> String {
    match capacity {
        Ok(capacity) => {
            let at_least = if capacity.is_at_least { "≥ " } else { "" };
            format!("{at_least}{} rides/s", per_s(of(capacity)))
        }
        Err(why) => format!("unknown: {why}"),
    }
}
