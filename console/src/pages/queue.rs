//! Queue: how much is queued, how fast and how late it is stored, and whether any is lost.

mod consumers;
mod csv;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use self::consumers::{Worker, consumers, idle, workers};
use super::charts::{Charts, Range, charts};
use super::error::{PageError, just_started, render};
use super::head::Head;
use super::html::{Figure, Markup, cell, per_s, reconciliation_state, sentence};
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::figures::{bytes, grouped, span, span_s};
use crate::view::queue::{DrainTime, ManagementView, QueueView, Trend};
use crate::view::reconciliation::ReconciliationView;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    head: Head,
    is_paused: bool,
    age: String,
    depth: Vec<Figure>,
    throughput: Vec<Figure>,
    charts: Charts,
    /// The range of the charts.
    range: &'static str,
    workers: Vec<Worker>,
    consumers: String,
    /// Why nothing is consumed.
    idle: &'static str,
    reconciliation: Reconciliation,
    management: Option<Management>,
}

struct Reconciliation {
    age: String,
    state: Markup,
    message: String,
    totals: Vec<Term>,
    consumed: Vec<Term>,
    result: Vec<Term>,
    lost: Vec<String>,
}

struct Term {
    name: &'static str,
    note: &'static str,
    value: String,
}

/// Figures of RabbitMQ's management API.
struct Management {
    age: String,
    error: Option<String>,
    terms: Vec<(&'static str, String)>,
}

#[derive(Deserialize)]
pub(super) struct QueueQuery {
    range: Option<String>,
}

pub(super) use self::consumers::consumer_state;
pub(super) use self::csv::csv;

/// `GET /queue?range=`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<QueueQuery>,
) -> Result<Response, PageError> {
    let queue = console.monitor.part(|seen| Some(&seen.queue));
    let queue = queue.ok_or_else(just_started)?;
    let range = Range::parse(query.range.as_deref())?;
    let head = Head::new(&console, &visitor, "/queue", "Queue").live();
    Ok(render(&QueuePage {
        is_paused: queue.paused.is_some(),
        age: age(&queue),
        depth: depth(&queue),
        throughput: throughput(&queue),
        charts: charts(&console, range)?,
        range: range.word(),
        workers: workers(&queue.consumers),
        consumers: consumers(&queue.consumers),
        idle: idle(&queue),
        reconciliation: reconciliation(&queue.reconciliation),
        management: queue.management.as_ref().map(management),
        head,
    }))
}

fn age(queue: &QueueView) -> String {
    let total = queue.total_messages.age_ms;
    match total.or(queue.ready_messages.age_ms) {
        Some(ms) => format!("queue read {} ago", span(ms)),
        None => "queue not read yet".to_owned(),
    }
}

/// Time to drain: its value and what it means.
pub(super) fn drain_time(time: &DrainTime) -> (String, String) {
    let formula = || "backlog / (ack − publish)".to_owned();
    match time {
        DrainTime::Empty => ("empty".to_owned(), "no ride is waiting".to_owned()),
        DrainTime::KeepingUp => ("keeping up".to_owned(), "no ride is delayed".to_owned()),
        DrainTime::Stable => (
            "stable".to_owned(),
            "stored as fast as they arrive".to_owned(),
        ),
        DrainTime::Eta { eta_s } => (span_s(*eta_s), formula()),
        DrainTime::Growing => (
            "never".to_owned(),
            "not enough is stored, last 10 s".to_owned(),
        ),
        DrainTime::Paused => ("paused".to_owned(), "paused: nothing is stored".to_owned()),
        DrainTime::Unknown { reason } => ("unknown".to_owned(), reason.clone()),
    }
}

/// The trend of the backlog.
pub(super) fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::Growing => "growing, last 10 s",
        Trend::Steady => "stable, last 10 s",
        Trend::Falling => "falling, last 10 s",
        Trend::Unknown => "trend unknown",
    }
}

/// The age of the oldest ride.
pub(super) fn oldest(ms: u64) -> String {
    match ms {
        0 => "none".to_owned(),
        ms => span(ms),
    }
}

fn depth(queue: &QueueView) -> Vec<Figure> {
    let (drain, meaning) = drain_time(&queue.time_to_drain);
    let messages = " messages";
    vec![
        Figure::of(
            "q-backlog",
            "Backlog",
            &queue.backlog_rides,
            " rides",
            trend(queue.trend),
            grouped,
        ),
        Figure::text("q-drain", "Time to drain", drain, meaning),
        Figure::of(
            "q-oldest",
            "Oldest ride",
            &queue.oldest_ride_age_ms,
            "",
            "accepted, not yet stored",
            oldest,
        ),
        Figure::of(
            "q-ready",
            "Ready",
            &queue.ready_messages,
            messages,
            "not yet delivered",
            grouped,
        ),
        Figure::of(
            "q-unacked",
            "Unacked",
            &queue.unacked_messages,
            messages,
            "delivered, not yet acked",
            grouped,
        ),
        Figure::of(
            "q-dead",
            "Dead letters",
            &queue.dead_letters,
            "",
            "",
            grouped,
        ),
    ]
}

fn throughput(queue: &QueueView) -> Vec<Figure> {
    let rates = &queue.rates;
    let stored = &queue.accept_to_stored_ms;
    let quantiles = format!(
        "p50 {}, p95 {}",
        cell(&stored.p50, span),
        cell(&stored.p95, span)
    );
    let rides = " rides/s";
    vec![
        Figure::of(
            "q-pub",
            "Publish",
            &rates.publish_per_s,
            rides,
            "accepted with 201",
            per_s,
        ),
        Figure::of(
            "q-del",
            "Deliver",
            &rates.deliver_per_s,
            rides,
            "sent to the workers",
            per_s,
        ),
        Figure::of(
            "q-ack",
            "Ack",
            &rates.ack_per_s,
            rides,
            "stored and settled",
            per_s,
        ),
        Figure::of(
            "q-red",
            "Redelivered",
            &rates.redelivered_per_s,
            " messages/s",
            "delivered again",
            per_s,
        ),
        Figure::of(
            "q-p99",
            "Accept to stored, p99",
            &stored.p99,
            "",
            quantiles,
            span,
        ),
        Figure::of(
            "q-reads",
            "Reads",
            &rates.reads_per_s,
            "/s",
            "queries answered",
            per_s,
        ),
        Figure::of(
            "q-rejected",
            "Rejected",
            &rates.rejected_per_s,
            " requests/s",
            "with 401, 403 or 503",
            per_s,
        )
        .bad_if(rates.rejected_per_s.value.is_some_and(|rate| rate > 0.0)),
    ]
}

fn reconciliation(view: &ReconciliationView) -> Reconciliation {
    let term = |name, note, reading| Term {
        name,
        note,
        value: cell(reading, grouped),
    };
    Reconciliation {
        age: view.age_ms.map_or_else(
            || "not read yet".to_owned(),
            |ms| format!("read {} ago", span(ms)),
        ),
        state: reconciliation_state(view.verdict),
        message: sentence(&view.message),
        totals: vec![
            term("Accepted", "answered with 201", &view.accepted),
            term("Settled", "applied and marked once", &view.settled),
            term("Outstanding", "not yet settled", &view.outstanding),
            term("Lost messages", "must be 0", &view.lost_messages),
        ],
        consumed: vec![
            term("Settled", "", &view.settled),
            term("Replayed", "", &view.replayed),
            term("Foreign", "", &view.foreign),
        ],
        result: vec![
            term("Applied", "", &view.applied),
            term("Duplicates", "", &view.duplicate),
            term("Dead letters", "", &view.dead_letters),
        ],
        lost: view.lost_message_ids.clone(),
    }
}

fn management(view: &ManagementView) -> Management {
    let messages = |count: Option<u64>| {
        count.map_or_else(
            || "unknown".to_owned(),
            |count| format!("{} messages", grouped(count)),
        )
    };
    let rate = |rate: Option<f64>| {
        rate.map_or_else(
            || "unknown".to_owned(),
            |rate| format!("{} messages/s", per_s(rate)),
        )
    };
    Management {
        age: view.age_ms.map_or_else(
            || "not polled yet".to_owned(),
            |ms| format!("polled {} ago", span(ms)),
        ),
        error: view.error.clone(),
        terms: vec![
            ("Ready", messages(view.ready_messages)),
            ("Unacked", messages(view.unacked_messages)),
            ("Publish", rate(view.publish_per_s)),
            ("Deliver", rate(view.deliver_per_s)),
            ("Ack", rate(view.ack_per_s)),
            ("Redeliver", rate(view.redeliver_per_s)),
            (
                "Consumers",
                view.consumers.map_or_else(|| "unknown".to_owned(), grouped),
            ),
            (
                "Message bytes",
                view.message_bytes
                    .map_or_else(|| "unknown".to_owned(), bytes),
            ),
        ],
    }
}
