//! The way in and out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use skilift_core::clock::epoch_ms;
use skilift_core::embedded::records::Changes;
use tokio::sync::MutexGuard;

use super::error::ApiError;
use super::extract::ApiJson;
use crate::access::{self, Caller, Origin, secret};
use crate::audit;
use crate::console::Console;
use crate::state::Token;
use crate::view::Problem;
use crate::view::access::{LoginRequest, LoginView, UserRole, WhoView};
use crate::view::audit::AuditEntry;

/// How much of a name that nobody has is kept in the audit, in characters.
const NAME_CHARS: usize = 64;
/// Most logins of one name at once: the oldest one ends when there would be more.
const MOST_LOGINS: usize = 20;
/// Who comes by a code has no name yet.
const BY_CODE: &str = "login-code";

/// Log in
///
/// A name with its password, or a single-use code, gives a token for twelve hours.
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
    match request {
        LoginRequest::Password { name, password } => {
            by_password(&console, from, &name, password).await
        }
        LoginRequest::Code { code } => by_code(&console, from, &code).await,
    }
}

async fn by_password(
    console: &Console,
    from: Origin,
    name: &str,
    password: String,
) -> Result<ApiJson<LoginView>, ApiError> {
    let line = attempt(&from, name);
    take_attempt(console, &line, Some(name), &from).await?;
    let is_too_long = password.len() > *access::password::BYTES.end();
    let user = if is_too_long {
        None
    } else {
        console.state.users.get(name.as_bytes())?
    };
    let kept = user.as_ref().map(|user| user.password.clone());
    let password = if is_too_long { String::new() } else { password };
    let is_right = console
        .access
        .passwords
        .is_right(password, kept.clone())
        .await?;
    // The check took its time: whoever was removed or given another password meanwhile stays out.
    let turn = console.desired.turn.lock().await;
    let user = console.state.users.get(name.as_bytes())?;
    let user = user.filter(|user| Some(&user.password) == kept.as_ref());
    let (Some(mut user), true) = (user, is_right) else {
        return refuse(console, line, "wrong name or password").await;
    };
    console.access.attempts.give_back(Some(name), from.address);
    let mut changes = Changes::default();
    user.last_login_ms = Some(epoch_ms());
    console
        .state
        .users
        .put(&mut changes, name.as_bytes(), &user);
    admit(console, name, user.role, line, (changes, turn)).await
}

async fn by_code(
    console: &Console,
    from: Origin,
    code: &str,
) -> Result<ApiJson<LoginView>, ApiError> {
    let line = attempt(&from, BY_CODE);
    take_attempt(console, &line, None, &from).await?;
    if !console.access.take_login_code(code) {
        return refuse(console, line, "this code counts no more, or never did").await;
    }
    console.access.attempts.give_back(None, from.address);
    let turn = console.desired.turn.lock().await;
    let nothing_else = (Changes::default(), turn);
    admit(console, BY_CODE, UserRole::Admin, line, nothing_else).await
}

fn attempt(from: &Origin, name: &str) -> AuditEntry {
    AuditEntry {
        who: "unknown".to_owned(),
        from: from.address.map(|address| address.to_string()),
        agent: from.agent.clone(),
        target: Some(name.chars().take(NAME_CHARS).collect()),
        ..audit::own("login")
    }
}

/// Refuses before anything is looked at. Only the first refusal of a drought is told: a stranger must not fill the audit.
async fn take_attempt(
    console: &Console,
    line: &AuditEntry,
    account: Option<&str>,
    from: &Origin,
) -> Result<(), ApiError> {
    let taken = console
        .access
        .attempts
        .take(account, from.address, epoch_ms());
    let Err(refused) = taken else { return Ok(()) };
    let why = "too many attempts for this name or from this address; try again later";
    if refused.is_news {
        let line = audit::refused(line.clone(), why);
        let writing = console
            .state
            .commit("audit a refusal", Changes::default(), vec![line]);
        writing.await?;
    }
    Err(ApiError::too_many(why, refused.retry_after_ms))
}

async fn refuse<T>(console: &Console, line: AuditEntry, why: &str) -> Result<T, ApiError> {
    let line = audit::refused(line, why);
    let writing = console
        .state
        .commit("audit a refusal", Changes::default(), vec![line]);
    writing.await?;
    Err(ApiError::unauthenticated(why))
}

/// Gives a token to who was found to be right, and writes with it what else changes. Nobody's access changes meanwhile.
async fn admit(
    console: &Console,
    name: &str,
    role: UserRole,
    line: AuditEntry,
    (mut changes, _turn): (Changes, MutexGuard<'_, ()>),
) -> Result<ApiJson<LoginView>, ApiError> {
    let mut logins: Vec<(String, Token)> = console.access.tokens();
    logins.retain(|(_, token)| token.login_of.as_deref() == Some(name));
    logins.sort_by_key(|(_, token)| token.made_at_ms);
    let too_many = (logins.len() + 1).saturating_sub(MOST_LOGINS);
    for (id, _) in &logins[..too_many] {
        console.state.tokens.remove(&mut changes, id.as_bytes());
    }
    if too_many == 0 && console.access.tokens().len() >= access::MOST_TOKENS {
        return Err(ApiError::refused(format!(
            "there are {} tokens and logins; revoke some",
            access::MOST_TOKENS
        )));
    }
    let (text, now) = (secret::token(), epoch_ms());
    let token = Token {
        name: name.to_owned(),
        role,
        by: name.to_owned(),
        login_of: Some(name.to_owned()),
        sha256: secret::digest_text(&text),
        made_at_ms: now,
        expires_at_ms: now + access::LOGIN_MS,
        last_used_ms: None,
    };
    let id = secret::id('t');
    console
        .state
        .tokens
        .put(&mut changes, id.as_bytes(), &token);
    let line = AuditEntry {
        who: name.to_owned(),
        role: Some(role.to_string()),
        target: Some(id),
        ..line
    };
    console
        .state
        .commit("log somebody in", changes, vec![line])
        .await?;
    console.access.reload(&console.state)?;
    Ok(ApiJson(LoginView {
        token: text,
        expires_at_ms: token.expires_at_ms,
        who: WhoView {
            name: name.to_owned(),
            role,
            read_only: console.config.read_only,
        },
    }))
}

/// Log out
///
/// The token that is shown counts no more.
#[utoipa::path(
    post,
    path = "/admin/v1/logout",
    operation_id = "logout",
    tag = "Access",
    responses((status = 204, description = "The token counts no more")),
)]
pub(crate) async fn logout(
    State(console): State<Arc<Console>>,
    caller: Caller,
) -> Result<StatusCode, ApiError> {
    if caller.token == access::LOCAL {
        return Err(ApiError::refused(
            "this token belongs to the console's process and ends with it",
        ));
    }
    let mut changes = Changes::default();
    let _turn = console.desired.turn.lock().await;
    console
        .state
        .tokens
        .remove(&mut changes, caller.token.as_bytes());
    let line = AuditEntry {
        target: Some(caller.token.clone()),
        ..audit::by(&caller, "logout")
    };
    console
        .state
        .commit("log somebody out", changes, vec![line])
        .await?;
    console.access.reload(&console.state)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who you are
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
