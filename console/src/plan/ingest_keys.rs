//! Ingest keys.

use std::sync::Arc;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{Document, Ingest};
use skilift_core::embedded::records::WriteBatch;
use skilift_core::ride::ResortId;

use super::planned_change::PlannedChange;
use super::users::check_label;
use crate::access::secret;
use crate::console::Console;
use crate::desired::MAX_KEYS;
use crate::error::Error;
use crate::state::Key;

/// Maximum resorts of one key.
const MAX_RESORTS: usize = 1_000;

/// Creates a key.
pub(super) fn add(
    console: &Arc<Console>,
    name: &str,
    resorts: Option<&[u64]>,
    by: &str,
) -> Result<PlannedChange, Error> {
    check_label(name)?;
    let resorts = resorts.map(check_resorts).transpose()?;
    if console.state.keys.count()? >= MAX_KEYS {
        return Err(Error::refused(format!(
            "the limit of {MAX_KEYS} keys is reached; revoke unused keys"
        )));
    }
    let what = match &resorts {
        None => "all resorts".to_owned(),
        Some(resorts) => {
            let ids: Vec<String> = resorts.iter().map(ToString::to_string).collect();
            format!("resorts {}", ids.join(", "))
        }
    };
    let mut prepared =
        PlannedChange::new("add key").with_action("add ingest key", name, None, Some(what));
    if !asks_for_keys(&console.desired.document()) {
        prepared = prepared
            .with_effect("the ingest policy does not require keys yet; `skictl settings set ingest keys` enforces them");
    }
    let (text, id) = (secret::ingest_key(), secret::id('k'));
    let key = Key {
        name: name.to_owned(),
        resorts,
        sha256: secret::digest_text(&text),
        by: by.to_owned(),
        made_at_ms: epoch_ms(),
    };
    let mutation = &mut prepared.mutation;
    console
        .state
        .keys
        .put(&mut mutation.changes, id.as_bytes(), &key);
    mutation.document = Some(with_other_keys(console, &mut mutation.changes));
    mutation.made = Some(id);
    mutation.secret = Some(text);
    Ok(prepared)
}

fn check_resorts(resorts: &[u64]) -> Result<Vec<ResortId>, Error> {
    if !(1..=MAX_RESORTS).contains(&resorts.len()) {
        return Err(Error::invalid(format!(
            "a key must be for 1 to {MAX_RESORTS} resorts, or for all"
        )));
    }
    let checked = resorts.iter().map(|&resort| Ok(ResortId::new(resort)?));
    checked.collect()
}

/// Revokes a key.
pub(super) fn revoke(console: &Arc<Console>, id: &str) -> Result<PlannedChange, Error> {
    let found = console.state.keys.get(id.as_bytes())?;
    let key = found
        .ok_or_else(|| Error::not_found(format!("key {id:?} does not exist; see `skictl keys`")))?;
    let document = console.desired.document();
    let is_last = console.state.keys.count()? == 1;
    let closes = is_last && asks_for_keys(&document);
    let mut prepared = PlannedChange::new(format!("revoke key {id} {closes}"))
        .with_action(
            "revoke ingest key",
            format!("{} ({id})", key.name),
            Some("active".to_owned()),
            Some("revoked".to_owned()),
        )
        .with_effect("requests with this key are rejected within two seconds");
    if closes {
        prepared = prepared
            .with_effect("this is the last key: all rides are rejected until another key is created. Ingest does not become open automatically")
            .severe(key.name);
    }
    let mutation = &mut prepared.mutation;
    console
        .state
        .keys
        .remove(&mut mutation.changes, id.as_bytes());
    mutation.document = Some(with_other_keys(console, &mut mutation.changes));
    Ok(prepared)
}

fn asks_for_keys(document: &Document) -> bool {
    document.ingest.is_some_and(|set| set.value == Ingest::Keys)
}

/// The document after the keys changed.
fn with_other_keys(console: &Console, changes: &mut WriteBatch) -> Document {
    let mut document = Document::clone(&console.desired.document());
    document.serial = document.next_serial();
    document.keys_serial = document.next_keys_serial();
    console.state.put_keys_serial(changes, document.keys_serial);
    document
}
