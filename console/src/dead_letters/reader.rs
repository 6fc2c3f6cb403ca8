//! Moves dead letters from their queue to the store: stored and synced first, then acknowledged.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use skilift_core::lifecycle::{TaskError, chain};
use skilift_core::queue::rabbit::BrokerError;
use skilift_core::queue::{DeadLetter, DeadLetterQueue, QueueError};
use skilift_core::retry;
use tokio_util::sync::CancellationToken;

use super::store::{LeaseHolder, MAX_LETTERS};
use crate::console::Console;

/// Dead letters per write.
const BATCH: u64 = 500;
/// Polling interval while the store is full.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// A console without permission to read gets an error at once. After this time without one, this console is the reader.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// Reads until `drain`.
pub(crate) async fn read(console: Arc<Console>, drain: CancellationToken) -> Result<(), TaskError> {
    let reading = drain.run_until_cancelled(keep_reading(&console));
    let ended = reading.await;
    console.sources.dead_letter_queue.close().await;
    ended.unwrap_or(Ok(()))
}

async fn keep_reading(console: &Console) -> Result<(), TaskError> {
    let (letters, dead_letter_queue) = (&console.dead_letters, &console.sources.dead_letter_queue);
    let mut pauses = retry::pauses();
    loop {
        let room = letters.room();
        if room == 0 {
            let why = format!(
                "the store has reached its limit of {MAX_LETTERS} dead letters; discard some"
            );
            hinder(console, Some(why));
            tokio::time::sleep(FULL_PAUSE).await;
            continue;
        }
        let most = usize::try_from(room.min(BATCH)).unwrap_or(1);
        match next(console, dead_letter_queue.as_ref(), most).await? {
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

/// Receives dead letters, stores them and acknowledges them; an error of the queue is the inner error.
async fn next(
    console: &Console,
    dead_letter_queue: &dyn DeadLetterQueue,
    most: usize,
) -> Result<Result<(), QueueError>, TaskError> {
    let taken = match take(console, dead_letter_queue, most).await {
        Ok(taken) => taken,
        Err(error) => {
            let is_taken = matches!(error, QueueError::Broker(BrokerError::Taken { .. }));
            hold(
                console,
                if is_taken {
                    LeaseHolder::Another
                } else {
                    LeaseHolder::Unsure
                },
            );
            return Ok(Err(error));
        }
    };
    hold(console, LeaseHolder::Us);
    let count = taken.len();
    console.dead_letters.store(&console.state, taken).await?;
    tracing::debug!("read {count} dead letters from their queue");
    Ok(dead_letter_queue.ack().await)
}

/// Receives dead letters. While it waits, a previous error is cleared.
async fn take(
    console: &Console,
    dead_letter_queue: &dyn DeadLetterQueue,
    most: usize,
) -> Result<Vec<DeadLetter>, QueueError> {
    let taking = dead_letter_queue.receive(most);
    tokio::pin!(taking);
    tokio::select! {
        biased;
        taken = &mut taking => return taken,
        () = tokio::time::sleep(REFUSED_WITHIN) => {}
    }
    hold(console, LeaseHolder::Us);
    hinder(console, None);
    taking.await
}

fn hold(console: &Console, holder: LeaseHolder) {
    let slot = console.dead_letters.holder.lock();
    *slot.unwrap_or_else(PoisonError::into_inner) = holder;
}

/// Records why nothing is read, and logs it once.
fn hinder(console: &Console, why: Option<String>) {
    let slot = console.dead_letters.hindrance.lock();
    let mut slot = slot.unwrap_or_else(PoisonError::into_inner);
    if let Some(why) = &why
        && slot.as_ref() != Some(why)
    {
        tracing::warn!("cannot read dead letters from their queue: {why}; retrying");
    }
    *slot = why;
}
