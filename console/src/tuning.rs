//! Sweeps: measure configurations under load, one after the other, and recommend the cheapest one that meets an objective.
//!
//! - `spec`: what is measured, validated. `record`: a sweep as it is stored. `report`: its view.
//! - `job`: its work; `restore`: its end; `steps`: those of one measurement; `settle`: when nodes and queue are ready for one. Every change is a plan.
//! - `load`: the process that sends the load. [`measurement`]: one measurement, from heartbeats.
//! - `lease`: other changes wait while a sweep runs.
//! - `models`: the scalability law of the measured points. [`capacity`]: the nodes that another load needs.

pub(crate) mod capacity;
mod job;
pub(crate) mod lease;
mod load;
pub(crate) mod measurement;
mod models;
mod record;
mod report;
mod restore;
mod settle;
mod spec;
mod steps;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skilift_core::clock::epoch_ms;
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::{Table, WriteBatch};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::job::Job;
use self::record::SweepRecord;
use crate::access::Caller;
use crate::audit;
use crate::console::Console;
use crate::error::Error;
use crate::plan::{self, check_may_change};
use crate::state::{ConsoleState, number_key, read_number};
use crate::view::access::UserRole;
use crate::view::audit::AuditOutcome;
use crate::view::change::Change;
use crate::view::tuning::{PointConfig, SweepList, SweepPhase, SweepSpec, SweepState, SweepView};

pub use self::load::LoadCommand;

/// Maximum stored sweeps; the oldest ones are removed.
pub(crate) const MAX_SWEEPS: u64 = 200;

/// The sweeps, and the one that is running.
pub(crate) struct Tuning {
    table: Table<SweepRecord>,
    last_number: AtomicU64,
    running: Mutex<Option<Running>>,
    /// Cancelled when the console ends.
    drain: CancellationToken,
}

/// A sweep that is running.
#[derive(Clone)]
struct Running {
    id: String,
    by: String,
    /// Cancelled to stop it, by [`Self::stopped_by`].
    stop: CancellationToken,
    stopped_by: Arc<Mutex<Option<String>>>,
    /// Who changed what it measures, by overriding the lease.
    broken_by: Arc<Mutex<Option<String>>>,
    now: watch::Receiver<Now>,
}

/// What a sweep is doing.
#[derive(Debug, Clone, Copy)]
struct Now {
    phase: SweepPhase,
    since_ms: u64,
    length_ms: Option<u64>,
    run: Option<skilift_tuning::sweep::Run>,
}

impl Now {
    fn of(phase: SweepPhase) -> Self {
        Self {
            phase,
            since_ms: epoch_ms(),
            length_ms: None,
            run: None,
        }
    }
}

impl Tuning {
    /// Opens the stored sweeps.
    pub(crate) fn open(state: &ConsoleState, drain: CancellationToken) -> Result<Self, DiskError> {
        let table: Table<SweepRecord> = state.table("sweeps")?;
        let last = table.range_back(.., 1)?;
        let number = last.first().map_or(0, |(key, _)| read_number(key));
        Ok(Self {
            table,
            last_number: AtomicU64::new(number),
            running: Mutex::default(),
            drain,
        })
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &str) -> Result<SweepRecord, Error> {
        let number = record::number(id);
        let found = match number {
            Some(number) => self.table.get(&number_key(number))?,
            None => None,
        };
        found.ok_or_else(|| Error::not_found(format!("sweep {id:?} does not exist")))
    }

    fn put(&self, changes: &mut WriteBatch, sweep: &SweepRecord) {
        let number = record::number(&sweep.id).unwrap_or_default();
        self.table.put(changes, &number_key(number), sweep);
        if let Some(oldest) = number.checked_sub(MAX_SWEEPS) {
            self.table.remove(changes, &number_key(oldest));
        }
    }
}

/// Starts a sweep.
///
/// # Errors
/// If the caller's role is too low, the specification is invalid, or another sweep is running.
pub(crate) async fn start(
    console: &Arc<Console>,
    caller: &Caller,
    spec: SweepSpec,
) -> Result<SweepView, Error> {
    let checked = async {
        check_may_change(console)?;
        check_role(caller)?;
        check_quiet(console)?;
        // What runs now is where the sweep returns to.
        console.machines.refresh_if_set_up().await?;
        SweepRecord::new(console, caller, spec)
    };
    let mut sweep = match checked.await {
        Ok(sweep) => sweep,
        Err(error) => return refused(console, caller, "start a sweep".to_owned(), error).await,
    };
    // What was refused has no number.
    let number = console.tuning.last_number.fetch_add(1, Ordering::Relaxed) + 1;
    sweep.id = record::id(number);
    begin(console, caller, "start", sweep).await
}

/// Records that something about a sweep was refused.
async fn refused<T>(
    console: &Arc<Console>,
    caller: &Caller,
    does: String,
    error: Error,
) -> Result<T, Error> {
    let mut line = audit::by(caller, "tune");
    line.target = Some(does.chars().take(60).collect());
    plan::refuse(console, caller, line, error).await
}

/// Goes on with a sweep that was stopped or failed.
///
/// # Errors
/// If the caller's role is too low, it does not exist or has measured everything, or another sweep is running.
pub(crate) async fn resume(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
) -> Result<SweepView, Error> {
    match resumable(console, caller, id) {
        Ok(sweep) => begin(console, caller, "resume", sweep).await,
        Err(error) => refused(console, caller, format!("resume {id}"), error).await,
    }
}

/// A sweep that may go on.
fn resumable(console: &Arc<Console>, caller: &Caller, id: &str) -> Result<SweepRecord, Error> {
    check_may_change(console)?;
    check_role(caller)?;
    let mut sweep = console.tuning.find(id)?;
    if sweep.state == SweepState::Running {
        return Err(Error::conflict(format!("{id} is running")));
    }
    if sweep.sweep.next().is_none() {
        return Err(Error::conflict(format!(
            "{id} has measured everything; see `skictl tune show {id}`"
        )));
    }
    check_quiet(console)?;
    sweep.resume(console, caller)?;
    Ok(sweep)
}

/// Stops the running sweep: it restores what was set before.
///
/// # Errors
/// If the caller's role is too low, or the sweep is not running.
pub(crate) async fn stop(
    console: &Arc<Console>,
    caller: &Caller,
    id: &str,
) -> Result<SweepView, Error> {
    if let Err(error) = check_role(caller) {
        return refused(console, caller, format!("stop {id}"), error).await;
    }
    let sweep = console.tuning.find(id)?;
    let running = console.tuning.running().clone();
    let Some(running) = running.filter(|running| running.id == id) else {
        let state = sweep.state;
        return Err(Error::conflict(format!(
            "{id} is not running: it is {state}"
        )));
    };
    running
        .stopped_by
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_with(|| caller.name.clone());
    running.stop.cancel();
    let mut line = audit::by(caller, "tune");
    line.target = Some(format!("stop {id}"));
    let changes = WriteBatch::default();
    console
        .state
        .commit("stop a sweep", changes, vec![line])
        .await?;
    view(console, id)
}

/// A sweep, with its progress and its report.
///
/// # Errors
/// If it does not exist.
pub(crate) fn view(console: &Console, id: &str) -> Result<SweepView, Error> {
    let sweep = console.tuning.find(id)?;
    let running = console.tuning.running().clone();
    let now = running.filter(|running| running.id == id);
    Ok(report::view(
        &sweep,
        now.map(|running| *running.now.borrow()),
    ))
}

/// The change to a point that a sweep has measured.
///
/// # Errors
/// If the sweep does not exist, or has not measured it.
pub(crate) fn change_to(console: &Console, id: &str, point: PointConfig) -> Result<Change, Error> {
    let sweep = console.tuning.find(id)?;
    let (configs, _) = sweep.sweep.candidates();
    let found = configs.into_iter().find(|of| spec::point(*of) == point);
    let config =
        found.ok_or_else(|| Error::not_found(format!("sweep {id} has not measured {point}")))?;
    Ok(spec::change_to(console, config))
}

/// The newest sweeps, newest first.
///
/// # Errors
/// If the data directory cannot be read.
pub(crate) fn list(console: &Console, limit: usize) -> Result<SweepList, Error> {
    let found = console.tuning.table.range_back(.., limit)?;
    let sweeps = found.iter().map(|(_, sweep)| report::summary(sweep));
    Ok(SweepList {
        sweeps: sweeps.collect(),
    })
}

/// Restores what was set before a sweep that the end of the console interrupted.
///
/// # Errors
/// If the data directory cannot be read.
pub(crate) fn recover(console: &Arc<Console>) -> Result<(), DiskError> {
    let found = console.tuning.table.range_back(.., MAX_SWEEPS as usize)?;
    let interrupted = found.into_iter().map(|(_, sweep)| sweep);
    for sweep in interrupted.filter(|sweep| sweep.state == SweepState::Running) {
        tracing::warn!(
            sweep = sweep.id,
            "sweep {} was interrupted when the console stopped",
            sweep.id
        );
        // Only one can have been running.
        if let Ok((running, slot)) = claim(console, &sweep) {
            let job = Job::new(console, sweep, running);
            spawn(console, slot, job.restore_after_restart());
        }
    }
    Ok(())
}

/// Stores a sweep as running, and runs it, also if the caller goes away.
async fn begin(
    console: &Arc<Console>,
    caller: &Caller,
    does: &str,
    sweep: SweepRecord,
) -> Result<SweepView, Error> {
    let mut line = audit::by(caller, "tune");
    line.target = Some(format!("{does} {}", sweep.id));
    line.after = Some(spec::in_words(&sweep.spec, sweep.sweep.left()));
    line.outcome = AuditOutcome::Started;
    let of = Arc::clone(console);
    let beginning = async move {
        let (running, slot) = claim(&of, &sweep)?;
        let mut changes = WriteBatch::default();
        of.tuning.put(&mut changes, &sweep);
        of.state
            .commit("store a sweep", changes, vec![line])
            .await?;
        let id = sweep.id.clone();
        spawn(&of, slot, Job::new(&of, sweep, running).run());
        view(&of, &id)
    };
    console
        .tasks
        .spawn(beginning)
        .await
        .map_err(Error::internal)?
}

/// Runs a job until its end, or that of the console.
fn spawn(console: &Arc<Console>, slot: Slot, job: impl Future<Output = ()> + Send + 'static) {
    let drain = console.tuning.drain.clone();
    console.tasks.spawn(async move {
        drain.run_until_cancelled(job).await;
        drop(slot);
    });
}

/// The place of the running sweep. Dropping it makes the place free, however the sweep ended.
struct Slot(Arc<Console>);

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.tuning.running() = None;
    }
}

/// Refuses a sweep while something changes what it would measure.
fn check_quiet(console: &Console) -> Result<(), Error> {
    if let Some(pause) = console.desired.document().pause_at(epoch_ms()) {
        let by = &pause.paused_by;
        return Err(Error::refused(format!(
            "{by} paused consumption; resume it first with `skictl queue resume`"
        )));
    }
    let disturbs = |change: &Change| {
        matches!(
            change,
            Change::Scale(_)
                | Change::Replay { .. }
                | Change::Repair { .. }
                | Change::Archive(_)
                | Change::Restore(_)
        )
    };
    let under_way = console.state.plans_under_way()?;
    if let Some(plan) = under_way.iter().find(|plan| disturbs(&plan.change)) {
        let id = &plan.id;
        return Err(Error::refused(format!(
            "plan {id} is still being applied; wait for it with `skictl plans show {id} --wait`"
        )));
    }
    Ok(())
}

/// Takes the place of the running sweep.
fn claim(console: &Arc<Console>, sweep: &SweepRecord) -> Result<(job::Control, Slot), Error> {
    let mut running = console.tuning.running();
    if let Some(other) = &*running {
        return Err(Error::conflict(format!(
            "{} of {} is running; stop it first with `skictl tune stop {}`",
            other.id, other.by, other.id
        )));
    }
    let (now, watching) = watch::channel(Now::of(SweepPhase::Applying));
    let stop = CancellationToken::new();
    let (stopped_by, broken_by) = <(Arc<_>, Arc<_>)>::default();
    *running = Some(Running {
        id: sweep.id.clone(),
        by: sweep.created_by.clone(),
        stop: stop.clone(),
        stopped_by: Arc::clone(&stopped_by),
        broken_by: Arc::clone(&broken_by),
        now: watching,
    });
    let control = job::Control {
        stop,
        stopped_by,
        broken_by,
        now,
    };
    Ok((control, Slot(Arc::clone(console))))
}

fn check_role(caller: &Caller) -> Result<(), Error> {
    if caller.role < UserRole::Operator {
        return Err(Error::forbidden(format!(
            "sweeps require the role operator; {} has the role {}",
            caller.name, caller.role
        )));
    }
    Ok(())
}
