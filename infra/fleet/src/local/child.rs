//! One child process: start, output and termination.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::announcement::Announcement;
use super::output::{LastWords, read_lines};
use super::{Launch, Lines};
use crate::instance::InstanceId;

/// How long to wait for a child's last lines after its end: another process may hold its stderr open.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Events of a child.
pub(super) enum Event {
    /// It is up, and has announced its addresses.
    Announced(Announcement),
    /// It has exited; an error if the exit status is unknown.
    Ended(io::Result<ExitStatus>),
}

/// A child process. Dropping this closes its standard input, which makes the child exit.
pub(super) struct Child {
    pub(super) pid: u32,
    process: tokio::process::Child,
    /// Never written to. It is closed when this process ends for any reason.
    _stdin: ChildStdin,
    announced: oneshot::Receiver<Announcement>,
    has_announced: bool,
    last_words: Arc<Mutex<LastWords>>,
    reading: JoinSet<()>,
}

impl Child {
    /// Starts a child in a separate process group, so that signals of the terminal reach it only through this process.
    pub(super) fn spawn(id: &InstanceId, launch: Launch, lines: &Lines) -> io::Result<Self> {
        let mut command = Command::new(launch.program);
        if let Some(name) = launch.called {
            command.arg0(name);
        }
        for name in launch.without {
            command.env_remove(name);
        }
        let mut process = command
            .args(launch.arguments)
            .envs(launch.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let missing = || io::Error::other("the child has no pipes");
        let pid = process.id().ok_or_else(missing)?;
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        let stderr = process.stderr.take().ok_or_else(missing)?;
        let last_words = Arc::<Mutex<LastWords>>::default();
        let (announce, announced) = oneshot::channel();
        let mut announce = Some(announce);
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            // A read error ends the output; the exit of the child reports the reason.
            let _ = read_lines(stdout, |line| {
                if let Some(said) = Announcement::read(line)
                    && let Some(announce) = announce.take()
                {
                    let _ = announce.send(said);
                }
            })
            .await;
            // Keeps the sender alive: the channel must not close without an announcement.
            std::future::pending::<()>().await;
        });
        let (id, lines, heard) = (id.clone(), Arc::clone(lines), Arc::clone(&last_words));
        reading.spawn(async move {
            let _ = read_lines(stderr, |line| {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.hear(line);
                drop(heard);
                lines(&id, line);
            })
            .await;
        });
        Ok(Self {
            pid,
            process,
            _stdin: stdin,
            announced,
            has_announced: false,
            last_words,
            reading,
        })
    }

    /// Waits for the next event of the child.
    pub(super) async fn next(&mut self) -> Event {
        let Self {
            process,
            announced,
            has_announced,
            ..
        } = self;
        tokio::select! {
            ended = process.wait() => Event::Ended(ended),
            Ok(said) = announced, if !*has_announced => {
                *has_announced = true;
                Event::Announced(said)
            }
        }
    }

    /// Sends SIGTERM, so that the child drains and exits.
    pub(super) fn terminate(&self) {
        // An exited child that has not been reaped yet still has its pid.
        if let Some(pid) = self.process.id().and_then(|pid| pid.try_into().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Kills the child.
    pub(super) fn kill(&mut self) {
        // A child that has already exited needs no kill.
        let _ = self.process.start_kill();
    }

    /// The last output of a child that has exited.
    pub(super) async fn last_words(&mut self, was_killed: bool) -> String {
        let _ = tokio::time::timeout(LAST_LINES, self.reading.join_next()).await;
        let heard = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        heard.after_colon(was_killed)
    }
}
