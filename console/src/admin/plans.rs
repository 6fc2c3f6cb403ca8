//! Plans: every change comes this way.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, limit};
use crate::access::Caller;
use crate::console::Console;
use crate::error::Error;
use crate::plan;
use crate::view::Problem;
use crate::view::change::Change;
use crate::view::plan::{ApplyRequest, OutcomeView, PlanList, PlanView};

/// Plan a change
///
/// This changes nothing. The plan shows what would happen, and is valid for fifteen minutes.
#[utoipa::path(
    post,
    path = "/admin/v1/plans",
    operation_id = "makePlan",
    tag = "Settings and plans",
    request_body = Change,
    responses(
        (status = 200, description = "The plan", body = PlanView),
        (status = 400, description = "A value is out of range", body = Problem),
        (status = 404, description = "The target of the change does not exist", body = Problem),
        (status = 409, description = "The current state is not what the change expects", body = Problem),
        (status = 422, description = "It cannot be planned now", body = Problem),
    ),
)]
pub(crate) async fn make(
    State(console): State<Arc<Console>>,
    caller: Caller,
    ApiJson(change): ApiJson<Change>,
) -> Result<ApiJson<PlanView>, ApiError> {
    Ok(ApiJson(plan::make(&console, &caller, change).await?))
}

/// Query of plans.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlansQuery {
    /// Only plans that are older than this one.
    before: Option<String>,
    /// Maximum number; default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// Plans, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/plans",
    operation_id = "listPlans",
    tag = "Settings and plans",
    params(PlansQuery),
    responses((status = 200, description = "The plans", body = PlanList)),
)]
pub(crate) async fn list(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<PlansQuery>,
) -> Result<ApiJson<PlanList>, ApiError> {
    let limit = limit(query.limit, 50, 500)?;
    let list = move || plan::list::list(&console, query.before.as_deref(), limit);
    let listed = tokio::task::spawn_blocking(list).await;
    Ok(ApiJson(listed.map_err(Error::internal)??))
}

/// A plan and its outcome
#[utoipa::path(
    get,
    path = "/admin/v1/plans/{id}",
    operation_id = "getPlan",
    tag = "Settings and plans",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The plan", body = PlanView),
        (status = 404, description = "The plan does not exist", body = Problem),
    ),
)]
pub(crate) async fn plan(
    State(console): State<Arc<Console>>,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<PlanView>, ApiError> {
    let found = plan::job::find(&console, &id)?;
    let none = || Error::not_found(format!("plan {id:?} does not exist"));
    Ok(ApiJson(found.ok_or_else(none)?))
}

/// Apply a plan
///
/// The plan runs to its end even if the connection breaks; get the plan to see its outcome. If it takes longer than two
/// seconds, the response contains the progress.
#[utoipa::path(
    post,
    path = "/admin/v1/plans/{id}/apply",
    operation_id = "applyPlan",
    tag = "Settings and plans",
    params(("id" = String, Path, description = "Its id")),
    request_body = ApplyRequest,
    responses(
        (status = 200, description = "The outcome or progress", body = OutcomeView),
        (status = 400, description = "The password is missing or has an invalid length", body = Problem),
        (status = 404, description = "The plan does not exist", body = Problem),
        (status = 409, description = "The plan is stale, or was already applied", body = Problem),
        (status = 422, description = "A guard refuses it, or its confirmation is missing", body = Problem),
    ),
)]
pub(crate) async fn apply(
    State(console): State<Arc<Console>>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
    ApiJson(request): ApiJson<ApplyRequest>,
) -> Result<ApiJson<OutcomeView>, ApiError> {
    let applied = plan::apply::apply(&console, &caller, &id, request).await?;
    Ok(ApiJson(applied))
}

/// Cancel a plan
///
/// A plan that was not applied can no longer be. One that is being applied ends before its next step: what is done stays done,
/// and nodes that are draining resume work. A step that has begun is finished first; get the plan to see its outcome.
#[utoipa::path(
    post,
    path = "/admin/v1/plans/{id}/cancel",
    operation_id = "cancelPlan",
    tag = "Settings and plans",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The plan, with its outcome or progress", body = PlanView),
        (status = 404, description = "The plan does not exist", body = Problem),
        (status = 409, description = "The plan has ended, or has a single step, which has begun", body = Problem),
    ),
)]
pub(crate) async fn cancel(
    State(console): State<Arc<Console>>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<PlanView>, ApiError> {
    let cancelled = plan::cancel::cancel(&console, &caller, &id).await?;
    Ok(ApiJson(cancelled))
}
