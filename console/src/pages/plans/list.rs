//! All plans, newest first.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use skilift_core::clock::epoch_ms;

use super::plan_state;
use crate::console::Console;
use crate::error::Error;
use crate::pages::error::{PageError, render};
use crate::pages::head::Head;
use crate::pages::html::{Markup, state, time};
use crate::pages::visitor::Visitor;
use crate::plan::list::list;
use crate::state::{plan_id, plan_number};
use crate::view::figures::grouped;
use crate::view::plan::PlanSummary;

/// Plans per page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "plans.html")]
struct PlansPage {
    head: Head,
    rows: Vec<Row>,
    /// Whether there are newer ones.
    has_newer: bool,
    /// The plan before which older ones are.
    older: Option<String>,
}

struct Row {
    id: String,
    created: Markup,
    by: String,
    command: String,
    danger: String,
    steps: String,
    state: Markup,
}

/// Query of the page.
#[derive(Deserialize)]
pub(in crate::pages) struct PlansQuery {
    before: Option<String>,
}

/// `GET /plans`
pub(in crate::pages) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    Query(query): Query<PlansQuery>,
) -> Result<Response, PageError> {
    let mut head = Head::new(&console, &visitor, "/plans", "Plans").live();
    let has_newer = query.before.is_some();
    let reading =
        tokio::task::spawn_blocking(move || list(&console, query.before.as_deref(), ROWS));
    let found = reading.await.map_err(Error::internal)??;
    // An open page keeps its rows, and their states are live.
    if let Some(newest) = found.plans.first().and_then(|plan| plan_number(&plan.id)) {
        head.url = format!("/plans?before={}", plan_id(newest.saturating_add(1)));
    }
    Ok(render(&PlansPage {
        head,
        has_newer,
        rows: found.plans.into_iter().map(row).collect(),
        older: found.next,
    }))
}

fn row(plan: PlanSummary) -> Row {
    let all = grouped(plan.steps as u64);
    let state = match plan.word() {
        word @ ("refused" | "cancelling") => state("warn", word, "skip"),
        word @ "partial" => state("warn", word, "warn"),
        _ => plan_state(plan.state),
    };
    Row {
        created: time(plan.created_at_ms, epoch_ms()),
        by: plan.created_by,
        command: plan.command,
        danger: plan.danger.to_string(),
        steps: match plan.steps_done {
            Some(done) => format!("{} of {all}", grouped(done as u64)),
            None => all,
        },
        state,
        id: plan.id,
    }
}
