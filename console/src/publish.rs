//! Tells the nodes what they shall do, and goes on telling them: whatever a Redis forgot stands there again a second later.
//!
//! Whoever has the higher serial is right. A console whose folder is older than what is published takes that over; one that
//! may change nothing only reads.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::clock::epoch_ms;
use skilift_core::control::{ControlError, Document, IngestKeys};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use skilift_core::lifecycle::{TaskError, chain};
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::console::Console;
use crate::desired::{ingest_keys, put_new_versions};
use crate::state::Key;
use crate::view::audit::AuditEntry;

/// How often it is looked whether all stands there.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the way to the nodes may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// By whom is what was found.
const BY_OTHERS: &str = "another console";

/// Why a look did not end well.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Plane(#[from] ControlError),
    #[error("the way to the nodes does not answer")]
    Silent,
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Looks once, so that what is stored stands there before this process' own nodes ask. Without the way to them it goes on.
///
/// # Errors
/// When the folder fails.
pub(crate) async fn first_look(console: &Console) -> Result<(), DiskError> {
    note(console, look(console).await)
}

/// Tells the nodes until `drain`.
pub(crate) async fn run(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    loop {
        // Once begun, a look is finished: what it writes and what is remembered of it belong together.
        note(&console, look(&console).await)?;
        tokio::select! {
            () = console.desired.changed.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
            () = drain.cancelled() => return Ok(()),
        }
    }
}

/// Remembers how a look ended, and logs it when that is news.
fn note(console: &Console, looked: Result<(), LookError>) -> Result<(), DiskError> {
    match looked {
        Ok(()) => {
            if console.desired.set_unreachable(None) {
                tracing::info!("nodes can be told what to do");
            }
        }
        Err(LookError::Disk(error)) => return Err(error),
        Err(error) => {
            let why = chain(&error);
            if console.desired.set_unreachable(Some(why.clone())) {
                tracing::warn!(
                    "nodes cannot be told what to do, and keep to what they know: {why}"
                );
            }
        }
    }
    Ok(())
}

async fn in_time<T>(asked: impl Future<Output = Result<T, ControlError>>) -> Result<T, LookError> {
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    Ok(answered.map_err(|_| LookError::Silent)??)
}

/// What stands there. What is not ours is as good as nothing, and gives way.
async fn readable<T>(
    asked: impl Future<Output = Result<Option<T>, ControlError>>,
) -> Result<Option<T>, ControlError> {
    match asked.await {
        Err(error @ ControlError::Unreadable { .. }) => {
            tracing::warn!("{}: it is written anew", chain(&error));
            Ok(None)
        }
        answer => answer,
    }
}

async fn look(console: &Console) -> Result<(), LookError> {
    let plane = &console.sources.plane;
    if console.config.read_only {
        let found = in_time(plane.document()).await?;
        console.desired.remember(found.unwrap_or_default());
        return Ok(());
    }
    let found = in_time(readable(plane.document())).await?;
    let found_keys = in_time(readable(plane.ingest_keys())).await?;
    let turn = console.desired.turn.lock().await;
    if let Some(found) = &found {
        let ours = console.desired.document();
        if found.serial > ours.serial {
            adopt(console, found, found_keys.as_ref()).await?;
        } else if found.serial == ours.serial && *found != *ours {
            insist(console, &ours).await?;
        }
    }
    seed(console).await?;
    let document = console.desired.document();
    let keys = ingest_keys(&console.state, document.keys_serial)?;
    drop(turn);

    // Keys first: a document never names keys that are not there yet.
    let standing = found_keys.map_or(0, |found| found.serial);
    if standing < keys.serial {
        in_time(plane.publish_ingest_keys(&keys)).await?;
    }
    let standing = found.map_or(0, |found| found.serial);
    if standing < document.serial {
        in_time(plane.publish(&document)).await?;
    }
    Ok(())
}

/// Takes over what is newer than what the folder says: another console wrote it, or this one before its folder was replaced.
async fn adopt(
    console: &Console,
    found: &Document,
    keys: Option<&IngestKeys>,
) -> Result<(), DiskError> {
    let (state, before) = (&console.state, console.desired.document());
    let mut changes = Changes::default();
    put_new_versions(state, &mut changes, &before, found, BY_OTHERS);
    state.put_document(&mut changes, found);
    if let Some(keys) = keys.filter(|keys| keys.serial > before.keys_serial) {
        put_keys(console, &mut changes, keys)?;
    }
    let line = AuditEntry {
        before: Some(format!("serial {}", before.serial)),
        after: Some(format!("serial {}", found.serial)),
        message: Some("settings that another console published are newer, and rule".to_owned()),
        ..audit::own("adopt")
    };
    state
        .commit("take over settings", changes, vec![line])
        .await?;
    tracing::warn!(
        "another console published newer settings (serial {}, not {}): they rule here, too",
        found.serial,
        before.serial
    );
    console.desired.remember(found.clone());
    Ok(())
}

/// Two consoles wrote different documents under one number: the one that sees it first has the next number.
async fn insist(console: &Console, ours: &Document) -> Result<(), DiskError> {
    let document = Document {
        serial: ours.next_serial(),
        ..ours.clone()
    };
    let mut changes = Changes::default();
    console.state.put_document(&mut changes, &document);
    let line = AuditEntry {
        message: Some("another console published other settings under the same number".to_owned()),
        ..audit::own("insist")
    };
    console
        .state
        .commit("number the settings anew", changes, vec![line])
        .await?;
    tracing::warn!(
        "another console published other settings under serial {}: those of this one rule",
        ours.serial
    );
    console.desired.remember(document);
    Ok(())
}

/// Adds to `changes` that these keys count and no others.
fn put_keys(console: &Console, changes: &mut Changes, keys: &IngestKeys) -> Result<(), DiskError> {
    let table = &console.state.keys;
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

/// Writes down what the flags said, where nobody has set anything.
async fn seed(console: &Console) -> Result<(), DiskError> {
    let mut changes = Changes::default();
    let Some(seeded) = console.desired.seeded(&console.state, &mut changes) else {
        return Ok(());
    };
    let line = AuditEntry {
        message: Some("the flags of the nodes are generation 1".to_owned()),
        ..audit::own("seed")
    };
    let writing = console
        .state
        .commit("write the first settings", changes, vec![line]);
    writing.await?;
    console.desired.remember(seeded);
    Ok(())
}
