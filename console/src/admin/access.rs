//! Users, tokens and ingest keys, without their secrets.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::State;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::console::Console;
use crate::desired::MAX_KEYS;
use crate::settings::values;
use crate::state::{Settings, User};
use crate::view::access::{KeyView, KeysView, TokenView, TokensView, UserView, UsersView};

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
    let found = console.state.users.range(.., usize::MAX)?;
    let row = |(name, user): (Vec<u8>, User)| UserView {
        name: String::from_utf8_lossy(&name).into_owned(),
        role: user.role,
        created_at_ms: user.since_ms,
        last_login_at_ms: user.last_login_ms,
    };
    Ok(ApiJson(UsersView {
        users: found.into_iter().map(row).collect(),
    }))
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
    let row = |(id, token): (String, crate::state::Token)| TokenView {
        id,
        name: token.name,
        role: token.role,
        created_by: token.by,
        created_at_ms: token.made_at_ms,
        expires_at_ms: token.expires_at_ms,
        last_used_at_ms: token.last_used_ms,
    };
    let mut tokens: Vec<TokenView> = console.access.tokens().into_iter().map(row).collect();
    tokens.sort_by_key(|token| Reverse((token.created_at_ms, token.id.clone())));
    ApiJson(TokensView { tokens })
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
    let found = console.state.keys.range(.., MAX_KEYS)?;
    let row = |(id, key): (Vec<u8>, crate::state::Key)| KeyView {
        id: String::from_utf8_lossy(&id).into_owned(),
        name: key.name,
        resorts: key
            .resorts
            .map(|resorts| resorts.iter().map(|id| u64::from(id.get())).collect()),
        created_by: key.by,
        created_at_ms: key.made_at_ms,
    };
    let mut keys: Vec<KeyView> = found.into_iter().map(row).collect();
    keys.sort_by_key(|key| Reverse((key.created_at_ms, key.id.clone())));
    let ingest = console.desired.document().ingest;
    let ingest = ingest.map_or("unset".to_owned(), |set| {
        let named = values(Settings::Ingest(set.value));
        named.values().map(ToString::to_string).collect()
    });
    Ok(ApiJson(KeysView { ingest, keys }))
}
