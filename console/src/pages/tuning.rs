//! Tuning: the running sweep, earlier ones, and the form that starts one. [`capacity`]: the nodes that another load needs.
//!
//! - `form`: what is measured. `running`, `grid`: progress. [`report`]: a sweep and its report; `content`: the report, of which
//!   `compare`, `charts` and `marks` are parts; `file`: the report as one file. `words`: how figures are written.

pub(super) mod capacity;
mod charts;
mod compare;
mod content;
pub(crate) mod file;
mod form;
mod grid;
mod marks;
pub(super) mod report;
mod running;
mod words;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Form, RawPathParams, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use skilift_core::clock::epoch_ms;
use skilift_fleet::FleetKind;

use self::grid::Grid;
use self::running::Running;
use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, state, time};
use super::refused_form::FormPages;
use super::visitor::{Visitor, path};
use crate::console::Console;
use crate::error::Error;
use crate::view::tuning::{SweepList, SweepSpec, SweepState, SweepSummary, SweepView};
use crate::{plan, tuning};

/// Sweeps that are shown: a page that watches them reads them each second.
const SHOWN: usize = 20;

#[derive(Template)]
#[template(path = "tuning.html")]
struct TuningPage {
    head: Head,
    running: Option<Running>,
    grid: Option<Grid>,
    measures: Vec<(&'static str, String)>,
    /// The sweeps that have ended.
    earlier: Vec<Earlier>,
    /// Defaults of the form.
    defaults: SweepSpec,
    /// Whether the workers' instances have types.
    has_types: bool,
}

/// A sweep that has ended.
struct Earlier {
    id: String,
    started: Markup,
    by: String,
    state: Markup,
    points: String,
    recommended: String,
    usd_per_million: String,
}

/// `GET /tuning`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let head = Head::new(&console, &visitor, "/tuning", "Tuning").live();
    let kind = console.machines.fleet().map(|fleet| fleet.kind());
    let has_types = matches!(kind, Ok(FleetKind::Ec2 { .. }));
    let reading = tokio::task::spawn_blocking(move || running_and_all(&console));
    let (running, all) = reading.await.map_err(Error::internal)??;
    let running = running.as_ref();
    let ended = all.sweeps.into_iter();
    let ended = ended.filter(|sweep| sweep.state != SweepState::Running);
    Ok(render(&TuningPage {
        head,
        measures: running.map(words::facts).unwrap_or_default(),
        grid: running.and_then(Grid::of),
        running: running.and_then(Running::of),
        earlier: ended.map(earlier).collect(),
        defaults: SweepSpec::default(),
        has_types,
    }))
}

/// The running sweep, and all of them.
fn running_and_all(console: &Console) -> Result<(Option<SweepView>, SweepList), Error> {
    let all = tuning::list(console, SHOWN)?;
    let running = all
        .sweeps
        .iter()
        .find(|sweep| sweep.state == SweepState::Running)
        .map(|sweep| tuning::view(console, &sweep.id))
        .transpose()?;
    Ok((running, all))
}

fn earlier(of: SweepSummary) -> Earlier {
    let (kind, icon) = match of.state {
        SweepState::Running => ("busy", "run"),
        SweepState::Finished => ("ok", "ok"),
        SweepState::Stopped => ("warn", "stopped"),
        SweepState::Failed => ("bad", "bad"),
    };
    Earlier {
        started: time(of.started_at_ms, epoch_ms()),
        by: of.created_by,
        state: state(kind, of.state.word(), icon),
        points: crate::view::figures::grouped(of.points as u64),
        recommended: match (of.recommended, of.state) {
            (Some(point), _) => point.to_string(),
            (None, SweepState::Finished) => "no point meets the objective".to_owned(),
            (None, _) => words::UNKNOWN.to_owned(),
        },
        usd_per_million: words::usd(of.usd_per_million),
        id: of.id,
    }
}

/// `POST /tuning`
pub(super) async fn start(
    State(pages): State<Arc<FormPages>>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(mut fields): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let started = match form::spec(&fields) {
        Ok(spec) => tuning::start(&pages.console, &visitor.caller, spec).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(_) => Ok(Redirect::to("/tuning").into_response()),
        Err(error) => {
            // Its labels.
            fields.retain(|(name, _)| name != "change");
            fields.push(("change".to_owned(), form::CHANGE.to_owned()));
            let again = pages.show_again(&visitor, &headers, fields, &error).await;
            again.ok_or_else(|| error.into())
        }
    }
}

/// `GET /tuning/{id}/stop`, `/resume` and `/plan`: the address after a form was refused.
pub(super) async fn back(parts: RawPathParams) -> Response {
    shown(path(&parts, "id"))
}

/// `POST /tuning/{id}/stop`
pub(super) async fn stop(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let stopped = tuning::stop(&console, &visitor.caller, path(&parts, "id")).await?;
    Ok(shown(&stopped.id))
}

/// `POST /tuning/{id}/resume`
pub(super) async fn resume(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
) -> Result<Response, PageError> {
    let resumed = tuning::resume(&console, &visitor.caller, path(&parts, "id")).await?;
    Ok(shown(&resumed.id))
}

/// The form that plans a point.
#[derive(Deserialize)]
pub(super) struct PointField {
    #[serde(default)]
    point: String,
}

/// `POST /tuning/{id}/plan`
pub(super) async fn plan(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parts: RawPathParams,
    Form(field): Form<PointField>,
) -> Result<Response, PageError> {
    let point = words::point_of(&field.point)
        .ok_or_else(|| Error::invalid("the form does not name a point; nothing was planned"))?;
    let change = tuning::change_to(&console, path(&parts, "id"), point)?;
    let plan = plan::make(&console, &visitor.caller, change).await?;
    Ok(Redirect::to(&format!("/plans/{}", plan.id)).into_response())
}

fn shown(id: &str) -> Response {
    Redirect::to(&format!("/tuning/{id}")).into_response()
}
