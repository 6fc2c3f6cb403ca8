//! Ingest keys.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{Document, Ingest};
use skilift_core::ride::ResortId;

use super::people::check_label;
use super::prepared::Prepared;
use crate::access::secret;
use crate::admin::ApiError;
use crate::console::Console;
use crate::desired::MOST_KEYS;
use crate::state::Key;

/// Most resorts of one key.
const MOST_RESORTS: usize = 1_000;

/// Make a key.
pub(super) fn add(
    console: &Arc<Console>,
    name: &str,
    resorts: Option<&[u64]>,
    by: &str,
) -> Result<Prepared, ApiError> {
    check_label(name)?;
    let resorts = resorts.map(check_resorts).transpose()?;
    if console.state.keys.count()? >= MOST_KEYS {
        return Err(ApiError::refused(format!(
            "there are {MOST_KEYS} keys; revoke some"
        )));
    }
    let what = match &resorts {
        None => "all resorts".to_owned(),
        Some(resorts) => {
            let ids: Vec<String> = resorts.iter().map(ToString::to_string).collect();
            format!("resorts {}", ids.join(", "))
        }
    };
    let mut prepared = Prepared::new("add key").act("add ingest key", name, None, Some(what));
    if !asks_for_keys(&console.desired.document()) {
        prepared = prepared
            .effect("nobody is asked for a key yet: `skictl settings set ingest keys` does that");
    }
    let (text, id) = (secret::ingest_key(), secret::id('k'));
    let key = Key {
        name: name.to_owned(),
        resorts,
        sha256: secret::digest_text(&text),
        by: by.to_owned(),
        made_at_ms: epoch_ms(),
    };
    let effect = &mut prepared.effect;
    console
        .state
        .keys
        .put(&mut effect.changes, id.as_bytes(), &key);
    effect.document = Some(with_other_keys(console));
    effect.made = Some(id);
    effect.secret = Some(text);
    Ok(prepared)
}

fn check_resorts(resorts: &[u64]) -> Result<Vec<ResortId>, ApiError> {
    if !(1..=MOST_RESORTS).contains(&resorts.len()) {
        return Err(ApiError::invalid(format!(
            "a key is for 1 to {MOST_RESORTS} resorts, or for all"
        )));
    }
    let checked = resorts.iter().map(|&resort| Ok(ResortId::new(resort)?));
    checked.collect()
}

/// Let a key count no more.
pub(super) fn revoke(console: &Arc<Console>, id: &str) -> Result<Prepared, ApiError> {
    let found = console.state.keys.get(id.as_bytes())?;
    let key = found
        .ok_or_else(|| ApiError::not_found(format!("there is no key {id:?}; see `skictl keys`")))?;
    let document = console.desired.document();
    let is_last = console.state.keys.count()? == 1;
    let closes = is_last && asks_for_keys(&document);
    let mut prepared = Prepared::new(format!("revoke key {id} {closes}"))
        .act(
            "revoke ingest key",
            format!("{} ({id})", key.name),
            Some("counts".to_owned()),
            Some("revoked".to_owned()),
        )
        .effect("gates that show it are refused within two seconds");
    if closes {
        prepared = prepared
            .effect("it is the last key: every gate is refused until another one is made. Nothing opens by itself")
            .severe(key.name);
    }
    let effect = &mut prepared.effect;
    console
        .state
        .keys
        .remove(&mut effect.changes, id.as_bytes());
    effect.document = Some(with_other_keys(console));
    Ok(prepared)
}

fn asks_for_keys(document: &Document) -> bool {
    document.ingest.is_some_and(|set| set.value == Ingest::Keys)
}

/// The document after the keys changed.
fn with_other_keys(console: &Console) -> Document {
    let mut document = Document::clone(&console.desired.document());
    document.serial = document.next_serial();
    document.keys_serial = document.next_keys_serial();
    document
}
