//! Depth of RabbitMQ's queues, by AMQP only.

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

/// How long a queue that had messages must report none, without any consumer that could have received them, until that is
/// accepted as true. A quorum queue without a leader also reports none.
const EMPTIED_BY_NOBODY: Duration = Duration::from_secs(10);

/// Reads the depth of a stack's queues on RabbitMQ.
pub struct RabbitDepth {
    broker: Arc<Broker>,
    stack: StackName,
    open: Mutex<Option<Channel>>,
    /// When messages were last seen in the queue of rides.
    had_messages: Mutex<Option<Instant>>,
}

impl RabbitDepth {
    /// A gauge that is not connected yet.
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

    /// Length of the queue of rides.
    async fn rides(&self, channel: &Channel) -> Result<QueueLength, BrokerError> {
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
        Ok(length)
    }
}

#[async_trait]
impl DepthGauge for RabbitDepth {
    async fn depth(&self) -> Result<Depth, QueueError> {
        let mut open = self.open.lock().await;
        // After an error the channel is closed: it is reused only after success.
        let channel = match open.take().filter(|channel| channel.status().connected()) {
            Some(channel) => channel,
            None => self.broker.channel().await?,
        };
        let dead = self.look(&channel, self.stack.dead_letter_queue()).await?;
        let rides = self.rides(&channel).await?;
        let depth = Depth {
            ready_messages: rides.ready.into(),
            consumers: Some(rides.consumers.into()),
            dead_messages: dead.ready.into(),
        };
        *open = Some(channel);
        Ok(depth)
    }
}
