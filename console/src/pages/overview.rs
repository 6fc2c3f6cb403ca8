//! Overview: is anything wrong?

use std::sync::Arc;

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::error::{PageError, render};
use super::head::Head;
use super::html::{Figure, Markup, Verdict, cell, icon, per_s, state};
use crate::access::Caller;
use crate::console::Console;
use crate::error::Error;
use crate::view::alarm::{AlarmView, Severity};
use crate::view::figures::{cores, grouped, moment, percent, span, span_s};
use crate::view::queue::{DrainTime, QueueView, RoleUtilisationView, Trend};
use crate::view::reconciliation::{ReconciliationView, Verdict as LossVerdict};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    head: Head,
    verdict: Verdict,
    facts: String,
    todo: Vec<Todo>,
    figures: Vec<Figure>,
    reconciliation: Reconciliation,
    roles: [Role; 2],
}

/// An alarm.
struct Todo {
    icon: Markup,
    severity: Severity,
    message: String,
    since: String,
    remedy: String,
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
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Response {
    let Some(queue) = console.monitor.part(|seen| Some(&seen.queue)) else {
        let error = Error::unavailable("the console has just started; reload in a moment");
        return PageError::new(&console, error).into_response();
    };
    let head = Head::new(&console, &headers, &caller, ("/", "Overview"));
    render(&Overview::new(head, &queue))
}

impl Overview {
    fn new(head: Head, queue: &QueueView) -> Self {
        Self {
            head,
            verdict: verdict(&queue.alarms),
            facts: facts(queue),
            todo: queue.alarms.iter().map(todo).collect(),
            figures: figures(queue),
            reconciliation: reconciliation(&queue.reconciliation),
            roles: [
                role("API", &queue.utilisation.api, false),
                role("Worker", &queue.utilisation.worker, true),
            ],
        }
    }
}

/// The worst alarm in a sentence.
fn verdict(alarms: &[AlarmView]) -> Verdict {
    let count = |severity| {
        let of = alarms.iter().filter(|alarm| alarm.severity == severity);
        of.count()
    };
    let (critical, warnings) = (count(Severity::Critical), count(Severity::Warning));
    let (kind, message) = match (critical, warnings) {
        // A state that a user asked for.
        (0, 0) if !alarms.is_empty() => ("busy", sentence(&alarms[0].message)),
        (0, 0) => (
            "ok",
            "All is well: rides are stored as they arrive, and none are lost.".to_owned(),
        ),
        (0, 1) => ("warn", "One thing needs attention.".to_owned()),
        (0, many) => ("warn", format!("{many} things need attention.")),
        (1, _) => ("bad", "One alarm is critical.".to_owned()),
        (many, _) => ("bad", format!("{many} alarms are critical.")),
    };
    Verdict { kind, message }
}

/// A message as a sentence.
fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}

fn facts(queue: &QueueView) -> String {
    let stored = &queue.accept_to_stored_ms;
    let (api, worker) = (&queue.utilisation.api, &queue.utilisation.worker);
    format!(
        "Accept to stored: {} at p50, {} at p99. {} and {} send heartbeats.",
        cell(&stored.p50, span),
        cell(&stored.p99, span),
        of(api.nodes, "API node", "API nodes"),
        of(worker.nodes, "worker", "workers"),
    )
}

fn of(count: u64, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{} {noun}", grouped(count))
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
        since: moment(alarm.since_at_ms),
        remedy: alarm.remedy.clone(),
    }
}

fn figures(queue: &QueueView) -> Vec<Figure> {
    let rates = &queue.rates;
    let reads = format!("{} reads/s", cell(&rates.reads_per_s, per_s));
    let drain = match &queue.time_to_drain {
        DrainTime::Empty => "queue empty".to_owned(),
        DrainTime::KeepingUp => "keeping up".to_owned(),
        DrainTime::Stable => "stable".to_owned(),
        DrainTime::Eta { eta_s } => format!("drained in {}", span_s(*eta_s)),
        DrainTime::Growing => "never drained at this rate".to_owned(),
        DrainTime::Unknown { reason } => format!("time to drain unknown: {reason}"),
    };
    let trend = match queue.trend {
        Trend::Growing => "growing",
        Trend::Steady => "steady",
        Trend::Falling => "falling",
        Trend::Unknown => "trend unknown",
    };
    let stored = &queue.accept_to_stored_ms;
    let quantiles = format!(
        "p50 {}, p95 {}",
        cell(&stored.p50, span),
        cell(&stored.p95, span)
    );
    let oldest = |ms| match ms {
        0 => "none waiting".to_owned(),
        ms => span(ms),
    };
    let lost = &queue.reconciliation.lost_messages;
    vec![
        Figure::of("Accepted", &rates.publish_per_s, "/s", reads, per_s),
        Figure::of("Stored", &rates.ack_per_s, "/s", drain, per_s),
        Figure::of("Backlog", &queue.backlog_rides, " rides", trend, grouped),
        Figure::of(
            "Oldest ride",
            &queue.oldest_ride_age_ms,
            "",
            "not yet stored",
            oldest,
        ),
        Figure::of("Accept to stored, p99", &stored.p99, "", quantiles, span),
        Figure::of("Dead letters", &queue.dead_letters, "", "", grouped),
        Figure::of("Lost messages", lost, "", "", grouped),
    ]
}

fn reconciliation(view: &ReconciliationView) -> Reconciliation {
    let state = match view.verdict {
        LossVerdict::Balanced => state("ok", "balanced", "ok"),
        LossVerdict::InFlight => state("ok", "in flight", "ok"),
        LossVerdict::SuspectedLoss => state("warn", "suspected loss", "warn"),
        LossVerdict::Loss => state("bad", "loss", "bad"),
        LossVerdict::Unknown => state("idle", "unknown", "unknown"),
    };
    Reconciliation {
        age: view.age_ms.map_or_else(
            || "not read yet".to_owned(),
            |ms| format!("read {} ago", span(ms)),
        ),
        state,
        terms: vec![
            ("Accepted (201)", cell(&view.accepted, grouped)),
            ("Settled", cell(&view.settled, grouped)),
            ("Outstanding", cell(&view.outstanding, grouped)),
            ("Lost messages", cell(&view.lost_messages, grouped)),
        ],
        message: view.message.clone(),
    }
}

fn role(name: &'static str, role: &RoleUtilisationView, has_busy: bool) -> Role {
    Role {
        name,
        nodes: grouped(role.nodes),
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
