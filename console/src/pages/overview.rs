//! Overview: is anything wrong?

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use skilift_core::clock::epoch_ms;

use super::charts::{Charts, ONE_COLUMN, Range, charts_with, latest_entries, what};
use super::error::{PageError, just_started, render};
use super::fleet::{Summary, summary};
use super::head::Head;
use super::html::{
    Figure, Markup, Verdict, cell, icon, outcome, per_s, prose, reconciliation_state, sentence,
    time,
};
use super::queue::{drain_time, oldest, trend};
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::alarm::{AlarmCode, AlarmView, Severity};
use crate::view::audit::{AuditEntry, AuditOutcome};
use crate::view::figures::{cores, counted, grouped, percent, span, span_s};
use crate::view::queue::{DrainTime, QueueView, RoleUtilisationView};
use crate::view::reconciliation::ReconciliationView;

/// Latest changes that are shown.
const RECENT: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    head: Head,
    verdict: Verdict,
    facts: String,
    is_paused: bool,
    todo: Vec<Todo>,
    figures: Vec<Figure>,
    charts: Charts,
    reconciliation: Reconciliation,
    roles: [Role; 2],
    fleet: Option<Summary>,
    recent: Vec<Recent>,
}

/// An alarm.
struct Todo {
    icon: Markup,
    severity: Severity,
    message: String,
    since: Markup,
    remedy: Markup,
    link: String,
    code: AlarmCode,
    /// Who acknowledged it.
    acknowledged: Option<String>,
}

/// A change that was applied, or failed or was refused.
struct Recent {
    at: Markup,
    actor: String,
    what: String,
    /// Its page.
    href: String,
    outcome: Markup,
}

struct Reconciliation {
    age: String,
    state: Markup,
    terms: Vec<(&'static str, String)>,
    message: String,
}

struct Role {
    name: &'static str,
    nodes: String,
    lost: String,
    threads: String,
    busy: String,
    cores: String,
}

/// `GET /`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let queue = console.monitor.part(|seen| Some(&seen.queue));
    let queue = queue.ok_or_else(just_started)?;
    let head = Head::new(&console, &visitor, "/", "Overview").live();
    let entries = latest_entries(&console)?;
    Ok(render(&Overview::new(
        head,
        &queue,
        charts_with(&console, Range::HalfHour, ONE_COLUMN, &entries),
        recent(&entries),
        summary(&console)?,
    )))
}

impl Overview {
    fn new(
        head: Head,
        queue: &QueueView,
        charts: Charts,
        recent: Vec<Recent>,
        fleet: Option<Summary>,
    ) -> Self {
        Self {
            head,
            fleet,
            verdict: verdict(queue),
            is_paused: queue.paused.is_some(),
            facts: facts(queue),
            todo: queue.alarms.iter().map(todo).collect(),
            figures: figures(queue),
            charts,
            recent,
            reconciliation: reconciliation(&queue.reconciliation),
            roles: [
                role("API", &queue.utilisation.api, false),
                role("Worker", &queue.utilisation.worker, true),
            ],
        }
    }
}

/// The worst alarm in a sentence.
fn verdict(queue: &QueueView) -> Verdict {
    let open = queue.alarms.iter();
    let open: Vec<&AlarmView> = open.filter(|alarm| alarm.acknowledged.is_none()).collect();
    // The most severe one comes first.
    let worst = open.first();
    let serious = open.iter().filter(|alarm| alarm.severity > Severity::Info);
    let others = match serious.clone().count().saturating_sub(1) as u64 {
        0 => String::new(),
        more => format!(" {}.", counted(more, "more alarm", "more alarms")),
    };
    let nothing_arrives = queue.rates.publish_per_s.value == Some(0.0);
    let (kind, message) = match worst {
        Some(alarm) if alarm.severity == Severity::Critical => {
            ("bad", headline(&alarm.message) + &others)
        }
        // A state that a user asked for, and that explains what the page shows.
        _ if queue.paused.is_some() => {
            let paused = "Consumption is paused: rides are accepted and queued, but not stored.";
            let others = match serious.count() as u64 {
                0 => String::new(),
                more => format!(" {}.", counted(more, "alarm", "alarms")),
            };
            ("paused", paused.to_owned() + &others)
        }
        Some(alarm) if alarm.severity == Severity::Warning => {
            ("warn", headline(&alarm.message) + &others)
        }
        Some(alarm) => ("busy", headline(&alarm.message)),
        None if !queue.alarms.is_empty() => ("busy", "Every alarm is acknowledged.".to_owned()),
        None if nothing_arrives => (
            "ok",
            "All is well: no rides arrive now, and none are lost.".to_owned(),
        ),
        None => (
            "ok",
            "All is well: rides are stored as they arrive, and none are lost.".to_owned(),
        ),
    };
    Verdict { kind, message }
}

/// An alarm without its details, which the list of alarms has.
fn headline(message: &str) -> String {
    sentence(message.split(": ").next().unwrap_or(message))
}

fn facts(queue: &QueueView) -> String {
    let stored = &queue.accept_to_stored_ms;
    let (api, worker) = (&queue.utilisation.api, &queue.utilisation.worker);
    let times = match stored.p99.value {
        Some(_) => format!(
            "Accept to stored: {} at p50, {} at p99. ",
            cell(&stored.p50, span),
            cell(&stored.p99, span)
        ),
        None => String::new(),
    };
    let paused = match &queue.paused {
        Some(_) => "Consumption is paused. ",
        None => "",
    };
    // Without heartbeats their number is the last known.
    let last = match worker.rss_bytes.value.or(api.rss_bytes.value) {
        None if api.nodes + worker.nodes > 0 => ", as last known",
        _ => "",
    };
    format!(
        "{paused}{times}{} and {} up{last}.",
        up(api, "API node", "API nodes"),
        up(worker, "worker", "workers"),
    )
}

/// The nodes of a role that are up, and how many of them do not work.
fn up(role: &RoleUtilisationView, one: &str, many: &str) -> String {
    let nodes = counted(role.nodes, one, many);
    match role.not_working {
        0 => nodes,
        count => format!("{nodes} ({} not working)", grouped(count)),
    }
}

/// The latest changes, newest first.
fn recent(entries: &[AuditEntry]) -> Vec<Recent> {
    let now = epoch_ms();
    let applied = entries
        .iter()
        .filter(|entry| entry.action == "apply" && entry.outcome != AuditOutcome::Started);
    let row = |entry: &AuditEntry| Recent {
        at: time(entry.at_ms, now),
        actor: entry.actor.clone(),
        what: what(entry),
        href: match &entry.plan {
            Some(plan) => format!("/plans/{plan}"),
            None => format!("/audit/{}", entry.number),
        },
        outcome: outcome(entry.outcome),
    };
    applied.take(RECENT).map(row).collect()
}

fn todo(alarm: &AlarmView) -> Todo {
    Todo {
        icon: icon(match alarm.severity {
            Severity::Info => "info",
            Severity::Warning => "warn",
            Severity::Critical => "bad",
        }),
        severity: alarm.severity,
        message: alarm.message.clone(),
        since: time(alarm.since_at_ms, epoch_ms()),
        remedy: prose(&alarm.remedy),
        link: alarm.link.clone(),
        code: alarm.code,
        acknowledged: alarm.acknowledged.as_ref().map(|of| match &of.reason {
            Some(reason) => format!("{}: {reason}", of.by),
            None => of.by.clone(),
        }),
    }
}

fn figures(queue: &QueueView) -> Vec<Figure> {
    let rates = &queue.rates;
    let reads = format!("{} reads/s", cell(&rates.reads_per_s, per_s));
    let drain = match &queue.time_to_drain {
        DrainTime::Paused => "paused".to_owned(),
        DrainTime::Eta { eta_s } => format!("drained in {}", span_s(*eta_s)),
        other => drain_time(other).1,
    };
    let stored = &queue.accept_to_stored_ms;
    let quantiles = format!(
        "p50 {}, p95 {}",
        cell(&stored.p50, span),
        cell(&stored.p95, span)
    );
    let lost = &queue.reconciliation.lost_messages;
    vec![
        Figure::of(
            "k-pub",
            "Accepted",
            &rates.publish_per_s,
            "/s",
            reads,
            per_s,
        ),
        Figure::of("k-ack", "Stored", &rates.ack_per_s, "/s", drain, per_s),
        Figure::of(
            "k-backlog",
            "Backlog",
            &queue.backlog_rides,
            " rides",
            trend(queue.trend),
            grouped,
        ),
        Figure::of(
            "k-oldest",
            "Oldest ride",
            &queue.oldest_ride_age_ms,
            "",
            match queue.oldest_ride_age_ms.value {
                Some(0) => "no ride is waiting",
                _ => "not yet stored",
            },
            oldest,
        ),
        Figure::of(
            "k-p99",
            "Accept to stored, p99",
            &stored.p99,
            "",
            quantiles,
            span,
        ),
        Figure::of(
            "k-dead",
            "Dead letters",
            &queue.dead_letters,
            "",
            "",
            grouped,
        ),
        Figure::of("k-lost", "Lost messages", lost, "", "", grouped)
            .bad_if(lost.value.is_some_and(|count| count > 0)),
    ]
}

fn reconciliation(view: &ReconciliationView) -> Reconciliation {
    Reconciliation {
        age: view.age_ms.map_or_else(
            || "not read yet".to_owned(),
            |ms| format!("read {} ago", span(ms)),
        ),
        state: reconciliation_state(view.verdict),
        terms: vec![
            ("Accepted (201)", cell(&view.accepted, grouped)),
            ("Settled", cell(&view.settled, grouped)),
            ("Outstanding", cell(&view.outstanding, grouped)),
            ("Lost messages", cell(&view.lost_messages, grouped)),
        ],
        message: sentence(&view.message),
    }
}

fn role(name: &'static str, role: &RoleUtilisationView, has_busy: bool) -> Role {
    Role {
        name,
        nodes: match role.rss_bytes.value {
            None if role.nodes > 0 => format!("{}, last known", grouped(role.nodes)),
            _ => grouped(role.nodes),
        },
        lost: grouped(role.lost),
        threads: grouped(role.threads),
        busy: if has_busy {
            cell(&role.busy, percent)
        } else {
            "–".to_owned()
        },
        cores: cell(&role.cpu_cores, cores),
    }
}
