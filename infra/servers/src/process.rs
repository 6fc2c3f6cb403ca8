//! One child process: started so that it cannot outlive us, signalled and waited for from any task of any runtime.
//!
//! Never signals a process id that may already belong to somebody else: see [`Process::send`].

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt::Write as _, io};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::{oneshot, watch};

use crate::program;

/// How much of a log an error shows: RabbitMQ's says what is wrong some lines before its end, and prints long Erlang terms.
const TAIL_LINES: usize = 40;
const TAIL_WIDTH: usize = 160;

/// A running or ended child process, the leader of a process group of its own.
///
/// Dropping it kills the group and waits for the leader's end.
pub(crate) struct Process {
    name: &'static str,
    pid: Pid,
    logs: Vec<PathBuf>,
    /// How it ended, once it has and its process id is free for others.
    ended: watch::Receiver<Option<String>>,
    /// Held while a signal is sent, and while the ended process is collected (which frees its id).
    collecting: Arc<Mutex<()>>,
    collector: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `program` with the arguments and environment that `configure` adds; what it prints goes to `logs[0]`.
    ///
    /// It gets a process group of its own, so that a terminal's Ctrl-C does not reach it.
    ///
    /// # Errors
    /// When `setpriv` is missing, the log cannot be opened, or the process cannot be started.
    pub(crate) async fn start(
        name: &'static str,
        program: &Path,
        logs: Vec<PathBuf>,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&logs[0])
            .with_context(|| format!("cannot open {}", logs[0].display()))?;

        // setpriv asks the kernel to kill the process when its parent dies, and becomes the program.
        let mut command = Command::new(program::setpriv()?);
        program::clean_environment(&mut command);
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        configure(&mut command);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);

        let child = launch(command)
            .await
            .with_context(|| format!("cannot start {}", program.display()))?;
        Self::watch(name, logs, child)
    }

    fn watch(name: &'static str, logs: Vec<PathBuf>, child: Child) -> anyhow::Result<Self> {
        let pid = Pid::from_raw(i32::try_from(child.id()).context("a process id too large")?);
        let (how, ended) = watch::channel(None);
        let collecting = Arc::new(Mutex::new(()));
        let collector = thread::Builder::new()
            .name(format!("{name} {pid}"))
            .spawn({
                let collecting = Arc::clone(&collecting);
                move || collect(child, pid, &collecting, &how)
            })?;
        Ok(Self {
            name,
            pid,
            logs,
            ended,
            collecting,
            collector: Some(collector),
        })
    }

    /// Its process id, also after its end.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Waits for `ready`, but no longer than `limit`.
    ///
    /// # Errors
    /// When the process ends first or the time is up; the message holds the last lines of its log.
    pub(crate) async fn until_ready(
        &self,
        limit: Duration,
        ready: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let failure = tokio::select! {
            () = ready => return Ok(()),
            how = self.end() => format!("ended while it started ({how})"),
            () = tokio::time::sleep(limit) => format!("was not ready after {} s", limit.as_secs()),
        };
        anyhow::bail!(
            "{} {failure}; its log ends with:\n{}",
            self.name,
            self.tail()
        );
    }

    /// Asks it to end (SIGTERM) and waits until it has. A paused process is resumed first.
    ///
    /// # Errors
    /// When it had ended before, or has not ended after `limit`.
    pub(crate) async fn terminate(&self, limit: Duration) -> anyhow::Result<()> {
        if let Some(how) = self.ended.borrow().as_deref() {
            anyhow::bail!(
                "{} had ended by itself ({how}); its log ends with:\n{}",
                self.name,
                self.tail()
            );
        }
        self.send(|pid| {
            kill(pid, Signal::SIGTERM)?;
            killpg(pid, Signal::SIGCONT)
        })?;
        tokio::time::timeout(limit, self.end()).await.map_err(|_| {
            anyhow::anyhow!(
                "{} has not ended {} s after SIGTERM; its log ends with:\n{}",
                self.name,
                limit.as_secs(),
                self.tail()
            )
        })?;
        Ok(())
    }

    /// Kills it (SIGKILL to its group), also while it is paused, and waits until it is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub(crate) async fn kill(&self) -> anyhow::Result<()> {
        self.signal_group(Signal::SIGKILL)?;
        self.end().await;
        Ok(())
    }

    /// Sends `signal` to the whole group; does nothing when the process has ended.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub(crate) fn signal_group(&self, signal: Signal) -> anyhow::Result<()> {
        self.send(|group| killpg(group, signal))
    }

    /// Runs `act` while the process cannot be collected, so that its id is its own; does nothing once it has been.
    fn send(&self, act: impl FnOnce(Pid) -> nix::Result<()>) -> anyhow::Result<()> {
        let _collecting = self
            .collecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !self.is_running() {
            return Ok(());
        }
        act(self.pid).with_context(|| format!("cannot signal {} ({})", self.name, self.pid))
    }

    /// Waits until it has ended; says how.
    pub(crate) async fn end(&self) -> String {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_) => "nobody saw how".to_owned(),
        }
    }

    fn tail(&self) -> String {
        let mut tail = String::new();
        for log in &self.logs {
            let Ok(text) = fs::read(log) else { continue };
            let text = String::from_utf8_lossy(&text);
            let lines: Vec<&str> = text
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                let _ = writeln!(tail, "  {line:.TAIL_WIDTH$}");
            }
        }
        tail
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let sent = self.signal_group(Signal::SIGKILL);
        if let (Ok(()), Some(collector)) = (sent, self.collector.take()) {
            // A killed process ends within milliseconds; its folder must not be removed before.
            let _ = collector.join();
        }
    }
}

/// Waits until `child` ends, then collects it and says how it ended.
fn collect(
    mut child: Child,
    pid: Pid,
    collecting: &Mutex<()>,
    how: &watch::Sender<Option<String>>,
) {
    // Waiting is done without collecting, because it must not hold the lock.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let _collecting = collecting.lock().unwrap_or_else(PoisonError::into_inner);
    how.send_replace(Some(match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => format!("its status cannot be read: {error}"),
    }));
}

struct Launch {
    command: Command,
    started: oneshot::Sender<io::Result<Child>>,
}

/// Starts `command` from a thread that never ends.
///
/// What Linux calls the death of the parent is the end of the *thread* that started the child. Threads of a test or of a runtime
/// end long before the process does.
async fn launch(command: Command) -> anyhow::Result<Child> {
    static LAUNCHER: LazyLock<io::Result<mpsc::Sender<Launch>>> = LazyLock::new(|| {
        let (launches, received) = mpsc::channel::<Launch>();
        thread::Builder::new()
            .name("launcher".to_owned())
            .spawn(move || {
                for mut launch in received {
                    let child = launch.command.spawn();
                    if let Err(Ok(mut unwanted)) = launch.started.send(child) {
                        let _ = unwanted.kill();
                        let _ = unwanted.wait();
                    }
                }
            })?;
        Ok(launches)
    });

    let launches = LAUNCHER
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot start a thread: {error}"))?;
    let (started, child) = oneshot::channel();
    launches
        .send(Launch { command, started })
        .context("the launching thread has ended")?;
    Ok(child.await.context("the launching thread has ended")??)
}
