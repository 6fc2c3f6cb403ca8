//! Parts that several pages have. What is foreign is text and is escaped; [`Markup`] is ours.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::view::Reading;
use crate::view::figures::span;
use crate::view::nodes::NodeState;

/// Age in milliseconds from which a reading is shown with its age.
const OLD_MS: u64 = 5_000;

/// Markup of this program, without anything foreign.
pub(super) struct Markup(String);

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

/// An icon of `sprite.html`.
pub(super) fn icon(name: &'static str) -> Markup {
    Markup(format!(
        r##"<svg class="i" aria-hidden="true"><use href="#i-{name}"/></svg>"##
    ))
}

/// A state: icon, word, colour. The word alone is enough.
pub(super) fn state(kind: &'static str, word: &'static str, name: &'static str) -> Markup {
    Markup(format!(
        r#"<span class="st is-{kind}">{}{word}</span>"#,
        icon(name)
    ))
}

/// The state of a node.
pub(super) fn node_state(of: NodeState) -> Markup {
    match of {
        NodeState::Ready => state("ok", "ready", "ok"),
        NodeState::Degraded => state("warn", "degraded", "warn"),
        NodeState::Starting => state("busy", "starting", "wait"),
        NodeState::Unavailable => state("bad", "unavailable", "bad"),
        NodeState::Paused => state("warn", "paused", "pause"),
        NodeState::Draining => state("busy", "draining", "drain"),
        NodeState::Drained => state("idle", "drained", "drained"),
        NodeState::Stopped => state("idle", "stopped", "stopped"),
        NodeState::Lost => state("bad", "lost", "lost"),
    }
}

/// A verdict: the first sentence of a page.
pub(super) struct Verdict {
    /// "ok", "busy", "warn" or "bad".
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn icon(&self) -> Markup {
        let name = match self.kind {
            "ok" => "ok",
            "busy" => "wait",
            "warn" => "warn",
            _ => "bad",
        };
        Markup(format!(
            r##"<svg class="i i-l" aria-hidden="true"><use href="#i-{name}"/></svg>"##
        ))
    }

    pub(super) fn aria_role(&self) -> &'static str {
        match self.kind {
            "warn" | "bad" => "alert",
            _ => "status",
        }
    }
}

/// A figure with its unit and a note.
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) unit: &'static str,
    pub(super) note: String,
    is_unknown: bool,
}

impl Figure {
    /// A reading. If it is unknown, the note says why; if it is old, the note says how old.
    pub(super) fn of<T: Copy>(
        label: &'static str,
        reading: &Reading<T>,
        unit: &'static str,
        note: impl Into<String>,
        show: impl Fn(T) -> String,
    ) -> Self {
        let Some(value) = reading.value else {
            return Self {
                label,
                value: "unknown".to_owned(),
                unit: "",
                note: reading.error.clone().unwrap_or_default(),
                is_unknown: true,
            };
        };
        let note = match (&reading.error, reading.age_ms) {
            (Some(error), _) => error.clone(),
            (None, Some(age)) if age >= OLD_MS => format!("read {} ago", span(age)),
            _ => note.into(),
        };
        let bound = if reading.is_upper_bound { "≤ " } else { "" };
        Self {
            label,
            value: format!("{bound}{}", show(value)),
            unit,
            note,
            is_unknown: false,
        }
    }

    pub(super) fn class(&self) -> &'static str {
        if self.is_unknown { " is-unknown" } else { "" }
    }
}

/// A reading in a cell.
pub(super) fn cell<T: Copy>(reading: &Reading<T>, show: impl Fn(T) -> String) -> String {
    match reading.value {
        Some(value) if reading.is_upper_bound => format!("≤ {}", show(value)),
        Some(value) => show(value),
        None => "unknown".to_owned(),
    }
}

/// A rate per second, without its unit.
pub(super) fn per_s(rate: f64) -> String {
    if rate == 0.0 || rate >= 10.0 {
        crate::view::figures::grouped(rate.round() as u64)
    } else {
        format!("{rate:.1}")
    }
}
