//! Settings: the desired ones, and which nodes are up to date.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use skilift_core::clock::epoch_ms;
use skilift_core::control::FleetBounds;
use skilift_core::control::setting::{API_SETTINGS, FLEET_BOUNDS, Setting, WORKER_SETTINGS};

use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, sentence, state, time};
use super::visitor::Visitor;
use crate::console::Console;
use crate::settings::{self, values};
use crate::state::Settings;
use crate::view::figures::grouped;
use crate::view::settings::{Section, SectionView, SettingValue, SettingsHistoryView, VersionView};

/// Versions of a section that are shown.
const VERSIONS: usize = 5;

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    head: Head,
    sections: Vec<SectionForm>,
}

struct SectionForm {
    key: &'static str,
    title: &'static str,
    /// "version 12, hash 43f57e77".
    version: String,
    /// The version that the form is based on.
    if_version: Option<u64>,
    state: Markup,
    note: Option<String>,
    /// Why the form is out of date.
    newer: Option<String>,
    change: &'static str,
    fields: Vec<Field>,
    /// The ingest policy, if the section is that: whether keys are required.
    ingest: Option<bool>,
    versions: Vec<VersionRow>,
}

struct Field {
    setting: &'static Setting,
    value: String,
    hint: String,
}

struct VersionRow {
    version: u64,
    since: Markup,
    by: String,
    /// Each with whether it differs from the version before.
    values: Vec<(String, bool)>,
    plan: Option<String>,
}

/// `GET /settings`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<SettingsQuery>,
) -> Result<Response, PageError> {
    let mut head = Head::new(&console, &visitor, "/settings", "Settings").live();
    let view = settings::view(&console)?;
    let mut opened = query.opened.iter().flat_map(|opened| opened.split('-'));
    let sections = view.sections.iter().map(|section| {
        let history = settings::history(&console, section.section, VERSIONS)?;
        let opened = opened.next().and_then(|version| version.parse().ok());
        Ok(SectionForm {
            newer: newer(section, opened),
            ..form(section, &history, &head)
        })
    });
    let sections = sections.collect::<Result<_, PageError>>()?;
    let versions = view
        .sections
        .iter()
        .map(|section| version(section).to_string());
    head.url = format!(
        "/settings?opened={}",
        versions.collect::<Vec<_>>().join("-")
    );
    Ok(render(&SettingsPage { head, sections }))
}

/// The versions of the sections when the page was opened, with which its stream asks.
#[derive(Deserialize)]
pub(super) struct SettingsQuery {
    opened: Option<String>,
}

fn version(view: &SectionView) -> u64 {
    view.generation.map_or(0, |generation| generation.version)
}

/// Says that the form is older than the section.
fn newer(view: &SectionView, opened: Option<u64>) -> Option<String> {
    let now = version(view);
    opened.filter(|opened| *opened < now).map(|_| {
        let by = view.updated_by.as_deref().unwrap_or("someone");
        format!("Version {now} was set by {by}. This form is older.")
    })
}

fn form(view: &SectionView, history: &SettingsHistoryView, head: &Head) -> SectionForm {
    let (title, change, settings): (_, _, &[&'static Setting]) = match view.section {
        Section::Worker => ("Workers", "set_worker", &WORKER_SETTINGS),
        Section::Api => ("API nodes", "set_api", &API_SETTINGS),
        Section::Ingest => ("Ingest", "set_ingest", &[]),
        Section::Fleet => ("Number of nodes", "set_fleet", &FLEET_BOUNDS),
    };
    let current = |setting: &Setting| {
        let set = view.values.get(setting.name);
        set.map_or_else(|| default(setting), ToString::to_string)
    };
    // A form that was refused because others changed the section: what was not touched takes the new values.
    let typed_at = head
        .typed(change, "if_version")
        .and_then(|at| at.parse().ok());
    let mut earlier = history.versions.iter();
    let earlier = earlier.find(|version| Some(version.generation.version) == typed_at);
    let touched = |setting: &Setting| {
        let typed = head.typed(change, setting.name)?;
        let before = earlier.and_then(|version| version.values.get(setting.name));
        let is_touched = before.is_none_or(|before| before.to_string() != typed);
        is_touched.then(|| typed.to_owned())
    };
    let fields = settings.iter().map(|&setting| Field {
        setting,
        value: touched(setting).unwrap_or_else(|| current(setting)),
        hint: hint(setting),
    });
    let are_keys_set = view.values.get("ingest") == Some(&SettingValue::Word("keys".to_owned()));
    let ingest = head.typed(change, "ingest");
    SectionForm {
        key: settings::name(view.section),
        title,
        version: view.generation.map_or_else(
            || "not set".to_owned(),
            |of| format!("version {}, hash {:08x}", of.version, of.hash),
        ),
        if_version: view.generation.map(|of| of.version),
        state: follow_state(view),
        note: view.note.as_deref().map(sentence),
        newer: None,
        change,
        fields: fields.collect(),
        ingest: (view.section == Section::Ingest)
            .then(|| ingest.map_or(are_keys_set, |typed| typed == "keys")),
        versions: history
            .versions
            .iter()
            .enumerate()
            .map(|(at, version)| version_row(version, history.versions.get(at + 1), settings))
            .collect(),
    }
}

/// The value that applies while the setting is not set, if the console knows it.
fn default(setting: &Setting) -> String {
    let bounds = values(Settings::Fleet(FleetBounds::default()));
    bounds
        .get(setting.name)
        .map_or_else(String::new, ToString::to_string)
}

fn hint(setting: &Setting) -> String {
    let (least, most) = (setting.range.start(), setting.range.end());
    let (least, most) = (grouped((*least).into()), grouped((*most).into()));
    format!("{}: {least} to {most} {}.", setting.help, setting.unit)
}

fn follow_state(view: &SectionView) -> Markup {
    let pending = view.nodes_pending.len();
    match (view.nodes_up_to_date, view.generation, pending) {
        (_, None, _) if view.section == Section::Fleet => {
            state("idle", "the defaults apply", "unknown")
        }
        (_, None, _) => state("idle", "each node\u{2019}s own flags apply", "unknown"),
        (None, ..) => state("ok", "set", "ok"),
        (Some(_), _, 0) => state("ok", "every node is up to date", "ok"),
        (Some(_), _, 1) => state("warn", "1 node is pending", "wait"),
        (Some(_), ..) => state("warn", "some nodes are pending", "wait"),
    }
}

/// A version; `older` is the one before it, if it is known.
fn version_row(
    view: &VersionView,
    older: Option<&VersionView>,
    settings: &[&'static Setting],
) -> VersionRow {
    let has_changed =
        |name: &str| older.is_some_and(|older| older.values.get(name) != view.values.get(name));
    let numbers = settings.iter().filter_map(|setting| {
        let value = view.values.get(setting.name)?;
        Some((labelled(setting, value), has_changed(setting.name)))
    });
    let ingest = view.values.get("ingest");
    let ingest = ingest.map(|policy| (format!("Ingest: {policy}"), has_changed("ingest")));
    VersionRow {
        version: view.generation.version,
        since: time(view.updated_at_ms, epoch_ms()),
        by: view.updated_by.clone(),
        values: numbers.chain(ingest).collect(),
        plan: view.plan.clone(),
    }
}

/// "Linger: 25 ms". A unit that the label names is not repeated.
fn labelled(setting: &Setting, value: &SettingValue) -> String {
    let Setting { label, unit, .. } = setting;
    let shown = match value {
        SettingValue::Number(number) if label.to_lowercase() == *unit => grouped(*number),
        SettingValue::Number(1) if *unit != "ms" => format!("1 {}", unit.trim_end_matches('s')),
        SettingValue::Number(number) => format!("{} {unit}", grouped(*number)),
        SettingValue::Word(word) => word.clone(),
    };
    format!("{label}: {shown}")
}

#[cfg(test)]
mod tests {
    use skilift_core::control::setting;

    use super::*;

    #[test]
    fn a_value_has_its_label_and_its_unit() {
        for (setting, number, text) in [
            (&setting::THREADS, 8, "Threads: 8"),
            (&setting::PREFETCH, 4_000, "Prefetch: 4,000 rides"),
            (&setting::BATCH, 1, "Batch: 1 ride"),
            (&setting::LINGER_MS, 1, "Linger: 1 ms"),
            (&setting::MAX_IN_FLIGHT, 20_000, "In flight: 20,000 rides"),
            (&setting::WORKER_MIN, 1, "Workers, at least: 1 instance"),
        ] {
            let value = SettingValue::Number(number);
            assert_eq!(labelled(setting, &value), text);
        }
    }
}
