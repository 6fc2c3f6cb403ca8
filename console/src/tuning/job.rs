//! The work of a sweep: one measurement after the other, and its changes, each by a plan.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use skilift_core::clock::epoch_ms;
use skilift_core::control::Generation;
use skilift_core::embedded::records::WriteBatch;
use skilift_tuning::sweep::{Config, Run};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::record::SweepRecord;
use super::{Now, lease, spec};
use crate::access::{Caller, Origin};
use crate::console::Console;
use crate::error::Error;
use crate::plan;
use crate::view::access::UserRole;
use crate::view::change::Change;
use crate::view::plan::{ApplyRequest, Danger, PlanState, PlanView};
use crate::view::tuning::SweepPhase;

/// How often progress is looked at.
pub(super) const STEP: Duration = Duration::from_millis(200);
/// How often a measurement is made again after something that is not the fault of its configuration.
const ATTEMPTS: u32 = 5;
/// Points that may fail one after the other before the sweep gives up: then something else is wrong.
const FAILED_IN_A_ROW: u32 = 6;
/// Wait before it is made again, which doubles each time: a machine may be busy with other work for a minute.
const AGAIN: Duration = Duration::from_secs(3);

/// How a sweep is controlled from outside.
pub(super) struct Control {
    pub(super) stop: CancellationToken,
    pub(super) stopped_by: Arc<Mutex<Option<String>>>,
    pub(super) broken_by: Arc<Mutex<Option<String>>>,
    pub(super) now: watch::Sender<Now>,
}

/// A sweep at work.
pub(super) struct Job {
    pub(super) console: Arc<Console>,
    pub(super) record: SweepRecord,
    pub(super) control: Control,
    /// The generation of the worker settings that this sweep set.
    pub(super) generation: Option<Generation>,
    /// The configuration that it applied last.
    pub(super) applied: Option<Config>,
}

/// Why a step did not end well.
pub(super) enum Failure {
    /// The configuration is at fault: its point does not count.
    Point(String),
    /// Something else is at fault: it is measured again.
    Again(String),
    /// The sweep ends.
    End(End),
}

/// Why a sweep ends early.
pub(super) enum End {
    /// A user stopped it, or its budget is used up.
    Stopped(String),
    /// It cannot go on.
    Failed(String),
    /// A user changed what it measures. What they set stays.
    Broken(String),
}

impl From<End> for Failure {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl Job {
    pub(super) fn new(console: &Arc<Console>, record: SweepRecord, control: Control) -> Self {
        Self {
            console: Arc::clone(console),
            record,
            control,
            generation: None,
            applied: None,
        }
    }

    /// Runs it to its end.
    pub(super) async fn run(mut self) {
        let measuring = AssertUnwindSafe(self.measure_all()).catch_unwind().await;
        let ended = measuring.unwrap_or_else(|_| {
            Err(End::Failed(
                "internal error; see the log of the console".to_owned(),
            ))
        });
        self.finish(ended).await;
    }

    async fn measure_all(&mut self) -> Result<(), End> {
        let (mut attempts, mut failed_in_a_row) = (0, 0);
        while let Some(run) = self.record.sweep.next() {
            self.check_stopped()?;
            self.check_budget()?;
            let began = epoch_ms();
            let measured = self.measure(run).await;
            let took_ms = epoch_ms().saturating_sub(began);
            self.spend(took_ms);
            let result = match measured {
                Ok(measured) => Ok(measured),
                Err(Failure::End(end)) => return Err(end),
                Err(Failure::Again(why)) if attempts + 1 < ATTEMPTS => {
                    tracing::warn!(sweep = self.record.id, "measuring again: {why}");
                    self.pause(AGAIN * 2_u32.pow(attempts)).await?;
                    attempts += 1;
                    continue;
                }
                Err(Failure::Again(why)) => {
                    return Err(End::Failed(format!(
                        "{} could not be measured, the last time because {why}",
                        spec::point(run.config)
                    )));
                }
                Err(Failure::Point(why)) => Err(why),
            };
            attempts = 0;
            failed_in_a_row = if result.is_ok() {
                0
            } else {
                failed_in_a_row + 1
            };
            let last_why = result.as_ref().err().cloned();
            self.record.sweep.record(result);
            self.save(None).await?;
            if let Some(why) = last_why.filter(|_| failed_in_a_row >= FAILED_IN_A_ROW) {
                return Err(End::Failed(format!(
                    "{FAILED_IN_A_ROW} points failed one after the other, the last one because {why}"
                )));
            }
        }
        Ok(())
    }

    /// Ends if a user stopped it.
    pub(super) fn check_stopped(&self) -> Result<(), End> {
        if !self.control.stop.is_cancelled() {
            return Ok(());
        }
        let by = self.control.stopped_by.lock();
        let by = by.unwrap_or_else(PoisonError::into_inner).clone();
        Err(End::Stopped(format!(
            "stopped by {}",
            by.unwrap_or_default()
        )))
    }

    fn check_budget(&self) -> Result<(), End> {
        let Some(most) = self.record.spec.max_usd else {
            return Ok(());
        };
        match self.record.spent_usd {
            Some(spent) if spent < most => Ok(()),
            Some(spent) => Err(End::Stopped(format!("${spent:.4} of ${most} are spent"))),
            None => Err(End::Stopped("a price has become unknown".to_owned())),
        }
    }

    fn spend(&mut self, took_ms: u64) {
        let usd_per_h = crate::fleet::cost::view(&self.console).usd_per_h;
        let known = usd_per_h.value.filter(|_| usd_per_h.error.is_none());
        let hours = took_ms as f64 / 3_600_000.0;
        self.record.spent_usd = self
            .record
            .spent_usd
            .zip(known)
            .map(|(spent, usd)| spent + usd * hours);
    }

    /// Waits, unless a user stops it.
    pub(super) async fn pause(&self, time: Duration) -> Result<(), End> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.control.stop.cancelled() => self.check_stopped(),
        }
    }

    /// Shows what it is doing.
    pub(super) fn show(&self, phase: SweepPhase, run: Option<Run>, length: Option<Duration>) {
        let length_ms = length.and_then(|length| u64::try_from(length.as_millis()).ok());
        self.control.now.send_replace(Now {
            run,
            length_ms,
            ..Now::of(phase)
        });
    }

    /// The caller of its own plans. It may override guards of capacity: whether a configuration suffices is what it measures.
    fn caller(&self) -> Caller {
        Caller {
            name: format!("{} (sweep {})", self.record.created_by, self.record.id),
            role: UserRole::Admin,
            token: lease::token(&self.record.id),
            from: Origin::default(),
        }
    }

    /// The change to a configuration.
    pub(super) fn change_to(&self, config: Config) -> Change {
        let mut change = spec::change_to(&self.console, config);
        let before = &self.record.before;
        if let Change::Scale(scale) = &mut change
            && config == before.config
        {
            // What ran before had a prefetch of its own.
            scale.prefetch = Some(before.worker.prefetch);
        }
        change
    }

    /// Makes a change by a plan, and waits for its end.
    pub(super) async fn change(&mut self, change: Change) -> Result<(), Error> {
        let caller = self.caller();
        let plan = plan::make(&self.console, &caller, change).await?;
        if plan.danger == Danger::Severe && self.record.created_role < UserRole::Admin {
            return Err(Error::refused(format!(
                "{} is severe, which only a sweep of an admin may apply",
                plan.id
            )));
        }
        if plan.actions.is_empty() {
            self.remember_generation();
            return match plan.refusals.first() {
                Some(refusal) => Err(Error::refused(refusal.reason.clone())),
                None => Ok(()),
            };
        }
        let why = format!(
            "sweep {} measures what this configuration can do",
            self.record.id
        );
        let request = ApplyRequest {
            confirm: plan.confirm.clone(),
            override_reason: (!plan.refusals.is_empty()).then_some(why),
            password: None,
        };
        plan::apply::apply(&self.console, &caller, &plan.id, request).await?;
        let ended = self.ended(&plan.id).await?;
        self.remember_generation();
        if ended.state == PlanState::Applied {
            return Ok(());
        }
        let steps = ended.outcome.iter().flat_map(|outcome| &outcome.steps);
        let failed = steps
            .filter(|step| !step.done)
            .find_map(|step| step.message.clone());
        let why = failed.unwrap_or_else(|| format!("its plan is {}", ended.state));
        Err(Error::refused(format!("{}: {why}", plan.id)))
    }

    async fn ended(&self, id: &str) -> Result<PlanView, Error> {
        loop {
            let found = plan::job::find(&self.console, id)?;
            let plan = found.ok_or_else(|| Error::not_found(format!("plan {id} is gone")))?;
            if plan.state != PlanState::Applying {
                return Ok(plan);
            }
            tokio::time::sleep(STEP).await;
        }
    }

    pub(super) fn remember_generation(&mut self) {
        self.generation = self
            .console
            .desired
            .document()
            .worker
            .map(|set| set.generation);
    }

    /// Stores it.
    pub(super) async fn save(
        &self,
        line: Option<crate::view::audit::AuditEntry>,
    ) -> Result<(), End> {
        let mut changes = WriteBatch::default();
        self.console.tuning.put(&mut changes, &self.record);
        let lines = line.into_iter().collect();
        let stored = self
            .console
            .state
            .commit("store a sweep", changes, lines)
            .await;
        stored.map_err(|error| End::Failed(error.to_string()))
    }
}
