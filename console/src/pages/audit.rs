//! Audit: who did what, and with what outcome.

mod csv;
mod entry;
mod query;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use skilift_core::clock::epoch_ms;

use self::query::{AuditQuery, OUTCOMES, given, number};
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, outcome, sentence, time};
use super::visitor::Visitor;
use crate::access::lists;
use crate::admin::status_of;
use crate::audit::{self, AuditFilter};
use crate::console::Console;
use crate::error::Error;
use crate::view::audit::{AuditEntry, AuditOutcome, AuditView};
use crate::view::figures::grouped;

pub(super) use self::csv::csv;
pub(super) use self::entry::entry;

/// Entries per page.
const ROWS: usize = 50;
/// Maximum newer entries that are counted.
const MAX_NEW: usize = 200;
/// The actions that are offered as a filter.
const ACTIONS: [&str; 10] = [
    "apply",
    "plan",
    "cancel",
    "login",
    "logout",
    "request",
    "tune",
    "import",
    "bootstrap",
    "end",
];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    head: Head,
    form: Filter,
    /// Why the filter was refused.
    problem: Option<String>,
    heading: &'static str,
    /// How many newer entries there are; `None` if there are none.
    newer: Option<String>,
    rows: Vec<Row>,
    /// What is shown, or why nothing is.
    range: String,
    /// Whether this is not the page of the newest entries.
    is_older: bool,
    /// The number below which the older entries are.
    older: Option<u64>,
}

/// The form of the filter.
struct Filter {
    actor: String,
    actors: Vec<String>,
    actions: Vec<Choice>,
    outcomes: Vec<Choice>,
    since: String,
    /// The filter as a query, without a leading `?`; empty if it selects all.
    query: String,
}

struct Choice {
    value: String,
    is_chosen: bool,
}

struct Row {
    number: u64,
    at: Markup,
    actor: String,
    source: String,
    action: String,
    target: Option<String>,
    change: String,
    reason: Option<String>,
    outcome: Markup,
    plan: Option<String>,
}

/// `GET /audit`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<AuditQuery>,
) -> Result<Response, PageError> {
    // With an invalid filter, nothing is listed.
    let (filter, error) = match query.filter() {
        Ok(filter) => (filter, None),
        Err(error) => (AuditFilter::default(), Some(error)),
    };
    let is_refused = error.is_some();
    let before = number("before", &query.before)?;
    let newest = number("newest", &query.newest)?;
    let mut head = Head::new(&console, &visitor, "/audit", "Audit").live();
    head.is_live = !is_refused;
    // A stream sends only what may change, which the rows do not.
    let is_stream = visitor.caller.token.is_empty();
    let of = Arc::clone(&console);
    let reading = tokio::task::spawn_blocking(move || {
        let rows = if is_stream || is_refused { 0 } else { ROWS };
        Shown::read(&of, &filter, before, newest, rows)
    });
    let shown = reading.await.map_err(Error::internal)??;
    let form = Filter::new(&console, &query)?;
    if before.is_none() {
        // The stream counts what is newer than what this page shows.
        let and = if form.query.is_empty() { "" } else { "&" };
        head.url = format!("/audit?{}{and}newest={}", form.query, shown.newest);
    }
    let status = error
        .as_ref()
        .map_or(StatusCode::OK, |error| status_of(error.code()));
    let page = AuditPage {
        head,
        problem: error.map(|error| sentence(error.message())),
        heading: if form.query.is_empty() {
            "All entries, newest first"
        } else {
            "Matching entries, newest first"
        },
        newer: shown.newer(),
        rows: shown.view.entries.iter().map(row).collect(),
        range: if is_refused {
            "The filter is invalid.".to_owned()
        } else {
            shown.range()
        },
        is_older: before.is_some(),
        older: shown.view.next,
        form,
    };
    Ok((status, render(&page)).into_response())
}

/// The entries of a page.
struct Shown {
    view: AuditView,
    /// The number of the newest entry that may be shown.
    newest: u64,
    /// How many newer ones fit the filter.
    newer: usize,
    /// Whether there are more newer ones than were read.
    has_more: bool,
}

impl Shown {
    fn read(
        console: &Console,
        filter: &AuditFilter,
        before: Option<u64>,
        newest: Option<u64>,
        rows: usize,
    ) -> Result<Self, Error> {
        let last = console.state.audit_before(u64::MAX, 1)?;
        let last = last.first().map_or(0, |entry| entry.number);
        let newest = newest.unwrap_or(last);
        let view = if rows == 0 {
            AuditView {
                entries: Vec::new(),
                next: None,
            }
        } else {
            let before = before.unwrap_or(newest.saturating_add(1));
            audit::page(console, filter, Some(before), rows)?
        };
        let newer = if before.is_none() && last > newest {
            console.state.audit_before(u64::MAX, MAX_NEW)?
        } else {
            Vec::new()
        };
        let newer = newer.iter().filter(|entry| entry.number > newest);
        Ok(Self {
            view,
            newest,
            newer: newer.filter(|entry| filter.fits(entry)).count(),
            has_more: last.saturating_sub(newest) > MAX_NEW as u64,
        })
    }

    fn newer(&self) -> Option<String> {
        match (self.newer, self.has_more) {
            (0, _) => None,
            (count, false) => Some(format!("{count} new")),
            (count, true) => Some(format!("{count} or more new")),
        }
    }

    fn range(&self) -> String {
        match (self.view.entries.as_slice(), self.view.next) {
            ([], None) => "No entry matches.".to_owned(),
            ([], Some(next)) => format!("No entry from {} on matches.", grouped(next)),
            ([one], _) => format!("Entry {}.", grouped(one.number)),
            ([first, .., last], _) => {
                let (first, last) = (grouped(first.number), grouped(last.number));
                format!("Entries {first} to {last}.")
            }
        }
    }
}

impl Filter {
    fn new(console: &Console, query: &AuditQuery) -> Result<Self, Error> {
        let users = lists::users(console)?.users.into_iter();
        let mut actors: Vec<String> = users.map(|user| user.name).collect();
        actors.push("console".to_owned());
        let text = |field: &Option<String>| given(field).unwrap_or_default().to_owned();
        let action = text(&query.action);
        let mut actions = choices(&ACTIONS, &action);
        if !action.is_empty() && !ACTIONS.contains(&action.as_str()) {
            actions.push(Choice {
                value: action,
                is_chosen: true,
            });
        }
        Ok(Self {
            actor: text(&query.actor),
            actors,
            actions,
            outcomes: choices(&OUTCOMES.map(AuditOutcome::word), &text(&query.outcome)),
            since: text(&query.since),
            query: query.encoded(),
        })
    }
}

fn choices(values: &[&str], chosen: &str) -> Vec<Choice> {
    let choice = |value: &&str| Choice {
        value: (*value).to_owned(),
        is_chosen: *value == chosen,
    };
    values.iter().map(choice).collect()
}

fn row(entry: &AuditEntry) -> Row {
    let source = [entry.role.as_deref(), entry.source_ip.as_deref()];
    Row {
        number: entry.number,
        at: time(entry.at_ms, epoch_ms()),
        actor: entry.actor.clone(),
        source: source.into_iter().flatten().collect::<Vec<_>>().join(", "),
        action: entry.action.clone(),
        target: entry.target.clone(),
        change: change(entry),
        reason: entry.reason.clone(),
        outcome: outcome(entry.outcome),
        plan: entry.plan.clone(),
    }
}

fn change(entry: &AuditEntry) -> String {
    entry.change("→").unwrap_or_else(|| "–".to_owned())
}
