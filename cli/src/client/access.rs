//! `skictl users`, `tokens` and `keys`.

use std::collections::BTreeSet;

use skilift_console::view::access::{KeysView, TokensView, UserRole, UsersView};
use skilift_console::view::change::Change;

use super::Client;
use super::columns::Columns;
use super::connection::ApiRequest;
use super::figures::{moment, moment_or_dash};
use super::page::{Page, Style, plain};
use crate::args::access::{
    KeysArgs, KeysCommand, TokensArgs, TokensCommand, UsersArgs, UsersCommand,
};
use crate::exit::Exit;

/// Runs `skictl users`.
pub(crate) async fn users(args: &UsersArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let (change, password, consent) = match &args.command {
        None | Some(UsersCommand::List { .. }) => {
            let request = || ApiRequest::new(["users"]);
            let watch = match &args.command {
                Some(UsersCommand::List { watch }) => client.either(args.watch, *watch),
                _ => args.watch,
            };
            return client
                .show_command(watch)
                .show(request, render_users, None)
                .await;
        }
        Some(UsersCommand::Add {
            name,
            role,
            password,
            consent,
        }) => {
            let change = Change::AddUser {
                name: name.clone(),
                role: (*role).into(),
            };
            (change, Some((name.as_str(), *password)), consent)
        }
        Some(UsersCommand::Password {
            name,
            password,
            consent,
        }) => {
            let change = Change::SetPassword { name: name.clone() };
            (change, Some((name.as_str(), *password)), consent)
        }
        Some(UsersCommand::Role {
            name,
            role,
            consent,
        }) => {
            let change = Change::SetRole {
                name: name.clone(),
                role: (*role).into(),
            };
            (change, None, consent)
        }
        Some(UsersCommand::Remove { name, consent }) => {
            (Change::RemoveUser { name: name.clone() }, None, consent)
        }
    };
    client
        .change(args.watch, consent)?
        .with_password(change, password)
        .await
}

/// Runs `skictl tokens`.
pub(crate) async fn tokens(args: &TokensArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let (change, consent) = match &args.command {
        None | Some(TokensCommand::List { .. }) => {
            let request = || ApiRequest::new(["tokens"]);
            let watch = match &args.command {
                Some(TokensCommand::List { watch }) => client.either(args.watch, *watch),
                _ => args.watch,
            };
            return client
                .show_command(watch)
                .show(request, render_tokens, None)
                .await;
        }
        Some(TokensCommand::Add {
            name,
            role,
            expires_in,
            consent,
        }) => {
            let change = Change::AddToken {
                name: name.clone(),
                role: (*role).into(),
                expires_in_s: expires_in.as_secs(),
            };
            (change, consent)
        }
        Some(TokensCommand::Revoke { id, consent }) => {
            (Change::RevokeToken { id: id.clone() }, consent)
        }
    };
    client.change(args.watch, consent)?.carry_out(change).await
}

/// Runs `skictl keys`.
pub(crate) async fn keys(args: &KeysArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let (change, consent) = match &args.command {
        None | Some(KeysCommand::List { .. }) => {
            let request = || ApiRequest::new(["keys"]);
            let watch = match &args.command {
                Some(KeysCommand::List { watch }) => client.either(args.watch, *watch),
                _ => args.watch,
            };
            return client
                .show_command(watch)
                .show(request, render_keys, None)
                .await;
        }
        Some(KeysCommand::Add {
            name,
            resort,
            consent,
        }) => {
            let numbers = |resorts: &Vec<skilift_core::ride::ResortId>| {
                let numbers: BTreeSet<u64> =
                    resorts.iter().map(|resort| resort.get().into()).collect();
                numbers.into_iter().collect()
            };
            let change = Change::AddKey {
                name: name.clone(),
                resorts: resort.as_ref().map(numbers),
            };
            (change, consent)
        }
        Some(KeysCommand::Revoke { id, consent }) => {
            (Change::RevokeKey { id: id.clone() }, consent)
        }
    };
    client.change(args.watch, consent)?.carry_out(change).await
}

/// Name of a role.
pub(super) fn word(role: UserRole) -> &'static str {
    match role {
        UserRole::Viewer => "viewer",
        UserRole::Operator => "operator",
        UserRole::Admin => "admin",
    }
}

fn render_users(users: &UsersView, page: &mut Page) {
    let rows = users.users.iter().map(|user| {
        [
            plain(&user.name),
            plain(word(user.role)),
            plain(moment(user.created_at_ms)),
            plain(moment_or_dash(user.last_login_at_ms)),
        ]
    });
    page.table(
        &Columns {
            names: ["user", "role", "since", "last login"],
            optional_columns: &["since"],
        },
        rows,
        "no users",
    );
}

fn render_tokens(tokens: &TokensView, page: &mut Page) {
    let rows = tokens.tokens.iter().map(|token| {
        [
            plain(&token.id),
            plain(&token.name),
            plain(word(token.role)),
            plain(&token.created_by),
            plain(moment(token.created_at_ms)),
            plain(moment(token.expires_at_ms)),
            plain(moment_or_dash(token.last_used_at_ms)),
        ]
    });
    page.table(
        &Columns {
            names: [
                "id",
                "token",
                "role",
                "created by",
                "created",
                "expires",
                "last used",
            ],
            optional_columns: &["created", "created by", "last used"],
        },
        rows,
        "no tokens",
    );
}

fn render_keys(keys: &KeysView, page: &mut Page) {
    let style = match keys.ingest.as_str() {
        "open" | "unset" => Style::Warning,
        _ => Style::Good,
    };
    let says = match keys.ingest.as_str() {
        "open" => "open: no key required",
        "keys" => "keys: posting rides requires a key",
        "unset" => "not set: each node's own flags apply",
        other => other,
    };
    page.styled_pair("ingest", says, style);
    let rows = keys.keys.iter().map(|key| {
        let resorts = key.resorts.as_ref().map_or_else(
            || "all".to_owned(),
            |resorts| {
                let numbers: Vec<String> = resorts.iter().map(u64::to_string).collect();
                numbers.join(",")
            },
        );
        [
            plain(&key.id),
            plain(&key.name),
            plain(resorts),
            plain(&key.created_by),
            plain(moment(key.created_at_ms)),
        ]
    });
    page.table(
        &Columns {
            names: ["id", "key", "resorts", "created by", "created"],
            optional_columns: &["created by", "created"],
        },
        rows,
        "no keys",
    );
}
