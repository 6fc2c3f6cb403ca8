//! Users and API tokens.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;

use super::Given;
use super::prepared::Prepared;
use crate::access::{self, secret};
use crate::admin::ApiError;
use crate::console::Console;
use crate::state::{Token, User};
use crate::view::access::UserRole;
use crate::view::change::Change;

/// Most users.
const MOST_USERS: usize = 1_000;
/// Longest name, in bytes.
const NAME_BYTES: usize = 64;
/// Names that the audit gives to others.
const RESERVED: [&str; 4] = ["console", "unknown", access::LOCAL, "login-code"];
/// Shortest and longest life of a token, in seconds.
const LIFE_S: std::ops::RangeInclusive<u64> = 60..=366 * 86_400;

/// Works out a change of users or tokens.
pub(super) fn prepare(
    console: &Arc<Console>,
    change: &Change,
    by: &str,
    given: &Given,
) -> Result<Prepared, ApiError> {
    match change {
        Change::AddUser { name, role } => add_user(console, name, *role, given),
        Change::SetPassword { name } => set_password(console, name, given),
        Change::SetRole { name, role } => set_role(console, name, *role),
        Change::RemoveUser { name } => remove_user(console, name),
        Change::AddToken {
            name,
            role,
            expires_in_s,
        } => add_token(console, name, *role, *expires_in_s, by),
        Change::RevokeToken { id } => revoke_token(console, id),
        _ => Err(ApiError::internal(
            "a change of another kind came to users and tokens",
        )),
    }
}

/// What a token or key is for: any words, but short and visible.
pub(super) fn check_label(label: &str) -> Result<(), ApiError> {
    let fits = (1..=100).contains(&label.len()) && !label.chars().any(char::is_control);
    if fits && label.trim() == label {
        Ok(())
    } else {
        Err(ApiError::invalid(
            "a name has 1 to 100 bytes, without line ends and spaces around it",
        ))
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let fits = (1..=NAME_BYTES).contains(&name.len()) && name.chars().all(is_allowed);
    if !fits {
        return Err(ApiError::invalid(format!(
            "a user is named by 1 to {NAME_BYTES} letters, digits, dots, dashes, underscores and @"
        )));
    }
    if RESERVED.contains(&name) {
        return Err(ApiError::invalid(format!(
            "nobody can be called {name:?}: the audit gives that name to others"
        )));
    }
    Ok(())
}

fn find(console: &Console, name: &str) -> Result<User, ApiError> {
    let found = console.state.users.get(name.as_bytes())?;
    found.ok_or_else(|| {
        ApiError::not_found(format!("there is no user {name:?}; see `skictl users`"))
    })
}

fn add_user(
    console: &Console,
    name: &str,
    role: UserRole,
    given: &Given,
) -> Result<Prepared, ApiError> {
    check_name(name)?;
    if console.state.users.get(name.as_bytes())?.is_some() {
        return Err(ApiError::conflict(format!(
            "there is a user {name:?} already"
        )));
    }
    if console.state.users.count()? >= MOST_USERS {
        return Err(ApiError::refused(format!(
            "there are {MOST_USERS} users; remove some"
        )));
    }
    let mut prepared = Prepared::new(format!("add user {name}")).act(
        "add user",
        name,
        None,
        Some(role.to_string()),
    );
    prepared.needs_password = true;
    let user = User {
        role,
        password: given.password.clone().unwrap_or_default(),
        since_ms: epoch_ms(),
        last_login_ms: None,
    };
    console
        .state
        .users
        .put(&mut prepared.effect.changes, name.as_bytes(), &user);
    Ok(prepared)
}

fn set_password(console: &Console, name: &str, given: &Given) -> Result<Prepared, ApiError> {
    let user = find(console, name)?;
    let mut prepared = Prepared::new(format!(
        "password {name} {}",
        secret::digest_text(&user.password)
    ))
    .act("set password", name, None, None);
    prepared.needs_password = true;
    let user = User {
        password: given.password.clone().unwrap_or_default(),
        ..user
    };
    console
        .state
        .users
        .put(&mut prepared.effect.changes, name.as_bytes(), &user);
    end_logins(console, name, prepared)
}

fn set_role(console: &Console, name: &str, role: UserRole) -> Result<Prepared, ApiError> {
    let user = find(console, name)?;
    let is_last = is_last_admin(console, &user)?;
    let basis = format!("role {name} {} {is_last}", user.role);
    if user.role == role {
        return Ok(Prepared::already(basis));
    }
    let mut prepared = Prepared::new(basis).act(
        "set role",
        name,
        Some(user.role.to_string()),
        Some(role.to_string()),
    );
    if is_last {
        prepared = refuse_last_admin(prepared, name);
    }
    let user = User { role, ..user };
    console
        .state
        .users
        .put(&mut prepared.effect.changes, name.as_bytes(), &user);
    end_logins(console, name, prepared)
}

fn remove_user(console: &Console, name: &str) -> Result<Prepared, ApiError> {
    let user = find(console, name)?;
    let is_last = is_last_admin(console, &user)?;
    let mut prepared = Prepared::new(format!("remove user {name} {} {is_last}", user.role)).act(
        "remove user",
        name,
        Some(user.role.to_string()),
        None,
    );
    if is_last {
        prepared = refuse_last_admin(prepared, name);
    }
    console
        .state
        .users
        .remove(&mut prepared.effect.changes, name.as_bytes());
    end_logins(console, name, prepared)
}

fn is_last_admin(console: &Console, user: &User) -> Result<bool, DiskError> {
    let users = console.state.users.range(.., usize::MAX)?;
    let admins = users
        .iter()
        .filter(|(_, user)| user.role == UserRole::Admin);
    Ok(user.role == UserRole::Admin && admins.count() == 1)
}

fn refuse_last_admin(prepared: Prepared, name: &str) -> Prepared {
    prepared.refuse(
        format!("{name} is the last admin: make another one first"),
        false,
    )
}

/// Adds that a user's logins end. Tokens that were made for programs go on, and are told.
fn end_logins(console: &Console, name: &str, mut prepared: Prepared) -> Result<Prepared, ApiError> {
    let (mut logins, mut made) = (0, Vec::new());
    for (id, token) in console.access.tokens() {
        if token.login_of.as_deref() == Some(name) {
            console
                .state
                .tokens
                .remove(&mut prepared.effect.changes, id.as_bytes());
            logins += 1;
        } else if token.by == name {
            made.push(id);
        }
    }
    if logins > 0 {
        prepared = prepared.effect(format!("{name} is logged out {logins} times"));
    }
    if !made.is_empty() {
        prepared = prepared.effect(format!(
            "tokens that {name} made go on: {}; `skictl tokens revoke` ends them",
            made.join(", ")
        ));
    }
    Ok(prepared)
}

fn add_token(
    console: &Console,
    name: &str,
    role: UserRole,
    expires_in_s: u64,
    by: &str,
) -> Result<Prepared, ApiError> {
    check_label(name)?;
    let is_taken = RESERVED.contains(&name) || console.state.users.get(name.as_bytes())?.is_some();
    if is_taken {
        return Err(ApiError::invalid(format!(
            "a token cannot be called {name:?}: the audit would take it for somebody else"
        )));
    }
    if !LIFE_S.contains(&expires_in_s) {
        return Err(ApiError::invalid(format!(
            "expires_in_s must be from {} to {}, not {expires_in_s}",
            LIFE_S.start(),
            LIFE_S.end()
        )));
    }
    if console.access.tokens().len() >= access::MOST_TOKENS {
        return Err(ApiError::refused(format!(
            "there are {} tokens and logins; revoke some",
            access::MOST_TOKENS
        )));
    }
    let days = expires_in_s as f64 / 86_400.0;
    let after = format!("{role}, for {days:.1} days");
    let mut prepared = Prepared::new("add token").act("add token", name, None, Some(after));
    let (text, id, now) = (secret::token(), secret::id('t'), epoch_ms());
    let token = Token {
        name: name.to_owned(),
        role,
        by: by.to_owned(),
        login_of: None,
        sha256: secret::digest_text(&text),
        made_at_ms: now,
        expires_at_ms: now + expires_in_s * 1000,
        last_used_ms: None,
    };
    let effect = &mut prepared.effect;
    console
        .state
        .tokens
        .put(&mut effect.changes, id.as_bytes(), &token);
    effect.made = Some(id);
    effect.secret = Some(text);
    Ok(prepared)
}

fn revoke_token(console: &Console, id: &str) -> Result<Prepared, ApiError> {
    if id == access::LOCAL {
        return Err(ApiError::refused(
            "this token belongs to the console's process and ends with it",
        ));
    }
    let found = console.state.tokens.get(id.as_bytes())?;
    let token = found.ok_or_else(|| {
        ApiError::not_found(format!("there is no token {id:?}; see `skictl tokens`"))
    })?;
    let mut prepared = Prepared::new(format!("revoke token {id}")).act(
        "revoke token",
        format!("{} ({id})", token.name),
        Some(token.role.to_string()),
        Some("revoked".to_owned()),
    );
    console
        .state
        .tokens
        .remove(&mut prepared.effect.changes, id.as_bytes());
    Ok(prepared)
}
