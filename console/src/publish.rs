//! Publishes the desired state to the nodes, and republishes it: if Redis loses it, it is restored a second later.
//!
//! The document with the higher serial wins. A console whose stored state is older than the published one imports that; a
//! read-only console only reads.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{ControlError, Document, IngestKeys};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use skilift_core::lifecycle::{TaskError, chain};
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::console::Console;
use crate::desired::{ingest_keys, put_new_versions};
use crate::state::Key;
use crate::view::audit::AuditEntry;

/// Interval of the reconciliation.
const INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of the control channel.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Author of imported settings.
const BY_OTHERS: &str = "another console";

/// Why a reconciliation failed.
#[derive(Debug, thiserror::Error)]
enum ReconcileError {
    #[error(transparent)]
    ControlChannel(#[from] ControlError),
    #[error("the control channel does not respond")]
    Silent,
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Reconciles once, so that the stored state is published before this process' own nodes poll it. If the control channel is
/// unavailable, the start continues.
///
/// # Errors
/// If the data directory fails.
pub(crate) async fn reconcile_at_start(console: &Console) -> Result<(), DiskError> {
    record_result(console, reconcile(console).await)
}

/// Publishes until `drain`.
pub(crate) async fn run(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    loop {
        // Neither is cancelled halfway: what they write and the state in memory belong together.
        end_pause(&console).await?;
        record_result(&console, reconcile(&console).await)?;
        tokio::select! {
            () = console.desired.changed.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = drain.cancelled() => return Ok(()),
        }
    }
}

/// Records the result of a reconciliation, and logs it if it changed.
fn record_result(console: &Console, result: Result<(), ReconcileError>) -> Result<(), DiskError> {
    match result {
        Ok(()) => {
            if console.desired.set_unreachable(None) {
                tracing::info!("settings can be distributed to the nodes");
            }
        }
        Err(ReconcileError::Disk(error)) => return Err(error),
        Err(error) => {
            let why = chain(&error);
            if console.desired.set_unreachable(Some(why.clone())) {
                tracing::warn!(
                    "settings cannot be distributed; nodes keep their current settings: {why}"
                );
            }
        }
    }
    Ok(())
}

async fn with_timeout<T>(
    request: impl Future<Output = Result<T, ControlError>>,
) -> Result<T, ReconcileError> {
    let response = tokio::time::timeout(TIMEOUT, request).await;
    Ok(response.map_err(|_| ReconcileError::Silent)??)
}

/// The published value. An unreadable value is treated as missing, and is overwritten.
async fn unreadable_as_missing<T>(
    request: impl Future<Output = Result<Option<T>, ControlError>>,
) -> Result<Option<T>, ControlError> {
    match request.await {
        Err(error @ ControlError::Unreadable { .. }) => {
            tracing::warn!("{}; writing it again", chain(&error));
            Ok(None)
        }
        response => response,
    }
}

/// Ends a pause whose time is over. The nodes have resumed by themselves; this records it.
async fn end_pause(console: &Console) -> Result<(), DiskError> {
    let is_over =
        |document: &Document| document.pause.is_some() && document.pause_at(epoch_ms()).is_none();
    if console.config.read_only || !is_over(&console.desired.document()) {
        return Ok(());
    }
    let _write_lock = console.desired.write_lock.lock().await;
    let document = console.desired.document();
    if !is_over(&document) {
        return Ok(());
    }
    let mut after = Document {
        serial: document.next_serial(),
        ..Document::clone(&document)
    };
    let paused_by = after.pause.take().map(|pause| pause.paused_by);
    let mut changes = WriteBatch::default();
    console.state.put_document(&mut changes, &after);
    let line = AuditEntry {
        target: Some("pause".to_owned()),
        reason: paused_by.map(|by| format!("the pause by {by} is over")),
        ..audit::own("end")
    };
    let doing = "record the end of a pause";
    console.state.commit(doing, changes, vec![line]).await?;
    console.desired.remember(after);
    Ok(())
}

async fn reconcile(console: &Console) -> Result<(), ReconcileError> {
    let control_channel = &console.sources.control_channel;
    if console.config.read_only {
        let found = with_timeout(control_channel.document()).await?;
        console.desired.remember(found.unwrap_or_default());
        return Ok(());
    }
    let found = with_timeout(unreadable_as_missing(control_channel.document())).await?;
    let found_keys = with_timeout(unreadable_as_missing(control_channel.ingest_keys())).await?;
    let write_lock = console.desired.write_lock.lock().await;
    if let Some(found) = &found {
        let ours = console.desired.document();
        if found.serial > ours.serial {
            import_newer(console, found, found_keys.as_ref()).await?;
        } else if found.serial == ours.serial && *found != *ours {
            reassert(console, &ours).await?;
        } else if let Some(keys) = &found_keys
            && keys.serial == ours.keys_serial
            && !has_keys_of(console, &ours)?
        {
            import_keys(console, keys).await?;
        }
    }
    bootstrap(console).await?;
    let document = console.desired.document();
    // Older keys are never published under the serial of newer ones, which may have revoked some.
    let keys = if has_keys_of(console, &document)? {
        Some(ingest_keys(&console.state, document.keys_serial)?)
    } else {
        None
    };
    drop(write_lock);

    // Keys first: a document must never refer to keys that are not published yet.
    let published_serial = found_keys.map_or(0, |found| found.serial);
    if let Some(keys) = keys.filter(|keys| published_serial < keys.serial) {
        with_timeout(control_channel.publish_ingest_keys(&keys)).await?;
    }
    let published_serial = found.map_or(0, |found| found.serial);
    if published_serial < document.serial {
        with_timeout(control_channel.publish(&document)).await?;
    }
    Ok(())
}

/// Imports a published state that is newer than the stored one: written by another console, or by this one before its data
/// directory was replaced.
async fn import_newer(
    console: &Console,
    found: &Document,
    keys: Option<&IngestKeys>,
) -> Result<(), DiskError> {
    let (state, before) = (&console.state, console.desired.document());
    let mut changes = WriteBatch::default();
    put_new_versions(state, &mut changes, &before, found, BY_OTHERS);
    state.put_document(&mut changes, found);
    match keys.filter(|keys| keys.serial > before.keys_serial) {
        Some(keys) => put_keys(console, &mut changes, keys)?,
        None if found.keys_serial > before.keys_serial => {
            let own = state.keys_serial()?.unwrap_or(before.keys_serial);
            state.put_keys_serial(&mut changes, own);
            tracing::warn!(
                "the ingest keys of another console cannot be read; nodes keep those that they have"
            );
        }
        None => {}
    }
    let line = AuditEntry {
        before: Some(format!("serial {}", before.serial)),
        after: Some(format!("serial {}", found.serial)),
        reason: Some("imported newer settings that another console published".to_owned()),
        ..audit::own("import")
    };
    state.commit("import settings", changes, vec![line]).await?;
    tracing::warn!(
        "another console published newer settings (serial {}, not {}); imported",
        found.serial,
        before.serial
    );
    console.desired.remember(found.clone());
    Ok(())
}

/// Whether the stored ingest keys are those that a document refers to, or newer ones.
fn has_keys_of(console: &Console, document: &Document) -> Result<bool, DiskError> {
    let own = console.state.keys_serial()?;
    Ok(own.is_none_or(|own| own >= document.keys_serial))
}

/// Imports the keys of the document, which could not be read when it was imported.
async fn import_keys(console: &Console, keys: &IngestKeys) -> Result<(), DiskError> {
    let mut changes = WriteBatch::default();
    put_keys(console, &mut changes, keys)?;
    let line = AuditEntry {
        reason: Some("imported the ingest keys that another console published".to_owned()),
        ..audit::own("import")
    };
    let doing = "import ingest keys";
    console.state.commit(doing, changes, vec![line]).await
}

/// Two consoles wrote different documents with the same serial: the first one to detect it takes the next serial.
async fn reassert(console: &Console, ours: &Document) -> Result<(), DiskError> {
    let document = Document {
        serial: ours.next_serial(),
        ..ours.clone()
    };
    let mut changes = WriteBatch::default();
    console.state.put_document(&mut changes, &document);
    let line = AuditEntry {
        reason: Some(
            "another console published different settings with the same serial".to_owned(),
        ),
        ..audit::own("reassert")
    };
    console
        .state
        .commit("renumber the settings", changes, vec![line])
        .await?;
    tracing::warn!(
        "another console published different settings with serial {}; overwritten by this console's settings",
        ours.serial
    );
    console.desired.remember(document);
    Ok(())
}

/// Replaces the ingest keys in `changes` by these.
fn put_keys(
    console: &Console,
    changes: &mut WriteBatch,
    keys: &IngestKeys,
) -> Result<(), DiskError> {
    let table = &console.state.keys;
    console.state.put_keys_serial(changes, keys.serial);
    for (id, known) in table.range(.., usize::MAX)? {
        let still_counts = keys
            .keys
            .iter()
            .any(|key| key.id.as_bytes() == id && key.sha256 == known.sha256);
        if !still_counts {
            table.remove(changes, &id);
        }
    }
    for key in &keys.keys {
        if table.get(key.id.as_bytes())?.is_none() {
            let unnamed = Key {
                name: key.id.clone(),
                resorts: key.resorts.clone(),
                sha256: key.sha256.clone(),
                by: BY_OTHERS.to_owned(),
                made_at_ms: epoch_ms(),
            };
            table.put(changes, key.id.as_bytes(), &unnamed);
        }
    }
    Ok(())
}

/// Stores the values of the command-line flags as version 1, where nothing is set.
async fn bootstrap(console: &Console) -> Result<(), DiskError> {
    let mut changes = WriteBatch::default();
    let Some(seeded) = console.desired.seeded(&console.state, &mut changes) else {
        return Ok(());
    };
    let line = AuditEntry {
        reason: Some("command-line flags of the nodes, stored as version 1".to_owned()),
        ..audit::own("bootstrap")
    };
    let writing = console
        .state
        .commit("write the first settings", changes, vec![line]);
    writing.await?;
    console.desired.remember(seeded);
    Ok(())
}
