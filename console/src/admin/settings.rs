//! Settings.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use super::extract::{ApiJson, ApiPath, ApiQuery, limit};
use crate::console::Console;
use crate::view::Problem;
use crate::view::settings::{Section, SettingsHistoryView, SettingsView};

/// The desired settings of each section
#[utoipa::path(
    get,
    path = "/admin/v1/settings",
    operation_id = "getSettings",
    tag = "Settings and plans",
    responses((status = 200, description = "All sections", body = SettingsView)),
)]
pub(crate) async fn settings(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<SettingsView>, ApiError> {
    Ok(ApiJson(crate::settings::view(&console)?))
}

/// Query of versions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Maximum number; default 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// The versions of a section, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/settings/{section}/history",
    operation_id = "getSettingsHistory",
    tag = "Settings and plans",
    params(("section" = Section, Path, description = "Which"), HistoryQuery),
    responses(
        (status = 200, description = "Its versions", body = SettingsHistoryView),
        (status = 400, description = "Unknown section", body = Problem),
    ),
)]
pub(crate) async fn history(
    State(console): State<Arc<Console>>,
    ApiPath(section): ApiPath<Section>,
    ApiQuery(query): ApiQuery<HistoryQuery>,
) -> Result<ApiJson<SettingsHistoryView>, ApiError> {
    let limit = limit(query.limit, 50, 1000)?;
    Ok(ApiJson(crate::settings::history(&console, section, limit)?))
}
