//! Reads dead letters from the data directory, and republishes them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::EmbeddedQueue;
use super::stored::{self, StoredMessage};
use crate::clock::epoch_ms;
use crate::control::heartbeat::LaneConfirmed;
use crate::embedded::{Database, DiskError};
use crate::queue::QueueError;
use crate::queue::dead_letter::DeadLetter;
use crate::queue::dead_letter_queue::{DeadLetterQueue, RepublishError, RepublishedLetter};
use crate::queue::lane_epoch::{EpochTracker, LaneEpoch};

/// The channel number for republishing. The publisher's channel has the same number with another epoch.
const CHANNEL: u16 = 0;

/// A stored dead letter: key and value.
type Entry = (Vec<u8>, Vec<u8>);

/// The dead letters of a data directory. The lock of the directory is the lease: there is one process, with one reader.
pub struct EmbeddedDeadLetterQueue {
    queue: Arc<EmbeddedQueue>,
    /// Dead letters received and not acknowledged.
    received: Mutex<Vec<Entry>>,
    /// The one channel.
    epoch: tokio::sync::Mutex<Option<LaneEpoch>>,
    epochs: Arc<EpochTracker>,
}

impl EmbeddedDeadLetterQueue {
    /// The dead-letter queue of a data directory.
    #[must_use]
    pub fn new(queue: Arc<EmbeddedQueue>) -> Self {
        Self {
            queue,
            received: Mutex::default(),
            epoch: tokio::sync::Mutex::default(),
            epochs: Arc::default(),
        }
    }

    fn set_received(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut received, entries)
    }
}

#[async_trait]
impl DeadLetterQueue for EmbeddedDeadLetterQueue {
    async fn receive(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        loop {
            // Registered before the check, so that a dead letter in between is not missed.
            let arrived = self.queue.letter_arrived.notified();
            let queue = Arc::clone(&self.queue);
            let listing = move |database: &Database| queue.first_letters(database, most);
            let entries: Vec<Entry> = self.queue.database.off_thread(listing).await?;
            if entries.is_empty() {
                arrived.await;
                continue;
            }
            let read = |(_, value): &Entry| {
                stored::read_letter(value)
                    .ok_or_else(|| self.queue.damaged("a dead letter is unreadable"))
            };
            let letters: Result<_, DiskError> = entries.iter().map(read).collect();
            let letters = letters?;
            self.set_received(entries);
            return Ok(letters);
        }
    }

    async fn ack(&self) -> Result<(), QueueError> {
        let received = self.set_received(Vec::new());
        let queue = Arc::clone(&self.queue);
        let removing = move |database: &Database| queue.remove_letters(database, &received);
        self.queue.database.off_thread(removing).await
    }

    async fn republish(&self, letters: &[RepublishedLetter]) -> Result<(), RepublishError> {
        let mut slot = self.epoch.lock().await;
        if self.queue.is_full() {
            let why = "the queue of rides is full: the worker must catch up first";
            return Err(RepublishError::Refused(why.into()));
        }
        // The epoch ends with any error: nothing is confirmed out of order.
        let begin = || LaneEpoch::begin(&self.epochs, CHANNEL);
        let mut epoch = slot.take().unwrap_or_else(begin);
        let numbered = letters
            .iter()
            .map(|letter| (epoch.next_id(), letter.clone()));
        let numbered: Vec<_> = numbered.collect();
        let queue = Arc::clone(&self.queue);
        let now = epoch_ms();
        let appending = move |_: &Database| -> Result<(), DiskError> {
            let message = |(id, letter)| StoredMessage::again(id, letter, now);
            let messages: Vec<StoredMessage<'_>> = numbered
                .iter()
                .map(|(id, letter)| message((*id, letter)))
                .collect();
            queue.append(&messages)
        };
        let appended = self.queue.database.off_thread(appending).await;
        appended.map_err(QueueError::Disk)?;
        for letter in letters {
            epoch.confirm(letter.rides() as usize);
        }
        *slot = Some(epoch);
        Ok(())
    }

    fn confirmed(&self) -> Vec<LaneConfirmed> {
        self.epochs.confirmed()
    }

    async fn close(&self) {
        self.set_received(Vec::new());
        *self.epoch.lock().await = None;
    }
}

impl EmbeddedQueue {
    /// At most `most` stored dead letters: first those identified by message and line, oldest first.
    fn first_letters(&self, database: &Database, most: usize) -> Result<Vec<Entry>, DiskError> {
        let entries = database.dead.iter().take(most).map(|entry| {
            let (key, value) = entry.into_inner()?;
            Ok((key.to_vec(), value.to_vec()))
        });
        let entries: Result<_, fjall::Error> = entries.collect();
        entries.map_err(|error| self.database.failed("list the dead letters", error))
    }

    /// Removes dead letters that have not been stored again since they were read.
    fn remove_letters(&self, database: &Database, entries: &[Entry]) -> Result<(), QueueError> {
        let _letter_lock = self.letter_lock();
        let mut batch = database.batch();
        let mut removed = 0;
        for (key, value) in entries {
            let found = database.dead.get(key);
            let found = found.map_err(|error| database.failed("find a dead letter", error))?;
            if found.as_deref() == Some(value) {
                batch.remove(&database.dead, key.as_slice());
                removed += 1;
            }
        }
        database.commit("remove dead letters", batch)?;
        self.count_removed_dead_letters(removed);
        Ok(())
    }
}
