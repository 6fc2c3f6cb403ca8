//! Parts that several pages have. What is foreign is text and is escaped; [`Markup`] is ours.

use std::fmt;

use askama::filters::HtmlSafe;

use crate::view::Reading;
use crate::view::audit::AuditOutcome;
use crate::view::figures::{grouped, moment, percent, span};
use crate::view::nodes::{NodeState, NodeView};
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

/// Text whose commands are in backticks, for terminals: here they are shown as code.
pub(super) fn prose(text: &str) -> Markup {
    let mut shown = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = askama::filters::escape(part, askama::filters::Html);
        let part = part.map_or_else(|never| match never {}, |part| part.to_string());
        // One that is not closed is no code.
        let is_code = at % 2 == 1 && text.matches('`').count() > at;
        shown += &match is_code {
            true => format!("<code>{part}</code>"),
            false if at % 2 == 1 => format!("`{part}"),
            false => part,
        };
    }
    Markup(shown)
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

/// The state of a node; the last known one if no heartbeats arrive.
pub(super) fn node_state(node: &NodeView) -> Markup {
    let word = node.state.word();
    if node.is_stale() {
        return Markup(format!(
            r#"<span class="st is-idle">{}{word}, last known</span>"#,
            icon("unknown")
        ));
    }
    let (kind, icon) = node_look(node.state);
    state(kind, word, icon)
}

/// The icon of a node's state.
pub(super) fn node_icon(of: NodeState) -> Markup {
    icon(node_look(of).1)
}

fn node_look(of: NodeState) -> (&'static str, &'static str) {
    match of {
        NodeState::Ready => ("ok", "ok"),
        NodeState::Degraded => ("warn", "warn"),
        NodeState::Starting => ("busy", "wait"),
        NodeState::Unavailable => ("bad", "bad"),
        NodeState::Paused => ("warn", "pause"),
        NodeState::Draining => ("busy", "drain"),
        NodeState::Drained => ("idle", "drained"),
        NodeState::Stopped => ("idle", "stopped"),
        NodeState::Lost => ("bad", "lost"),
    }
}

/// The outcome of an audited action.
pub(super) fn outcome(of: AuditOutcome) -> Markup {
    let (kind, icon) = match of {
        AuditOutcome::Planned => ("idle", "wait"),
        AuditOutcome::Started => ("busy", "wait"),
        AuditOutcome::Succeeded => ("ok", "ok"),
        AuditOutcome::Partial => ("warn", "warn"),
        AuditOutcome::Cancelled | AuditOutcome::Denied | AuditOutcome::Refused => ("warn", "skip"),
        AuditOutcome::Failed => ("bad", "bad"),
    };
    state(kind, of.word(), icon)
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
    let (kind, icon) = match of {
        LossVerdict::Balanced | LossVerdict::InFlight => ("ok", "ok"),
        LossVerdict::SuspectedLoss => ("warn", "warn"),
        LossVerdict::Loss => ("bad", "bad"),
        LossVerdict::Unknown => ("idle", "unknown"),
    };
    state(kind, of.word(), icon)
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
    pub(super) unit: String,
    pub(super) note: String,
    is_unknown: bool,
    is_bad: bool,
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
                unit: String::new(),
                note: reading.error.clone().unwrap_or_default(),
                is_unknown: true,
                is_bad: false,
            };
        };
        let note = match (&reading.error, reading.age_ms) {
            (Some(error), _) => error.clone(),
            (None, Some(age)) if age >= OLD_MS => format!("read {} ago", span(age)),
            _ => note.into(),
        };
        let bound = bound(reading);
        let shown = show(value);
        let (number, unit) = match unit {
            "" => number_and_unit(&shown),
            unit => (&*shown, unit),
        };
        Self {
            id,
            label,
            value: format!("{bound}{number}"),
            unit: unit.to_owned(),
            note,
            is_unknown: false,
            is_bad: false,
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
            unit: unit.to_owned(),
            note: note.into(),
            is_unknown: false,
            is_bad: false,
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

    /// Marks a value that must not occur.
    pub(super) fn bad_if(self, is_bad: bool) -> Self {
        Self { is_bad, ..self }
    }

    pub(super) fn class(&self) -> &'static str {
        match (self.is_unknown, self.is_bad) {
            (true, _) => " is-unknown",
            (false, true) => " is-bad",
            (false, false) => "",
        }
    }
}

/// "118 ms" as a number and a unit, which is shown smaller; other texts have no unit.
fn number_and_unit(text: &str) -> (&str, &str) {
    let is_number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || ",.".contains(c));
    match text.find(' ') {
        Some(at) if is_number(&text[..at]) && !text[at + 1..].contains(' ') => text.split_at(at),
        _ => (text, ""),
    }
}

/// A reading in a cell.
pub(super) fn cell<T: Copy>(reading: &Reading<T>, show: impl Fn(T) -> String) -> String {
    match reading.value {
        Some(value) => format!("{}{}", bound(reading), show(value)),
        None => "unknown".to_owned(),
    }
}

/// The sign in front of a number that is only known to be at most, or at least, this.
fn bound<T>(reading: &Reading<T>) -> &'static str {
    match (reading.is_upper_bound, reading.is_lower_bound()) {
        (true, _) => "≤ ",
        (_, true) => "≥ ",
        _ => "",
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

/// US dollars, or what is at least known of them.
pub(super) fn usd(reading: &Reading<f64>) -> String {
    cell(reading, |usd| format!("{usd:.4}"))
}

/// Foreign text with what could hide or reorder it made visible: control characters and those of bidirectional text.
pub(super) fn visible(text: &str) -> String {
    let hides = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    };
    let shown = |c: char| match c {
        c if hides(c) => c.escape_default().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

/// A message as a sentence. A name such as `worker-gate7-9464` at its beginning stays as it is.
pub(super) fn sentence(message: &str) -> String {
    let first_word = message.split(' ').next().unwrap_or_default();
    if first_word.contains(|c: char| c.is_ascii_digit()) {
        let end = if message.ends_with('.') { "" } else { "." };
        return format!("{message}{end}");
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_a_text_are_code_and_what_is_foreign_is_escaped() {
        let text = |text| prose(text).to_string();
        assert_eq!(
            text("see `skictl nodes`, or `a<b`"),
            "see <code>skictl nodes</code>, or <code>a&#60;b</code>"
        );
        assert_eq!(text("<i>`"), "&#60;i&#62;`");
        assert_eq!(
            text("one `two` and `three"),
            "one <code>two</code> and `three"
        );
        assert_eq!(text("`<script>`"), "<code>&#60;script&#62;</code>");
    }

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

    #[test]
    fn a_sentence_begins_with_a_capital_and_a_name_as_it_is() {
        assert_eq!(sentence("a pause is over"), "A pause is over.");
        assert_eq!(sentence("worker-a-9464 is up."), "worker-a-9464 is up.");
    }

    #[test]
    fn nothing_hides_in_foreign_text() {
        assert_eq!(visible("a\tb\u{202e}c <b>é"), "a\\tb\\u{202e}c <b>é");
        assert_eq!(visible("\0\n"), "\\u{0}\\n");
    }

    #[test]
    fn a_figure_has_its_unit_apart() {
        for (text, parts) in [
            ("118 ms", ("118", " ms")),
            ("61.73 MiB", ("61.73", " MiB")),
            ("29 %", ("29", " %")),
            ("1 min 35 s", ("1 min 35 s", "")),
            ("none", ("none", "")),
            ("1,204", ("1,204", "")),
        ] {
            assert_eq!(number_and_unit(text), parts);
        }
    }
}
