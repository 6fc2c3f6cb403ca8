//! Relays the stderr of child processes: on a terminal above the progress bars and prefixed with the child's name, else
//! unchanged line by line.
//!
//! A child never blocks on our stderr: while stderr is blocked, for example on a stopped terminal, excess lines are dropped
//! and counted.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skilift_fleet::instance::InstanceId;
use skilift_fleet::local::Lines;
use tokio::task::JoinHandle;

use crate::logging::{self, LogFormat};

/// Maximum buffered lines, each of at most 8 KiB.
const WAITING: usize = 512;
/// Timeout for writing the last lines.
const LAST: Duration = Duration::from_secs(1);

/// A line and its child.
type Line = (InstanceId, Vec<u8>);

/// The relay of the children's lines.
#[derive(Clone)]
pub(crate) struct Relay {
    way: Arc<Mutex<Way>>,
}

struct Way {
    /// `None` at shutdown.
    lines: Option<SyncSender<Line>>,
    dropped: u64,
    writing: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a thread that writes to stderr.
    pub(crate) fn to_stderr() -> Self {
        let format = LogFormat::of_stderr();
        Self::to(move |id, line| {
            // Errors of stderr cannot be reported.
            let _ = match format {
                LogFormat::Text => {
                    let text = [id.as_str().as_bytes(), b"  ", line, b"\n"].concat();
                    logging::BARS.suspend(|| io::stderr().write_all(&text))
                }
                LogFormat::Json => io::stderr().write_all(&[line, b"\n"].concat()),
            };
        })
    }

    fn to(write: impl Fn(&InstanceId, &[u8]) + Send + 'static) -> Self {
        let (lines, taken): (_, Receiver<Line>) = sync_channel(WAITING);
        let writing = tokio::task::spawn_blocking(move || {
            for (id, line) in taken {
                write(&id, &line);
            }
        });
        let way = Way {
            lines: Some(lines),
            dropped: 0,
            writing: Some(writing),
        };
        Self {
            way: Arc::new(Mutex::new(way)),
        }
    }

    /// The sink of the children's lines.
    pub(crate) fn lines(&self) -> Lines {
        let relay = self.clone();
        Arc::new(move |id, line| relay.pass(id, line))
    }

    fn pass(&self, id: &InstanceId, line: &[u8]) {
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = way.lines.clone() else {
            return;
        };
        match lines.try_send((id.clone(), line.to_vec())) {
            Ok(()) => {
                let dropped = std::mem::take(&mut way.dropped);
                drop(way);
                if dropped > 0 {
                    tracing::warn!(
                        "{dropped} log lines of child processes were dropped because stderr was blocked"
                    );
                }
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => way.dropped += 1,
        }
    }

    /// Writes the buffered lines, with a timeout.
    pub(crate) async fn end(&self) {
        let writing = {
            let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
            way.lines = None;
            way.writing.take()
        };
        if let Some(writing) = writing {
            let _ = tokio::time::timeout(LAST, writing).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_through_and_who_takes_none_blocks_nobody() {
        let (blocked, open) = sync_channel::<()>(0);
        let (writes, first_is_written) = sync_channel::<()>(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let writing = Arc::clone(&written);
        let relay = Relay::to(move |id, line| {
            // The first line blocks until the test releases it; then the channel is closed.
            let _ = writes.try_send(());
            let _ = open.recv();
            let line = String::from_utf8_lossy(line).into_owned();
            writing.lock().unwrap().push(format!("{id} {line}"));
        });
        let id = InstanceId::new("local-worker-1");
        let lines = relay.lines();
        lines(&id, b"0");
        first_is_written.recv().unwrap();
        for number in 1..10_000 {
            lines(&id, number.to_string().as_bytes());
        }
        let dropped = relay.way.lock().unwrap().dropped;
        assert_eq!(dropped, 9_999 - WAITING as u64);
        drop(blocked);
        relay.end().await;
        let written = written.lock().unwrap();
        assert_eq!(written.len() as u64, 10_000 - dropped);
        assert_eq!(written[0], "local-worker-1 0");
        drop(written);
        // Later lines are discarded without an error.
        lines(&id, b"late");
    }
}
