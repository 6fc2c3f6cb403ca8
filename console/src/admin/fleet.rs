//! The machines that nodes run on, and what they cost.

use std::sync::Arc;

use axum::extract::State;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::console::Console;
use crate::fleet;
use crate::view::cost::CostView;
use crate::view::fleet::FleetView;

/// The machines
#[utoipa::path(
    get,
    path = "/admin/v1/fleet",
    operation_id = "getFleet",
    tag = "Machines",
    responses((status = 200, description = "The machines of the stack, as they were listed last", body = FleetView)),
)]
pub(crate) async fn fleet(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<FleetView>, ApiError> {
    Ok(ApiJson(fleet::view(&console)?))
}

/// What the machines cost
#[utoipa::path(
    get,
    path = "/admin/v1/cost",
    operation_id = "getCost",
    tag = "Machines",
    responses((status = 200, description = "What they cost an hour, and a million stored rides", body = CostView)),
)]
pub(crate) async fn cost(State(console): State<Arc<Console>>) -> ApiJson<CostView> {
    ApiJson(fleet::cost::view(&console))
}
