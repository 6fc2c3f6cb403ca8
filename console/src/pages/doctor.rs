//! Doctor: what the deployment depends on, and whether that is sound.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use skilift_core::clock::epoch_ms;

use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, Verdict, state, time};
use super::visitor::Visitor;
use crate::console::Console;
use crate::view::doctor::{Finding, FindingState};
use crate::view::figures::span;

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    head: Head,
    verdict: Verdict,
    facts: String,
    /// When the checks ran, and how long they took.
    run: Option<(Markup, String)>,
    rows: Vec<Row>,
}

struct Row {
    check: String,
    state: Markup,
    found: String,
    fix: Option<String>,
    is_failed: bool,
}

/// `GET /doctor`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let latest = console.doctor.latest();
    let findings = latest
        .as_ref()
        .map_or(&[][..], |run| &run.findings.findings);
    let (verdict, facts) = verdict(findings);
    let mut rows: Vec<&Finding> = findings.iter().collect();
    // Failed checks first, then warnings; the rest in order.
    rows.sort_by_key(|of| std::cmp::Reverse(of.state.max(FindingState::Ok)));
    Ok(render(&DoctorPage {
        head: Head::new(&console, &visitor, "/doctor", "Doctor"),
        verdict,
        facts,
        run: latest
            .as_ref()
            .map(|run| (time(run.at_ms, epoch_ms()), span(run.took_ms))),
        rows: rows.into_iter().map(row).collect(),
    }))
}

/// `POST /doctor`
pub(super) async fn run(
    State(console): State<Arc<Console>>,
    _: Visitor,
) -> Result<Response, PageError> {
    console.doctor.run().await?;
    Ok(Redirect::to("/doctor").into_response())
}

fn verdict(findings: &[Finding]) -> (Verdict, String) {
    let count = |state| findings.iter().filter(|of| of.state == state).count();
    let (failed, warnings) = (count(FindingState::Failed), count(FindingState::Warning));
    let (ok, skipped) = (count(FindingState::Ok), count(FindingState::NotChecked));
    let (kind, message) = match (failed, warnings) {
        _ if findings.is_empty() => ("busy", "Nothing has been checked yet.".to_owned()),
        (0, 0) => ("ok", "Everything that was checked is sound.".to_owned()),
        (0, 1) => ("warn", "One check needs attention.".to_owned()),
        (0, many) => ("warn", format!("{many} checks need attention.")),
        (1, _) => ("bad", "One check failed.".to_owned()),
        (many, _) => ("bad", format!("{many} checks failed.")),
    };
    let facts = if findings.is_empty() {
        String::new()
    } else {
        format!("{failed} failed, {warnings} with a warning, {ok} passed, {skipped} not run.")
    };
    (Verdict { kind, message }, facts)
}

fn row(of: &Finding) -> Row {
    Row {
        check: of.check.clone(),
        state: match of.state {
            FindingState::Ok => state("ok", "ok", "ok"),
            FindingState::Warning => state("warn", "warning", "warn"),
            FindingState::Failed => state("bad", "failed", "bad"),
            FindingState::NotChecked => state("idle", "not checked", "unknown"),
        },
        found: of.found.clone(),
        fix: of.fix.clone(),
        is_failed: of.state == FindingState::Failed,
    }
}
