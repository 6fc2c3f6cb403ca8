//! RabbitMQ and Redis: each step is safe by itself, and the acknowledgement comes last.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Engine, EngineError, Intake};
use crate::books::Settlement;
use crate::queue::rabbit::{Broker, Consumer, DeadLetters, topology};
use crate::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use crate::stack::StackName;
use crate::store::batch::Batch;
use crate::store::redis::Store;
use crate::store::redis::writer::{ToIndex, Writer};
use crate::store::{Applied, StoreError};

/// Dead letters that are on their way at once.
const LETTERS_AT_ONCE: usize = 64;

/// A stack's queues on RabbitMQ and its place in Redis.
pub struct RabbitRedis {
    broker: Arc<Broker>,
    /// RabbitMQ blocks a connection that publishes while it is short of memory or disk, and then hears no acknowledgement on
    /// it either: dead letters have a connection of their own.
    letter_broker: Arc<Broker>,
    store: Store,
    stack: StackName,
}

impl RabbitRedis {
    /// An engine that is not connected to yet.
    #[must_use]
    pub fn new(broker: Arc<Broker>, store: Store, stack: StackName) -> Self {
        Self {
            letter_broker: broker.another("dead letters"),
            broker,
            store,
            stack,
        }
    }

    fn letter_box(&self) -> LetterBox {
        LetterBox {
            broker: Arc::clone(&self.letter_broker),
            stack: self.stack.clone(),
            open: None,
        }
    }
}

impl Engine for RabbitRedis {
    type Intake = RabbitRedisIntake;

    const MOST_INTAKES: usize = usize::MAX;

    async fn check(&self) -> Result<(), EngineError> {
        self.store.writer().await?;
        let declared = topology::check(&self.broker, &self.stack).await;
        Ok(declared.map_err(QueueError::Broker)?)
    }

    async fn open(&self, prefetch: u16) -> Result<RabbitRedisIntake, EngineError> {
        let writer = self.store.writer().await?;
        let consumer = Consumer::open(&self.broker, &self.stack, prefetch).await;
        Ok(RabbitRedisIntake {
            consumer: consumer.map_err(QueueError::Broker)?,
            broker: Arc::clone(&self.broker),
            stack: self.stack.clone(),
            store: self.store.clone(),
            writer: Some(writer),
            to_index: ToIndex::default(),
            letter_box: self.letter_box(),
        })
    }

    fn make_room(&self, intakes: usize) {
        // One writer for each, and as many to look whether Redis is back.
        self.store.make_room(intakes * 2);
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut writer = self.store.writer().await?;
        writer.apply(batch).await?;
        Ok(())
    }

    async fn put_away(&self, letters: &mut Vec<DeadLetter>) -> Result<(), DeadLetterError> {
        self.letter_box().put_away(letters).await
    }
}

/// A channel to consume on, a connection to write through, and a channel for dead letters.
pub struct RabbitRedisIntake {
    consumer: Consumer,
    broker: Arc<Broker>,
    stack: StackName,
    store: Store,
    writer: Option<Writer>,
    /// What the last batch left to be indexed.
    to_index: ToIndex,
    letter_box: LetterBox,
}

impl RabbitRedisIntake {
    async fn take_writer(&mut self) -> Result<Writer, StoreError> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => self.store.writer().await,
        }
    }
}

impl Intake for RabbitRedisIntake {
    fn prefetch(&self) -> u16 {
        self.consumer.prefetch()
    }

    async fn next(&mut self) -> Option<Result<Delivery, QueueError>> {
        let delivered = self.consumer.next().await?;
        Some(delivered.map_err(QueueError::Broker))
    }

    /// A writer that failed is not used again: the next attempt looks anew whether Redis is as it must be.
    async fn apply(&mut self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut writer = self.take_writer().await?;
        let applied = writer.store(batch).await?;
        self.writer = Some(writer);
        let (applied, to_index) = applied;
        self.to_index = to_index;
        Ok(applied)
    }

    async fn put_away(&mut self, letters: &mut Vec<DeadLetter>) -> Result<(), DeadLetterError> {
        self.letter_box.put_away(letters).await
    }

    /// The indexes are written in the same call: what is indexed late is found late, and the acknowledgement waits for it.
    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let mut writer = self.take_writer().await?;
        writer.settle(&self.to_index, settlements).await?;
        self.writer = Some(writer);
        self.to_index = ToIndex::default();
        Ok(())
    }

    async fn ack_through(&mut self, tag: u64) -> Result<(), QueueError> {
        Ok(self.consumer.ack_through(tag).await?)
    }

    async fn cancel(&mut self) -> Result<(), QueueError> {
        self.consumer.cancel();
        Ok(())
    }

    async fn resume(&mut self, prefetch: u16) -> Result<(), QueueError> {
        let resuming = self.consumer.resume(&self.broker, &self.stack, prefetch);
        Ok(resuming.await?)
    }

    async fn close(self) {
        self.consumer.close().await;
    }
}

/// The way to the dead letters, opened when the first one comes.
struct LetterBox {
    broker: Arc<Broker>,
    stack: StackName,
    open: Option<DeadLetters>,
}

impl LetterBox {
    /// Puts letters away. Those that are safe leave the list, so that the next attempt goes on where this one ended.
    async fn put_away(&mut self, letters: &mut Vec<DeadLetter>) -> Result<(), DeadLetterError> {
        let queue = match self.open.take() {
            Some(queue) => queue,
            None => DeadLetters::open(&self.broker, &self.stack)
                .await
                .map_err(QueueError::Broker)?,
        };
        while !letters.is_empty() {
            let batch = letters.split_off(letters.len().saturating_sub(LETTERS_AT_ONCE));
            let outcomes = join_all(batch.iter().map(|letter| queue.put(letter))).await;
            let mut failure = None;
            for (letter, outcome) in batch.into_iter().zip(outcomes) {
                if let Err(error) = outcome {
                    letters.push(letter);
                    failure = Some(error);
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        self.open = Some(queue);
        Ok(())
    }
}
