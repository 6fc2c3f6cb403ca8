//! Head, delivery position and depth of the queue.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::stored::StoredMessage;
use crate::embedded::{Database, DiskError, keys};

/// Size of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rides: u32,
    pub(super) bytes: u32,
}

/// `head <= handed_out <= next`: messages from `head` on are unacknowledged, those before `handed_out` are delivered, and
/// `next` is the number of the next message.
#[derive(Debug, Default)]
pub(super) struct Positions {
    head: u64,
    handed_out: u64,
    /// Size of every message from `head` on.
    sizes: VecDeque<Size>,
    rides: u64,
    bytes: u64,
    /// Redelivery counts of messages that were redelivered.
    returns: BTreeMap<u64, u32>,
}

impl Positions {
    /// Loads the positions that the previous process left.
    pub(super) fn read(database: &Database) -> Result<Self, DiskError> {
        let failed = |error| database.failed("read the queue", error);
        let queue = &database.queue;
        let (head, next) = match queue.get(keys::CURSOR).map_err(failed)? {
            Some(cursor) => read_cursor(&cursor).ok_or_else(|| damaged(database, "its cursor"))?,
            None => (0, 0),
        };
        let mut positions = Self {
            head,
            handed_out: head,
            ..Self::default()
        };
        let from_head =
            keys::numbered(keys::MESSAGE, head)..=keys::numbered(keys::MESSAGE, u64::MAX);
        for entry in queue.range(from_head) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let is_next = *key == keys::numbered(keys::MESSAGE, positions.next());
            let message = StoredMessage::read(&value).filter(|_| is_next);
            let message = message.ok_or_else(|| damaged(database, "a message"))?;
            positions.append([Size {
                rides: message.rides,
                bytes: u32::try_from(value.len()).unwrap_or(u32::MAX),
            }]);
        }
        // Numbers are never reused, so that a settled number belongs to one message only.
        if positions.sizes.is_empty() {
            (positions.head, positions.handed_out) = (next, next);
        }
        for entry in queue.prefix([keys::RETURNS]) {
            let (key, value) = entry.into_inner().map_err(failed)?;
            let number = key.get(1..).and_then(read_number);
            let returns = <[u8; 4]>::try_from(&*value).ok().map(u32::from_be_bytes);
            let (Some(number), Some(returns)) = (number, returns) else {
                return Err(damaged(database, "a message's returns"));
            };
            positions.returns.insert(number, returns);
        }
        if let Some(handed_out) = queue.get(keys::HANDED_OUT).map_err(failed)? {
            let handed_out =
                read_number(&handed_out).ok_or_else(|| damaged(database, "its positions"))?;
            positions.handed_out = handed_out.clamp(positions.head, positions.next());
        }
        Ok(positions)
    }

    /// The number of the next message.
    pub(super) fn next(&self) -> u64 {
        self.head + self.sizes.len() as u64
    }

    pub(super) fn append(&mut self, sizes: impl IntoIterator<Item = Size>) {
        for size in sizes {
            self.rides += u64::from(size.rides);
            self.bytes += u64::from(size.bytes);
            self.sizes.push_back(size);
        }
    }

    /// Whether there are ready messages.
    pub(super) fn has_more(&self) -> bool {
        self.handed_out < self.next()
    }

    /// Ready messages.
    pub(super) fn ready_messages(&self) -> u64 {
        self.next() - self.handed_out
    }

    /// Delivers as many messages as `prefetch` allows.
    pub(super) fn hand_out(&mut self, prefetch: usize) -> Range<u64> {
        let most = self.head.saturating_add(prefetch as u64);
        let end = self.next().min(most).max(self.handed_out);
        let start = std::mem::replace(&mut self.handed_out, end);
        start..end
    }

    /// Requeues delivered messages, and returns their redelivery counts.
    pub(super) fn give_back(&mut self) -> Vec<(u64, u32)> {
        let returned = self.head..self.handed_out;
        self.handed_out = self.head;
        returned
            .map(|number| {
                let returns = self.returns.entry(number).or_default();
                *returns = returns.saturating_add(1);
                (number, *returns)
            })
            .collect()
    }

    /// The redelivery count of a message.
    pub(super) fn returns(&self, number: u64) -> u32 {
        self.returns.get(&number).copied().unwrap_or(0)
    }

    /// The messages up to `last`.
    pub(super) fn up_to(&self, last: u64) -> Range<u64> {
        self.head..last.saturating_add(1).clamp(self.head, self.handed_out)
    }

    /// Rides in the messages through `last`.
    pub(super) fn rides_up_to(&self, last: u64) -> u64 {
        let up_to = self.up_to(last);
        let sizes = self.sizes.range(..(up_to.end - up_to.start) as usize);
        sizes.map(|size| u64::from(size.rides)).sum()
    }

    /// The value of [`keys::CURSOR`] after the messages up to `last` are removed.
    pub(super) fn cursor_after(&self, last: u64) -> Vec<u8> {
        let head = self.up_to(last).end;
        [head.to_be_bytes(), self.next().to_be_bytes()].concat()
    }

    /// Removes the messages up to `last`.
    pub(super) fn remove_up_to(&mut self, last: u64) {
        let gone = self.up_to(last);
        for size in self.sizes.drain(..(gone.end - gone.start) as usize) {
            self.rides -= u64::from(size.rides);
            self.bytes -= u64::from(size.bytes);
        }
        self.head = gone.end;
        self.returns = self.returns.split_off(&gone.end);
    }

    /// Messages that are not acknowledged.
    pub(super) fn waiting_messages(&self) -> usize {
        self.sizes.len()
    }

    /// Rides that are not acknowledged.
    pub(super) fn waiting_rides(&self) -> u64 {
        self.rides
    }

    /// Bytes of the messages that are not acknowledged.
    pub(super) fn waiting_bytes(&self) -> u64 {
        self.bytes
    }
}

fn damaged(database: &Database, what: &str) -> DiskError {
    DiskError::Damaged {
        folder: database.folder().to_owned(),
        what: format!("the queue contains {what} in an unknown format"),
    }
}

fn read_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn read_cursor(bytes: &[u8]) -> Option<(u64, u64)> {
    let (head, next) = bytes.split_at_checked(8)?;
    Some((read_number(head)?, read_number(next)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        rides: 10,
        bytes: 100,
    };

    #[test]
    fn messages_are_handed_out_in_order_and_leave_by_prefix() {
        let mut queue = Positions::default();
        queue.append([SIZE; 5]);
        assert_eq!(queue.hand_out(2), 0..2);
        assert_eq!(queue.hand_out(2), 2..2);
        queue.remove_up_to(0);
        assert_eq!((queue.waiting_rides(), queue.waiting_bytes()), (40, 400));
        assert_eq!(queue.hand_out(2), 2..3);
        assert!(queue.has_more());
        assert_eq!(queue.hand_out(10), 3..5);
        assert!(!queue.has_more());
        queue.remove_up_to(4);
        assert_eq!((queue.waiting_rides(), queue.next()), (0, 5));
    }

    #[test]
    fn what_was_handed_out_comes_back_first_and_is_counted() {
        let mut queue = Positions::default();
        queue.append([SIZE; 3]);
        queue.hand_out(2);
        assert_eq!(queue.give_back(), [(0, 1), (1, 1)]);
        assert_eq!(queue.hand_out(1), 0..1);
        assert_eq!(queue.give_back(), [(0, 2)]);
        queue.hand_out(3);
        queue.remove_up_to(0);
        assert_eq!((queue.returns(0), queue.returns(1)), (0, 1));
    }

    #[test]
    fn nothing_leaves_that_was_not_handed_out() {
        let mut queue = Positions::default();
        queue.append([SIZE; 3]);
        queue.hand_out(1);
        assert_eq!(queue.up_to(9), 0..1);
        queue.remove_up_to(9);
        assert_eq!(queue.waiting_messages(), 2);
    }
}
