//! The instances that nodes run on, and their cost.

use std::sync::Arc;

use axum::extract::State;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::console::Console;
use crate::fleet;
use crate::view::cost::CostView;
use crate::view::fleet::FleetView;

/// The instances
#[utoipa::path(
    get,
    path = "/admin/v1/fleet",
    operation_id = "getFleet",
    tag = "Machines",
    responses((status = 200, description = "The instances of the stack, from the last listing", body = FleetView)),
)]
pub(crate) async fn fleet(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<FleetView>, ApiError> {
    Ok(ApiJson(fleet::view(&console)?))
}

/// Cost of the instances
#[utoipa::path(
    get,
    path = "/admin/v1/cost",
    operation_id = "getCost",
    tag = "Machines",
    responses((status = 200, description = "Cost per hour, and per million stored rides", body = CostView)),
)]
pub(crate) async fn cost(State(console): State<Arc<Console>>) -> ApiJson<CostView> {
    ApiJson(fleet::cost::view(&console))
}
