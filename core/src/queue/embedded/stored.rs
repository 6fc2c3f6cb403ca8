//! The format of messages and dead letters in the database.

use crate::message::{FORMAT, MessageId};
use crate::queue::dead_letter::{DeadLetter, foreign_id};
use crate::queue::dead_letter_queue::RepublishedLetter;
use crate::queue::delivery::Delivery;

/// Flag in a message's format number: the id of a dead letter follows its headers: length of the id (1), then the id.
const IS_REPLAY: u32 = 1 << 31;
/// Flag in a dead letter's first byte: it has a message.
const HAS_MESSAGE: u8 = 1;
/// Flag in a dead letter's first byte: its id follows the line number: length of the id (2), then the id. Without it the id
/// is derived from the message and the line.
const HAS_ID: u8 = 2;
/// Prefix of the keys of dead letters that are not identified by message and line. No epoch starts with it.
const OTHER_LETTER: u8 = u8::MAX;

/// A message: its headers, then its lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredMessage<'a> {
    pub(super) format: u32,
    pub(super) id: MessageId,
    pub(super) rides: u32,
    pub(super) accepted_at_ms: u64,
    /// The id of the dead letter that it replays.
    pub(super) replay_of: Option<&'a str>,
    pub(super) body: &'a [u8],
}

impl<'a> StoredMessage<'a> {
    /// A message in the current format.
    pub(super) fn new(id: MessageId, rides: usize, accepted_at_ms: u64, body: &'a [u8]) -> Self {
        Self {
            format: FORMAT,
            id,
            rides: u32::try_from(rides).unwrap_or(u32::MAX),
            accepted_at_ms,
            replay_of: None,
            body,
        }
    }

    /// A replayed dead letter.
    pub(super) fn again(id: MessageId, letter: &'a RepublishedLetter, accepted_at_ms: u64) -> Self {
        let rides = letter.rides() as usize;
        Self {
            replay_of: Some(&letter.id),
            ..Self::new(id, rides, accepted_at_ms, &letter.line)
        }
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 34);
        let flag = if self.replay_of.is_some() {
            IS_REPLAY
        } else {
            0
        };
        bytes.extend((self.format | flag).to_be_bytes());
        write_id(&mut bytes, self.id);
        bytes.extend(self.rides.to_be_bytes());
        bytes.extend(self.accepted_at_ms.to_be_bytes());
        if let Some(letter) = self.replay_of {
            // Skilift's ids are never longer.
            bytes.push(u8::try_from(letter.len()).unwrap_or(0));
            bytes.extend(letter.as_bytes());
        }
        bytes.extend(self.body);
        bytes
    }

    /// Parses the output of [`Self::write`]; `None` if it is too short.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let format = take(&mut rest).map(u32::from_be_bytes)?;
        let id = read_id(&mut rest)?;
        let rides = take(&mut rest).map(u32::from_be_bytes)?;
        let accepted_at_ms = take(&mut rest).map(u64::from_be_bytes)?;
        let mut replay_of = None;
        if format & IS_REPLAY != 0 {
            let [length] = take(&mut rest)?;
            let (letter, body) = rest.split_at_checked(length.into())?;
            replay_of = Some(std::str::from_utf8(letter).ok()?);
            rest = body;
        }
        Some(Self {
            format: format & !IS_REPLAY,
            id,
            rides,
            accepted_at_ms,
            replay_of,
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
            replay_of: self.replay_of.map(str::to_owned),
            returns: returns.into(),
        }
    }
}

/// Key and value of a dead letter. It is keyed by its id, so that storing it again does not duplicate it.
pub(super) fn letter(letter: &DeadLetter) -> (Vec<u8>, Vec<u8>) {
    let line_number = u32::try_from(letter.line_number).unwrap_or(u32::MAX);
    let mut origin = Vec::with_capacity(22);
    write_id(&mut origin, letter.message.unwrap_or(NO_MESSAGE));
    origin.extend(line_number.to_be_bytes());
    let is_of_line = letter
        .message
        .is_some_and(|message| letter.id == line_id(message, line_number));

    let mut value = Vec::with_capacity(letter.line.len() + letter.reason.len() + 64);
    let has_message = if letter.message.is_some() {
        HAS_MESSAGE
    } else {
        0
    };
    value.push(if is_of_line {
        has_message
    } else {
        has_message | HAS_ID
    });
    value.extend(&origin);
    if !is_of_line {
        value.extend(u16::try_from(letter.id.len()).unwrap_or(0).to_be_bytes());
        value.extend(letter.id.as_bytes());
    }
    let reason_bytes = u32::try_from(letter.reason.len()).unwrap_or(u32::MAX);
    value.extend(reason_bytes.to_be_bytes());
    value.extend(letter.reason.as_bytes());
    value.extend(&letter.line);
    (letter_key(&letter.id), value)
}

/// The key of the dead letter with this id, also of a replayed one that failed again.
pub(super) fn letter_key(id: &str) -> Vec<u8> {
    let of_line = id.rsplit_once('-').and_then(|(message, line)| {
        let (message, line) = (message.parse().ok()?, line.parse().ok()?);
        // Other spellings of the same numbers are different ids.
        (line_id(message, line) == id).then_some((message, line))
    });
    let Some((message, line)) = of_line else {
        return [&[OTHER_LETTER], id.as_bytes()].concat();
    };
    let mut key = Vec::with_capacity(22);
    write_id(&mut key, message);
    key.extend(line.to_be_bytes());
    key
}

fn line_id(message: MessageId, line: u32) -> String {
    format!("{message}-{line}")
}

const NO_MESSAGE: MessageId = MessageId {
    epoch: 0,
    channel: 0,
    sequence: 0,
};

/// Parses the value that [`letter`] wrote; `None` for other values.
pub(super) fn read_letter(bytes: &[u8]) -> Option<DeadLetter> {
    let mut rest = bytes;
    let [flags] = take(&mut rest)?;
    let origin = read_id(&mut rest)?;
    let message = (flags & HAS_MESSAGE != 0).then_some(origin);
    let line_number = take(&mut rest).map(u32::from_be_bytes)?;
    let mut id = None;
    if flags & HAS_ID != 0 {
        let length = take(&mut rest).map(u16::from_be_bytes)?;
        let (text, after) = rest.split_at_checked(length.into())?;
        id = Some(String::from_utf8(text.to_vec()).ok()?);
        rest = after;
    }
    let reason_bytes = take(&mut rest).map(u32::from_be_bytes)?;
    let (reason, line) = rest.split_at_checked(reason_bytes as usize)?;
    let id = id.unwrap_or_else(|| match message {
        Some(message) => line_id(message, line_number),
        None => foreign_id(line),
    });
    Some(DeadLetter {
        id,
        line: line.to_vec(),
        reason: String::from_utf8_lossy(reason).into_owned(),
        message,
        line_number: line_number as usize,
    })
}

fn write_id(bytes: &mut Vec<u8>, id: MessageId) {
    bytes.extend(id.epoch.to_be_bytes());
    bytes.extend(id.channel.to_be_bytes());
    bytes.extend(id.sequence.to_be_bytes());
}

fn read_id(rest: &mut &[u8]) -> Option<MessageId> {
    Some(MessageId {
        epoch: take(rest).map(u64::from_be_bytes)?,
        channel: take(rest).map(u16::from_be_bytes)?,
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
            epoch: u64, channel: u16, sequence: u64, rides: u32, accepted_at_ms: u64, line: u16, known: bool,
            replayed in prop::option::of("[0-9a-f-]{1,60}"), body: Vec<u8>, reason: String,
        ) {
            let id = MessageId { epoch, channel, sequence };
            let replay_of = replayed.as_deref();
            let message = StoredMessage { format: 1, id, rides, accepted_at_ms, replay_of, body: &body };
            let written = message.write();
            let read = StoredMessage::read(&written);
            prop_assert_eq!(read.as_ref(), Some(&message));
            let delivery = Delivery { id: known.then_some(id), ..message.into_delivery(1, 0) };
            let dead = DeadLetter::of_line(&delivery, line.into(), &body, reason);
            let (key, value) = letter(&dead);
            prop_assert_eq!(key, letter_key(&dead.id));
            prop_assert_eq!(read_letter(&value), Some(dead));
        }

        #[test]
        fn letters_have_one_key_each(left in "[0-9a-f]{1,17}-[0-9]{1,6}-[0-9]{1,21}(-[0-9]{1,3}){0,2}", epoch: u64, line: u16) {
            let right = format!("{epoch:016x}-0-1-{line}");
            prop_assert_eq!(letter_key(&left) == letter_key(&right), left == right);
            prop_assert_eq!(letter_key(&right).len(), 22);
        }

        #[test]
        fn foreign_bytes_break_nothing(bytes: Vec<u8>) {
            let _ = StoredMessage::read(&bytes);
            let _ = read_letter(&bytes);
        }
    }
}
