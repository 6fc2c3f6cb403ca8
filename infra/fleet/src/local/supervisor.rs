//! One slot: starts its child, detects its end at once, restarts it, and stops it.
//!
//! All commands of a slot are processed here sequentially, so that they never interleave.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use skilift_core::clock::epoch_ms;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::child::{Child, Event};
use super::ended;
use super::memory::Memory;
use super::{LocalConfig, Patience, Place};
use crate::instance::{GIVEN_UP, InstanceId, InstanceState, StateReason};
use crate::outcome::OutcomeCode;

/// Outcome of a command: for programs, and for people.
pub(super) type Told = (OutcomeCode, String);

/// Receiver of the outcome of a command. It may have been dropped.
type Waiting = oneshot::Sender<Told>;

/// Command for a slot.
pub(super) enum Order {
    /// Start the child.
    Start(Waiting),
    /// Start it if it should run, as recorded before this process started: it keeps being restarted if the first attempt
    /// fails.
    Resume(Waiting),
    /// Stop it.
    Stop(Waiting),
}

/// Public state of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: InstanceState,
    pub(super) reason: Option<StateReason>,
    pub(super) started_at_ms: Option<u64>,
    pub(super) address: Option<SocketAddr>,
    pub(super) pid: Option<u32>,
    /// Whether a child should run here, even if none does now.
    pub(super) wanted: bool,
}

impl View {
    pub(super) const EMPTY: Self = Self {
        state: InstanceState::Stopped,
        reason: None,
        started_at_ms: None,
        address: None,
        pid: None,
        wanted: false,
    };
}

/// The supervisor of one slot.
pub(super) struct Supervisor {
    pub(super) id: InstanceId,
    pub(super) role: &'static str,
    pub(super) config: Arc<LocalConfig>,
    pub(super) memory: Arc<Memory>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) view: watch::Sender<View>,
    /// Cancelled when the process drains, and with it the children.
    pub(super) end: CancellationToken,
    /// Cancelled when the process ends immediately.
    pub(super) force: CancellationToken,
    pub(super) deaths: Deaths,
}

/// Consecutive early exits of children of one slot.
pub(super) struct Deaths {
    early: u32,
    pauses: ExponentialBackoff,
    again: Option<Instant>,
}

impl Deaths {
    pub(super) fn none(patience: &Patience) -> Self {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(patience.first_pause)
            .with_max_delay(patience.longest_pause)
            .without_max_times()
            .with_jitter();
        Self {
            early: 0,
            pauses: pauses.build(),
            again: None,
        }
    }
}

/// A running child, and the waiting commands.
struct Life {
    child: Child,
    began: Instant,
    is_up: bool,
    starters: Vec<Waiting>,
    /// Whether a failed start resets the desired state.
    is_wish: bool,
    stoppers: Vec<Waiting>,
    /// Start commands received while it stops.
    later: Vec<Waiting>,
    is_stopping: bool,
    kill_at: Option<Instant>,
    is_killed: bool,
}

/// Why a slot starts a child: a command, or a restart.
struct Begin {
    waiting: Vec<Waiting>,
    is_wish: bool,
}

impl Supervisor {
    /// Runs the slot until the process ends and the child has exited.
    pub(super) async fn run(mut self) {
        while let Some(begin) = self.rest().await {
            let mut next = Some(begin);
            while let Some(begin) = next {
                next = self.begin(begin).await;
            }
        }
    }

    /// Waits, while there is no child, until one must be started; `None` at the end of the process.
    async fn rest(&mut self) -> Option<Begin> {
        loop {
            let again = self.deaths.again;
            tokio::select! {
                biased;
                () = self.end.cancelled() => {
                    self.orders.close();
                    return None;
                }
                // Without senders there are no more commands.
                Some(order) = self.orders.recv() => match order {
                    Order::Start(waiting) => {
                        self.deaths = Deaths::none(&self.config.patience);
                        self.want(true).await;
                        return Some(Begin { waiting: vec![waiting], is_wish: true });
                    }
                    Order::Resume(waiting) => {
                        if self.memory.of(&self.id).await.wanted {
                            self.want(true).await;
                            return Some(Begin { waiting: vec![waiting], is_wish: false });
                        }
                        tell([waiting], OutcomeCode::Already, "it is not supposed to run");
                    }
                    Order::Stop(waiting) => {
                        self.want(false).await;
                        let text = match self.deaths.again.take() {
                            Some(_) => {
                                self.view.send_modify(|view| view.reason = Some(stopped("while it was not running")));
                                "it had already exited, and will not be restarted"
                            }
                            None => "it was not running",
                        };
                        tell([waiting], OutcomeCode::Already, text);
                    }
                },
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                    self.deaths.again = None;
                    return Some(Begin { waiting: Vec::new(), is_wish: false });
                }
            }
        }
    }

    /// Starts a child and runs it to its end. Returns whether another one must be started at once.
    async fn begin(&mut self, begin: Begin) -> Option<Begin> {
        let kept = self.memory.of(&self.id).await;
        let place = Place {
            id: &self.id,
            role: self.role,
            private_port: free(kept.private_port),
            public_port: free(kept.public_port),
        };
        let launch = (self.config.launch)(&place);
        let child = match Child::spawn(&self.id, launch, &self.config.lines) {
            Ok(child) => child,
            Err(error) => {
                let why = format!("cannot start the process: {error}");
                self.died(None, why, begin.waiting, begin.is_wish).await;
                return None;
            }
        };
        let pid = child.pid;
        tracing::info!(instance = %self.id, pid, "{} starts as process {pid}", self.id);
        self.view.send_modify(|view| {
            *view = View {
                state: InstanceState::Pending,
                reason: None,
                started_at_ms: Some(epoch_ms()),
                address: None,
                pid: Some(pid),
                wanted: true,
            };
        });
        let mut life = Life {
            child,
            began: Instant::now(),
            is_up: false,
            starters: begin.waiting,
            is_wish: begin.is_wish,
            stoppers: Vec::new(),
            later: Vec::new(),
            is_stopping: false,
            kill_at: None,
            is_killed: false,
        };
        let ended = self.live(&mut life).await;
        self.bury(life, ended).await
    }

    /// Processes events of the child and commands until the child has exited.
    async fn live(&mut self, life: &mut Life) -> io::Result<ExitStatus> {
        let up_by = life.began + self.config.patience.up;
        let mut is_ending = false;
        loop {
            let kill_at = life.kill_at.filter(|_| !life.is_killed);
            tokio::select! {
                event = life.child.next() => match event {
                    Event::Ended(ended) => return ended,
                    Event::Announced(said) => {
                        life.is_up = true;
                        self.memory.change(&self.id, |kept| {
                            kept.private_port = Some(said.private.port());
                            kept.public_port = said.public.map(|address| address.port());
                        }).await;
                        if !life.is_stopping {
                            self.view.send_modify(|view| {
                                view.state = InstanceState::Running;
                                view.address = said.public;
                            });
                            tracing::info!(instance = %self.id, "{} is up, health and metrics on http://{}", self.id, said.private);
                            let text = format!("running as process {}", life.child.pid);
                            tell(life.starters.drain(..), OutcomeCode::Done, &text);
                        }
                    }
                },
                // Commands received while the process ends are answered at the end of the slot.
                Some(order) = self.orders.recv(), if !is_ending => self.hear(order, life).await,
                () = self.end.cancelled(), if !is_ending => {
                    is_ending = true;
                    self.orders.close();
                    if !life.is_stopping {
                        life.is_stopping = true;
                        self.view.send_modify(|view| view.state = InstanceState::Stopping);
                        life.child.terminate();
                    }
                }
                // Cancelled at the deadline of the process itself.
                () = self.force.cancelled(), if !life.is_killed => self.kill(life),
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => self.kill(life),
                () = sleep_until(up_by), if !life.starters.is_empty() => {
                    let text = format!(
                        "running as process {}, but not up after {:?}; see its log for the reason. It is still starting",
                        life.child.pid, self.config.patience.up
                    );
                    tell(life.starters.drain(..), OutcomeCode::TimedOut, &text);
                }
            }
        }
    }

    /// Processes a command while the child is running.
    async fn hear(&mut self, order: Order, life: &mut Life) {
        match order {
            Order::Start(waiting) | Order::Resume(waiting) if life.is_stopping => {
                self.want(true).await;
                life.later.push(waiting);
            }
            Order::Start(waiting) | Order::Resume(waiting) if life.is_up => {
                let text = format!("running as process {}", life.child.pid);
                tell([waiting], OutcomeCode::Already, &text);
            }
            Order::Start(waiting) | Order::Resume(waiting) => life.starters.push(waiting),
            Order::Stop(waiting) => {
                self.want(false).await;
                life.stoppers.push(waiting);
                let overtaken = life.starters.drain(..).chain(life.later.drain(..));
                let text = "it was stopped before it was up";
                tell(overtaken, OutcomeCode::Refused, text);
                if !life.is_stopping {
                    life.is_stopping = true;
                    let patience = self.config.drain_deadline + self.config.patience.margin;
                    life.kill_at = Some(Instant::now() + patience);
                    self.view
                        .send_modify(|view| view.state = InstanceState::Stopping);
                    tracing::info!(instance = %self.id, "sending SIGTERM to {}", self.id);
                    life.child.terminate();
                }
            }
        }
    }

    fn kill(&self, life: &mut Life) {
        tracing::warn!(instance = %self.id, "{} did not exit in time and is killed; its unacknowledged messages are requeued", self.id);
        life.is_killed = true;
        life.child.kill();
    }

    /// Reports the end of a child. Returns whether another one must be started at once.
    async fn bury(&mut self, mut life: Life, ended: io::Result<ExitStatus>) -> Option<Begin> {
        let how = match &ended {
            Ok(status) => ended::how(*status),
            Err(error) => format!("cannot wait for it: {error}"),
        };
        if life.is_stopping {
            let text = if life.is_killed {
                format!(
                    "it did not exit in time and was {how}; its unacknowledged messages are requeued"
                )
            } else {
                format!("it drained and {how}")
            };
            tracing::info!(instance = %self.id, "{} has stopped: {how}", self.id);
            let wanted = !life.later.is_empty();
            self.view.send_modify(|view| {
                *view = View {
                    reason: Some(stopped(&how)),
                    started_at_ms: view.started_at_ms,
                    wanted,
                    ..View::EMPTY
                };
            });
            tell(life.stoppers, OutcomeCode::Done, &text);
            self.deaths = Deaths::none(&self.config.patience);
            return (wanted && !self.end.is_cancelled()).then_some(Begin {
                waiting: life.later,
                is_wish: true,
            });
        }
        if life.is_up && life.began.elapsed() >= self.config.patience.settled {
            self.deaths = Deaths::none(&self.config.patience);
        }
        if !life.is_up {
            // Another process may have taken the ports.
            self.memory
                .change(&self.id, |kept| {
                    (kept.private_port, kept.public_port) = (None, None);
                })
                .await;
        }
        let was_killed = ended.as_ref().is_ok_and(|status| status.code().is_none());
        let why = format!("{how}{}", life.child.last_words(was_killed).await);
        self.died(ended.ok(), why, life.starters, life.is_wish)
            .await;
        None
    }

    /// Handles a child that exited unexpectedly, or could not be started.
    async fn died(
        &mut self,
        ended: Option<ExitStatus>,
        why: String,
        starters: Vec<Waiting>,
        is_wish: bool,
    ) {
        let id = &self.id;
        let reason = |then: &str| match ended {
            Some(status) => ended::reason(status, then),
            None => ended::reason_of("exited", format!("{why}{then}")),
        };
        let taken_back = is_wish && !starters.is_empty();
        let (reason, again) = if taken_back {
            tracing::warn!(instance = %id, "{id} did not come up: {why}");
            (reason(" before it was up"), None)
        } else {
            self.deaths.early += 1;
            let tries = self.config.patience.tries;
            if self.deaths.early > tries {
                tracing::error!(
                    instance = %id,
                    "{id} has exited {} times in quick succession, and is not restarted: {why}; fix the cause and start it",
                    self.deaths.early
                );
                let text = format!(
                    "{} exits in quick succession, the last: {why}",
                    self.deaths.early
                );
                (ended::reason_of(GIVEN_UP, text), None)
            } else {
                let pause = self.deaths.pauses.next().unwrap_or_default();
                tracing::warn!(instance = %id, "{id} exited unexpectedly, restarting in {pause:.1?}: {why}");
                let then = format!("; restarting in {pause:.1?}");
                (reason(&then), Some(Instant::now() + pause))
            }
        };
        self.deaths.again = again;
        self.view.send_modify(|view| {
            *view = View {
                reason: Some(reason),
                started_at_ms: view.started_at_ms,
                wanted: !taken_back,
                ..View::EMPTY
            };
        });
        if taken_back {
            self.want(false).await;
        }
        let text = format!("it did not come up: {why}");
        tell(starters, OutcomeCode::FellBack, &text);
    }

    /// Records whether a child should run here.
    async fn want(&self, wanted: bool) {
        self.view.send_modify(|view| view.wanted = wanted);
        self.memory
            .change(&self.id, |kept| kept.wanted = wanted)
            .await;
    }
}

fn stopped(how: &str) -> StateReason {
    ended::reason_of("stopped", format!("stopped on request: {how}"))
}

/// Sends the outcome to the waiting commands.
fn tell(waiting: impl IntoIterator<Item = Waiting>, code: OutcomeCode, text: &str) {
    for one in waiting {
        let _ = one.send((code, text.to_owned()));
    }
}

/// The previous port of a child, if it is free; else 0, so that the system chooses one.
fn free(port: Option<u16>) -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    port.filter(is_free).unwrap_or_default()
}

/// Default timeouts and restart limits.
impl Default for Patience {
    fn default() -> Self {
        Self {
            up: Duration::from_secs(60),
            margin: Duration::from_secs(5),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(20),
            tries: 10,
            settled: Duration::from_secs(10),
        }
    }
}
