//! A message delivered from the queue.

use crate::message::MessageId;

/// Maximum length of a dead letter id, in bytes. Skilift's ids are shorter than 60.
const MAX_LETTER_ID_BYTES: usize = 100;

/// A message as it was delivered.
#[derive(Debug)]
pub struct Delivery {
    /// Its delivery tag, ascending, only valid on its channel.
    pub tag: u64,
    /// The lines.
    pub body: Vec<u8>,
    /// Its id; `None` for a foreign message.
    pub id: Option<MessageId>,
    /// The version of the body's format; `None` if missing.
    pub format: Option<u32>,
    /// Number of rides according to its header.
    pub rides: Option<u32>,
    /// When its oldest ride was accepted, in milliseconds since 1970.
    pub accepted_at_ms: Option<u64>,
    /// The id of the dead letter that it replays; `None` for other messages.
    pub replay_of: Option<String>,
    /// How often it was redelivered.
    pub returns: u64,
}

/// The id of a dead letter from a message header; `None` if it is not one of Skilift.
pub(super) fn letter_id(text: &[u8]) -> Option<String> {
    let is_id = !text.is_empty()
        && text.len() <= MAX_LETTER_ID_BYTES
        && text.iter().all(u8::is_ascii_graphic);
    is_id.then(|| String::from_utf8_lossy(text).into_owned())
}
