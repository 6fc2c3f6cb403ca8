//! How much waits in RabbitMQ, by AMQP alone.

use std::sync::Arc;

use async_trait::async_trait;
use lapin::Channel;
use tokio::sync::Mutex;

use super::broker::{Broker, BrokerError};
use super::topology;
use crate::queue::QueueError;
use crate::queue::depth::{Depth, DepthGauge};
use crate::stack::StackName;

/// Looks at the queues of a stack on RabbitMQ.
pub struct RabbitDepth {
    broker: Arc<Broker>,
    stack: StackName,
    open: Mutex<Option<Channel>>,
}

impl RabbitDepth {
    /// A gauge that is not connected to yet.
    #[must_use]
    pub fn new(broker: Arc<Broker>, stack: StackName) -> Self {
        Self {
            broker,
            stack,
            open: Mutex::default(),
        }
    }

    async fn look(&self, channel: &Channel, queue: String) -> Result<u64, BrokerError> {
        let found = topology::ready_messages(channel, &queue).await?;
        found.map(u64::from).ok_or(BrokerError::NoQueue { queue })
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
        let depth = Depth {
            ready_messages: self.look(&channel, self.stack.ride_queue()).await?,
            dead_messages: self.look(&channel, self.stack.dead_letter_queue()).await?,
        };
        *open = Some(channel);
        Ok(depth)
    }
}
