//! `skictl users`, `tokens` and `keys`: who may do what.

use std::collections::BTreeSet;

use skilift_console::view::access::{KeysView, TokensView, UserRole, UsersView};
use skilift_console::view::change::Change;

use super::Client;
use super::columns::Columns;
use super::connection::Question;
use super::look::{moment, moment_or_dash};
use super::page::{Page, Tone, plain};
use crate::args::access::{
    KeysArgs, KeysCommand, TokensArgs, TokensCommand, UsersArgs, UsersCommand,
};
use crate::exit::Exit;

/// Runs `skictl users`.
pub(crate) async fn users(args: &UsersArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.client)?;
    let (change, password, consent) = match &args.command {
        None | Some(UsersCommand::List { .. }) => {
            let ask = || Question::new(["users"]);
            let watch = match &args.command {
                Some(UsersCommand::List { watch }) => client.either(args.watch, *watch),
                _ => args.watch,
            };
            return client.showing(watch).show(ask, draw_users, None).await;
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
            let ask = || Question::new(["tokens"]);
            let watch = match &args.command {
                Some(TokensCommand::List { watch }) => client.either(args.watch, *watch),
                _ => args.watch,
            };
            return client.showing(watch).show(ask, draw_tokens, None).await;
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
            let ask = || Question::new(["keys"]);
            let watch = match &args.command {
                Some(KeysCommand::List { watch }) => client.either(args.watch, *watch),
                _ => args.watch,
            };
            return client.showing(watch).show(ask, draw_keys, None).await;
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

/// A role in a word.
pub(super) fn word(role: UserRole) -> &'static str {
    match role {
        UserRole::Viewer => "viewer",
        UserRole::Operator => "operator",
        UserRole::Admin => "admin",
    }
}

fn draw_users(users: &UsersView, page: &mut Page) {
    let rows = users.users.iter().map(|user| {
        [
            plain(&user.name),
            plain(word(user.role)),
            plain(moment(user.since_ms)),
            plain(moment_or_dash(user.last_login_ms)),
        ]
    });
    page.table(
        &Columns {
            names: ["user", "role", "since", "last login"],
            spare: &["since"],
        },
        rows,
        "no users",
    );
}

fn draw_tokens(tokens: &TokensView, page: &mut Page) {
    let rows = tokens.tokens.iter().map(|token| {
        [
            plain(&token.id),
            plain(&token.name),
            plain(word(token.role)),
            plain(&token.by),
            plain(moment(token.made_at_ms)),
            plain(moment(token.expires_at_ms)),
            plain(moment_or_dash(token.last_used_ms)),
        ]
    });
    page.table(
        &Columns {
            names: ["id", "token", "role", "by", "made", "ends", "last used"],
            spare: &["made", "by", "last used"],
        },
        rows,
        "no tokens",
    );
}

fn draw_keys(keys: &KeysView, page: &mut Page) {
    let tone = match keys.ingest.as_str() {
        "open" | "unset" => Tone::Warning,
        _ => Tone::Good,
    };
    let says = match keys.ingest.as_str() {
        "open" => "open: everybody who can reach the API may post rides",
        "keys" => "keys: who posts rides shows a key",
        "unset" => "unset: each API node's flags say whether it asks for a key",
        other => other,
    };
    page.toned_pair("ingest", says, tone);
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
            plain(&key.by),
            plain(moment(key.made_at_ms)),
        ]
    });
    page.table(
        &Columns {
            names: ["id", "key", "resorts", "by", "made"],
            spare: &["by", "made"],
        },
        rows,
        "no keys",
    );
}
