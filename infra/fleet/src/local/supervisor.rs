//! One place: it starts its child, sees at once when it dies, starts it again, and stops it.
//!
//! Everything that concerns a place happens here, one thing after another, so that no two orders meet halfway.

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
use crate::instance::{InstanceId, InstanceState, StateReason};
use crate::outcome::OutcomeCode;

/// What came of an order: for programs, and for people.
pub(super) type Told = (OutcomeCode, String);

/// Who waits for what comes of an order. He may have gone.
type Waiting = oneshot::Sender<Told>;

/// What a place is asked to do.
pub(super) enum Order {
    /// Have the child run.
    Start(Waiting),
    /// Have it run if it is wanted, as it was when this process began: it stays wanted whatever comes of the first attempt.
    Resume(Waiting),
    /// Have it stopped.
    Stop(Waiting),
}

/// How a place is, as others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: InstanceState,
    pub(super) reason: Option<StateReason>,
    pub(super) started_at_ms: Option<u64>,
    pub(super) address: Option<SocketAddr>,
    pub(super) pid: Option<u32>,
    /// Whether a child shall run here, be it that none does.
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

/// The keeper of one place.
pub(super) struct Supervisor {
    pub(super) id: InstanceId,
    pub(super) role: &'static str,
    pub(super) config: Arc<LocalConfig>,
    pub(super) memory: Arc<Memory>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) view: watch::Sender<View>,
    /// The process drains: so do the children.
    pub(super) end: CancellationToken,
    /// The process ends now.
    pub(super) force: CancellationToken,
    pub(super) deaths: Deaths,
}

/// The deaths of children of one place, soon after their start and one after another.
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

/// A child that lives, and who waits for what.
struct Life {
    child: Child,
    began: Instant,
    is_up: bool,
    starters: Vec<Waiting>,
    /// Whether a start that fails takes back the wish.
    is_wish: bool,
    stoppers: Vec<Waiting>,
    /// Who wants it started while it stops.
    later: Vec<Waiting>,
    is_stopping: bool,
    kill_at: Option<Instant>,
    is_killed: bool,
}

/// What makes a place start a child: somebody's wish, or nobody's.
struct Begin {
    waiting: Vec<Waiting>,
    is_wish: bool,
}

impl Supervisor {
    /// Keeps the place until the process ends and the child has ended.
    pub(super) async fn run(mut self) {
        while let Some(begin) = self.rest().await {
            let mut next = Some(begin);
            while let Some(begin) = next {
                next = self.begin(begin).await;
            }
        }
    }

    /// Waits, while there is no child, until one shall be started; `None` at the end of the process.
    async fn rest(&mut self) -> Option<Begin> {
        loop {
            let again = self.deaths.again;
            tokio::select! {
                biased;
                () = self.end.cancelled() => {
                    self.orders.close();
                    return None;
                }
                // Where nobody can give orders any more, none come.
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
                        tell([waiting], OutcomeCode::Already, "it is not wanted");
                    }
                    Order::Stop(waiting) => {
                        self.want(false).await;
                        let text = match self.deaths.again.take() {
                            Some(_) => {
                                self.view.send_modify(|view| view.reason = Some(stopped("while it did not run")));
                                "it had ended by itself, and is not started again"
                            }
                            None => "it did not run",
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

    /// Starts a child and sees it through to its end. Says whether another one shall be started at once.
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
                let why = format!("the process cannot be started: {error}");
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

    /// Hears child and orders until the child has ended.
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
                            let text = format!("it runs as process {}", life.child.pid);
                            tell(life.starters.drain(..), OutcomeCode::Done, &text);
                        }
                    }
                },
                // Who asks while the process ends is answered by the place's end.
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
                // The process has a deadline of its own, by which this comes.
                () = self.force.cancelled(), if !life.is_killed => self.kill(life),
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => self.kill(life),
                () = sleep_until(up_by), if !life.starters.is_empty() => {
                    let text = format!(
                        "it runs as process {}, and is not up after {:?}: its log says what it waits for; it goes on",
                        life.child.pid, self.config.patience.up
                    );
                    tell(life.starters.drain(..), OutcomeCode::TimedOut, &text);
                }
            }
        }
    }

    /// Takes an order while the child lives.
    async fn hear(&mut self, order: Order, life: &mut Life) {
        match order {
            Order::Start(waiting) | Order::Resume(waiting) if life.is_stopping => {
                self.want(true).await;
                life.later.push(waiting);
            }
            Order::Start(waiting) | Order::Resume(waiting) if life.is_up => {
                let text = format!("it runs as process {}", life.child.pid);
                tell([waiting], OutcomeCode::Already, &text);
            }
            Order::Start(waiting) | Order::Resume(waiting) => life.starters.push(waiting),
            Order::Stop(waiting) => {
                self.want(false).await;
                life.stoppers.push(waiting);
                let overtaken = life.starters.drain(..).chain(life.later.drain(..));
                let text = "it was asked to stop before it was up";
                tell(overtaken, OutcomeCode::Refused, text);
                if !life.is_stopping {
                    life.is_stopping = true;
                    let patience = self.config.drain_deadline + self.config.patience.margin;
                    life.kill_at = Some(Instant::now() + patience);
                    self.view
                        .send_modify(|view| view.state = InstanceState::Stopping);
                    tracing::info!(instance = %self.id, "{} is asked to stop (SIGTERM)", self.id);
                    life.child.terminate();
                }
            }
        }
    }

    fn kill(&self, life: &mut Life) {
        tracing::warn!(instance = %self.id, "{} has not ended and is killed; what it had not acknowledged goes back to the queue", self.id);
        life.is_killed = true;
        life.child.kill();
    }

    /// Says what came of a child that has ended. Says whether another one shall be started at once.
    async fn bury(&mut self, mut life: Life, ended: io::Result<ExitStatus>) -> Option<Begin> {
        let how = match &ended {
            Ok(status) => ended::how(*status),
            Err(error) => format!("it cannot be waited for: {error}"),
        };
        if life.is_stopping {
            let text = if life.is_killed {
                format!(
                    "it had not ended in time and was {how}; what it had not acknowledged goes back to the queue"
                )
            } else {
                format!("it finished its work and {how}")
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
            // Somebody else may have taken the ports.
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

    /// A child has ended that nobody had asked to, or could not even be started.
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
                    "{id} has ended {} times one soon after another, and is not started again: {why}; mend what it says and start it",
                    self.deaths.early
                );
                let text = format!("given up after {} ends, the last: {why}", self.deaths.early);
                (ended::reason_of("given up", text), None)
            } else {
                let pause = self.deaths.pauses.next().unwrap_or_default();
                tracing::warn!(instance = %id, "{id} has ended unasked, and is started again in {pause:.1?}: {why}");
                let then = format!("; started again in {pause:.1?}");
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

    /// Writes down whether a child shall run here.
    async fn want(&self, wanted: bool) {
        self.view.send_modify(|view| view.wanted = wanted);
        self.memory
            .change(&self.id, |kept| kept.wanted = wanted)
            .await;
    }
}

fn stopped(how: &str) -> StateReason {
    ended::reason_of("stopped", format!("stopped as asked: {how}"))
}

/// Tells those who still wait.
fn tell(waiting: impl IntoIterator<Item = Waiting>, code: OutcomeCode, text: &str) {
    for one in waiting {
        let _ = one.send((code, text.to_owned()));
    }
}

/// A port that a child had, where nobody has it now; else 0, for which the system chooses one.
fn free(port: Option<u16>) -> u16 {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    port.filter(is_free).unwrap_or_default()
}

/// How long a child may take, and how often it may die.
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
