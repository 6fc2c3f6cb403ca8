//! Users, tokens and ingest keys, without their secrets.

use std::sync::Arc;

use axum::extract::State;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::access::lists;
use crate::console::Console;
use crate::view::access::{KeysView, TokensView, UsersView};

/// Users, by name
#[utoipa::path(
    get,
    path = "/admin/v1/users",
    operation_id = "getUsers",
    tag = "Access",
    responses((status = 200, description = "All users", body = UsersView)),
)]
pub(crate) async fn users(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<UsersView>, ApiError> {
    Ok(ApiJson(lists::users(&console)?))
}

/// API tokens and logins, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/tokens",
    operation_id = "getTokens",
    tag = "Access",
    responses((status = 200, description = "All valid tokens", body = TokensView)),
)]
pub(crate) async fn tokens(State(console): State<Arc<Console>>) -> ApiJson<TokensView> {
    ApiJson(lists::tokens(&console))
}

/// Ingest keys, newest first
#[utoipa::path(
    get,
    path = "/admin/v1/keys",
    operation_id = "getKeys",
    tag = "Access",
    responses((status = 200, description = "All valid keys", body = KeysView)),
)]
pub(crate) async fn keys(
    State(console): State<Arc<Console>>,
) -> Result<ApiJson<KeysView>, ApiError> {
    Ok(ApiJson(lists::keys(&console)?))
}
