//! Refusals of callers who are not logged in: some a minute are recorded one by one, the rest as one entry with their number, so that
//! no one can push the log's other entries out of it from outside.

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;

use super::own;
use crate::console::Console;
use crate::view::audit::{AuditEntry, AuditOutcome};
use crate::view::figures::counted;

/// Records a refusal of a caller who is not logged in.
///
/// # Errors
/// If the data directory cannot be written.
pub(crate) async fn record(console: &Console, entry: AuditEntry) -> Result<(), DiskError> {
    record_limited(console, entry, true).await
}

/// Like [`record`]; one that is not to be recorded by itself is counted only.
///
/// # Errors
/// If the data directory cannot be written.
pub(crate) async fn record_limited(
    console: &Console,
    entry: AuditEntry,
    by_itself: bool,
) -> Result<(), DiskError> {
    let unauthenticated = &console.access.unauthenticated;
    let (is_recorded, earlier) = unauthenticated.count(epoch_ms(), by_itself);
    let entry = Some(entry).filter(|_| is_recorded);
    write(console, summary(earlier).into_iter().chain(entry).collect()).await
}

/// Records the number of refusals that were left out in a minute that is over.
///
/// # Errors
/// If the data directory cannot be written.
pub(crate) async fn record_left_out(console: &Console) -> Result<(), DiskError> {
    let earlier = console.access.unauthenticated.earlier(epoch_ms());
    write(console, summary(earlier).into_iter().collect()).await
}

fn summary(left_out: u64) -> Option<AuditEntry> {
    (left_out > 0).then(|| AuditEntry {
        actor: "unknown".to_owned(),
        outcome: AuditOutcome::Denied,
        reason: Some(format!(
            "{} refused within a minute and not recorded one by one",
            counted(left_out, "more login was", "more logins were")
        )),
        ..own("login")
    })
}

async fn write(console: &Console, lines: Vec<AuditEntry>) -> Result<(), DiskError> {
    if lines.is_empty() {
        return Ok(());
    }
    let state = &console.state;
    state
        .commit("audit a refusal", WriteBatch::default(), lines)
        .await
}
