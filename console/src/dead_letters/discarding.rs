//! Permanently discards dead letters.

use std::sync::Arc;

use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::chain;
use tokio::sync::watch;

use super::store::Selection;
use crate::console::Console;

/// Dead letters per write.
const PAGE: usize = 500;

/// Discards the dead letters and reports progress. Returns a message with the result; an error if some are left.
pub(crate) async fn discard(
    console: Arc<Console>,
    selection: Selection,
    progress: watch::Sender<String>,
) -> Result<String, String> {
    let mut discarded = 0;
    let ended = match selection {
        Selection::Through { last, reason } => {
            through(&console, last, reason.as_deref(), &progress, &mut discarded).await
        }
        Selection::Ids(ids) => these(&console, &ids, &progress, &mut discarded).await,
    };
    match ended {
        Ok(()) => Ok(format!("discarded {discarded}")),
        Err(error) => Err(format!(
            "discarded {discarded}, then stopped: {}",
            chain(&error)
        )),
    }
}

async fn through(
    console: &Console,
    last: u64,
    reason: Option<&str>,
    progress: &watch::Sender<String>,
    discarded: &mut u64,
) -> Result<(), DiskError> {
    let mut first = 1;
    loop {
        let write_lock = console.dead_letters.write_lock().await;
        let mut page = console.dead_letters.between(first, last, PAGE)?;
        let Some((highest, _)) = page.last() else {
            return Ok(());
        };
        first = highest + 1;
        page.retain(|(_, letter)| letter.has_reason(reason));
        let discarding = console
            .dead_letters
            .discard(&console.state, &write_lock, &page);
        discarding.await?;
        *discarded += page.len() as u64;
        progress.send_replace(format!("discarded {discarded}"));
    }
}

async fn these(
    console: &Console,
    ids: &[String],
    progress: &watch::Sender<String>,
    discarded: &mut u64,
) -> Result<(), DiskError> {
    for some in ids.chunks(PAGE) {
        let write_lock = console.dead_letters.write_lock().await;
        let mut found = Vec::with_capacity(some.len());
        for id in some {
            found.extend(console.dead_letters.find(id)?);
        }
        // An id that was given twice is one dead letter.
        found.sort_unstable_by_key(|(number, _)| *number);
        found.dedup_by_key(|(number, _)| *number);
        let discarding = console
            .dead_letters
            .discard(&console.state, &write_lock, &found);
        discarding.await?;
        *discarded += found.len() as u64;
        progress.send_replace(format!("discarded {discarded}"));
    }
    Ok(())
}
