//! A data directory: the rides of a batch, its dead letters and the removal of its messages are one atomic write, which the
//! acknowledgement performs.
//!
//! There is one intake at a time. It reads the ledger before it writes, so two would overwrite each other; and one is as
//! fast as many, because the disk has one journal.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::{Engine, EngineError, Intake};
use crate::books::Settlement;
use crate::embedded::{Database, DiskError};
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use crate::store::batch::Batch;
use crate::store::embedded::{books, ledger};
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
    type Intake = EmbeddedIntake;

    const MOST_INTAKES: usize = 1;

    /// Opening the data directory has already checked everything.
    async fn check(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// Waits until no other intake is open, and requeues what that one, or the previous process, did not acknowledge.
    async fn open(&self, prefetch: u16) -> Result<EmbeddedIntake, EngineError> {
        let seat = Arc::new(Arc::clone(&self.queue.seat).lock_owned().await);
        let queue = Arc::clone(&self.queue);
        let held = Arc::clone(&seat);
        let giving_back = self.database.off_thread(move |_| {
            let _seat = held;
            queue.give_back()
        });
        giving_back.await.map_err(QueueError::Disk)?;
        Ok(EmbeddedIntake {
            database: Arc::clone(&self.database),
            queue: Arc::clone(&self.queue),
            prefetch,
            cancelled: false,
            delivered: VecDeque::new(),
            taking: None,
            staged: Staged::default(),
            seat,
        })
    }

    /// There is always capacity for the one intake.
    fn make_room(&self, _intakes: usize) {}

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let seat = Arc::clone(&self.queue.seat).lock_owned().await;
        let turn = Arc::clone(&self.database.ledger_turn).lock_owned().await;
        let rides = batch.clone();
        let applying = move |database: &Database| {
            let _held = (seat, turn);
            let mut batch = database.batch();
            ledger::apply(database, &rides, &mut batch)?;
            Ok(database.commit("store a batch", batch)?)
        };
        self.database.off_thread(applying).await
    }

    async fn put_away(&self, letters: &mut Vec<DeadLetter>) -> Result<(), DeadLetterError> {
        let seat = Arc::clone(&self.queue.seat).lock_owned().await;
        self.queue.check_room(letters.len())?;
        let (queue, put) = (Arc::clone(&self.queue), letters.clone());
        let putting = move |database: &Database| {
            let _seat = seat;
            let _pen = queue.letter_pen();
            let mut batch = database.batch();
            let new = queue.add_letters(&put, &mut batch)?;
            database.commit("store dead letters", batch)?;
            queue.has_put_away(new);
            Ok(())
        };
        let put = self.database.off_thread(putting).await;
        put.map_err(QueueError::Disk)?;
        letters.clear();
        Ok(())
    }
}

/// The one intake of a data directory.
pub struct EmbeddedIntake {
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
    /// Any task that still writes for this intake also holds it.
    seat: Arc<OwnedMutexGuard<()>>,
}

/// Changes to be written with the acknowledgement.
#[derive(Default)]
struct Staged {
    /// Changes of an applied batch.
    changes: Option<fjall::OwnedWriteBatch>,
    /// Held while there are changes, because they depend on the ledger that was read.
    turn: Option<OwnedMutexGuard<()>>,
    letters: Vec<DeadLetter>,
    settlements: Vec<Settlement>,
}

impl EmbeddedIntake {
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

impl Intake for EmbeddedIntake {
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
                    let seat = Arc::clone(&self.seat);
                    let take = move || {
                        let _seat = seat;
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
        if self.staged.turn.is_none() {
            let turn = Arc::clone(&self.database.ledger_turn).lock_owned();
            self.staged.turn = Some(turn.await);
        }
        let (changes, applied) = self.database.off_thread(applying).await?;
        self.staged.changes = Some(changes);
        Ok(applied)
    }

    async fn put_away(&mut self, letters: &mut Vec<DeadLetter>) -> Result<(), DeadLetterError> {
        self.queue.check_room(letters.len())?;
        self.staged.letters.append(letters);
        Ok(())
    }

    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), StoreError> {
        self.staged.settlements = settlements.to_vec();
        Ok(())
    }

    async fn ack_through(&mut self, tag: u64) -> Result<(), QueueError> {
        let staged = std::mem::take(&mut self.staged);
        let (queue, seat) = (Arc::clone(&self.queue), Arc::clone(&self.seat));
        let acknowledging = move |database: &Database| {
            let _seat = seat;
            let _turn = staged.turn;
            let mut batch = staged.changes.unwrap_or_else(|| database.batch());
            let _pen = (!staged.letters.is_empty()).then(|| queue.letter_pen());
            let new_letters = queue.add_letters(&staged.letters, &mut batch)?;
            books::settle(database, &staged.settlements, &mut batch)?;
            queue.remove_through(tag, &mut batch)?;
            database.commit("store a batch", batch)?;
            queue.has_put_away(new_letters);
            queue.removed_through(tag);
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

    /// The next intake requeues what this one leaves unacknowledged.
    async fn close(mut self) {
        let _ = self.taken().await;
    }
}
