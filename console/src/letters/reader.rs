//! Moves letters from their queue into the store: stored and synced first, then released.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::queue::{DeadLetterOffice, QueueError};
use skilift_core::retry;
use tokio_util::sync::CancellationToken;

use super::store::MOST_LETTERS;
use crate::console::Console;

/// Letters in one write.
const BATCH: u64 = 500;
/// How often a full store is looked at.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Reads until `drain`.
pub(crate) async fn read(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let reading = drain.run_until_cancelled(keep_reading(&console));
    let ended = reading.await;
    console.sources.letters.close().await;
    ended.unwrap_or(Ok(()))
}

async fn keep_reading(console: &Console) -> Result<(), TaskError> {
    let (letters, office) = (&console.letters, &console.sources.letters);
    let mut pauses = retry::pauses();
    loop {
        let room = letters.room();
        if room == 0 {
            let why = format!(
                "the console keeps {MOST_LETTERS} dead letters, as many as it may: discard some"
            );
            hinder(console, Some(why));
            tokio::time::sleep(FULL_PAUSE).await;
            continue;
        }
        let most = usize::try_from(room.min(BATCH)).unwrap_or(1);
        match next(console, office.as_ref(), most).await? {
            Ok(()) => {
                hinder(console, None);
                pauses = retry::pauses();
            }
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => {
                hinder(console, Some(chain(&error)));
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
        }
    }
}

/// Takes letters, keeps them and releases them; what the queue refuses is the inner error.
async fn next(
    console: &Console,
    office: &dyn DeadLetterOffice,
    most: usize,
) -> Result<Result<(), QueueError>, TaskError> {
    let taken = match office.take(most).await {
        Ok(taken) => taken,
        Err(error) => return Ok(Err(error)),
    };
    let count = taken.len();
    console.letters.keep(&console.state, taken).await?;
    tracing::debug!("{count} dead letters were taken from their queue");
    Ok(office.release().await)
}

/// Remembers what is in the way, and says it once.
fn hinder(console: &Console, why: Option<String>) {
    let slot = console.letters.hindrance.lock();
    let mut slot = slot.unwrap_or_else(PoisonError::into_inner);
    if let Some(why) = &why
        && slot.as_ref() != Some(why)
    {
        tracing::warn!("no dead letters are taken from their queue: {why}; trying again");
    }
    *slot = why;
}
