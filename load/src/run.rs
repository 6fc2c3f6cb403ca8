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
use crate::gate::Gate;
use crate::idle_timeout::IdleTimeout;
use crate::measure::{Counts, Measure};
use crate::outcome_log::{OutcomeLog, RideOutcome};
use crate::pace::Pace;
use crate::plan::{ConfigError, LoadConfig, Plan};
use crate::retry;
use crate::sender::{Sender, Shared};
use crate::summary::{Ended, PaceKind, Requests, Rides, Summary};
use crate::timeline::{Second, Timeline};
use crate::verify::{self, PrepareError};

/// Interval for progress reports and for checking the target.
const TICK: Duration = Duration::from_millis(100);
/// Interval at which an open loop checks for due requests without a sender.
const LATE_TICK: Duration = Duration::from_millis(5);
/// Maximum time for requests in flight after the run was stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The summary.
    pub summary: Summary,
    /// The timeline.
    pub timeline: Timeline,
}

/// Progress of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// Preparing the verification, before the first request.
    Preparing {
        /// Number of skier days with a known vertical.
        done: u64,
        /// Number of all skier days.
        all: u64,
    },
    /// Sending.
    Sending {
        /// Number of sent requests.
        sent: u64,
        /// Number of failed requests.
        failed: u64,
        /// Completed share of the run, 0 to 1.
        done: f64,
    },
    /// Verifying the accepted rides.
    Verifying {
        /// Number of accepted rides that were found.
        found: u64,
        /// Number of all accepted rides.
        all: u64,
    },
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The parameters are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The target accepts no connection.
    #[error("cannot connect to the target; no request was sent")]
    Unreachable(#[source] CallError),
    /// The verification cannot be prepared.
    #[error("the run cannot be verified and was not started")]
    Verify(#[from] PrepareError),
    /// The run was stopped before the first request.
    #[error("stopped before the first request")]
    Stopped,
    /// A thread or a runtime cannot be created.
    #[error("cannot start the senders")]
    Start(#[source] std::io::Error),
    /// A sender thread has panicked, which is a bug.
    #[error("a sender thread panicked; please report this bug")]
    Died,
}

/// Runs a load test until it is over or `stop` is cancelled, and returns the result. After a stop it waits at most 5 s for
/// requests in flight.
///
/// Senders run on separate threads, one per processor. `progress` is called about ten times per second.
///
/// # Errors
/// If the parameters are invalid, or no request could be sent.
pub async fn run(
    config: LoadConfig,
    progress: impl Fn(Progress),
    stop: CancellationToken,
) -> Result<Outcome, LoadError> {
    let mut plan = Plan::new(&config, 0)?;
    let mut connection = config.connection();
    tokio::select! {
        opened = connection.open() => opened.map_err(LoadError::Unreachable)?,
        () = stop.cancelled() => return Err(LoadError::Stopped),
    }
    let mut connection = Some(connection);
    let outcomes = config.verify.map(|_| OutcomeLog::new());
    let measure = Measure::new();
    let mut prepared = None;
    // A run without verification needs this connection no longer.
    if let (Some(patience), Some(outcomes), Some(connection)) =
        (config.verify, &outcomes, connection.take())
    {
        let preparing = verify::prepare(&config, &plan, patience, connection, &progress, &stop);
        let ready = preparing.await?;
        for number in 0..ready.already_sent {
            let is_last = number + 1 == ready.already_sent;
            outcomes.set(
                number,
                if is_last {
                    RideOutcome::Accepted
                } else {
                    RideOutcome::Absent
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
        outcomes,
        stop: stop.child_token(),
        // An attempt fails after the timeout at the latest, and the next one follows after the longest pause.
        idle_timeout: IdleTimeout::new(config.timeout + retry::LONGEST_WISH),
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
    if let (Some(prepared), Some(patience), Some(outcomes), false) =
        (prepared, config.verify, &shared.outcomes, interrupted)
    {
        let workload = &shared.workload;
        let verified = verify::check(
            &config, prepared, patience, workload, outcomes, &progress, &stop,
        );
        outcome.summary.verify = Some(verified.await);
        if stop.is_cancelled() {
            outcome.summary.ended = Ended::Interrupted;
        }
    }
    Ok(outcome)
}

/// Sends all requests; returns whether the target was lost.
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
    // Dropped senders end immediately.
    let _abandon_when_dropped = abandon.clone().drop_guard();
    let mut ends = JoinSet::new();
    for thread in 0..threads {
        // Share of each thread.
        let part = |all: usize| all / threads + usize::from(thread < all % threads);
        let (connections, awake) = (part(plan.connections), part(plan.awake));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(LoadError::Start)?;
        let connection = config.connection();
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
                // A dropped receiver no longer waits.
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
            // A connection that cannot be opened now is opened again by its first request, which counts the error.
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

/// Reports progress until all senders have ended, and aborts the run if the target stops responding; returns whether it
/// did.
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
        if shared.idle_timeout.elapsed() >= config.give_up_after && !shared.stop.is_cancelled() {
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
        // A run of a given length that stopped sending earlier has no rate after its last response.
        Some(deadline) if !shared.stop.is_cancelled() => counts.last_end.max(deadline),
        _ => counts.last_end,
    };
    let mut seconds = counts.close(elapsed);
    let sent = counts.requests.sent;
    let is_open = matches!(plan.pace, Pace::Open(_));
    let used_up =
        plan.deadline.is_some() && !is_open && shared.taken.load(Ordering::Relaxed) >= plan.total;
    // A closed loop with a duration has no unsent requests.
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
        latency_of_posts: counts.latency_of_posts(),
        latency_of_reads: counts.latency_of_reads(),
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
        // The last second is incomplete.
        let length = to.min(elapsed).saturating_sub(from).as_secs_f64();
        second.breaker_open_share = shared.gate.as_ref().map(|gate| {
            let open = gate.open_between(from, to.min(elapsed)).as_secs_f64();
            if length > 0.0 { open / length } else { 0.0 }
        });
    }
}

impl Counts {
    /// Counts a ride that was posted before the start of the clock to prepare the verification.
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
