//! How much waits in a queue, as whoever neither publishes nor consumes sees it.

use async_trait::async_trait;

use super::QueueError;

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait for a worker, those that workers hold not counted.
    pub ready_messages: u64,
    /// Dead letters that nobody has taken.
    pub dead_messages: u64,
}

/// Looks at the queues of a stack.
#[async_trait]
pub trait DepthGauge: Send + Sync {
    /// How much waits now.
    ///
    /// # Errors
    /// When the queues cannot be looked at, or are not there.
    async fn depth(&self) -> Result<Depth, QueueError>;
}
