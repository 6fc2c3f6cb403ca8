//! The message in which rides travel through the queue.
//!
//! Its body is NDJSON, one ride a line, readable in RabbitMQ's management UI. Its headers contain the version of the format,
//! the publisher and number (so that a lost message is detected), the number of rides, and when the oldest of them was
//! accepted.

use crate::ride::Ride;
use std::fmt;
use std::str::FromStr;

/// The version of the body's format that this build writes. It reads this one and the one before.
pub const FORMAT: u32 = 1;

/// Longest line of a body, in bytes, without its line end.
pub const MAX_LINE_BYTES: usize = 1024;

/// The id of a message: epoch and number of a publisher channel, and the sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// One opening of an AMQP channel: milliseconds since 1970 above 20 random bits.
    pub epoch: u64,
    /// The publisher channel within its process, from 0.
    pub channel: u16,
    /// 1, 2, 3 and so on, without gaps within the epoch.
    pub sequence: u64,
}

impl MessageId {
    /// A unique epoch for a new channel.
    #[must_use]
    pub fn new_epoch(now_ms: u64) -> u64 {
        now_ms << 20 | u64::from(rand::random::<u32>() >> 12)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}", self.epoch, self.channel, self.sequence)
    }
}

/// Text that is not a message id of Skilift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message id of the form epoch-lane-sequence")]
pub struct InvalidMessageId;

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().ok_or(InvalidMessageId);
        let (epoch, channel, sequence) = (next()?, next()?, next()?);
        Ok(Self {
            epoch: u64::from_str_radix(epoch, 16).map_err(|_| InvalidMessageId)?,
            channel: channel.parse().map_err(|_| InvalidMessageId)?,
            sequence: sequence.parse().map_err(|_| InvalidMessageId)?,
        })
    }
}

/// Rides collected for one message.
#[derive(Debug, Default)]
pub struct MessageBody {
    lines: Vec<u8>,
    rides: usize,
}

impl MessageBody {
    /// Adds a ride as the last line.
    pub fn push(&mut self, ride: &Ride) {
        // Writing numbers and fixed keys to memory cannot fail.
        if serde_json::to_writer(&mut self.lines, ride).is_ok() {
            self.lines.push(b'\n');
            self.rides += 1;
        }
    }

    /// The number of rides.
    #[must_use]
    pub fn rides(&self) -> usize {
        self.rides
    }

    /// The NDJSON.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.lines
    }
}

/// Why a line is not a ride.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than any ride is written.
    #[error("the line has {0} bytes, more than {MAX_LINE_BYTES}")]
    TooLong(usize),
    /// Not JSON, or cut off.
    #[error("the line is not JSON: {0}")]
    NotJson(String),
    /// JSON, but not a ride in range.
    #[error("{0}")]
    NotARide(String),
}

/// Reads one line.
///
/// # Errors
/// When it is too long, is not a JSON object, misses a field, repeats one, or holds a value out of range.
pub fn parse_line(line: &[u8]) -> Result<Ride, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::TooLong(line.len()));
    }
    // serde would accept an array as a ride with its fields in order.
    if line.trim_ascii_start().starts_with(b"[") {
        let what = "it must be an object, not an array";
        return Err(LineError::NotARide(what.to_owned()));
    }
    serde_json::from_slice(line).map_err(|error| {
        let text = without_place(&error);
        if error.is_data() {
            LineError::NotARide(text)
        } else {
            LineError::NotJson(text)
        }
    })
}

/// The error's text without "at line 1 column 9": a line is always line 1, and the caller names the real one.
#[must_use]
pub fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// The lines of a body, numbered from 1. Empty lines are skipped; the last line needs no line end.
pub fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = body;
    let split = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, after) = match memchr::memchr(b'\n', rest) {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    });
    (1..)
        .zip(split)
        .filter(|(_, line)| !line.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ride(skier: u64) -> Ride {
        serde_json::from_value(serde_json::json!({
            "resortID": 1, "seasonID": "2025", "dayID": 2, "skierID": skier, "time": 3, "liftID": 4
        }))
        .unwrap()
    }

    #[test]
    fn a_body_is_one_ride_a_line() {
        let mut body = MessageBody::default();
        body.push(&ride(7));
        body.push(&ride(8));
        assert_eq!(body.rides(), 2);
        let read: Vec<_> = lines(body.as_bytes())
            .map(|(n, line)| (n, parse_line(line)))
            .collect();
        assert_eq!(read, [(1, Ok(ride(7))), (2, Ok(ride(8)))]);
    }

    #[test]
    fn line_ends_and_blank_lines_do_not_matter() {
        let numbered: Vec<_> = lines(b"a\r\n\n  \nb").collect();
        assert_eq!(numbered, [(1, b"a".as_slice()), (4, b"b".as_slice())]);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn an_unreadable_line_says_why() {
        assert_eq!(parse_line(&[b' '; 1025]), Err(LineError::TooLong(1025)));
        let message = parse_line(b"{\"resortID\":70000}").unwrap_err().to_string();
        assert_eq!(
            message,
            "resortID must be a whole number from 1 to 65535, not 70000"
        );
        for bad in [&b"{"[..], b"[1,2025,3,4,5,6]", b"\xff", b"{}{}", b"null"] {
            assert!(parse_line(bad).is_err());
        }
    }

    proptest! {
        #[test]
        fn an_id_survives_its_text(epoch: u64, channel: u16, sequence: u64) {
            let id = MessageId { epoch, channel, sequence };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_bytes_break_the_reader(body: Vec<u8>) {
            for (_, line) in lines(&body) {
                let _ = parse_line(line);
            }
        }
    }
}
