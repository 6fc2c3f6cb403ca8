//! Sweeps.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery};
use crate::access::Caller;
use crate::console::Console;
use crate::error::Error;
use crate::tuning;
use crate::tuning::capacity::{Load, capacity};
use crate::view::Problem;
use crate::view::capacity::CapacityView;
use crate::view::tuning::{SweepList, SweepSpec, SweepView};

/// Start a sweep
///
/// It measures every point under load, one after the other, and then restores what was set before. Other changes of what it measures
/// are refused meanwhile. Get the sweep to see its progress.
#[utoipa::path(
    post,
    path = "/admin/v1/tuning",
    operation_id = "startSweep",
    tag = "Tuning",
    request_body = SweepSpec,
    responses(
        (status = 200, description = "The sweep", body = SweepView),
        (status = 400, description = "A value is out of range", body = Problem),
        (status = 409, description = "Another sweep is running", body = Problem),
        (status = 422, description = "It cannot be measured here", body = Problem),
    ),
)]
pub(crate) async fn start(
    State(console): State<Arc<Console>>,
    caller: Caller,
    ApiJson(spec): ApiJson<SweepSpec>,
) -> Result<ApiJson<SweepView>, ApiError> {
    Ok(ApiJson(tuning::start(&console, &caller, spec).await?))
}

/// Sweeps, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/tuning",
    operation_id = "listSweeps",
    tag = "Tuning",
    responses((status = 200, description = "The sweeps", body = SweepList)),
)]
pub(crate) async fn list(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<SweepList>, ApiError> {
    let listed =
        tokio::task::spawn_blocking(move || tuning::list(&console, tuning::MAX_SWEEPS as usize))
            .await;
    Ok(ApiJson(listed.map_err(Error::internal)??))
}

/// A sweep: progress and report
#[utoipa::path(
    get,
    path = "/admin/v1/tuning/{id}",
    operation_id = "getSweep",
    tag = "Tuning",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The sweep", body = SweepView),
        (status = 404, description = "The sweep does not exist", body = Problem),
    ),
)]
pub(crate) async fn sweep(
    State(console): State<Arc<Console>>,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<SweepView>, ApiError> {
    // Its models are fitted for each answer.
    let viewed = tokio::task::spawn_blocking(move || tuning::view(&console, &id)).await;
    Ok(ApiJson(viewed.map_err(Error::internal)??))
}

/// Stop a sweep
///
/// It ends after the current step, and restores what was set before. It can be resumed.
#[utoipa::path(
    post,
    path = "/admin/v1/tuning/{id}/stop",
    operation_id = "stopSweep",
    tag = "Tuning",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The sweep", body = SweepView),
        (status = 404, description = "The sweep does not exist", body = Problem),
        (status = 409, description = "The sweep is not running", body = Problem),
    ),
)]
pub(crate) async fn stop(
    State(console): State<Arc<Console>>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<SweepView>, ApiError> {
    Ok(ApiJson(tuning::stop(&console, &caller, &id).await?))
}

/// Resume a sweep
///
/// It goes on with the next measurement.
#[utoipa::path(
    post,
    path = "/admin/v1/tuning/{id}/resume",
    operation_id = "resumeSweep",
    tag = "Tuning",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, description = "The sweep", body = SweepView),
        (status = 404, description = "The sweep does not exist", body = Problem),
        (status = 409, description = "It is running, has measured everything, or another sweep is running", body = Problem),
        (status = 422, description = "It cannot be measured here", body = Problem),
    ),
)]
pub(crate) async fn resume(
    State(console): State<Arc<Console>>,
    caller: Caller,
    ApiPath(id): ApiPath<String>,
) -> Result<ApiJson<SweepView>, ApiError> {
    Ok(ApiJson(tuning::resume(&console, &caller, &id).await?))
}

/// Query of a capacity.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CapacityQuery {
    /// Rides per second, on average.
    #[param(minimum = 0.001)]
    rate: f64,
    /// How many times as many arrive at the peak; default 1.
    #[param(minimum = 1)]
    peak: Option<f64>,
    /// Largest 99th percentile from acceptance to storage, in milliseconds; default that of the sweep's objective.
    #[param(minimum = 0.001)]
    p99_ms: Option<f64>,
    /// The sweep; default the newest one that has finished.
    sweep: Option<String>,
}

/// The nodes that a load needs
///
/// By what a sweep measured: what workers can store, up to which utilisation the latency held, and how much CPU API nodes used.
#[utoipa::path(
    get,
    path = "/admin/v1/capacity",
    operation_id = "getCapacity",
    tag = "Tuning",
    params(CapacityQuery),
    responses(
        (status = 200, description = "Nodes and settings, best first", body = CapacityView),
        (status = 400, description = "A value is out of range", body = Problem),
        (status = 404, description = "The sweep does not exist", body = Problem),
        (status = 422, description = "No sweep has finished yet", body = Problem),
    ),
)]
pub(crate) async fn capacity_of(
    State(console): State<Arc<Console>>,
    ApiQuery(query): ApiQuery<CapacityQuery>,
) -> Result<ApiJson<CapacityView>, ApiError> {
    let load = Load {
        rate_per_s: query.rate,
        peak: query.peak.unwrap_or(1.0),
        p99_ms: query.p99_ms,
    };
    let computing = move || capacity(&console, query.sweep.as_deref(), load);
    let computed = tokio::task::spawn_blocking(computing).await;
    Ok(ApiJson(computed.map_err(Error::internal)??))
}
