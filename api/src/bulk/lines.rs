//! Splits chunks into lines: a line within one chunk is returned without a copy; one that spans chunks is buffered up to the
//! maximum line length.

use skilift_core::message::MAX_LINE_BYTES;

use crate::extract::BYTE_ORDER_MARK;

/// Splits chunks into lines, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Number of returned lines.
    count: u64,
    /// The start of a line whose end has not arrived yet.
    held: Vec<u8>,
    /// Length of that line so far, buffered or not.
    length: usize,
    /// Whether `held` was returned and can be cleared.
    spent: bool,
}

/// A line without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The complete line.
    Whole(&'a [u8]),
    /// A line that is too long, with its length in bytes.
    TooLong(usize),
}

/// Buffer size: the maximum line length and a carriage return.
const MAX_HELD: usize = MAX_LINE_BYTES + 1;

impl Lines {
    /// Takes the next line that ends within `chunk`; at the end of the chunk it buffers the rest and returns `None`.
    pub(super) fn next<'a, 'c: 'a>(&'a mut self, chunk: &mut &'c [u8]) -> Option<(u64, Line<'a>)> {
        self.forget_spent();
        let Some(end) = memchr::memchr(b'\n', chunk) else {
            self.hold(chunk);
            *chunk = &[];
            return None;
        };
        let (text, rest) = chunk.split_at(end);
        *chunk = &rest[1..];
        if self.length == 0 {
            self.count += 1;
            let line = Line::new(text, text.len());
            return Some((self.count, line.without_mark(self.count)));
        }
        self.hold(text);
        Some(self.hand_out())
    }

    /// The last line, if it has no line break.
    pub(super) fn last(&mut self) -> Option<(u64, Line<'_>)> {
        self.forget_spent();
        (self.length > 0).then(|| self.hand_out())
    }

    /// Number of the next or the started line.
    pub(super) fn next_number(&self) -> u64 {
        self.count + 1
    }

    fn hold(&mut self, text: &[u8]) {
        let room = MAX_HELD.saturating_sub(self.held.len());
        self.held.extend_from_slice(&text[..text.len().min(room)]);
        self.length += text.len();
    }

    fn hand_out(&mut self) -> (u64, Line<'_>) {
        self.count += 1;
        self.spent = true;
        let line = Line::new(&self.held, self.length);
        (self.count, line.without_mark(self.count))
    }

    fn forget_spent(&mut self) {
        if std::mem::take(&mut self.spent) {
            self.held.clear();
            self.length = 0;
        }
    }
}

impl<'a> Line<'a> {
    /// A line of `length` bytes; `text` is its start or all of it.
    fn new(text: &'a [u8], length: usize) -> Self {
        if length > MAX_HELD {
            return Self::TooLong(length);
        }
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > MAX_LINE_BYTES {
            return Self::TooLong(text.len());
        }
        Self::Whole(text)
    }

    /// The first line of a text may begin with a byte order mark, which is not part of it.
    fn without_mark(self, number: u64) -> Self {
        match self {
            Self::Whole(text) if number == 1 => {
                Self::Whole(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
            }
            line => line,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits `body` into chunks of `size` bytes, and these into lines, as text.
    fn cut(body: &[u8], size: usize) -> Vec<(u64, String)> {
        let write = |(number, line): (u64, Line<'_>)| match line {
            Line::Whole(text) => (number, String::from_utf8_lossy(text).into_owned()),
            Line::TooLong(length) => (number, format!("{length} bytes")),
        };
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for mut chunk in body.chunks(size) {
            while let Some(line) = lines.next(&mut chunk) {
                found.push(write(line));
            }
        }
        found.extend(lines.last().map(write));
        assert_eq!(lines.next_number(), found.len() as u64 + 1);
        found
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let expected = [(1, "a".to_owned()), (2, "\u{feff}b".to_owned())];
        for size in [1, 2, 4, 64] {
            assert_eq!(
                cut("\u{feff}a\n\u{feff}b".as_bytes(), size),
                expected,
                "{size}"
            );
        }
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let long = "x".repeat(MAX_LINE_BYTES);
        let body = format!("a\r\n\n{long}\r\n{long}y\nb\n{long}{long}\r\nc");
        let expected: Vec<(u64, String)> = ["a", "", &long, "1025 bytes", "b", "2049 bytes", "c"]
            .map(str::to_owned)
            .into_iter()
            .zip(1..)
            .map(|(text, number)| (number, text))
            .collect();
        for size in [1, 2, 3, 7, 1000, 1024, 1025, 1026, body.len()] {
            assert_eq!(cut(body.as_bytes(), size), expected, "chunks of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let mut lines = Lines::default();
        for _ in 0..1000 {
            assert_eq!(lines.next(&mut &[b'x'; 4096][..]), None);
        }
        assert!(lines.held.capacity() < 2 * MAX_HELD);
        assert_eq!(lines.last(), Some((1, Line::TooLong(4_096_000))));
    }

    #[test]
    fn a_body_may_be_empty() {
        assert_eq!(cut(b"", 1), []);
        assert_eq!(cut(b"\n", 1), [(1, String::new())]);
    }
}
