//! RabbitMQ and Redis: each step is safe by itself, and the acknowledgement comes last.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Engine, EngineError, Pipeline};
use crate::queue::rabbit::{Broker, Consumer, DeadLetterPublisher, topology};
use crate::queue::{DeadLetter, DeadLetterError, Delivery, QueueError};
use crate::reconciliation::Settlement;
use crate::stack::StackName;
use crate::store::batch::Batch;
use crate::store::redis::Store;
use crate::store::redis::writer::{ToIndex, Writer};
use crate::store::{Applied, StoreError};

/// Maximum dead letters in flight.
const LETTERS_AT_ONCE: usize = 64;

/// A stack's queues on RabbitMQ and its keys in Redis.
pub struct RabbitRedis {
    broker: Arc<Broker>,
    /// While RabbitMQ is short of memory or disk it blocks connections that publish, and then does not process
    /// acknowledgements on them either: so dead letters have a separate connection.
    dead_letter_broker: Arc<Broker>,
    store: Store,
    stack: StackName,
}

impl RabbitRedis {
    /// An engine that is not connected yet.
    #[must_use]
    pub fn new(broker: Arc<Broker>, store: Store, stack: StackName) -> Self {
        Self {
            dead_letter_broker: broker.another("dead letters"),
            broker,
            store,
            stack,
        }
    }

    fn dead_letter_publisher(&self) -> LazyDeadLetterPublisher {
        LazyDeadLetterPublisher {
            broker: Arc::clone(&self.dead_letter_broker),
            stack: self.stack.clone(),
            open: None,
        }
    }
}

impl Engine for RabbitRedis {
    type Pipeline = RabbitRedisPipeline;

    const MAX_PIPELINES: usize = usize::MAX;

    async fn check(&self) -> Result<(), EngineError> {
        self.store.writer().await?;
        let declared = topology::check(&self.broker, &self.stack).await;
        Ok(declared.map_err(QueueError::Broker)?)
    }

    async fn open(&self, prefetch: u16) -> Result<RabbitRedisPipeline, EngineError> {
        let writer = self.store.writer().await?;
        let consumer = Consumer::open(&self.broker, &self.stack, prefetch).await;
        Ok(RabbitRedisPipeline {
            consumer: consumer.map_err(QueueError::Broker)?,
            broker: Arc::clone(&self.broker),
            stack: self.stack.clone(),
            store: self.store.clone(),
            writer: Some(writer),
            to_index: ToIndex::default(),
            dead_letter_publisher: self.dead_letter_publisher(),
        })
    }

    fn set_max_pipelines(&self, pipelines: usize) {
        // One writer for each, and as many to check whether Redis is available again.
        self.store.set_max_writers(pipelines * 2);
    }

    async fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut writer = self.store.writer().await?;
        writer.apply(batch).await?;
        Ok(())
    }

    async fn publish_dead_letters(
        &self,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), DeadLetterError> {
        self.dead_letter_publisher()
            .publish_dead_letters(letters)
            .await
    }
}

/// A channel to consume on, a connection to write through, and a channel for dead letters.
pub struct RabbitRedisPipeline {
    consumer: Consumer,
    broker: Arc<Broker>,
    stack: StackName,
    store: Store,
    writer: Option<Writer>,
    /// Index entries of the last batch that are still to be written.
    to_index: ToIndex,
    dead_letter_publisher: LazyDeadLetterPublisher,
}

impl RabbitRedisPipeline {
    async fn take_writer(&mut self) -> Result<Writer, StoreError> {
        match self.writer.take() {
            Some(writer) => Ok(writer),
            None => self.store.writer().await,
        }
    }
}

impl Pipeline for RabbitRedisPipeline {
    fn prefetch(&self) -> u16 {
        self.consumer.prefetch()
    }

    async fn next(&mut self) -> Option<Result<Delivery, QueueError>> {
        let delivered = self.consumer.next().await?;
        Some(delivered.map_err(QueueError::Broker))
    }

    /// A writer that failed is not used again: the next attempt checks Redis again.
    async fn apply(&mut self, batch: &Batch) -> Result<Applied, StoreError> {
        let mut writer = self.take_writer().await?;
        let applied = writer.store(batch).await?;
        self.writer = Some(writer);
        let (applied, to_index) = applied;
        self.to_index = to_index;
        Ok(applied)
    }

    async fn publish_dead_letters(
        &mut self,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), DeadLetterError> {
        self.dead_letter_publisher
            .publish_dead_letters(letters)
            .await
    }

    /// The indexes are written in the same call: the acknowledgement waits for them.
    async fn settle(&mut self, settlements: &[Settlement]) -> Result<(), StoreError> {
        let mut writer = self.take_writer().await?;
        writer.settle(&self.to_index, settlements).await?;
        self.writer = Some(writer);
        self.to_index = ToIndex::default();
        Ok(())
    }

    async fn ack_up_to(&mut self, tag: u64) -> Result<(), QueueError> {
        Ok(self.consumer.ack_up_to(tag).await?)
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

/// Publisher of dead letters, opened with the first one.
struct LazyDeadLetterPublisher {
    broker: Arc<Broker>,
    stack: StackName,
    open: Option<DeadLetterPublisher>,
}

impl LazyDeadLetterPublisher {
    /// Publishes dead letters. Those that are safe are removed from the list, so that the next attempt continues where this
    /// one stopped.
    async fn publish_dead_letters(
        &mut self,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), DeadLetterError> {
        let queue = match self.open.take() {
            Some(queue) => queue,
            None => DeadLetterPublisher::open(&self.broker, &self.stack)
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
