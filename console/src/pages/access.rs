//! Access: users, tokens, sessions and ingest keys. It never contains a secret.

use std::collections::HashSet;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use skilift_core::clock::epoch_ms;

use super::error::{PageError, render};
use super::head::Head;
use super::html::{Markup, state, time};
use super::visitor::Visitor;
use crate::access::{LOCAL, lists};
use crate::console::Console;
use crate::view::access::{KeyView, KeysView, TokenView, UserRole, UserView};
use crate::view::figures::grouped;

/// Maximum rows of tokens, and of keys.
const MAX_ROWS: usize = 200;
/// How long a token can be valid, in seconds and as text.
const LIFETIMES: [(&str, &str); 3] = [
    ("2592000", "30 days"),
    ("7776000", "90 days"),
    ("31622400", "366 days"),
];
/// The lifetime that is offered first, in seconds.
const LIFETIME_S: &str = "7776000";
/// The roles, the lowest first.
const ROLES: [UserRole; 3] = [UserRole::Viewer, UserRole::Operator, UserRole::Admin];

#[derive(Template)]
#[template(path = "access.html")]
struct AccessPage {
    head: Head,
    roles: [UserRole; 3],
    lifetimes: [Lifetime; 3],
    /// Whether the user may change this.
    may_change: bool,
    users: Vec<UserRow>,
    tokens: Vec<TokenRow>,
    /// How many there are, and how many of them are shown.
    tokens_shown: String,
    ingest: Markup,
    /// What it means that there is no key.
    without_keys: &'static str,
    keys: Vec<KeyRow>,
    keys_shown: String,
}

/// A choice in the form of a token.
struct Lifetime {
    seconds: &'static str,
    text: &'static str,
    is_chosen: bool,
}

struct UserRow {
    name: String,
    role: UserRole,
    created: Markup,
    last_login: Option<Markup>,
}

struct TokenRow {
    id: String,
    name: String,
    /// "token", "session", "this session" or "console".
    kind: &'static str,
    role: UserRole,
    created_by: String,
    /// `None` for the token of the console's process.
    expires: Option<Markup>,
    last_used: Option<Markup>,
    may_revoke: bool,
}

struct KeyRow {
    id: String,
    name: String,
    resorts: String,
    created_by: String,
    created: Markup,
}

/// `GET /access`
pub(super) async fn page(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
) -> Result<Response, PageError> {
    let head = Head::new(&console, &visitor, "/access", "Access");
    let (users, tokens) = (
        lists::users(&console)?.users,
        lists::tokens(&console).tokens,
    );
    let (keys, sessions) = (lists::keys(&console)?, lists::sessions(&console));
    let now = epoch_ms();
    let own = visitor.caller.token.as_str();
    let token_rows = tokens.iter().take(MAX_ROWS);
    let key_rows = keys.keys.iter().take(MAX_ROWS);
    Ok(render(&AccessPage {
        roles: ROLES,
        lifetimes: lifetimes(&head),
        may_change: head.may_change && visitor.caller.role == UserRole::Admin,
        users: users.iter().map(|user| user_row(user, now)).collect(),
        tokens: token_rows
            .map(|token| token_row(token, own, &sessions, now))
            .collect(),
        tokens_shown: shown(tokens.len(), "skictl tokens"),
        ingest: ingest_state(&keys),
        without_keys: without_keys(&keys),
        keys: key_rows.map(|key| key_row(key, now)).collect(),
        keys_shown: shown(keys.keys.len(), "skictl keys"),
        head,
    }))
}

fn lifetimes(head: &Head) -> [Lifetime; 3] {
    let chosen = head.typed("add_token", "expires_in_s");
    let chosen = chosen.unwrap_or(LIFETIME_S);
    LIFETIMES.map(|(seconds, text)| Lifetime {
        seconds,
        text,
        is_chosen: seconds == chosen,
    })
}

/// How many rows of `all` are shown. `command` lists all.
fn shown(all: usize, command: &str) -> String {
    let count = grouped(all as u64);
    if all > MAX_ROWS {
        format!("The newest {MAX_ROWS} of {count}; {command} lists all.")
    } else {
        format!("{count}, newest first.")
    }
}

fn user_row(user: &UserView, now: u64) -> UserRow {
    UserRow {
        name: user.name.clone(),
        role: user.role,
        created: time(user.created_at_ms, now),
        last_login: user.last_login_at_ms.map(|ms| time(ms, now)),
    }
}

fn token_row(token: &TokenView, own: &str, sessions: &HashSet<String>, now: u64) -> TokenRow {
    let (is_local, is_own) = (token.id == LOCAL, token.id == own);
    TokenRow {
        id: token.id.clone(),
        name: token.name.clone(),
        kind: if is_own {
            "this session"
        } else if is_local {
            "console"
        } else if sessions.contains(&token.id) {
            "session"
        } else {
            "token"
        },
        role: token.role,
        created_by: token.created_by.clone(),
        expires: (!is_local).then(|| time(token.expires_at_ms, now)),
        last_used: token.last_used_at_ms.map(|ms| time(ms, now)),
        // "Log out" ends the own session.
        may_revoke: !is_local && !is_own,
    }
}

fn key_row(key: &KeyView, now: u64) -> KeyRow {
    let ids = |resorts: &Vec<u64>| {
        let ids: Vec<String> = resorts.iter().map(ToString::to_string).collect();
        ids.join(", ")
    };
    KeyRow {
        id: key.id.clone(),
        name: key.name.clone(),
        resorts: key.resorts.as_ref().map_or_else(|| "all".to_owned(), ids),
        created_by: key.created_by.clone(),
        created: time(key.created_at_ms, now),
    }
}

/// Who may post rides.
fn ingest_state(view: &KeysView) -> Markup {
    match (view.ingest.as_str(), view.keys.is_empty()) {
        ("keys", true) => state("bad", "required, but there is none", "bad"),
        ("keys", false) => state("ok", "required for every POST", "lock"),
        ("open", _) => state("warn", "not required", "warn"),
        _ => state("idle", "each API node\u{2019}s own flags apply", "unknown"),
    }
}

/// What it means that there is no key.
fn without_keys(view: &KeysView) -> &'static str {
    match view.ingest.as_str() {
        "keys" => "Every gate is rejected until a key is created.",
        "open" => "Any client that can reach the API may post rides.",
        _ => "API nodes whose flags require a key reject every gate.",
    }
}
