//! Parts that several pages have. What is foreign is text and is escaped; [`Markup`] is ours.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::view::Reading;
use crate::view::audit::AuditOutcome;
use crate::view::figures::{grouped, moment, percent, span};
use crate::view::nodes::NodeState;
use crate::view::reconciliation::Verdict as LossVerdict;

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

/// Markup that was composed elsewhere. It must not contain anything foreign that is not escaped: pages do not escape it again.
pub(super) fn markup(text: String) -> Markup {
    Markup(text)
}

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

/// The outcome of an audited action.
pub(super) fn outcome(of: AuditOutcome) -> Markup {
    match of {
        AuditOutcome::Started => state("busy", "started", "wait"),
        AuditOutcome::Succeeded => state("ok", "succeeded", "ok"),
        AuditOutcome::Partial => state("warn", "partial", "warn"),
        AuditOutcome::Denied => state("warn", "denied", "skip"),
        AuditOutcome::Refused => state("warn", "refused", "skip"),
        AuditOutcome::Failed => state("bad", "failed", "bad"),
    }
}

/// A moment in milliseconds since 1970, in UTC: the time if it is today, else the day, with the year unless it is this year.
pub(super) fn time(ms: u64, now_ms: u64) -> Markup {
    let (at, now) = (moment(ms), moment(now_ms));
    let short = if at[..10] == now[..10] {
        at[11..19].to_owned()
    } else if at[..4] == now[..4] {
        format!("{} {}", &at[5..10], &at[11..16])
    } else {
        at[..10].to_owned()
    };
    Markup(format!(r#"<time datetime="{at}">{short}</time>"#))
}

/// A bar, and a share next to it. Both are numbers from 0 to 1.
pub(super) fn meter(length: f64, share: f64) -> Markup {
    let length = length.clamp(0.0, 1.0) * 100.0;
    Markup(format!(
        r#"<span class="meter"><svg aria-hidden="true"><rect width="{length:.0}%" height="100%"/></svg><span>{}</span></span>"#,
        percent(share)
    ))
}

/// The verdict of the reconciliation.
pub(super) fn reconciliation_state(of: LossVerdict) -> Markup {
    match of {
        LossVerdict::Balanced => state("ok", "balanced", "ok"),
        LossVerdict::InFlight => state("ok", "in flight", "ok"),
        LossVerdict::SuspectedLoss => state("warn", "suspected loss", "warn"),
        LossVerdict::Loss => state("bad", "loss", "bad"),
        LossVerdict::Unknown => state("idle", "unknown", "unknown"),
    }
}

/// A verdict: the first sentence of a page.
pub(super) struct Verdict {
    /// "ok", "busy", "warn", "paused" or "bad".
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Verdict {
    pub(super) fn icon(&self) -> Markup {
        let name = match self.kind {
            "ok" => "ok",
            "busy" => "wait",
            "paused" => "pause",
            "warn" => "warn",
            _ => "bad",
        };
        Markup(format!(
            r##"<svg class="i i-l" aria-hidden="true"><use href="#i-{name}"/></svg>"##
        ))
    }

    /// The class of its colour.
    pub(super) fn class(&self) -> &'static str {
        match self.kind {
            "paused" => "is-warn",
            "ok" => "is-ok",
            "busy" => "is-busy",
            "warn" => "is-warn",
            _ => "is-bad",
        }
    }

    pub(super) fn aria_role(&self) -> &'static str {
        match self.kind {
            "warn" | "bad" | "paused" => "alert",
            _ => "status",
        }
    }
}

/// A figure with its unit and a note.
pub(super) struct Figure {
    /// Unique on the page.
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) unit: &'static str,
    pub(super) note: String,
    is_unknown: bool,
}

impl Figure {
    /// A reading. If it is unknown, the note says why; if it is old, the note says how old.
    pub(super) fn of<T: Copy>(
        id: &'static str,
        label: &'static str,
        reading: &Reading<T>,
        unit: &'static str,
        note: impl Into<String>,
        show: impl Fn(T) -> String,
    ) -> Self {
        let Some(value) = reading.value else {
            return Self {
                id,
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
            id,
            label,
            value: format!("{bound}{}", show(value)),
            unit,
            note,
            is_unknown: false,
        }
    }

    /// A number that was read for this page.
    pub(super) fn known(
        id: &'static str,
        label: &'static str,
        value: String,
        unit: &'static str,
        note: impl Into<String>,
    ) -> Self {
        Self {
            id,
            label,
            value,
            unit,
            note: note.into(),
            is_unknown: false,
        }
    }

    /// A figure that is a text.
    pub(super) fn text(
        id: &'static str,
        label: &'static str,
        value: impl Into<String>,
        note: impl Into<String>,
    ) -> Self {
        let value = value.into();
        Self {
            is_unknown: value == "unknown",
            ..Self::known(id, label, value, "", note)
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

/// An id for an element about something with a foreign name.
pub(super) fn key(name: &str) -> String {
    format!("k{:016x}", xxhash_rust::xxh3::xxh3_64(name.as_bytes()))
}

/// A rate per second, without its unit.
pub(super) fn per_s(rate: f64) -> String {
    if rate == 0.0 || rate >= 10.0 {
        grouped(rate.round() as u64)
    } else {
        format!("{rate:.1}")
    }
}

/// A message as a sentence.
pub(super) fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    let end = if message.ends_with('.') { "" } else { "." };
    format!("{}{}{end}", first.unwrap_or_default(), chars.as_str())
}

/// Text in the query of a URL.
pub(super) fn in_url(text: &str) -> String {
    askama::filters::urlencode_strict(text)
        .map_or_else(|never| match never {}, |text| text.to_string())
}

/// A number with its noun.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{} {noun}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_short_as_the_day_permits() {
        // 2025-11-23T10:42:07Z
        let now = 1_763_894_527_000;
        for (ms, text) in [
            (now, "10:42:07"),
            (now - 86_400_000, "11-22 10:42"),
            (now - 366 * 86_400_000, "2024-11-22"),
            (now + 40 * 86_400_000, "2026-01-02"),
        ] {
            let shown = time(ms, now).to_string();
            assert!(shown.ends_with(&format!(">{text}</time>")), "{shown}");
        }
    }
}
