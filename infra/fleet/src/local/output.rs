//! The output of a child: read continuously, so that the child never blocks, and stored with a limit.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Maximum bytes of a line; a longer one is forwarded in pieces.
const LONGEST_LINE: usize = 8 * 1024;
/// Lines kept to explain why a child exited.
const KEPT_LINES: usize = 3;
/// Bytes kept of each of them.
const KEPT_BYTES: usize = 600;

/// Reads lines until the end and forwards each, without the line end.
pub(super) async fn read_lines(
    mut from: impl AsyncRead + Unpin,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(LONGEST_LINE);
    loop {
        let is_end = (&mut from)
            .take((LONGEST_LINE - buffer.len()) as u64)
            .read_buf(&mut buffer)
            .await?
            == 0;
        let mut begin = 0;
        while let Some(length) = buffer[begin..].iter().position(|&byte| byte == b'\n') {
            take(&buffer[begin..begin + length]);
            begin += length + 1;
        }
        buffer.drain(..begin);
        if (is_end && !buffer.is_empty()) || buffer.len() == LONGEST_LINE {
            take(&buffer);
            buffer.clear();
        }
        if is_end {
            return Ok(());
        }
    }
}

/// The last lines of a child.
#[derive(Debug, Default)]
pub(super) struct LastWords(VecDeque<String>);

impl LastWords {
    pub(super) fn hear(&mut self, line: &[u8]) {
        let kept = String::from_utf8_lossy(&line[..line.len().min(KEPT_BYTES)]);
        // It is shown on terminals, so control characters are removed.
        let kept: String = kept
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if kept.trim().is_empty() {
            return;
        }
        if self.0.len() == KEPT_LINES {
            self.0.pop_front();
        }
        self.0.push_back(kept.trim().to_owned());
    }

    /// The last output of the child, to be appended to how it ended, or nothing. JSON log lines are left out if there is
    /// plain output, as at the end of a process, and if the child was killed.
    pub(super) fn after_colon(&self, was_killed: bool) -> String {
        let is_plain = |line: &&str| !line.starts_with('{');
        let mut lines: Vec<&str> = self.0.iter().map(String::as_str).collect();
        if was_killed || lines.iter().any(is_plain) {
            lines.retain(is_plain);
        }
        if lines.is_empty() {
            String::new()
        } else {
            format!(": {}", lines.join(" | "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines_of(said: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        read_lines(said, |line| lines.push(line.to_vec()))
            .await
            .unwrap();
        lines
    }

    #[tokio::test]
    async fn lines_come_whole_and_endless_ones_in_pieces() {
        assert_eq!(lines_of(b"a\n\nbc\nd").await, [&b"a"[..], b"", b"bc", b"d"]);
        assert!(lines_of(b"").await.is_empty());
        let long = [vec![b'x'; LONGEST_LINE * 2 + 5], b"\ny".to_vec()].concat();
        let lengths: Vec<usize> = lines_of(&long).await.iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST_LINE, LONGEST_LINE, 5, 1]);
    }

    #[test]
    fn the_last_words_are_few_and_plain() {
        let mut words = LastWords::default();
        assert_eq!(words.after_colon(false), "");
        for line in [&b"one"[..], b"two", b" ", b"\x1b[31mthree", &[b'x'; 2000]] {
            words.hear(line);
        }
        let said = words.after_colon(false);
        assert!(said.starts_with(": two | [31mthree | xxx"), "{said}");
        assert!(said.len() < 700 && !said.contains('\x1b'));
        words.hear(b"{\"level\":\"INFO\"}");
        words.hear(b"skictl: it fails");
        assert!(said.contains("xxx") && words.after_colon(false).ends_with("x | skictl: it fails"));
        let mut log = LastWords::default();
        log.hear(b"{\"level\":\"INFO\"}");
        assert_eq!(log.after_colon(true), "");
        assert_eq!(log.after_colon(false), ": {\"level\":\"INFO\"}");
    }
}
