//! Logins and sessions, whatever they come through.

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::records::WriteBatch;
use tokio::sync::MutexGuard;

use crate::access::{self, Caller, Origin, secret};
use crate::audit;
use crate::console::Console;
use crate::error::Error;
use crate::state::Token;
use crate::view::access::{LoginView, UserRole, WhoView};
use crate::view::audit::AuditEntry;

/// Maximum length of an unknown user name in the audit log, in characters.
const NAME_CHARS: usize = 64;
/// Maximum sessions per user: a further login ends the oldest one.
const MAX_LOGINS: usize = 20;
/// The name of callers that log in with a code.
const BY_CODE: &str = "login-code";

/// Logs a user in by name and password.
///
/// # Errors
/// If they are wrong, or there were too many attempts.
pub(crate) async fn by_password(
    console: &Console,
    from: Origin,
    name: &str,
    password: String,
) -> Result<LoginView, Error> {
    let line = attempt(&from, name);
    take_attempt(console, &line, Some(name), &from).await?;
    let is_too_long = password.len() > *access::password::BYTES.end();
    let user = if is_too_long {
        None
    } else {
        console.state.users.get(name.as_bytes())?
    };
    let stored_hash = user.as_ref().map(|user| user.password.clone());
    let password = if is_too_long { String::new() } else { password };
    let is_right = console
        .access
        .passwords
        .is_right(password, stored_hash.clone())
        .await?;
    // The check is slow: a user removed or given another password meanwhile is rejected.
    let write_lock = console.desired.write_lock.lock().await;
    let user = console.state.users.get(name.as_bytes())?;
    let user = user.filter(|user| Some(&user.password) == stored_hash.as_ref());
    let (Some(mut user), true) = (user, is_right) else {
        return refuse(console, line, "wrong name or password").await;
    };
    console
        .access
        .login_limiter
        .give_back(Some(name), from.address);
    let mut changes = WriteBatch::default();
    user.last_login_ms = Some(epoch_ms());
    console
        .state
        .users
        .put(&mut changes, name.as_bytes(), &user);
    create_session(console, name, user.role, line, (changes, write_lock)).await
}

/// Logs in as admin by a single-use code.
///
/// # Errors
/// If it is invalid or expired, or there were too many attempts.
pub(crate) async fn by_code(
    console: &Console,
    from: Origin,
    code: &str,
) -> Result<LoginView, Error> {
    let line = attempt(&from, BY_CODE);
    take_attempt(console, &line, None, &from).await?;
    let Some(code) = console.access.take_login_code(code) else {
        return refuse(console, line, "invalid or expired code").await;
    };
    console.access.login_limiter.give_back(None, from.address);
    let write_lock = console.desired.write_lock.lock().await;
    let nothing_else = (WriteBatch::default(), write_lock);
    let session = create_session(console, BY_CODE, UserRole::Admin, line, nothing_else).await;
    if session.is_err() {
        console.access.give_back_login_code(code);
    }
    session
}

fn attempt(from: &Origin, name: &str) -> AuditEntry {
    AuditEntry {
        actor: "unknown".to_owned(),
        source_ip: from.address.map(|address| address.to_string()),
        user_agent: from.agent.clone(),
        target: Some(name.chars().take(NAME_CHARS).collect()),
        ..audit::own("login")
    }
}

/// Applies the rate limit before anything is checked. Only the first rejection of a series is audited by itself,
/// and the others are counted, so that unauthenticated callers cannot fill the audit log.
async fn take_attempt(
    console: &Console,
    line: &AuditEntry,
    account: Option<&str>,
    from: &Origin,
) -> Result<(), Error> {
    let taken = console
        .access
        .login_limiter
        .take(account, from.address, epoch_ms());
    let Err(refused) = taken else { return Ok(()) };
    let why = "too many attempts for this name or from this address; try again later";
    let line = audit::denied(line.clone(), why);
    audit::unauthenticated::record_limited(console, line, refused.should_log).await?;
    Err(Error::too_many(why, refused.retry_after_ms))
}

async fn refuse<T>(console: &Console, line: AuditEntry, why: &str) -> Result<T, Error> {
    let line = audit::denied(line, why);
    audit::unauthenticated::record(console, line).await?;
    Err(Error::unauthenticated(why))
}

/// Creates a session for an authenticated caller, and commits it together with other changes. The write lock prevents
/// changes of access meanwhile.
async fn create_session(
    console: &Console,
    name: &str,
    role: UserRole,
    line: AuditEntry,
    (mut changes, _write_lock): (WriteBatch, MutexGuard<'_, ()>),
) -> Result<LoginView, Error> {
    let mut logins: Vec<(String, Token)> = console.access.tokens();
    logins.retain(|(_, token)| token.login_of.as_deref() == Some(name));
    logins.sort_by_key(|(_, token)| token.made_at_ms);
    let too_many = (logins.len() + 1).saturating_sub(MAX_LOGINS);
    for (id, _) in &logins[..too_many] {
        console.state.tokens.remove(&mut changes, id.as_bytes());
    }
    if too_many == 0 && console.access.tokens().len() >= access::MAX_TOKENS {
        return Err(Error::refused(format!(
            "the limit of {} tokens and logins is reached; revoke unused tokens",
            access::MAX_TOKENS
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
        expires_at_ms: now + access::SESSION_MS,
        last_used_ms: None,
    };
    let id = secret::id('t');
    console
        .state
        .tokens
        .put(&mut changes, id.as_bytes(), &token);
    let line = AuditEntry {
        actor: name.to_owned(),
        role: Some(role.to_string()),
        target: Some(id),
        ..line
    };
    console
        .state
        .commit("log a user in", changes, vec![line])
        .await?;
    console.access.reload(&console.state)?;
    Ok(LoginView {
        token: text,
        expires_at_ms: token.ends_at_ms(None),
        user: WhoView {
            name: name.to_owned(),
            role,
            read_only: console.config.read_only,
        },
    })
}

/// Revokes the token of a caller.
///
/// # Errors
/// If it is the token of this process.
pub(crate) async fn log_out(console: &Console, caller: &Caller) -> Result<(), Error> {
    if caller.token == access::LOCAL {
        return Err(Error::refused(
            "this token belongs to the console process and cannot be revoked; it expires when the console stops",
        ));
    }
    let mut changes = WriteBatch::default();
    let _write_lock = console.desired.write_lock.lock().await;
    console
        .state
        .tokens
        .remove(&mut changes, caller.token.as_bytes());
    let line = AuditEntry {
        target: Some(caller.token.clone()),
        ..audit::by(caller, "logout")
    };
    console
        .state
        .commit("log a user out", changes, vec![line])
        .await?;
    console.access.reload(&console.state)?;
    Ok(())
}
