//! How much waits in RabbitMQ, by AMQP alone.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::Channel;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant};

use super::broker::{Broker, BrokerError};
use super::topology::{self, QueueLength};
use crate::queue::QueueError;
use crate::queue::depth::{Depth, DepthGauge};
use crate::stack::StackName;

/// How long a queue that had messages may tell of none, with nobody who could have taken them, until that is believed. A
/// quorum queue tells so while it has no leader.
const EMPTIED_BY_NOBODY: Duration = Duration::from_secs(10);

/// Looks at the queues of a stack on RabbitMQ.
pub struct RabbitDepth {
    broker: Arc<Broker>,
    stack: StackName,
    open: Mutex<Option<Channel>>,
    /// When messages were last seen in the queue of rides.
    had_messages: Mutex<Option<Instant>>,
}

impl RabbitDepth {
    /// A gauge that is not connected to yet.
    #[must_use]
    pub fn new(broker: Arc<Broker>, stack: StackName) -> Self {
        Self {
            broker,
            stack,
            open: Mutex::default(),
            had_messages: Mutex::default(),
        }
    }

    async fn look(&self, channel: &Channel, queue: String) -> Result<QueueLength, BrokerError> {
        let found = topology::queue_length(channel, &queue).await?;
        found.ok_or(BrokerError::NoQueue { queue })
    }

    /// Messages that wait to be stored.
    async fn ready(&self, channel: &Channel) -> Result<u64, BrokerError> {
        let queue = self.stack.ride_queue();
        let length = self.look(channel, queue.clone()).await?;
        let mut had_messages = self.had_messages.lock().await;
        if length.ready > 0 {
            *had_messages = Some(Instant::now());
        } else if length.consumers == 0
            && had_messages.is_some_and(|at| at.elapsed() < EMPTIED_BY_NOBODY)
        {
            return Err(BrokerError::NoLeader { queue });
        }
        Ok(length.ready.into())
    }
}

#[async_trait]
impl DepthGauge for RabbitDepth {
    async fn depth(&self) -> Result<Depth, QueueError> {
        let mut open = self.open.lock().await;
        // After an error a channel is closed: it is put back only when all went well.
        let channel = match open.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.broker.channel().await?,
        };
        let dead = self.look(&channel, self.stack.dead_letter_queue()).await?;
        let depth = Depth {
            ready_messages: self.ready(&channel).await?,
            dead_messages: dead.ready.into(),
        };
        *open = Some(channel);
        Ok(depth)
    }
}
