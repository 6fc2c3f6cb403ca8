//! A run from its first connection to its summary.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Barrier, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::backlog;
use crate::connection::{CallError, Connection};
use crate::fates::{Fate, Fates};
use crate::gate::Gate;
use crate::measure::{Counts, Measure};
use crate::pace::Pace;
use crate::plan::{ConfigError, LoadConfig, Plan};
use crate::retry;
use crate::sender::{Sender, Shared};
use crate::silence::Silence;
use crate::summary::{Ended, PaceKind, Requests, Rides, Summary};
use crate::timeline::{Second, Timeline};
use crate::verify::{self, PrepareError};

/// How often progress is told and the target looked after.
const TICK: Duration = Duration::from_millis(100);
/// How often an open loop looks whether requests are due that nobody has taken.
const LATE_TICK: Duration = Duration::from_millis(5);
/// How long what is under way may go on after the run was stopped.
const GRACE: Duration = Duration::from_secs(5);

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// All of it in one value.
    pub summary: Summary,
    /// Second by second.
    pub timeline: Timeline,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// Finding out, before anything is sent, what can be verified afterwards.
    Preparing {
        /// Skier days whose vertical is known.
        done: u64,
        /// All of them.
        all: u64,
    },
    /// Sending.
    Sending {
        /// Requests that were sent.
        sent: u64,
        /// Those that were given up.
        failed: u64,
        /// How much of the run is over, 0 to 1.
        done: f64,
    },
    /// Asking for what was accepted.
    Verifying {
        /// Accepted rides that were found.
        found: u64,
        /// All accepted rides.
        all: u64,
    },
}

/// Why there is no run to tell of.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be meant.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The target takes no connection.
    #[error("the target cannot be reached, so that nothing was sent")]
    Unreachable(#[source] CallError),
    /// It cannot be found out how to verify.
    #[error("the run cannot be verified, so that it was not begun")]
    Verify(#[from] PrepareError),
    /// It was stopped before anything was sent.
    #[error("stopped before anything was sent")]
    Stopped,
    /// The system refuses a thread or a runtime.
    #[error("cannot start the senders")]
    Start(#[source] std::io::Error),
    /// A sender's thread has died, which is a mistake of ours.
    #[error("a thread of senders has died; please report this")]
    Died,
}

/// Loads a target until the run is over or `stop` is cancelled, and tells what came of it. What is under way at a stop is
/// waited for, at most 5 s long.
///
/// Senders run on threads of their own, one for each processor. `progress` is called about ten times a second.
///
/// # Errors
/// When the run cannot be meant, or nothing could be sent.
pub async fn run(
    config: LoadConfig,
    progress: impl Fn(Progress),
    stop: CancellationToken,
) -> Result<Outcome, LoadError> {
    let mut plan = Plan::new(&config, 0)?;
    let mut connection = Connection::new(config.target.clone(), config.timeout);
    tokio::select! {
        opened = connection.open() => opened.map_err(LoadError::Unreachable)?,
        () = stop.cancelled() => return Err(LoadError::Stopped),
    }
    let mut connection = Some(connection);
    let fates = config.verify.map(|_| Fates::new());
    let measure = Measure::new();
    let mut prepared = None;
    // A run that is not verified has seen what it wanted of this connection.
    if let (Some(patience), Some(fates), Some(connection)) =
        (config.verify, &fates, connection.take())
    {
        let preparing = verify::prepare(&config, &plan, patience, connection, &progress, &stop);
        let ready = preparing.await?;
        for number in 0..ready.already_sent {
            let is_last = number + 1 == ready.already_sent;
            fates.set(
                number,
                if is_last {
                    Fate::Accepted
                } else {
                    Fate::Absent
                },
            );
            measure.lock().count_ahead(is_last);
        }
        plan = Plan::new(&config, ready.already_sent)?;
        prepared = Some(ready);
    }
    let shared = Arc::new(Shared {
        total: plan.total,
        deadline: plan.deadline,
        workload: plan.workload.clone(),
        pace: plan.pace.clone(),
        taken: AtomicU64::new(0),
        measure,
        gate: config.breaker.map(Gate::new),
        fates,
        stop: stop.child_token(),
        // A try fails after the timeout at the latest, and the next one follows after the longest pause.
        silence: Silence::new(config.timeout + retry::LONGEST_WISH),
        reserve: Semaphore::new(0),
    });
    let target_lost = send(&config, &plan, &shared, &progress).await?;
    let interrupted = stop.is_cancelled();
    let mut outcome = summarise(&config, &plan, &shared);
    outcome.summary.ended = if interrupted {
        Ended::Interrupted
    } else if target_lost {
        Ended::TargetLost
    } else {
        outcome.summary.ended
    };
    if let (Some(prepared), Some(patience), Some(fates), false) =
        (prepared, config.verify, &shared.fates, interrupted)
    {
        let workload = &shared.workload;
        let verified = verify::check(
            &config, prepared, patience, workload, fates, &progress, &stop,
        );
        outcome.summary.verify = Some(verified.await);
        if stop.is_cancelled() {
            outcome.summary.ended = Ended::Interrupted;
        }
    }
    Ok(outcome)
}

/// Sends everything; says whether the target was lost.
async fn send(
    config: &LoadConfig,
    plan: &Plan,
    shared: &Arc<Shared>,
    progress: &impl Fn(Progress),
) -> Result<bool, LoadError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(plan.connections);
    let ready = Arc::new(Barrier::new(threads + 1));
    let started = Arc::new(OnceLock::new());
    let abandon = CancellationToken::new();
    // Senders that nobody waits for any more end at once.
    let _abandon_when_dropped = abandon.clone().drop_guard();
    let mut ends = JoinSet::new();
    for thread in 0..threads {
        // Each thread's part of so many.
        let part = |all: usize| all / threads + usize::from(thread < all % threads);
        let (connections, awake) = (part(plan.connections), part(plan.awake));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LoadError::Start)?;
        let connection = Connection::new(config.target.clone(), config.timeout);
        let senders = run_senders(
            (0..connections)
                .map(move |_| connection.another())
                .collect(),
            awake,
            Arc::clone(shared),
            Arc::clone(&ready),
            Arc::clone(&started),
            abandon.clone(),
        );
        let (done, end) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("senders-{thread}"))
            .spawn(move || {
                runtime.block_on(senders);
                // A receiver that is gone does not wait any more.
                let _ = done.send(());
            })
            .map_err(LoadError::Start)?;
        ends.spawn(end);
    }
    ready.wait().await;
    let start = *started.get_or_init(Instant::now);
    let _backlog = backlog::watch(config, Arc::clone(shared), start);
    watch(config, plan, shared, start, &abandon, progress, &mut ends).await
}

async fn run_senders(
    connections: Vec<Connection>,
    awake: usize,
    shared: Arc<Shared>,
    ready: Arc<Barrier>,
    started: Arc<OnceLock<Instant>>,
    abandon: CancellationToken,
) {
    let mut opening = JoinSet::new();
    for mut connection in connections {
        let stop = shared.stop.clone();
        opening.spawn(async move {
            // One that cannot be opened yet is opened again by its first request, which counts the error.
            tokio::select! {
                _ = connection.open() => {}
                () = stop.cancelled() => {}
            }
            connection
        });
    }
    let connections = opening.join_all().await;
    ready.wait().await;
    let start = *started.get_or_init(Instant::now);
    let mut senders = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let sender = Sender::new(connection, Arc::clone(&shared), start);
        if number < awake {
            senders.spawn(sender.run(abandon.clone()));
        } else {
            senders.spawn(sender.run_when_needed(abandon.clone()));
        }
    }
    senders.join_all().await;
}

/// Tells progress until all senders have ended, and ends the run when the target gives no answer any more; says whether
/// that was so.
async fn watch(
    config: &LoadConfig,
    plan: &Plan,
    shared: &Shared,
    start: Instant,
    abandon: &CancellationToken,
    progress: &impl Fn(Progress),
    ends: &mut JoinSet<Result<(), oneshot::error::RecvError>>,
) -> Result<bool, LoadError> {
    let mut tick = tokio::time::interval(TICK);
    let mut late_tick = tokio::time::interval(LATE_TICK);
    late_tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped_at = None;
    let mut target_lost = false;
    let is_open = matches!(plan.pace, Pace::Open(_));
    loop {
        tokio::select! {
            end = ends.join_next() => match end {
                None => return Ok(target_lost),
                Some(Ok(Ok(()))) => continue,
                Some(_) => return Err(LoadError::Died),
            },
            _ = late_tick.tick(), if is_open => {
                shared.wake_for_late(start.elapsed());
                continue;
            }
            _ = tick.tick() => {}
        }
        let now = start.elapsed();
        if shared.silence.lasted() >= config.give_up_after && !shared.stop.is_cancelled() {
            target_lost = true;
            shared.stop.cancel();
        }
        if shared.stop.is_cancelled() && now >= *stopped_at.get_or_insert(now) + GRACE {
            abandon.cancel();
        }
        let requests = shared.measure.lock().requests;
        let done = match plan.deadline {
            Some(deadline) => now.as_secs_f64() / deadline.as_secs_f64(),
            None => requests.sent as f64 / plan.total.max(1) as f64,
        };
        progress(Progress::Sending {
            sent: requests.sent,
            failed: requests.failed,
            done: done.min(1.0),
        });
    }
}

fn summarise(config: &LoadConfig, plan: &Plan, shared: &Shared) -> Outcome {
    let mut counts = shared.measure.lock();
    let elapsed = match plan.deadline {
        // A run of a given length that stopped sending before has no rate after its last answer.
        Some(deadline) if !shared.stop.is_cancelled() => counts.last_end.max(deadline),
        _ => counts.last_end,
    };
    let mut seconds = counts.close(elapsed);
    let sent = counts.requests.sent;
    let is_open = matches!(plan.pace, Pace::Open(_));
    let used_up =
        plan.deadline.is_some() && !is_open && shared.taken.load(Ordering::Relaxed) >= plan.total;
    // A closed loop that runs for a time means to send what it can.
    let means_to_send_all = is_open || plan.deadline.is_none();
    counts.requests.unsent = if means_to_send_all {
        (plan.total + counts.ahead).saturating_sub(sent)
    } else {
        0
    };
    fill_seconds(&mut seconds, plan, shared, elapsed);
    let per_s = |count: u64| {
        let elapsed_s = elapsed.as_secs_f64();
        (elapsed_s > 0.0).then(|| count as f64 / elapsed_s)
    };
    let Counts {
        requests, rides, ..
    } = *counts;
    let Requests {
        succeeded, failed, ..
    } = requests;
    let ended = succeeded + failed;
    let summary = Summary {
        target: config.target.to_string(),
        seed: config.seed,
        pace: if is_open {
            PaceKind::OpenLoop
        } else {
            PaceKind::ClosedLoop
        },
        connections: plan.connections,
        ended: if used_up {
            Ended::RidesUsedUp
        } else {
            Ended::Complete
        },
        elapsed_s: elapsed.as_secs_f64(),
        requests,
        rides,
        failed_share: (ended > 0).then(|| failed as f64 / ended as f64),
        throughput_per_s: per_s(succeeded),
        accepted_rides_per_s: per_s(rides.accepted),
        latency: counts.latency(),
        latency_from_send: counts.latency_from_send().filter(|_| is_open),
        send_lateness: counts.send_lateness(),
        breaker: shared.gate.as_ref().map(|gate| gate.figures(elapsed)),
        errors: counts.errors(),
        verify: None,
    };
    Outcome {
        summary,
        timeline: Timeline { seconds },
    }
}

/// Adds what follows from the schedule and the breaker.
fn fill_seconds(seconds: &mut [Second], plan: &Plan, shared: &Shared, elapsed: Duration) {
    for second in seconds {
        let from = Duration::from_secs(second.at_s.into());
        let to = from + Duration::from_secs(1);
        if let Pace::Open(profile) = &plan.pace {
            let due = |at| profile.due_before(at).min(plan.total);
            second.intended = Some(due(to) - due(from));
        }
        // The last second is not a whole one.
        let length = to.min(elapsed).saturating_sub(from).as_secs_f64();
        second.breaker_open_share = shared.gate.as_ref().map(|gate| {
            let open = gate.open_between(from, to.min(elapsed)).as_secs_f64();
            if length > 0.0 { open / length } else { 0.0 }
        });
    }
}

impl Counts {
    /// Counts a ride that was posted before the clock started, to find out how the target can be verified.
    fn count_ahead(&mut self, accepted: bool) {
        self.ahead += 1;
        let rides = Rides {
            sent: 1,
            accepted: u64::from(accepted),
            refused: u64::from(!accepted),
            unknown: 0,
        };
        self.count_rides(&rides);
        self.requests.sent += 1;
        if accepted {
            self.requests.succeeded += 1;
        } else {
            self.requests.failed += 1;
        }
    }
}
