//! The form of a message and of a dead letter in the database.

use crate::clock::epoch_ms;
use crate::message::{FORMAT, MessageId};
use crate::queue::dead_letter::DeadLetter;
use crate::queue::delivery::Delivery;

/// A message: its headers, then its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredMessage<'a> {
    pub(super) format: u32,
    pub(super) id: MessageId,
    pub(super) rides: u32,
    pub(super) accepted_at_ms: u64,
    pub(super) body: &'a [u8],
}

impl<'a> StoredMessage<'a> {
    /// A message of the present format.
    pub(super) fn new(id: MessageId, rides: usize, accepted_at_ms: u64, body: &'a [u8]) -> Self {
        Self {
            format: FORMAT,
            id,
            rides: u32::try_from(rides).unwrap_or(u32::MAX),
            accepted_at_ms,
            body,
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 34);
        bytes.extend(self.format.to_be_bytes());
        write_id(&mut bytes, self.id);
        bytes.extend(self.rides.to_be_bytes());
        bytes.extend(self.accepted_at_ms.to_be_bytes());
        bytes.extend(self.body);
        bytes
    }

    /// Reads back what [`Self::write`] wrote; `None` where it is too short.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        Some(Self {
            format: take(&mut rest).map(u32::from_be_bytes)?,
            id: read_id(&mut rest)?,
            rides: take(&mut rest).map(u32::from_be_bytes)?,
            accepted_at_ms: take(&mut rest).map(u64::from_be_bytes)?,
            body: rest,
        })
    }

    pub(super) fn into_delivery(self, number: u64, returns: u32) -> Delivery {
        Delivery {
            tag: number,
            body: self.body.to_vec(),
            id: Some(self.id),
            format: Some(self.format),
            rides: Some(self.rides),
            accepted_at_ms: Some(self.accepted_at_ms),
            returns: returns.into(),
        }
    }
}

/// Key and value of a dead letter. It is known by its message and its line, so that it stands there once however often it is
/// put away; one without a message is a letter of its own each time.
pub(super) fn letter(letter: &DeadLetter) -> (Vec<u8>, Vec<u8>) {
    let mut key = Vec::with_capacity(22);
    let unknown = || MessageId {
        epoch: MessageId::new_epoch(epoch_ms()),
        lane: 0,
        sequence: 0,
    };
    write_id(&mut key, letter.message.unwrap_or_else(unknown));
    let line_number = u32::try_from(letter.line_number).unwrap_or(u32::MAX);
    key.extend(line_number.to_be_bytes());

    let mut value = Vec::with_capacity(letter.line.len() + letter.reason.len() + 32);
    value.push(u8::from(letter.message.is_some()));
    value.extend(&key);
    let reason_bytes = u32::try_from(letter.reason.len()).unwrap_or(u32::MAX);
    value.extend(reason_bytes.to_be_bytes());
    value.extend(letter.reason.as_bytes());
    value.extend(&letter.line);
    (key, value)
}

/// Reads back the value that [`letter`] wrote; `None` where it is not one.
pub(super) fn read_letter(bytes: &[u8]) -> Option<DeadLetter> {
    let mut rest = bytes;
    let [has_message] = take(&mut rest)?;
    let id = read_id(&mut rest)?;
    let line_number = take(&mut rest).map(u32::from_be_bytes)?;
    let reason_bytes = take(&mut rest).map(u32::from_be_bytes)?;
    let (reason, line) = rest.split_at_checked(reason_bytes as usize)?;
    Some(DeadLetter {
        line: line.to_vec(),
        reason: String::from_utf8_lossy(reason).into_owned(),
        message: (has_message == 1).then_some(id),
        line_number: line_number as usize,
    })
}

fn write_id(bytes: &mut Vec<u8>, id: MessageId) {
    bytes.extend(id.epoch.to_be_bytes());
    bytes.extend(id.lane.to_be_bytes());
    bytes.extend(id.sequence.to_be_bytes());
}

fn read_id(rest: &mut &[u8]) -> Option<MessageId> {
    Some(MessageId {
        epoch: take(rest).map(u64::from_be_bytes)?,
        lane: take(rest).map(u16::from_be_bytes)?,
        sequence: take(rest).map(u64::from_be_bytes)?,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_and_letters_survive_their_form(
            epoch: u64, lane: u16, sequence: u64, rides: u32, accepted_at_ms: u64, line: u16, known: bool,
            body: Vec<u8>, reason: String,
        ) {
            let id = MessageId { epoch, lane, sequence };
            let message = StoredMessage { format: 1, id, rides, accepted_at_ms, body: &body };
            let written = message.write();
            prop_assert_eq!(StoredMessage::read(&written), Some(message));
            let dead = DeadLetter { line: body, reason, message: known.then_some(id), line_number: line.into() };
            prop_assert_eq!(read_letter(&letter(&dead).1), Some(dead));
        }

        #[test]
        fn foreign_bytes_break_nothing(bytes: Vec<u8>) {
            let _ = StoredMessage::read(&bytes);
            let _ = read_letter(&bytes);
        }
    }
}
