//! A node: what it does, which settings it runs, and whether it can be stopped.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawPathParams, State};
use axum::response::Response;
use skilift_core::clock::epoch_ms;
use skilift_core::control::Setting;

use super::error::{PageError, just_started, render};
use super::head::Head;
use super::html::{Figure, Markup, cell, node_icon, node_state, per_s, state, time};
use super::queue::consumer_state;
use super::visitor::{Visitor, path};
use crate::console::Console;
use crate::error::Error;
use crate::settings;
use crate::view::Reading;
use crate::view::figures::{bytes, cores, grouped, percent, span};
use crate::view::nodes::{NodeDetailView, NodeEvent, NodeView};
use crate::view::queue::ConsumerView;
use crate::view::settings::{GenerationView, Section, SectionView, SettingValue};

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage {
    head: Head,
    id: String,
    is_worker: bool,
    /// Whether it sends no heartbeats any more.
    is_gone: bool,
    state: Markup,
    message: Option<String>,
    heartbeat: String,
    figures: Vec<Figure>,
    /// "version 12", "version 11 → 12".
    version: String,
    settings_state: Markup,
    settings: Vec<SettingRow>,
    settings_note: Option<String>,
    /// When the desired settings were set, and by whom.
    updated_at: Option<Markup>,
    updated_by: String,
    threads: Vec<ThreadRow>,
    /// What happened to it, the newest first.
    events: Vec<EventRow>,
    facts: Vec<(&'static str, String)>,
    /// Whether it is drained, or will be.
    is_drained: bool,
}

struct SettingRow {
    name: String,
    unit: &'static str,
    desired: String,
    actual: String,
}

struct ThreadRow {
    thread: u32,
    state: Markup,
    reason: Option<String>,
    unacked: String,
    prefetch: String,
    ack: String,
    last_ack: String,
}

struct EventRow {
    icon: Markup,
    at: Markup,
    text: String,
}

/// Events that the page shows; the admin API has all that are kept.
const EVENTS_SHOWN: usize = 12;

/// `GET /nodes/{id}`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let id = path(&parts, "id");
    let consumers = console.monitor.part(|seen| Some(&seen.queue.consumers));
    let consumers = consumers.ok_or_else(just_started)?;
    let node = console.monitor.node(id);
    let none = || {
        Error::not_found(format!(
            "node {id:?} is unknown: no heartbeat received; see the list of nodes"
        ))
    };
    let NodeDetailView { node, events } = node.ok_or_else(none)?;
    let is_worker = node.role == "worker";
    let section = if is_worker {
        Section::Worker
    } else {
        Section::Api
    };
    let sections = settings::view(&console)?.sections;
    let desired = sections.iter().find(|view| view.section == section);
    let threads = consumers.iter().filter(|consumer| consumer.node == node.id);
    let document = console.desired.document();
    let mut marks = document.drains.iter();
    let (version, settings_state) = follow_state(&node);
    Ok(render(&NodePage {
        head: Head::new(&console, &visitor, "/nodes", node.id.clone()).live(),
        is_worker,
        is_gone: node.is_gone(),
        state: node_state(&node),
        message: node.message.clone(),
        heartbeat: format!("last heartbeat {} ago", span(node.last_heartbeat_age_ms)),
        figures: figures(&node, is_worker),
        version,
        settings_state,
        settings: setting_rows(&node, desired),
        settings_note: desired.and_then(|view| view.note.clone()),
        updated_at: desired
            .and_then(|view| view.updated_at_ms)
            .map(|ms| time(ms, epoch_ms())),
        updated_by: desired
            .and_then(|view| view.updated_by.clone())
            .unwrap_or_default(),
        threads: threads.map(thread_row).collect(),
        events: events
            .into_iter()
            .take(EVENTS_SHOWN)
            .map(event_row)
            .collect(),
        facts: facts(&node),
        // A drain ends with the process.
        is_drained: marks
            .any(|mark| mark.node.as_str() == node.id && mark.boot_id.to_string() == node.boot_id),
        id: node.id,
    }))
}

/// The figures. Those of a node without heartbeats are unknown; the notes say what they were last.
fn figures(node: &NodeView, is_worker: bool) -> Vec<Figure> {
    let age_ms = node.last_heartbeat_age_ms;
    let last = |value: u64, show: fn(u64) -> String| {
        if node.is_gone() {
            Reading::unknown(format!("{}, {} ago", show(value), span(age_ms)))
        } else {
            Reading::of(value, age_ms)
        }
    };
    let (outstanding, memory) = (
        last(node.outstanding(), grouped),
        last(node.rss_bytes, bytes),
    );
    let threads = last(node.threads, grouped);
    let latency = &node.latency;
    let quantiles = format!(
        "p50 {}, p95 {}",
        cell(&latency.p50, span),
        cell(&latency.p95, span)
    );
    let rate = &node.rides_per_s;
    let mut figures = if is_worker {
        vec![
            Figure::of("n-rate", "Stored", rate, " rides/s", "", per_s),
            Figure::of("n-busy", "Busy", &node.busy, "", "share of time", percent),
            Figure::of("n-held", "Unacked", &outstanding, " messages", "", grouped),
            Figure::of(
                "n-p99",
                "Accept to stored, p99",
                &latency.p99,
                "",
                quantiles,
                span,
            ),
        ]
    } else {
        vec![
            Figure::of("n-rate", "Accepted", rate, " rides/s", "", per_s),
            Figure::of(
                "n-held",
                "In flight",
                &outstanding,
                " rides",
                "not yet confirmed",
                grouped,
            ),
            Figure::of(
                "n-rejected",
                "Rejected",
                &node.rejected_per_s,
                " requests/s",
                "with 401, 403 or 503",
                per_s,
            ),
            Figure::of(
                "n-threads",
                "Channels",
                &threads,
                "",
                "to RabbitMQ",
                grouped,
            ),
            Figure::of(
                "n-p99",
                "Duration of a POST, p99",
                &latency.p99,
                "",
                quantiles,
                span,
            ),
        ]
    };
    figures.extend([
        Figure::of("n-cores", "Cores", &node.cpu_cores, "", "in use", cores),
        Figure::of("n-memory", "Memory", &memory, "", "resident", bytes),
    ]);
    figures
}

/// The versions of its settings, and whether it runs the newest.
fn follow_state(node: &NodeView) -> (String, Markup) {
    let version = |of: Option<GenerationView>| {
        of.map_or_else(|| "flags".to_owned(), |of| of.version.to_string())
    };
    let actual = version(node.actual);
    if node.is_gone() || node.is_stale() {
        let last = state("idle", "last known", "unknown");
        (format!("version {actual}"), last)
    } else if node.desired.is_none() {
        let own = state("idle", "its own flags apply", "unknown");
        ("not set".to_owned(), own)
    } else if node.desired == node.actual {
        (format!("version {actual}"), state("ok", "up to date", "ok"))
    } else {
        let versions = format!("version {actual} → {}", version(node.desired));
        (versions, state("warn", "pending", "warn"))
    }
}

fn setting_rows(node: &NodeView, desired: Option<&SectionView>) -> Vec<SettingRow> {
    let row = |(name, actual): (&String, &u64)| {
        let setting = Setting::named(name);
        let desired = desired.and_then(|view| view.values.get(name));
        SettingRow {
            name: setting.map_or_else(|| name.clone(), |setting| setting.label.to_owned()),
            // Not "Threads threads".
            unit: setting
                .filter(|setting| !setting.label.eq_ignore_ascii_case(setting.unit))
                .map_or("", |setting| setting.unit),
            desired: match desired {
                Some(SettingValue::Number(number)) => grouped(*number),
                Some(SettingValue::Word(word)) => word.clone(),
                None => "–".to_owned(),
            },
            // What runs may be less than what is set: a data directory has one thread.
            actual: match name.as_str() {
                "threads" | "channels" => grouped(node.threads),
                _ => grouped(*actual),
            },
        }
    };
    node.settings.iter().map(row).collect()
}

fn thread_row(consumer: &ConsumerView) -> ThreadRow {
    ThreadRow {
        thread: consumer.thread,
        state: consumer_state(consumer),
        reason: consumer.blocked_reason.clone(),
        unacked: grouped(consumer.unacked_messages.into()),
        prefetch: grouped(consumer.prefetch_messages.into()),
        ack: cell(&consumer.ack_per_s, per_s),
        last_ack: consumer
            .last_ack_age_ms
            .map_or_else(|| "–".to_owned(), |ms| format!("{} ago", span(ms))),
    }
}

fn event_row(event: NodeEvent) -> EventRow {
    EventRow {
        icon: node_icon(event.state),
        at: time(event.at_ms, epoch_ms()),
        text: event.text,
    }
}

fn facts(node: &NodeView) -> Vec<(&'static str, String)> {
    let skew = span(node.clock_skew_ms.unsigned_abs());
    let side = if node.clock_skew_ms < 0 {
        "behind"
    } else {
        "ahead of"
    };
    let instance = node.instance_id.clone();
    vec![
        ("Role", node.role.clone()),
        ("Host", node.host.clone()),
        ("Instance", instance.unwrap_or_else(|| "–".to_owned())),
        ("Boot id", node.boot_id.clone()),
        ("Uptime", span(node.uptime_s * 1_000)),
        ("Version", node.version.clone()),
        ("Clock", format!("{skew} {side} the console")),
    ]
}
