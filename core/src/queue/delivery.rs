//! A message on its way out of the queue.

use crate::message::MessageId;

/// Longest id of a dead letter, in bytes. Ours have less than 60.
const MAX_LETTER_ID_BYTES: usize = 100;

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
    /// The id of the dead letter that was sent again with it; `None` on any other message.
    pub replay_of: Option<String>,
    /// How often it was delivered before and came back.
    pub returns: u64,
}

/// The id of a dead letter, as a message says it; `None` where it cannot be one of ours.
pub(super) fn letter_id(text: &[u8]) -> Option<String> {
    let is_id = !text.is_empty()
        && text.len() <= MAX_LETTER_ID_BYTES
        && text.iter().all(u8::is_ascii_graphic);
    is_id.then(|| String::from_utf8_lossy(text).into_owned())
}
