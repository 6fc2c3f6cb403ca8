//! The collected state: queue, history, reconciliation and nodes. All of it is collected in advance, not per request.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, check_exact};
use crate::console::Console;
use crate::error::Error;
use crate::view::Problem;
use crate::view::nodes::{NodeDetailView, NodesView};
use crate::view::queue::{HistoryView, QueueView};
use crate::view::reconciliation::ReconciliationView;

/// The queue
#[utoipa::path(
    get,
    path = "/admin/v1/queue",
    operation_id = "getQueue",
    tag = "Queue and nodes",
    responses((status = 200, description = "Backlog, throughput, storage delay, and reconciliation", body = QueueView)),
)]
pub(crate) async fn queue(State(console): State<Arc<Console>>) -> Result<Response, ApiError> {
    Ok(json(collected(console.monitor.queue_json())?))
}

/// Reconciliation
#[utoipa::path(
    get,
    path = "/admin/v1/reconciliation",
    operation_id = "getBooks",
    tag = "Queue and nodes",
    responses((status = 200, description = "The proof that no accepted ride was lost", body = ReconciliationView)),
)]
pub(crate) async fn books(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<ReconciliationView>, ApiError> {
    let view = console
        .monitor
        .part(|seen| Some(&seen.queue.reconciliation));
    Ok(ApiJson(collected(view)?))
}

/// Query of history points.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Seconds between two points: 1 for the last hour, 60 for the last week; default 1.
    step: Option<u64>,
    /// Only points since this time, in milliseconds since 1970.
    #[param(maximum = 9007199254740991_i64)]
    since_ms: Option<u64>,
}

/// History of the queue
#[utoipa::path(
    get,
    path = "/admin/v1/queue/history",
    operation_id = "getQueueHistory",
    tag = "Queue and nodes",
    params(HistoryQuery),
    responses(
        (status = 200, description = "Points", body = HistoryView),
        (status = 400, description = "The step is not 1 or 60", body = Problem),
    ),
)]
pub(crate) async fn history(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Result<ApiJson<HistoryView>, ApiError> {
    let step = query.step.unwrap_or(1);
    if step != 1 && step != 60 {
        return Err(Error::invalid(format!("step must be 1 or 60, not {step}")).into());
    }
    check_exact("since_ms", query.since_ms)?;
    let since_ms = query.since_ms.unwrap_or(0);
    Ok(ApiJson(console.monitor.history(step, since_ms)))
}

/// The nodes
#[utoipa::path(
    get,
    path = "/admin/v1/nodes",
    operation_id = "getNodes",
    tag = "Queue and nodes",
    responses((status = 200, description = "Actual and desired state of each node", body = NodesView)),
)]
pub(crate) async fn nodes(State(console): State<Arc<Console>>) -> Result<Response, ApiError> {
    Ok(json(collected(console.monitor.nodes_json())?))
}

/// One node
#[utoipa::path(
    get,
    path = "/admin/v1/nodes/{id}",
    operation_id = "getNode",
    tag = "Queue and nodes",
    params(("id" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The node and its events", body = NodeDetailView),
        (status = 404, description = "Node unknown: no heartbeat received", body = Problem),
    ),
)]
pub(crate) async fn node(
    State(console): State<Arc<Console>>,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<NodeDetailView>, ApiError> {
    collected(console.monitor.latest())?;
    let found = console.monitor.node(&id);
    let none = || {
        Error::not_found(format!(
            "node {id:?} is unknown: no heartbeat received; see `skictl nodes`"
        ))
    };
    Ok(ApiJson(found.ok_or_else(none)?))
}

/// What was collected, unless the console has just started.
fn collected<T>(seen: Option<T>) -> Result<T, Error> {
    let not_yet = || Error::unavailable("the console has just started; retry in a moment");
    seen.ok_or_else(not_yet)
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
