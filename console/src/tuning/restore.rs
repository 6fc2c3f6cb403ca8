//! The end of a sweep: what was set before is restored, or the recommendation applied.

use std::time::Duration;

use skilift_core::clock::epoch_ms;

use super::job::{End, Job, STEP};
use super::spec;
use crate::audit;
use crate::error::Error;
use crate::view::audit::AuditOutcome;
use crate::view::change::{Change, Scale, ScaledRole};
use crate::view::tuning::{SweepPhase, SweepState};

/// How often restoring is tried, and the waits in between, which double: about eight minutes.
const RESTORES: u32 = 20;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

impl Job {
    /// Restores what was set before, after the console ended in the middle.
    pub(super) async fn restore_after_restart(mut self) {
        // As it was left: other changes were refused meanwhile.
        self.remember_generation();
        let ended = match self.record.sweep.next() {
            Some(_) => Err(End::Stopped("the console stopped in the middle".to_owned())),
            None => Ok(()),
        };
        self.finish(ended).await;
    }

    /// Ends it: restores what was set before or applies the recommendation, and says so.
    pub(super) async fn finish(&mut self, ended: Result<(), End>) {
        self.show(SweepPhase::Restoring, None, None);
        // A user who changed what it measures is named first.
        let ended = self.check_lease().and(ended);
        let is_broken = matches!(ended, Err(End::Broken(_)));
        let (mut state, mut message) = match ended {
            Ok(()) => (SweepState::Finished, None),
            Err(End::Stopped(why)) => (SweepState::Stopped, Some(why)),
            Err(End::Failed(why) | End::Broken(why)) => (SweepState::Failed, Some(why)),
        };
        let recommended = self.record.sweep.recommended().map(|(best, ..)| best);
        let wanted =
            recommended.filter(|_| self.record.spec.apply && state == SweepState::Finished);
        let mut said = Vec::new();
        let mut is_applied = false;
        if let Some(best) = wanted {
            let change = self.change_to(best);
            match self.change(change).await {
                Ok(()) => {
                    is_applied = true;
                    said.push(format!("applied the recommendation: {}", spec::point(best)));
                }
                Err(error) => said.push(format!(
                    "the recommendation was not applied: {}",
                    error.message()
                )),
            }
        }
        if !is_applied {
            match self.restore(is_broken).await {
                Ok(says) => said.push(says.to_owned()),
                Err(why) => {
                    state = SweepState::Failed;
                    message.get_or_insert_with(|| "what was set before is not restored".to_owned());
                    said.push(why);
                }
            }
        }
        self.record.is_restored = state != SweepState::Failed || is_broken;
        self.record.settings_message = Some(said.join("; "));
        self.record.state = state;
        self.record.message = message;
        self.record.ended_at_ms = Some(epoch_ms());
        let mut line = audit::own("tune");
        line.target = Some(format!("end {}", self.record.id));
        line.after.clone_from(&self.record.settings_message);
        line.reason.clone_from(&self.record.message);
        line.outcome = match state {
            SweepState::Finished => AuditOutcome::Succeeded,
            _ => AuditOutcome::Failed,
        };
        // A failed write ends the console.
        let _ = self.save(Some(line)).await;
    }

    /// Restores what was set before, again and again while that fails: EC2 or the nodes may be away. If a user changed the settings or
    /// the number of instances, that stays.
    async fn restore(&mut self, is_broken: bool) -> Result<&'static str, String> {
        let (mut last, mut wait) = (String::new(), FIRST_WAIT);
        for attempt in 1..=RESTORES {
            match self.restore_once(is_broken).await {
                Ok(true) => return Ok("what was set before is restored"),
                Ok(false) => return Ok("what was changed meanwhile stays; the rest is restored"),
                Err(error) => error.message().clone_into(&mut last),
            }
            tracing::warn!(
                sweep = self.record.id,
                "restoring, attempt {attempt} of {RESTORES}: {last}"
            );
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        let commands: Vec<String> = self
            .changes_back()
            .iter()
            .map(|change| format!("`{}`", change.command()))
            .collect();
        Err(format!(
            "what was set before is not restored: {last}; try {}",
            commands.join(" and ")
        ))
    }

    /// Restores settings, then instances. Returns whether nothing was left as a user changed it.
    async fn restore_once(&mut self, is_broken: bool) -> Result<bool, Error> {
        self.wait_for_own_plans().await?;
        self.console.machines.refresh_if_set_up().await?;
        let document = self.console.desired.document();
        let generation = document.worker.map(|set| set.generation);
        let has_own_settings = !is_broken || generation == self.generation;
        let has_own_instances = !is_broken || self.has_own_instances();
        let mut changes = self.changes_back().into_iter();
        // The settings come first.
        if let Some(settings) = changes.next().filter(|_| has_own_settings) {
            self.change(settings).await?;
        }
        for instances in changes.filter(|_| has_own_instances) {
            self.change(instances).await?;
        }
        Ok(has_own_settings && has_own_instances)
    }

    /// Whether as many instances are up as this sweep wanted last.
    fn has_own_instances(&self) -> bool {
        let count = |role| spec::count(&self.console, role);
        self.applied.is_none_or(|config| {
            count(ScaledRole::Api) == config.api && count(ScaledRole::Worker) == config.workers
        })
    }

    /// The changes to what was set before: the settings, then starts, then stops.
    fn changes_back(&self) -> Vec<Change> {
        let before = &self.record.before;
        let instances = self.console.machines.listed().instances;
        let is_up = |id: &String| {
            let mut all = instances.iter();
            all.any(|of| of.id.as_str() == id && of.state.is_up())
        };
        let scaled = instances
            .iter()
            .filter(|of| of.is_scaled() && of.state.is_up());
        let up_now = scaled.map(|instance| instance.id.to_string());
        let settings = Scale {
            threads: Some(before.worker.threads),
            prefetch: Some(before.worker.prefetch),
            batch: Some(before.worker.batch),
            ..Scale::default()
        };
        let start = Scale {
            start: before.up.iter().filter(|id| !is_up(id)).cloned().collect(),
            ..Scale::default()
        };
        let stop = Scale {
            stop: up_now.filter(|id| !before.up.contains(id)).collect(),
            ..Scale::default()
        };
        let machines = [start, stop].into_iter().filter(Scale::is_of_machines);
        [settings]
            .into_iter()
            .chain(machines)
            .map(Change::Scale)
            .collect()
    }

    /// Waits for plans of instances that a restart of the console interrupted, and which it goes on with.
    async fn wait_for_own_plans(&self) -> Result<(), Error> {
        loop {
            let under_way = self.console.state.plans_under_way()?;
            if !under_way
                .iter()
                .any(|plan| matches!(plan.change, Change::Scale(_)))
            {
                return Ok(());
            }
            tokio::time::sleep(STEP).await;
        }
    }
}
