//! Throws letters away, for ever.

use std::sync::Arc;

use skilift_core::embedded::DiskError;
use skilift_core::lifecycle::chain;
use tokio::sync::watch;

use super::store::Choice;
use crate::console::Console;

/// Letters in one write.
const PAGE: usize = 500;

/// Throws the letters away and tells how far it is. Gives back a sentence of what came of it, as an error where some are left.
pub(crate) async fn discard(
    console: Arc<Console>,
    choice: Choice,
    progress: watch::Sender<String>,
) -> Result<String, String> {
    let mut thrown = 0;
    let ended = match choice {
        Choice::Through(last) => through(&console, last, &progress, &mut thrown).await,
        Choice::Ids(ids) => these(&console, &ids, &progress, &mut thrown).await,
    };
    match ended {
        Ok(()) => Ok(format!("discarded {thrown}")),
        Err(error) => Err(format!(
            "discarded {thrown}, then stopped: {}",
            chain(&error)
        )),
    }
}

async fn through(
    console: &Console,
    last: u64,
    progress: &watch::Sender<String>,
    thrown: &mut u64,
) -> Result<(), DiskError> {
    loop {
        let pen = console.letters.pen().await;
        let page = console.letters.between(1, last, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        let throwing = console.letters.throw_away(&console.state, &pen, &page);
        throwing.await?;
        *thrown += page.len() as u64;
        progress.send_replace(format!("discarded {thrown}"));
    }
}

async fn these(
    console: &Console,
    ids: &[String],
    progress: &watch::Sender<String>,
    thrown: &mut u64,
) -> Result<(), DiskError> {
    for some in ids.chunks(PAGE) {
        let pen = console.letters.pen().await;
        let mut found = Vec::with_capacity(some.len());
        for id in some {
            found.extend(console.letters.find(id)?);
        }
        // An id that was named twice is one letter.
        found.sort_unstable_by_key(|(number, _)| *number);
        found.dedup_by_key(|(number, _)| *number);
        let throwing = console.letters.throw_away(&console.state, &pen, &found);
        throwing.await?;
        *thrown += found.len() as u64;
        progress.send_replace(format!("discarded {thrown}"));
    }
    Ok(())
}
