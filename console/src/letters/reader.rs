//! Moves letters from their queue into the store: stored and synced first, then released.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::queue::rabbit::BrokerError;
use skilift_core::queue::{DeadLetter, DeadLetterOffice, QueueError};
use skilift_core::retry;
use tokio_util::sync::CancellationToken;

use super::store::{Holder, MOST_LETTERS};
use crate::console::Console;

/// Letters in one write.
const BATCH: u64 = 500;
/// How often a full store is looked at.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// Whoever may not read is told at once. After so long without a word, this console waits for letters to come.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

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
    let taken = match take(console, office, most).await {
        Ok(taken) => taken,
        Err(error) => {
            let is_taken = matches!(error, QueueError::Broker(BrokerError::Taken { .. }));
            hold(
                console,
                if is_taken {
                    Holder::Another
                } else {
                    Holder::Unsure
                },
            );
            return Ok(Err(error));
        }
    };
    hold(console, Holder::Us);
    let count = taken.len();
    console.letters.keep(&console.state, taken).await?;
    tracing::debug!("{count} dead letters were taken from their queue");
    Ok(office.release().await)
}

/// Takes letters. While it waits for some, nothing is in the way any more.
async fn take(
    console: &Console,
    office: &dyn DeadLetterOffice,
    most: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    let taking = office.take(most);
    tokio::pin!(taking);
    tokio::select! {
        biased;
        taken = &mut taking => return taken,
        () = tokio::time::sleep(TOLD_WITHIN) => {}
    }
    hold(console, Holder::Us);
    hinder(console, None);
    taking.await
}

fn hold(console: &Console, holder: Holder) {
    let slot = console.letters.holder.lock();
    *slot.unwrap_or_else(PoisonError::into_inner) = holder;
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
