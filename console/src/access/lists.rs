//! Users, tokens and ingest keys, without their secrets.

use std::cmp::Reverse;
use std::collections::HashSet;

use crate::console::Console;
use crate::desired::MAX_KEYS;
use crate::error::Error;
use crate::settings::values;
use crate::state::{Key, Settings, Token, User};
use crate::view::access::{KeyView, KeysView, TokenView, TokensView, UserView, UsersView};

/// All users, by name.
///
/// # Errors
/// If the data directory cannot be read.
pub(crate) fn users(console: &Console) -> Result<UsersView, Error> {
    let found = console.state.users.range(.., usize::MAX)?;
    let row = |(name, user): (Vec<u8>, User)| UserView {
        name: String::from_utf8_lossy(&name).into_owned(),
        role: user.role,
        created_at_ms: user.since_ms,
        last_login_at_ms: user.last_login_ms,
    };
    Ok(UsersView {
        users: found.into_iter().map(row).collect(),
    })
}

/// All tokens and sessions, newest first.
pub(crate) fn tokens(console: &Console) -> TokensView {
    let row = |(id, token): (String, Token)| TokenView {
        id,
        expires_at_ms: token.ends_at_ms(token.last_used_ms),
        name: token.name,
        role: token.role,
        created_by: token.by,
        created_at_ms: token.made_at_ms,
        last_used_at_ms: token.last_used_ms,
    };
    let mut tokens: Vec<TokenView> = console.access.tokens().into_iter().map(row).collect();
    tokens.sort_by_key(|token| Reverse((token.created_at_ms, token.id.clone())));
    TokensView { tokens }
}

/// The ids of the tokens that are sessions.
pub(crate) fn sessions(console: &Console) -> HashSet<String> {
    let tokens = console.access.tokens().into_iter();
    let sessions = tokens.filter(|(_, token)| token.login_of.is_some());
    sessions.map(|(id, _)| id).collect()
}

/// The ingest policy, and all ingest keys, newest first.
///
/// # Errors
/// If the data directory cannot be read.
pub(crate) fn keys(console: &Console) -> Result<KeysView, Error> {
    let found = console.state.keys.range(.., MAX_KEYS)?;
    let row = |(id, key): (Vec<u8>, Key)| KeyView {
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
    Ok(KeysView { ingest, keys })
}
