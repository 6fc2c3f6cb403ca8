//! The queue in a data folder: messages by ascending number, taken from the head.
//!
//! - `lane` appends messages, many at once under one `fdatasync`; [`publish`] starts it.
//! - `office` hands dead letters over, and sends them again.
//! - `positions`: where the head is, how far messages were handed out, and how much waits. `stored`: the form of a message and
//!   of a dead letter.
//!
//! One consumer takes messages in order and acknowledges them by prefix, so that a cursor says all: nothing searches through
//! messages that are gone.

mod lane;
mod office;
mod positions;
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
use crate::store::embedded::books;
pub use office::EmbeddedOffice;
use positions::{Positions, Size};
use stored::StoredMessage;

/// Bytes of messages that may wait; more are refused. RabbitMQ's queue has the same bound.
const MOST_BYTES: u64 = 1 << 30;
/// Dead letters that are kept; with more the worker waits.
const MOST_LETTERS: u64 = 1_000_000;
/// How often the backlog is looked at, and whether the disk still takes what is written.
const BACKLOG_INTERVAL: Duration = Duration::from_millis(500);

/// The queue of a data folder.
pub struct EmbeddedQueue {
    database: Arc<Database>,
    positions: Mutex<Positions>,
    letters: AtomicU64,
    /// Held while letters are put away or handed over: a letter that dies again at that moment must not go with the old one.
    letter_pen: Mutex<()>,
    /// Told when there is a letter to hand over.
    letter_arrived: Notify,
    appending: Mutex<()>,
    /// Told when there is a message to take.
    arrived: Notify,
    /// Held by the one consumer that there may be.
    pub(crate) seat: Arc<tokio::sync::Mutex<()>>,
}

impl EmbeddedQueue {
    /// Reads what waits in the folder.
    ///
    /// # Errors
    /// When the folder cannot be read or written, or messages are missing.
    pub fn open(database: Arc<Database>) -> Result<Arc<Self>, DiskError> {
        let positions = Positions::read(&database)?;
        let letters = database.dead.iter().count() as u64;
        if positions.waiting_messages() > 0 {
            tracing::info!("{} rides wait to be stored", positions.waiting_rides());
        }
        open_books(&database, positions.waiting_rides())?;
        Ok(Arc::new(Self {
            database,
            positions: Mutex::new(positions),
            letters: AtomicU64::new(letters),
            letter_pen: Mutex::default(),
            letter_arrived: Notify::new(),
            appending: Mutex::default(),
            arrived: Notify::new(),
            seat: Arc::default(),
        }))
    }

    /// Rides that are not acknowledged.
    #[must_use]
    pub fn waiting_rides(&self) -> u64 {
        self.positions().waiting_rides()
    }

    /// Messages that were not handed out.
    #[must_use]
    pub fn ready_messages(&self) -> u64 {
        self.positions().ready_messages()
    }

    /// Dead letters that are kept and were not handed over to a console.
    #[must_use]
    pub fn dead_letters(&self) -> u64 {
        self.letters.load(Ordering::Relaxed)
    }

    /// Waits until there is a message that was not handed out.
    pub(crate) async fn arrived(&self) {
        loop {
            // Taken before the look, so that a message between the two is not missed.
            let arrived = self.arrived.notified();
            if self.positions().has_more() {
                return;
            }
            arrived.await;
        }
    }

    /// Hands out messages, so that at most `prefetch` are not acknowledged.
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

    /// Takes back what was handed out and not acknowledged, and counts that it came back.
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
        self.database.commit("take messages back", batch)
    }

    /// Adds to `batch` what makes the messages through `last` leave the queue.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn remove_through(
        &self,
        last: u64,
        batch: &mut fjall::OwnedWriteBatch,
    ) -> Result<(), DiskError> {
        let queue = &self.database.queue;
        let positions = self.positions();
        for number in positions.through(last) {
            batch.remove(queue, keys::numbered(keys::MESSAGE, number));
            if positions.returns(number) > 0 {
                batch.remove(queue, keys::numbered(keys::RETURNS, number));
            }
        }
        batch.insert(queue, keys::CURSOR, positions.cursor_after(last));
        let left = positions.rides_through(last);
        drop(positions);
        books::count(&self.database, keys::LEFT, left, batch)
    }

    /// Forgets the messages through `last`, once they have left.
    pub(crate) fn removed_through(&self, last: u64) {
        self.positions().remove_through(last);
    }

    /// Whether so many more letters may be put away.
    ///
    /// # Errors
    /// When there are as many as may be kept.
    pub(crate) fn check_room(&self, letters: usize) -> Result<(), DeadLetterError> {
        if self.dead_letters() + letters as u64 > MOST_LETTERS {
            let folder = self.database.folder().display();
            return Err(DeadLetterError::Full(format!(
                "the store of dead letters in {folder}"
            )));
        }
        Ok(())
    }

    /// Adds letters to `batch` and says how many of them are new. A letter is known by its id, so that it stands there
    /// once, however often it is put away.
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
                is_there.map_err(|error| self.database.failed("look for a dead letter", error))?;
            if !is_there {
                new.insert(key.clone());
            }
            batch.insert(dead, key, value);
        }
        Ok(new.len() as u64)
    }

    /// Remembers letters that were put away.
    pub(crate) fn has_put_away(&self, letters: u64) {
        if letters > 0 {
            self.letters.fetch_add(letters, Ordering::Relaxed);
            self.letter_arrived.notify_one();
        }
    }

    fn has_handed_over(&self, letters: u64) {
        self.letters.fetch_sub(letters, Ordering::Relaxed);
    }

    /// To be held from [`Self::add_letters`] until they are written.
    pub(crate) fn letter_pen(&self) -> MutexGuard<'_, ()> {
        self.letter_pen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The dead letters: first those that are known by message and line, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
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
        books::count(&self.database, keys::ENTERED, entered, &mut batch)?;
        let resent = messages
            .iter()
            .filter(|message| message.replay_of.is_some());
        let resent = resent.map(rides).sum();
        books::count(&self.database, keys::RESENT, resent, &mut batch)?;
        self.database.commit_synced("append a message", batch)?;
        self.positions().append(sizes);
        self.arrived.notify_one();
        Ok(())
    }

    /// Held while messages are appended: they are numbered by what was there before.
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
        self.positions().waiting_bytes() >= MOST_BYTES
    }

    fn positions(&self) -> MutexGuard<'_, Positions> {
        // Nothing that holds the lock can panic half-way through a change.
        self.positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins the books of a folder that has messages and none: what waits in it is all that is known of what was accepted.
fn open_books(database: &Database, waiting_rides: u64) -> Result<(), DiskError> {
    let has_books = database.books.contains_key(keys::ENTERED);
    let has_books = has_books.map_err(|error| database.failed("read its books", error))?;
    if has_books || waiting_rides == 0 {
        return Ok(());
    }
    let mut batch = database.batch();
    books::count(database, keys::ENTERED, waiting_rides, &mut batch)?;
    database.commit_synced("begin its books", batch)
}

#[async_trait]
impl DepthGauge for EmbeddedQueue {
    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth {
            ready_messages: self.ready_messages(),
            dead_messages: self.dead_letters(),
        })
    }
}

/// Starts a publisher that appends to the queue. It has one lane: one `fdatasync` at a time serves everybody who waits.
pub fn publish(
    config: &PublisherConfig,
    queue: &Arc<EmbeddedQueue>,
    admission: Arc<Admission>,
    life: &Lifecycle,
) -> Publisher {
    let publisher = Publisher::new(config, admission);
    for lane in publisher.set_lanes(1) {
        let appending = lane::run(Arc::clone(queue), lane.room, publisher.closing());
        life.spawn("publisher lane", appending);
    }
    let watching = watch_backlog(Arc::clone(queue), publisher.clone(), life.draining());
    life.spawn("backlog watch", watching);
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
