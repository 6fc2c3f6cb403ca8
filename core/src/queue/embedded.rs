//! The queue in a data directory: messages by ascending number, consumed from the head.
//!
//! - `publisher_channel` appends messages, many at once under one `fdatasync`; [`publish`] starts it.
//! - `dead_letter_queue` provides dead letters to the console, and republishes them.
//! - `positions`: head, delivery position and depth. `stored`: the format of messages and dead letters.
//!
//! One consumer receives messages in order and acknowledges them by prefix, so a cursor is enough: removed messages are
//! never scanned.

mod dead_letter_queue;
mod positions;
mod publisher_channel;
mod stored;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::QueueError;
use super::admission::Admission;
use super::dead_letter::{DeadLetter, DeadLetterError};
use super::delivery::Delivery;
use super::depth::{Depth, DepthGauge};
use super::publisher::{Publisher, PublisherConfig};
use crate::embedded::{Database, DiskError, keys};
use crate::lifecycle::{Lifecycle, TaskError};
use crate::store::embedded::reconciliation;
pub use dead_letter_queue::EmbeddedDeadLetterQueue;
use positions::{Positions, Size};
use stored::StoredMessage;

/// Maximum bytes of messages in the queue; more are rejected. RabbitMQ's queue has the same limit.
const MAX_BYTES: u64 = 1 << 30;
/// Maximum stored dead letters; beyond it the worker waits.
const MAX_LETTERS: u64 = 1_000_000;
/// How often the backlog and the health of the disk are checked.
const BACKLOG_INTERVAL: Duration = Duration::from_millis(500);

/// The queue of a data directory.
pub struct EmbeddedQueue {
    database: Arc<Database>,
    positions: Mutex<Positions>,
    letters: AtomicU64,
    /// Held while dead letters are stored or removed: one that fails again at that moment must not be removed with the old
    /// one.
    letter_lock: Mutex<()>,
    /// Notified when there is a dead letter.
    letter_arrived: Notify,
    appending: Mutex<()>,
    /// Notified when there is a message.
    arrived: Notify,
    /// Held by the single consumer.
    pub(crate) exclusive_consumer: Arc<tokio::sync::Mutex<()>>,
}

impl EmbeddedQueue {
    /// Loads the queue from the data directory.
    ///
    /// # Errors
    /// If the data directory cannot be read or written, or messages are missing.
    pub fn open(database: Arc<Database>) -> Result<Arc<Self>, DiskError> {
        let positions = Positions::read(&database)?;
        let letters = database.dead.iter().count() as u64;
        if positions.waiting_messages() > 0 {
            tracing::info!(
                "{} rides are waiting to be stored",
                positions.waiting_rides()
            );
        }
        create_counters(&database, positions.waiting_rides())?;
        Ok(Arc::new(Self {
            database,
            positions: Mutex::new(positions),
            letters: AtomicU64::new(letters),
            letter_lock: Mutex::default(),
            letter_arrived: Notify::new(),
            appending: Mutex::default(),
            arrived: Notify::new(),
            exclusive_consumer: Arc::default(),
        }))
    }

    /// Rides that are not acknowledged.
    #[must_use]
    pub fn waiting_rides(&self) -> u64 {
        self.positions().waiting_rides()
    }

    /// Messages that are ready for delivery.
    #[must_use]
    pub fn ready_messages(&self) -> u64 {
        self.positions().ready_messages()
    }

    /// Stored dead letters that no console has taken over.
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.letters.load(Ordering::Relaxed)
    }

    /// Waits until a message is ready.
    pub(crate) async fn arrived(&self) {
        loop {
            // Registered before the check, so that a message in between is not missed.
            let arrived = self.arrived.notified();
            if self.positions().has_more() {
                return;
            }
            arrived.await;
        }
    }

    /// Delivers messages, so that at most `prefetch` are unacknowledged.
    pub(crate) fn take(&self, prefetch: usize) -> Result<Vec<Delivery>, DiskError> {
        let taken = self.positions().hand_out(prefetch);
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let mut batch = self.database.batch();
        batch.insert(
            &self.database.queue,
            keys::HANDED_OUT,
            taken.end.to_be_bytes(),
        );
        self.database.commit("mark messages as handed out", batch)?;
        taken.map(|number| self.read(number)).collect()
    }

    fn read(&self, number: u64) -> Result<Delivery, DiskError> {
        let key = keys::numbered(keys::MESSAGE, number);
        let found = self.database.queue.get(key);
        let found = found.map_err(|error| self.database.failed("read a message", error))?;
        let message = found.as_deref().and_then(StoredMessage::read);
        let message = message
            .ok_or_else(|| self.damaged(&format!("message {number} is missing or unreadable")))?;
        let returns = self.positions().returns(number);
        Ok(message.into_delivery(number, returns))
    }

    /// Requeues unacknowledged messages, and counts the redelivery.
    pub(crate) fn give_back(&self) -> Result<(), DiskError> {
        let mut batch = self.database.batch();
        for (number, returns) in self.positions().give_back() {
            let key = keys::numbered(keys::RETURNS, number);
            batch.insert(&self.database.queue, key, returns.to_be_bytes());
        }
        if batch.is_empty() {
            return Ok(());
        }
        batch.remove(&self.database.queue, keys::HANDED_OUT);
        self.database.commit("requeue messages", batch)
    }

    /// Adds to `batch` the removal of the messages up to `last`.
    ///
    /// # Errors
    /// If the data directory cannot be read.
    pub(crate) fn remove_up_to(
        &self,
        last: u64,
        batch: &mut fjall::OwnedWriteBatch,
    ) -> Result<(), DiskError> {
        let queue = &self.database.queue;
        let positions = self.positions();
        for number in positions.up_to(last) {
            batch.remove(queue, keys::numbered(keys::MESSAGE, number));
            if positions.returns(number) > 0 {
                batch.remove(queue, keys::numbered(keys::RETURNS, number));
            }
        }
        batch.insert(queue, keys::CURSOR, positions.cursor_after(last));
        let left = positions.rides_up_to(last);
        drop(positions);
        reconciliation::count(&self.database, keys::LEFT, left, batch)
    }

    /// Removes the messages up to `last` from memory, after they were removed on disk.
    pub(crate) fn removed_up_to(&self, last: u64) {
        self.positions().remove_up_to(last);
    }

    /// Checks that this many more dead letters can be stored.
    ///
    /// # Errors
    /// If the limit is reached.
    pub(crate) fn check_dead_letter_limit(&self, letters: usize) -> Result<(), DeadLetterError> {
        if self.dead_letters() + letters as u64 > MAX_LETTERS {
            let folder = self.database.folder().display();
            return Err(DeadLetterError::Full(format!(
                "the dead-letter store in {folder}"
            )));
        }
        Ok(())
    }

    /// Adds dead letters to `batch` and returns how many are new. They are keyed by id, so storing one again does not
    /// duplicate it.
    pub(crate) fn add_letters(
        &self,
        letters: &[DeadLetter],
        batch: &mut fjall::OwnedWriteBatch,
    ) -> Result<u64, DiskError> {
        let dead = &self.database.dead;
        let mut new = BTreeSet::new();
        for letter in letters {
            let (key, value) = stored::letter(letter);
            let is_there = dead.contains_key(&key);
            let is_there =
                is_there.map_err(|error| self.database.failed("find a dead letter", error))?;
            if !is_there {
                new.insert(key.clone());
            }
            batch.insert(dead, key, value);
        }
        Ok(new.len() as u64)
    }

    /// Counts dead letters that were stored.
    pub(crate) fn count_stored_dead_letters(&self, letters: u64) {
        if letters > 0 {
            self.letters.fetch_add(letters, Ordering::Relaxed);
            self.letter_arrived.notify_one();
        }
    }

    fn count_removed_dead_letters(&self, letters: u64) {
        self.letters.fetch_sub(letters, Ordering::Relaxed);
    }

    /// The lock to hold from [`Self::add_letters`] until they are written.
    pub(crate) fn letter_lock(&self) -> MutexGuard<'_, ()> {
        self.letter_lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The dead letters: first those identified by message and line, oldest first.
    ///
    /// # Errors
    /// If the data directory cannot be read.
    pub fn letters(&self) -> Result<Vec<DeadLetter>, DiskError> {
        let failed = |error| self.database.failed("list the dead letters", error);
        let values = self.database.dead.iter().map(|entry| entry.value());
        let read = values.map(|value| value.map_err(failed));
        read.map(|value| {
            value.and_then(|value| {
                stored::read_letter(&value)
                    .ok_or_else(|| self.damaged("a dead letter is unreadable"))
            })
        })
        .collect()
    }

    /// Appends messages and returns when they are on disk.
    fn append(&self, messages: &[StoredMessage<'_>]) -> Result<(), DiskError> {
        let _alone = self.appending();
        let first = self.positions().next();
        let mut batch = self.database.batch();
        let mut sizes = Vec::with_capacity(messages.len());
        for (number, message) in (first..).zip(messages) {
            let value = message.write();
            sizes.push(Size {
                rides: message.rides,
                bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
            });
            let key = keys::numbered(keys::MESSAGE, number);
            batch.insert(&self.database.queue, key, value);
        }
        let rides = |message: &StoredMessage<'_>| u64::from(message.rides);
        let entered = messages.iter().map(rides).sum();
        reconciliation::count(&self.database, keys::ENTERED, entered, &mut batch)?;
        let republished = messages
            .iter()
            .filter(|message| message.replay_of.is_some());
        let republished = republished.map(rides).sum();
        reconciliation::count(&self.database, keys::REPUBLISHED, republished, &mut batch)?;
        self.database.commit_synced("append a message", batch)?;
        self.positions().append(sizes);
        self.arrived.notify_one();
        Ok(())
    }

    /// Held while messages are appended: their numbers depend on the previous ones.
    fn appending(&self) -> MutexGuard<'_, ()> {
        self.appending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self, what: &str) -> DiskError {
        DiskError::Damaged {
            folder: self.database.folder().to_owned(),
            what: what.to_owned(),
        }
    }

    fn is_full(&self) -> bool {
        self.positions().waiting_bytes() >= MAX_BYTES
    }

    fn positions(&self) -> MutexGuard<'_, Positions> {
        // A holder of the lock cannot panic in the middle of a change.
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates the reconciliation counters of a directory that has messages but no counters: waiting rides are all that is known
/// to be accepted.
fn create_counters(database: &Database, waiting_rides: u64) -> Result<(), DiskError> {
    let has_counters = database.books.contains_key(keys::ENTERED);
    let has_counters =
        has_counters.map_err(|error| database.failed("read its reconciliation counters", error))?;
    if has_counters || waiting_rides == 0 {
        return Ok(());
    }
    let mut batch = database.batch();
    reconciliation::count(database, keys::ENTERED, waiting_rides, &mut batch)?;
    database.commit_synced("create its reconciliation counters", batch)
}

#[async_trait]
impl DepthGauge for EmbeddedQueue {
    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth {
            ready_messages: self.ready_messages(),
            consumers: None,
            dead_messages: self.dead_letters(),
        })
    }
}

/// Starts a publisher that appends to the queue. It has one channel: one `fdatasync` at a time serves all waiting requests.
pub fn publish(
    config: &PublisherConfig,
    queue: &Arc<EmbeddedQueue>,
    admission: Arc<Admission>,
    lifecycle: &Lifecycle,
) -> Publisher {
    let publisher = Publisher::new(config, admission);
    for channel in publisher.set_channels(1) {
        let appending =
            publisher_channel::run(Arc::clone(queue), channel.buffer, publisher.closing());
        lifecycle.spawn("publisher channel", appending);
    }
    let watching = watch_backlog(Arc::clone(queue), publisher.clone(), lifecycle.draining());
    lifecycle.spawn("backlog watch", watching);
    publisher
}

async fn watch_backlog(
    queue: Arc<EmbeddedQueue>,
    publisher: Publisher,
    end: CancellationToken,
) -> Result<(), TaskError> {
    loop {
        publisher.backlog().saw(Some(queue.waiting_rides() as f64));
        let checked = queue.database.off_thread(Database::check).await;
        checked?;
        let pause = tokio::time::sleep(BACKLOG_INTERVAL);
        if end.run_until_cancelled(pause).await.is_none() {
            return Ok(());
        }
    }
}
