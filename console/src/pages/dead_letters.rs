//! Dead letters: what could not be stored, why, and what to do about it.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, RawPathParams, State};
use axum::response::Response;
use serde::Deserialize;
use skilift_core::clock::epoch_ms;

use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, in_url, key, state, time, visible};
use super::visitor::{Visitor, path};
use crate::console::Console;
use crate::dead_letters::store::{REASONS_READ, ReasonCount};
use crate::error::Error;
use crate::view::dead_letters::{DeadLetterState, DeadLetterView};
use crate::view::figures::{counted, grouped};

/// Dead letters per page.
const PAGE: usize = 50;
/// Rides per second at which all are replayed, unless another rate is typed.
const RATE: &str = "100";
/// The form that replays and discards.
const FORM: &str = "dead_letters";
/// Reasons that are offered as filters.
const REASONS: usize = 8;

#[derive(Template)]
#[template(path = "dead-letters.html")]
struct DeadLettersPage {
    head: Head,
    /// "14 dead letters", and how many were replayed.
    total: String,
    count: String,
    /// How many were not replayed, if others were.
    dead: Option<String>,
    is_dead_only: bool,
    /// "of the newest 1,000", if reasons are not counted of all.
    counted_of: Option<String>,
    /// The filters, as a query.
    filters: String,
    /// How many arrived since the page was opened.
    newer: u64,
    /// How many are shown, and whether there are more.
    shown: String,
    has_any: bool,
    reason: Option<String>,
    reasons: Vec<Reason>,
    hindrance: Option<String>,
    rows: Vec<Row>,
    /// The rate at which all are replayed.
    rate: String,
    older: Option<String>,
    selected: Option<Selected>,
}

/// A filter.
struct Reason {
    reason: String,
    count: String,
    is_here: bool,
}

struct Row {
    key: String,
    id: String,
    since: Markup,
    reason: String,
    line: String,
    state: Markup,
    replays: Option<String>,
    is_open: bool,
    is_checked: bool,
}

/// The dead letter that is shown in full.
struct Selected {
    id: String,
    since: Markup,
    reason: String,
    line: String,
    replays: String,
    state: Markup,
}

#[derive(Deserialize)]
pub(super) struct DeadLettersQuery {
    reason: Option<String>,
    state: Option<DeadLetterState>,
    before: Option<String>,
    /// The number of the newest dead letter when the page was opened: its stream asks with it.
    newest: Option<u64>,
}

/// `GET /dead-letters?reason=&before=`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<DeadLettersQuery>,
) -> Result<Response, PageError> {
    show(console, visitor, query, None).await
}

/// `GET /dead-letters/{id}`
pub(super) async fn page_of(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<DeadLettersQuery>,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let id = path(&parts, "id").to_owned();
    let none = || {
        Error::not_found(format!(
            "dead letter {id:?} does not exist; it may have been discarded, or replayed and stored"
        ))
    };
    let selected = console.dead_letters.show(&id)?.ok_or_else(none)?;
    show(console, visitor, query, Some(selected)).await
}

async fn show(
    console: Arc<Console>,
    visitor: Visitor,
    query: DeadLettersQuery,
    selected: Option<DeadLetterView>,
) -> Result<Response, PageError> {
    let before = match query.before.as_deref() {
        // On an open page, rows stay.
        None => query
            .newest
            .map_or(u64::MAX, |newest| newest.saturating_add(1)),
        Some(text) => text
            .parse()
            .map_err(|_| Error::invalid("before must be a number"))?,
    };
    let reason = query.reason.filter(|reason| !reason.is_empty());
    let wanted = query.state;
    // On an open page, a row that was replayed goes on to be shown.
    let of_state = wanted.filter(|_| query.newest.is_none());
    let (of, filter) = (Arc::clone(&console), reason.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let list = of
            .dead_letters
            .list(before, PAGE, filter.as_deref(), of_state)?;
        Ok::<_, Error>((list, of.dead_letters.reasons(REASONS)?))
    });
    let (list, reasons) = reading.await.map_err(Error::internal)??;
    let mut head = Head::new(&console, &visitor, "/dead-letters", "Dead letters").live();
    let counts = console.dead_letters.counts();
    let last = counts.last;
    let newer = last.saturating_sub(query.newest.unwrap_or(last));
    if query.newest.is_none() {
        let separator = if head.url.contains('?') { '&' } else { '?' };
        head.url = format!("{}{separator}newest={last}", head.url);
    }
    let open = selected.as_ref().map(|of| of.id.clone());
    let shown = list.dead_letters.len();
    let page = DeadLettersPage {
        total: {
            let dead = counted(counts.dead, "dead letter", "dead letters");
            match counts.replayed {
                0 => dead,
                replayed => format!("{dead}, {} replayed", grouped(replayed)),
            }
        },
        count: grouped(list.total),
        dead: (counts.replayed > 0).then(|| grouped(counts.dead)),
        is_dead_only: wanted == Some(DeadLetterState::Dead),
        counted_of: (list.total > REASONS_READ as u64)
            .then(|| format!("of the newest {}", grouped(REASONS_READ as u64))),
        filters: filters(reason.as_deref(), wanted),
        newer,
        shown: match (reason.is_some() || wanted.is_some(), list.next.is_some()) {
            (false, false) => format!("{shown} of {} shown, newest first.", grouped(list.total)),
            (true, false) => format!("{shown} of these shown, newest first."),
            (_, true) => format!("{shown} shown, newest first; there are older ones."),
        },
        has_any: list.total > 0,
        reasons: reasons
            .iter()
            .map(|of| filter_of(of, reason.as_deref()))
            .collect(),
        hindrance: console.dead_letters.hindrance(),
        rows: list
            .dead_letters
            .iter()
            .map(|of| row(of, open.as_deref(), &head))
            .collect(),
        rate: head.typed(FORM, "per_s").unwrap_or(RATE).to_owned(),
        older: list.next,
        selected: selected.map(full),
        reason,
        head,
    };
    Ok(render(&page))
}

/// The filters, as a query.
fn filters(reason: Option<&str>, state: Option<DeadLetterState>) -> String {
    let reason = reason.map(|reason| format!("reason={}", in_url(reason)));
    let dead = state == Some(DeadLetterState::Dead);
    let state = dead.then(|| "state=dead".to_owned());
    [reason, state]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("&")
}

fn filter_of(of: &ReasonCount, chosen: Option<&str>) -> Reason {
    Reason {
        is_here: chosen == Some(of.reason.as_str()),
        reason: of.reason.clone(),
        count: grouped(of.count),
    }
}

fn row(of: &DeadLetterView, open: Option<&str>, head: &Head) -> Row {
    Row {
        key: key(&of.id),
        is_open: open == Some(of.id.as_str()),
        is_checked: head.has(FORM, "id", &of.id),
        since: time(of.received_at_ms, epoch_ms()),
        reason: visible(&of.reason),
        line: visible(&of.line.chars().take(200).collect::<String>()),
        state: letter_state(of.state),
        replays: (of.replays > 0).then(|| times(of.replays)),
        id: of.id.clone(),
    }
}

fn full(of: DeadLetterView) -> Selected {
    Selected {
        since: time(of.received_at_ms, epoch_ms()),
        state: letter_state(of.state),
        replays: match of.replays {
            0 => "never".to_owned(),
            replays => times(replays),
        },
        id: of.id,
        reason: visible(&of.reason),
        line: visible(&of.line),
    }
}

fn times(replays: u64) -> String {
    match replays {
        1 => "1 replay".to_owned(),
        many => format!("{} replays", grouped(many)),
    }
}

fn letter_state(of: DeadLetterState) -> Markup {
    match of {
        DeadLetterState::Dead => state("warn", "dead", "warn"),
        DeadLetterState::Replayed => state("idle", "replayed", "ok"),
    }
}
