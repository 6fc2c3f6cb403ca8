//! What is observed: the queue, how it was, the books, the nodes. All of it was put together before anybody asked.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, check_exact};
use crate::console::Console;
use crate::sampler::Snapshot;
use crate::view::Problem;
use crate::view::books::BooksView;
use crate::view::nodes::{NodeView, NodesView};
use crate::view::queue::{HistoryView, QueueView};

/// The queue
#[utoipa::path(
    get,
    path = "/admin/v1/queue",
    operation_id = "getQueue",
    tag = "Queue and nodes",
    responses((status = 200, description = "How much waits, how fast it moves, how late rides are stored, and the books", body = QueueView)),
)]
pub(crate) async fn queue(State(console): State<Arc<Console>>) -> Result<Response, ApiError> {
    Ok(json(latest(&console)?.queue_json.clone()))
}

/// The books
#[utoipa::path(
    get,
    path = "/admin/v1/books",
    operation_id = "getBooks",
    tag = "Queue and nodes",
    responses((status = 200, description = "The proof that no ride was lost", body = BooksView)),
)]
pub(crate) async fn books(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<BooksView>, ApiError> {
    Ok(ApiJson(latest(&console)?.queue.books.clone()))
}

/// Which points are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Seconds between two points: 1 for the last hour, 60 for the last week; left out: 1.
    step: Option<u64>,
    /// Only points from this time on, in milliseconds since 1970.
    #[param(maximum = 9007199254740991_i64)]
    since_ms: Option<u64>,
}

/// How the queue was
#[utoipa::path(
    get,
    path = "/admin/v1/queue/history",
    operation_id = "getQueueHistory",
    tag = "Queue and nodes",
    params(HistoryQuery),
    responses(
        (status = 200, description = "Points", body = HistoryView),
        (status = 400, description = "There is no such step", body = Problem),
    ),
)]
pub(crate) async fn history(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Result<ApiJson<HistoryView>, ApiError> {
    let step = query.step.unwrap_or(1);
    if step != 1 && step != 60 {
        return Err(ApiError::invalid(format!(
            "step must be 1 or 60, not {step}"
        )));
    }
    check_exact("since_ms", query.since_ms)?;
    let since_ms = query.since_ms.unwrap_or(0);
    Ok(ApiJson(console.observed.history(step, since_ms)))
}

/// The nodes
#[utoipa::path(
    get,
    path = "/admin/v1/nodes",
    operation_id = "getNodes",
    tag = "Queue and nodes",
    responses((status = 200, description = "What each shall do beside what it does", body = NodesView)),
)]
pub(crate) async fn nodes(State(console): State<Arc<Console>>) -> Result<Response, ApiError> {
    Ok(json(latest(&console)?.nodes_json.clone()))
}

/// One node
#[utoipa::path(
    get,
    path = "/admin/v1/nodes/{id}",
    operation_id = "getNode",
    tag = "Queue and nodes",
    params(("id" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The node", body = NodeView),
        (status = 404, description = "No such node was heard", body = Problem),
    ),
)]
pub(crate) async fn node(
    State(console): State<Arc<Console>>,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<NodeView>, ApiError> {
    let latest = latest(&console)?;
    let found = latest.nodes.nodes.iter().find(|node| node.id == id);
    let none = || ApiError::not_found(format!("no node {id:?} was heard; see `skictl nodes`"));
    Ok(ApiJson(found.ok_or_else(none)?.clone()))
}

fn latest(console: &Console) -> Result<Arc<Snapshot>, ApiError> {
    let not_yet = || ApiError::unavailable("the console has only just started; ask again");
    console.observed.latest().ok_or_else(not_yet)
}

fn json(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
