//! One entry of the audit.

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawPathParams, State};
use axum::response::Response;

use crate::console::Console;
use crate::error::Error;
use crate::pages::error::{PageError, render};
use crate::pages::head::Head;
use crate::pages::html::{Markup, outcome};
use crate::pages::visitor::{Visitor, path};
use crate::view::audit::AuditEntry;
use crate::view::figures::{grouped, moment};

#[derive(Template)]
#[template(path = "audit-entry.html")]
struct EntryPage {
    head: Head,
    at: String,
    outcome: Markup,
    plan: Option<String>,
    facts: Vec<(&'static str, String)>,
    newer: Option<u64>,
    older: Option<u64>,
}

/// `GET /audit/{number}`
pub(in crate::pages) async fn entry(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let number = path(&parts, "number");
    let wrong = |_| Error::invalid(format!("{number:?} is not the number of an audit entry"));
    let number = number.parse::<u64>().map_err(wrong)?;
    // The entry, and its neighbours.
    let found = console.state.audit_before(number.saturating_add(2), 3)?;
    let entry = found.iter().find(|entry| entry.number == number);
    let none = || {
        Error::not_found(format!(
            "there is no audit entry {number}; the newest 1,000,000 are kept"
        ))
    };
    let entry = entry.ok_or_else(none)?;
    let numbers = found.iter().map(|entry| entry.number);
    let heading = format!("Audit entry {}", grouped(number));
    Ok(render(&EntryPage {
        head: Head::new(&console, &visitor, "/audit", heading),
        at: moment(entry.at_ms),
        outcome: outcome(entry.outcome),
        plan: entry.plan.clone(),
        facts: facts(entry),
        newer: numbers.clone().find(|of| *of > number),
        older: numbers.clone().find(|of| *of < number),
    }))
}

fn facts(entry: &AuditEntry) -> Vec<(&'static str, String)> {
    let change = entry.change("→");
    let facts = [
        ("Actor", Some(&entry.actor)),
        ("Role", entry.role.as_ref()),
        ("Source address", entry.source_ip.as_ref()),
        ("Client", entry.user_agent.as_ref()),
        ("Action", Some(&entry.action)),
        ("Target", entry.target.as_ref()),
        ("Change", change.as_ref()),
        ("Reason", entry.reason.as_ref()),
    ];
    let known = |value: Option<&String>| value.map_or_else(|| "–".to_owned(), Clone::clone);
    Vec::from(facts.map(|(name, value)| (name, known(value))))
}
