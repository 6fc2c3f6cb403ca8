//! Lifecycle of a process: signals, tracked tasks, drain and exit.
//!
//! The first SIGTERM or SIGINT drains the process: every task finishes its work. A second one, or the drain deadline, ends
//! the process immediately. A task that ends before the drain, by error or panic, drains the others and makes the process
//! fail: a dead consumer never leaves a process that looks healthy.

use std::future::Future;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a task failed.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

/// The handle to start and drain tasks. Clones share the same state.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    drain: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

impl Lifecycle {
    /// A new lifecycle without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when the tasks must finish their work and end.
    #[must_use]
    pub fn draining(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Drains: every task must finish its work and end.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Runs a task until it ends. It must end after [`Self::drain`] and not before: an error, a panic, or an unexpected end
    /// drains the others and makes the process fail.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        self.spawn_until(self.draining(), name, task);
    }

    /// Runs a task that must end after `end` is cancelled, and not before; `end` is cancelled during the drain at the
    /// latest.
    pub fn spawn_until<F>(&self, end: CancellationToken, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        let lifecycle = self.clone();
        let watched = async move {
            let ended = AssertUnwindSafe(task).catch_unwind().await;
            let was_asked = end.is_cancelled() || lifecycle.drain.is_cancelled();
            if was_asked && matches!(ended, Ok(Ok(()))) {
                return;
            }
            // First, because a log line may block or fail.
            lifecycle.failed.store(true, Ordering::Release);
            lifecycle.drain();
            match ended {
                Ok(Ok(())) => tracing::error!(task = name, "the task `{name}` ended unexpectedly"),
                Ok(Err(error)) => {
                    tracing::error!(task = name, "the task `{name}` failed: {}", chain(&*error));
                }
                Err(_) => tracing::error!(task = name, "the task `{name}` panicked"),
            }
        };
        self.tasks.spawn(watched);
    }

    /// Waits for a signal or a failed task, drains, and waits for all tasks, for at most `deadline`.
    ///
    /// Success means that the drain was requested and every task finished in time.
    pub async fn run_until_drained(self, mut signals: Signals, deadline: Duration) -> ExitCode {
        tokio::select! {
            name = signals.next() => {
                let force = if signals.force_by_repetition() { "; a second signal ends at once" } else { "" };
                tracing::info!("{name}: draining{force}");
            }
            () = self.drain.cancelled() => {}
        }
        self.drain();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {
                let failed = self.failed.load(Ordering::Acquire);
                tracing::info!("{}", if failed { "ended after a failure" } else { "drained" });
                if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
            name = signals.next() => {
                tracing::warn!("{name} again: ending now; unacknowledged messages are requeued");
                ExitCode::FAILURE
            }
            () = tokio::time::sleep(deadline) => {
                tracing::error!(
                    "drain did not complete within {deadline:?}: ending now; unacknowledged messages are requeued"
                );
                ExitCode::FAILURE
            }
        }
    }
}

/// The signals that drain a process. Installed first, so that none is missed during the start.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    parent: Option<Parent>,
    /// When the last signal came.
    last: Option<Instant>,
}

/// A signal within this time after another one is the same request: a terminal and a service manager may both send one.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// The parent process, from the perspective of a child.
#[derive(Debug)]
struct Parent {
    /// A pipe that the parent holds open until it ends for any reason.
    pipe: pipe::Receiver,
    /// Whether the drain was requested.
    has_asked: bool,
}

impl Signals {
    /// Installs the handlers of SIGTERM and SIGINT.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            parent: None,
            last: None,
        })
    }

    /// The same in a child process whose standard input is a pipe from its parent. The end of that pipe is handled like a
    /// signal, so that a child drains even if its parent was killed. A second signal is ignored, because a service manager
    /// may signal the whole process group in addition to the parent's signal; the parent forces an end by SIGKILL.
    ///
    /// # Errors
    /// If the system does not allow it, or the standard input is not a pipe.
    pub fn install_in_child() -> std::io::Result<Self> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
        let parent = Parent {
            pipe: pipe::Receiver::from_owned_fd(stdin)?,
            has_asked: false,
        };
        Ok(Self {
            parent: Some(parent),
            ..Self::install()?
        })
    }

    /// Waits for a signal and names it.
    pub async fn next(&mut self) -> &'static str {
        let Some(parent) = &mut self.parent else {
            loop {
                let name = tokio::select! {
                    _ = self.terminate.recv() => "SIGTERM",
                    _ = self.interrupt.recv() => "SIGINT",
                };
                let now = Instant::now();
                let is_same = self.last.is_some_and(|last| now - last < SAME_REQUEST);
                if !is_same {
                    self.last = Some(now);
                    return name;
                }
            }
        };
        if parent.has_asked {
            return std::future::pending().await;
        }
        let name = tokio::select! {
            biased;
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = parent.ended() => "standard input has ended",
        };
        parent.has_asked = true;
        name
    }

    /// Whether a second signal ends the process at once.
    fn force_by_repetition(&self) -> bool {
        self.parent.is_none()
    }
}

impl Parent {
    async fn ended(&self) {
        // Data in the pipe is ignored.
        let mut ignored = [0; 64];
        while self.pipe.readable().await.is_ok() {
            match self.pipe.try_read(&mut ignored) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let next = source.to_string();
        // Some libraries repeat the cause in their own text.
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    async fn code_of(lifecycle: Lifecycle) -> String {
        let code = lifecycle
            .run_until_drained(Signals::install().unwrap(), Duration::from_millis(200))
            .await;
        format!("{code:?}")
    }

    fn is_success(code: &str) -> bool {
        code == format!("{:?}", ExitCode::SUCCESS)
    }

    #[tokio::test]
    async fn tasks_that_end_when_asked_make_a_success() {
        let lifecycle = Lifecycle::new();
        let asked = lifecycle.draining();
        lifecycle.spawn("good", async move {
            asked.cancelled().await;
            Ok(())
        });
        lifecycle.drain();
        assert!(is_success(&code_of(lifecycle).await));
    }

    #[tokio::test]
    async fn a_task_may_end_when_only_it_was_asked_to() {
        let lifecycle = Lifecycle::new();
        let end = CancellationToken::new();
        end.cancel();
        lifecycle.spawn_until(end, "asked", async { Ok(()) });
        tokio::task::yield_now().await;
        assert!(!lifecycle.draining().is_cancelled());
        lifecycle.drain();
        assert!(is_success(&code_of(lifecycle).await));
    }

    #[tokio::test]
    async fn a_dead_task_ends_the_process_with_an_error() {
        let panics = Lifecycle::new();
        panics.spawn("panics", async { panic!("on purpose, in a test") });
        let fails = Lifecycle::new();
        fails.spawn("fails", async { Err("on purpose".into()) });
        let returns = Lifecycle::new();
        returns.spawn("returns", async { Ok(()) });
        let early = Lifecycle::new();
        early.spawn_until(CancellationToken::new(), "early", async { Ok(()) });
        for lifecycle in [panics, fails, returns, early] {
            assert!(!is_success(&code_of(lifecycle).await));
        }
    }

    #[tokio::test]
    async fn a_dead_task_drains_before_it_logs() {
        let lifecycle = Lifecycle::new();
        let drain = lifecycle.draining();
        let drained = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&drained);
        let writer = move || {
            seen.lock().unwrap().push(drain.is_cancelled());
            std::io::sink()
        };
        let log = tracing_subscriber::fmt().with_writer(writer).finish();
        let _guard = tracing::subscriber::set_default(log);
        lifecycle.spawn("fails", async { Err("on purpose".into()) });
        assert!(!is_success(&code_of(lifecycle).await));
        // The line of the task, and that of the end.
        assert_eq!(*drained.lock().unwrap(), [true, true]);
    }

    #[tokio::test]
    async fn the_deadline_ends_a_task_that_does_not() {
        let lifecycle = Lifecycle::new();
        lifecycle.spawn("stuck", std::future::pending());
        lifecycle.drain();
        assert!(!is_success(&code_of(lifecycle).await));
    }

    #[test]
    fn a_chain_says_every_cause_once() {
        let inner = std::io::Error::other("the disk is full");
        let outer = crate::catalogue::CatalogueError::Read {
            path: "x.toml".into(),
            source: inner,
        };
        assert_eq!(
            chain(&outer),
            "cannot read the catalogue x.toml: the disk is full"
        );
    }
}
