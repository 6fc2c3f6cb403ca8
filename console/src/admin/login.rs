//! Login and logout.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::access::{Caller, Origin};
use crate::console::Console;
use crate::login::{by_code, by_password, log_out};
use crate::view::Problem;
use crate::view::access::{LoginRequest, LoginView, WhoView};

/// Log in
///
/// A user name and password, or a single-use code, are exchanged for a token that is valid for seven days, and for twelve hours without use.
#[utoipa::path(
    post,
    path = "/admin/v1/login",
    operation_id = "login",
    tag = "Access",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "The token", body = LoginView),
        (status = 401, description = "Wrong name, password or code", body = Problem),
        (status = 429, description = "Too many attempts for this name or from this address", body = Problem),
    ),
    security(()),
)]
pub(crate) async fn login(
    State(console): State<Arc<Console>>,
    from: Origin,
    ApiJson(request): ApiJson<LoginRequest>,
) -> Result<ApiJson<LoginView>, ApiError> {
    let logged_in = match request {
        LoginRequest::Password { name, password } => {
            by_password(&console, from, &name, password).await?
        }
        LoginRequest::Code { code } => by_code(&console, from, &code).await?,
    };
    Ok(ApiJson(logged_in))
}

/// Log out
///
/// The token of this request is revoked.
#[utoipa::path(
    post,
    path = "/admin/v1/logout",
    operation_id = "logout",
    tag = "Access",
    responses((status = 204, description = "The token is revoked")),
)]
pub(crate) async fn logout(
    State(console): State<Arc<Console>>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    log_out(&console, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The current user
#[utoipa::path(
    get,
    path = "/admin/v1/whoami",
    operation_id = "whoami",
    tag = "Access",
    responses((status = 200, description = "You", body = WhoView)),
)]
pub(crate) async fn whoami(
    State(console): State<Arc<Console>>,
    caller: Caller,
) -> ApiJson<WhoView> {
    ApiJson(WhoView {
        name: caller.name,
        role: caller.role,
        read_only: console.config.read_only,
    })
}
