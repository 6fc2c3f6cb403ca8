//! Users and API tokens.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;

use super::planned_change::{ApplySecrets, PlannedChange};
use crate::access::{self, secret};
use crate::console::Console;
use crate::error::Error;
use crate::state::{Token, User};
use crate::view::access::UserRole;
use crate::view::change::Change;

/// Maximum number of users.
const MAX_USERS: usize = 1_000;
/// Longest name, in bytes.
const NAME_BYTES: usize = 64;
/// Names that the audit log reserves.
const RESERVED: [&str; 4] = ["console", "unknown", access::LOCAL, "login-code"];
/// Minimum and maximum lifetime of a token, in seconds.
const LIFETIME_S: std::ops::RangeInclusive<u64> = 60..=366 * 86_400;

/// Computes a change of users or tokens.
pub(super) fn prepare(
    console: &Arc<Console>,
    change: &Change,
    by: &str,
    secrets: &ApplySecrets,
) -> Result<PlannedChange, Error> {
    match change {
        Change::AddUser { name, role } => add_user(console, name, *role, secrets),
        Change::SetPassword { name } => set_password(console, name, secrets),
        Change::SetRole { name, role } => set_role(console, name, *role),
        Change::RemoveUser { name } => remove_user(console, name),
        Change::AddToken {
            name,
            role,
            expires_in_s,
        } => add_token(console, name, *role, *expires_in_s, by),
        Change::RevokeToken { id } => revoke_token(console, id),
        _ => Err(Error::internal(
            "unexpected kind of change for users and tokens",
        )),
    }
}

/// Checks the label of a token or key: 1 to 100 bytes of visible text.
pub(super) fn check_label(label: &str) -> Result<(), Error> {
    let fits = (1..=100).contains(&label.len()) && !label.chars().any(char::is_control);
    if fits && label.trim() == label {
        Ok(())
    } else {
        Err(Error::invalid(
            "a name must be 1 to 100 bytes long, without control characters or leading and trailing spaces",
        ))
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@');
    let fits = (1..=NAME_BYTES).contains(&name.len()) && name.chars().all(is_allowed);
    if !fits {
        return Err(Error::invalid(format!(
            "a user name must be 1 to {NAME_BYTES} letters, digits, dots, dashes, underscores or @"
        )));
    }
    if RESERVED.contains(&name) {
        return Err(Error::invalid(format!("{name:?} is a reserved name")));
    }
    Ok(())
}

fn find(console: &Console, name: &str) -> Result<User, Error> {
    let found = console.state.users.get(name.as_bytes())?;
    found.ok_or_else(|| {
        Error::not_found(format!("user {name:?} does not exist; see `skictl users`"))
    })
}

fn add_user(
    console: &Console,
    name: &str,
    role: UserRole,
    secrets: &ApplySecrets,
) -> Result<PlannedChange, Error> {
    check_name(name)?;
    if console.state.users.get(name.as_bytes())?.is_some() {
        return Err(Error::conflict(format!("user {name:?} already exists")));
    }
    if console.state.users.count()? >= MAX_USERS {
        return Err(Error::refused(format!(
            "the limit of {MAX_USERS} users is reached; remove unused users"
        )));
    }
    let mut prepared = PlannedChange::new(format!("add user {name}")).with_action(
        "add user",
        name,
        None,
        Some(role.to_string()),
    );
    prepared.needs_password = true;
    let user = User {
        role,
        password: secrets.password.clone().unwrap_or_default(),
        since_ms: epoch_ms(),
        last_login_ms: None,
    };
    console
        .state
        .users
        .put(&mut prepared.mutation.changes, name.as_bytes(), &user);
    Ok(prepared)
}

fn set_password(
    console: &Console,
    name: &str,
    secrets: &ApplySecrets,
) -> Result<PlannedChange, Error> {
    let user = find(console, name)?;
    let mut prepared = PlannedChange::new(format!(
        "password {name} {}",
        secret::digest_text(&user.password)
    ))
    .with_action("set password", name, None, None);
    prepared.needs_password = true;
    let user = User {
        password: secrets.password.clone().unwrap_or_default(),
        ..user
    };
    console
        .state
        .users
        .put(&mut prepared.mutation.changes, name.as_bytes(), &user);
    end_logins(console, name, prepared)
}

fn set_role(console: &Console, name: &str, role: UserRole) -> Result<PlannedChange, Error> {
    let user = find(console, name)?;
    let is_last = is_last_admin(console, &user)?;
    let basis = format!("role {name} {} {is_last}", user.role);
    if user.role == role {
        return Ok(PlannedChange::already(basis));
    }
    let mut prepared = PlannedChange::new(basis).with_action(
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
        .put(&mut prepared.mutation.changes, name.as_bytes(), &user);
    end_logins(console, name, prepared)
}

fn remove_user(console: &Console, name: &str) -> Result<PlannedChange, Error> {
    let user = find(console, name)?;
    let is_last = is_last_admin(console, &user)?;
    let mut prepared = PlannedChange::new(format!("remove user {name} {} {is_last}", user.role))
        .with_action("remove user", name, Some(user.role.to_string()), None);
    if is_last {
        prepared = refuse_last_admin(prepared, name);
    }
    console
        .state
        .users
        .remove(&mut prepared.mutation.changes, name.as_bytes());
    end_logins(console, name, prepared)
}

fn is_last_admin(console: &Console, user: &User) -> Result<bool, DiskError> {
    let users = console.state.users.range(.., usize::MAX)?;
    let admins = users
        .iter()
        .filter(|(_, user)| user.role == UserRole::Admin);
    Ok(user.role == UserRole::Admin && admins.count() == 1)
}

fn refuse_last_admin(prepared: PlannedChange, name: &str) -> PlannedChange {
    prepared.refuse(
        format!("{name} is the last admin; add another admin first"),
        false,
    )
}

/// Ends a user's logins. Tokens created for programs stay valid and are listed in an effect.
fn end_logins(
    console: &Console,
    name: &str,
    mut prepared: PlannedChange,
) -> Result<PlannedChange, Error> {
    let (mut logins, mut made) = (0, Vec::new());
    for (id, token) in console.access.tokens() {
        if token.login_of.as_deref() == Some(name) {
            console
                .state
                .tokens
                .remove(&mut prepared.mutation.changes, id.as_bytes());
            logins += 1;
        } else if token.by == name {
            made.push(id);
        }
    }
    if logins > 0 {
        prepared = prepared.with_effect(format!("{name} is logged out ({logins} sessions)"));
    }
    if !made.is_empty() {
        prepared = prepared.with_effect(format!(
            "tokens created by {name} stay valid: {}; `skictl tokens revoke` revokes them",
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
) -> Result<PlannedChange, Error> {
    check_label(name)?;
    let is_taken = RESERVED.contains(&name) || console.state.users.get(name.as_bytes())?.is_some();
    if is_taken {
        return Err(Error::invalid(format!(
            "{name:?} cannot be the name of a token: it is reserved or belongs to a user"
        )));
    }
    if !LIFETIME_S.contains(&expires_in_s) {
        return Err(Error::invalid(format!(
            "expires_in_s must be from {} to {}, not {expires_in_s}",
            LIFETIME_S.start(),
            LIFETIME_S.end()
        )));
    }
    if console.access.tokens().len() >= access::MAX_TOKENS {
        return Err(Error::refused(format!(
            "the limit of {} tokens and logins is reached; revoke unused tokens",
            access::MAX_TOKENS
        )));
    }
    let days = expires_in_s as f64 / 86_400.0;
    let after = format!("{role}, for {days:.1} days");
    let mut prepared =
        PlannedChange::new("add token").with_action("add token", name, None, Some(after));
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
    let mutation = &mut prepared.mutation;
    console
        .state
        .tokens
        .put(&mut mutation.changes, id.as_bytes(), &token);
    mutation.made = Some(id);
    mutation.secret = Some(text);
    Ok(prepared)
}

fn revoke_token(console: &Console, id: &str) -> Result<PlannedChange, Error> {
    if id == access::LOCAL {
        return Err(Error::refused(
            "this token belongs to the console process and cannot be revoked; it expires when the console stops",
        ));
    }
    let found = console.state.tokens.get(id.as_bytes())?;
    let token = found.ok_or_else(|| {
        Error::not_found(format!("token {id:?} does not exist; see `skictl tokens`"))
    })?;
    let mut prepared = PlannedChange::new(format!("revoke token {id}")).with_action(
        "revoke token",
        format!("{} ({id})", token.name),
        Some(token.role.to_string()),
        Some("revoked".to_owned()),
    );
    console
        .state
        .tokens
        .remove(&mut prepared.mutation.changes, id.as_bytes());
    Ok(prepared)
}
