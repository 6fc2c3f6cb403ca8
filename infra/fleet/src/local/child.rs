//! One child process: how it is started, what it says, how it is asked to end.

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

/// How long a child's last lines may take after its end: somebody else may hold its stderr open.
const LAST_LINES: Duration = Duration::from_millis(500);

/// What can happen to a child.
pub(super) enum Event {
    /// It is up, and says where.
    Announced(Announcement),
    /// It has ended; an error says that nobody knows how.
    Ended(io::Result<ExitStatus>),
}

/// A child process. When this is dropped its standard input ends, by which it knows to end, too.
pub(super) struct Child {
    pub(super) pid: u32,
    process: tokio::process::Child,
    /// Nobody writes to it. It closes with us, however we end.
    _stdin: ChildStdin,
    announced: oneshot::Receiver<Announcement>,
    has_announced: bool,
    last_words: Arc<Mutex<LastWords>>,
    reading: JoinSet<()>,
}

impl Child {
    /// Starts a child in a process group of its own, so that what a terminal sends to ours reaches it through us alone.
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
            // What cannot be read any more is over; the child's end says why.
            let _ = read_lines(stdout, |line| {
                if let Some(said) = Announcement::read(line)
                    && let Some(announce) = announce.take()
                {
                    let _ = announce.send(said);
                }
            })
            .await;
            // Its announcement may still come from nobody: the channel must not say so.
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

    /// Waits for the next of what can happen to a child.
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

    /// Asks the child to finish its work and end.
    pub(super) fn terminate(&self) {
        // One that has ended and was not waited for yet still has its id.
        if let Some(pid) = self.process.id().and_then(|pid| pid.try_into().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Ends the child as it is.
    pub(super) fn kill(&mut self) {
        // One that has ended needs no more.
        let _ = self.process.start_kill();
    }

    /// What a child that has ended said last.
    pub(super) async fn last_words(&mut self, was_killed: bool) -> String {
        let _ = tokio::time::timeout(LAST_LINES, self.reading.join_next()).await;
        let heard = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        heard.after_colon(was_killed)
    }
}
