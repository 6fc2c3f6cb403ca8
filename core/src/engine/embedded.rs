//! A data directory: the rides of a batch, its dead letters and the removal of its messages are one atomic write, which the
//! acknowledgement performs.
//!
//! There is one pipeline at a time. It reads the ledger before it writes, so two would overwrite each other; and one is as
//! fast as many, because the disk has one journal.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::{Engine, EngineError, Pipeline};
use crate::embedded::{Database, DiskError};
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use crate::reconciliation::Settlement;
use crate::store::batch::Batch;
use crate::store::embedded::{ledger, reconciliation};
use crate::store::{Applied, StoreError};

/// Queue and store of a data directory.
pub struct Embedded {
    database: Arc<Database>,
    queue: Arc<EmbeddedQueue>,
}

impl Embedded {
    /// The engine of an open data directory.
    #[must_use]
    pub fn new(database: Arc<Database>, queue: Arc<EmbeddedQueue>) -> Self {
        Self { database, queue }
    }
}

impl Engine for Embedded {
    type Pipeline = EmbeddedPipeline;

    const MAX_PIPELINES: usize = 1;

    /// Opening the data directory has already checked everything.
    async fn check(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Waits until no other pipeline is open, and requeues what that one, or the previous process, did not acknowledge.
    async fn open(&self, prefetch: u16) -> Result<EmbeddedPipeline, EngineError> {
        let exclusive_consumer = Arc::new(
            Arc::clone(&self.queue.exclusive_consumer)
                .lock_owned()
                .await,
        );
        let queue = Arc::clone(&self.queue);
        let held = Arc::clone(&exclusive_consumer);
        let giving_back = self.database.off_thread(move |_| {
            let _exclusive_consumer = held;
            queue.give_back()
        });
        giving_back.await.map_err(QueueError::Disk)?;
        Ok(EmbeddedPipeline {
            database: Arc::clone(&self.database),
            queue: Arc::clone(&self.queue),
            prefetch,
            cancelled: false,
            delivered: VecDeque::new(),
            taking: None,
            staged: Staged::default(),
            exclusive_consumer,
        })
    }

    /// There is always capacity for the one pipeline.
    fn set_max_pipelines(&self, _pipelines: usize) {}

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let exclusive_consumer = Arc::clone(&self.queue.exclusive_consumer)
            .lock_owned()
            .await;
        let ledger_lock = Arc::clone(&self.database.ledger_lock).lock_owned().await;
        let rides = batch.clone();
        let applying = move |database: &Database| {
            let _held = (exclusive_consumer, ledger_lock);
            let mut batch = database.batch();
            ledger::apply(database, &rides, &mut batch)?;
            Ok(database.commit("store a batch", batch)?)
        };
        self.database.off_thread(applying).await
    }

    async fn publish_dead_letters(
        &self,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), DeadLetterError> {
        let exclusive_consumer = Arc::clone(&self.queue.exclusive_consumer)
            .lock_owned()
            .await;
        self.queue.check_dead_letter_limit(letters.len())?;
        let (queue, put) = (Arc::clone(&self.queue), letters.clone());
        let putting = move |database: &Database| {
            let _exclusive_consumer = exclusive_consumer;
            let _letter_lock = queue.letter_lock();
            let mut batch = database.batch();
            let new = queue.add_letters(&put, &mut batch)?;
            database.commit("store dead letters", batch)?;
            queue.count_stored_dead_letters(new);
            Ok(())
        };
        let put = self.database.off_thread(putting).await;
        put.map_err(QueueError::Disk)?;
        letters.clear();
        Ok(())
    }
}

/// The one pipeline of a data directory.
pub struct EmbeddedPipeline {
    database: Arc<Database>,
    queue: Arc<EmbeddedQueue>,
    prefetch: u16,
    cancelled: bool,
    /// Messages taken from the queue and not returned yet.
    delivered: VecDeque<Delivery>,
    /// A pending read of messages: kept here, so that no message is lost if the caller is cancelled.
    taking: Option<JoinHandle<Result<Vec<Delivery>, DiskError>>>,
    /// The write of the next acknowledgement.
    staged: Staged,
    /// Any task that still writes for this pipeline also holds it.
    exclusive_consumer: Arc<OwnedMutexGuard<()>>,
}

/// Changes to be written with the acknowledgement.
#[derive(Default)]
struct Staged {
    /// Changes of an applied batch.
    changes: Option<fjall::OwnedWriteBatch>,
    /// Held while there are changes, because they depend on the ledger that was read.
    ledger_lock: Option<OwnedMutexGuard<()>>,
    letters: Vec<DeadLetter>,
    settlements: Vec<Settlement>,
}

impl EmbeddedPipeline {
    /// Waits for messages from the disk.
    async fn taken(&mut self) -> Option<Result<Vec<Delivery>, DiskError>> {
        let taking = self.taking.as_mut()?;
        let taken = taking.await;
        self.taking = None;
        Some(match taken {
            Ok(taken) => taken,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(DiskError::Ending),
            },
        })
    }
}

impl Pipeline for EmbeddedPipeline {
    fn prefetch(&self) -> u16 {
        self.prefetch
    }

    async fn next(&mut self) -> Option<Result<Delivery, QueueError>> {
        loop {
            if let Some(delivery) = self.delivered.pop_front() {
                return Some(Ok(delivery));
            }
            match self.taken().await {
                Some(Ok(taken)) => self.delivered = taken.into(),
                Some(Err(error)) => return Some(Err(error.into())),
                None if self.cancelled => return None,
                None => {
                    self.queue.arrived().await;
                    let (queue, prefetch) = (Arc::clone(&self.queue), self.prefetch);
                    let exclusive_consumer = Arc::clone(&self.exclusive_consumer);
                    let take = move || {
                        let _exclusive_consumer = exclusive_consumer;
                        queue.take(usize::from(prefetch))
                    };
                    self.taking = Some(tokio::task::spawn_blocking(take));
                }
            }
        }
    }

    async fn apply(&mut self, batch: &Batch) -> Result<Applied, StoreError> {
        let rides = batch.clone();
        let applying = move |database: &Database| -> Result<_, StoreError> {
            let mut changes = database.batch();
            let applied = ledger::apply(database, &rides, &mut changes)?;
            Ok((changes, applied))
        };
        if self.staged.ledger_lock.is_none() {
            let ledger_lock = Arc::clone(&self.database.ledger_lock).lock_owned();
            self.staged.ledger_lock = Some(ledger_lock.await);
        }
        let (changes, applied) = self.database.off_thread(applying).await?;
        self.staged.changes = Some(changes);
        Ok(applied)
    }

    async fn publish_dead_letters(
        &mut self,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), DeadLetterError> {
        self.queue.check_dead_letter_limit(letters.len())?;
        self.staged.letters.append(letters);
        Ok(())
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.staged.settlements = settlements.to_vec();
        Ok(())
    }

    async fn ack_up_to(&mut self, tag: u64) -> Result<(), QueueError> {
        let staged = std::mem::take(&mut self.staged);
        let (queue, exclusive_consumer) = (
            Arc::clone(&self.queue),
            Arc::clone(&self.exclusive_consumer),
        );
        let acknowledging = move |database: &Database| {
            let _exclusive_consumer = exclusive_consumer;
            let _ledger_lock = staged.ledger_lock;
            let mut batch = staged.changes.unwrap_or_else(|| database.batch());
            let _letter_lock = (!staged.letters.is_empty()).then(|| queue.letter_lock());
            let new_letters = queue.add_letters(&staged.letters, &mut batch)?;
            reconciliation::settle(database, &staged.settlements, &mut batch)?;
            queue.remove_up_to(tag, &mut batch)?;
            database.commit("store a batch", batch)?;
            queue.count_stored_dead_letters(new_letters);
            queue.removed_up_to(tag);
            Ok(())
        };
        self.database.off_thread(acknowledging).await
    }

    async fn cancel(&mut self) -> Result<(), QueueError> {
        self.cancelled = true;
        Ok(())
    }

    async fn resume(&mut self, prefetch: u16) -> Result<(), QueueError> {
        self.prefetch = prefetch;
        self.cancelled = false;
        Ok(())
    }

    /// The next pipeline requeues what this one leaves unacknowledged.
    async fn close(mut self) {
        let _ = self.taken().await;
    }
}
