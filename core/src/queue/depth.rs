//! Depth of a queue, for observers that neither publish nor consume.

use async_trait::async_trait;

use super::QueueError;

/// Depth of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Ready messages, without unacked ones.
    pub ready_messages: u64,
    /// Consumers of the queue of rides, as RabbitMQ counts them; `None` for a data directory, which has one process.
    pub consumers: Option<u64>,
    /// Dead letters in their queue.
    pub dead_messages: u64,
}

/// Reads the depth of the queues of a stack.
#[async_trait]
pub trait DepthGauge: Send + Sync {
    /// The current depth.
    ///
    /// # Errors
    /// If the queues cannot be read, or do not exist.
    async fn depth(&self) -> Result<Depth, QueueError>;
}
