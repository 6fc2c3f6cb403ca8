//! A message on its way out of the queue.

use crate::message::MessageId;

/// A message as it was delivered.
#[derive(Debug)]
pub struct Delivery {
    /// Its number on the way that it came by, ascending. It means nothing on any other.
    pub tag: u64,
    /// The lines.
    pub body: Vec<u8>,
    /// Who sent it; `None` on a message that no publisher of ours sent.
    pub id: Option<MessageId>,
    /// The version of the body's format; `None` where it is not said.
    pub format: Option<u32>,
    /// How many rides it says it holds.
    pub rides: Option<u32>,
    /// When its oldest ride was accepted, in milliseconds since 1970.
    pub accepted_at_ms: Option<u64>,
    /// How often it was delivered before and came back.
    pub returns: u64,
}
