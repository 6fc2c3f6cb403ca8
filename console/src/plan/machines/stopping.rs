//! Stops: each instance when its nodes are drained, unless it turns out to be needed.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use skilift_fleet::FleetKind;
use skilift_fleet::instance::{Instance, InstanceId};
use tokio::time::{Instant, sleep};

use super::draining::Marks;
use super::{DRAIN_TIMEOUT_S, Run, START, STOP};
use crate::fleet::up;
use crate::plan::job_runner::is_made_good;
use crate::roster::Known;
use crate::view::change::{Count, ScaledRole};
use crate::view::plan::StepCode;

/// Polling interval for the drain progress of the nodes.
const INTERVAL: Duration = Duration::from_millis(500);

/// An instance, and the position of its step.
type Placed = (usize, InstanceId);

impl Run {
    /// Stops the instances of the plan after their nodes are drained.
    pub(super) async fn stop_all(&self) {
        let mut open = self.open(STOP);
        if open.is_empty() {
            return;
        }
        self.hold_back(&mut open).await;
        for (place, _) in &open {
            self.journal.tell(*place, "draining");
        }
        self.journal.write().await;
        let limit = Instant::now() + Duration::from_secs(self.drain_timeout_s().into());
        let (mut stopping, mut stops) = (Vec::<Placed>::new(), FuturesUnordered::new());
        let mut marks = Marks::default();
        while !open.is_empty() || !stops.is_empty() {
            if self.cancel.is_cancelled() && !open.is_empty() {
                for (place, _) in open.drain(..) {
                    let why = "cancelled while draining; its node keeps working";
                    self.journal.fail(place, StepCode::Cancelled, why);
                }
                self.journal.write().await;
            }
            let known = self.console.roster.known();
            let drained = self.take_drained(&mut open, &known, limit);
            stopping.extend(drained.iter().cloned());
            // A stop may take longer than the lease. A node whose stop failed, or that did not drain in time, resumes work
            // at once.
            let on = open.iter().chain(&stopping).map(|(_, id)| id);
            self.renew(&mut marks, &known, on).await;
            if !drained.is_empty() {
                self.journal.write().await;
                stops.push(self.stop(drained));
            }
            tokio::select! {
                Some(ended) = stops.next() => {
                    stopping.retain(|placed| !ended.contains(placed));
                    self.journal.write().await;
                }
                () = sleep(INTERVAL) => {}
                () = self.cancel.cancelled(), if !open.is_empty() => {}
            }
        }
        self.unmark().await;
        self.journal.write().await;
    }

    fn drain_timeout_s(&self) -> u32 {
        self.scale.drain_timeout_s.unwrap_or(DRAIN_TIMEOUT_S)
    }

    /// Keeps instances running that must no longer be stopped because starts failed or the console was down.
    async fn hold_back(&self, open: &mut Vec<Placed>) {
        let listed = self.console.machines.refresh().await;
        // The plan may have been cancelled meanwhile.
        open.retain(|(place, _)| self.journal.is_open(*place));
        let instances = match listed {
            Ok(instances) => instances,
            Err(error) => {
                for (place, _) in open.drain(..) {
                    self.journal.fail(
                        place,
                        StepCode::Unreachable,
                        format!("left running: {}", error.message()),
                    );
                }
                return;
            }
        };
        let find = |id: &InstanceId| instances.iter().find(|instance| instance.id == *id);
        open.retain(|(place, id)| {
            // An instance that is not up is not drained; the fleet reports its state.
            let objection = find(id)
                .filter(|instance| instance.state.is_up())
                .and_then(|instance| self.objection(instance));
            if let Some((code, why)) = &objection {
                self.journal.fail(*place, *code, why.clone());
            }
            objection.is_none()
        });
        for role in [ScaledRole::Api, ScaledRole::Worker] {
            let can_stop = up(&instances, role)
                .count()
                .saturating_sub(self.least(role));
            let mut stops = 0;
            open.retain(|(place, id)| {
                if !up(&instances, role).any(|instance| instance.id == *id) {
                    return true;
                }
                stops += 1;
                if stops > can_stop {
                    let why = "left running: fewer instances of its role run than when this was planned; create a new plan";
                    self.journal.fail(*place, StepCode::Refused, why);
                }
                stops <= can_stop
            });
        }
    }

    /// How many instances of a role must stay up.
    fn least(&self, role: ScaledRole) -> usize {
        let wanted = self.scale.roles.iter().find(|wanted| wanted.role == role);
        match wanted.map(|wanted| wanted.count) {
            Some(Count::To(count)) => count as usize,
            _ => usize::from(!self.scale.allow_zero),
        }
    }

    /// Why a running instance must not be stopped.
    fn objection(&self, instance: &Instance) -> Option<(StepCode, String)> {
        if let Some(obstacle) = &instance.obstacle {
            return Some((StepCode::Obstacle, obstacle.to_string()));
        }
        let steps = self.journal.steps();
        let is_of_role = |machine: &str| machine == instance.role;
        let failed = steps.iter().find(|step| {
            let machine = step.action.instance.as_ref();
            step.action.action == START
                && machine.is_some_and(|machine| is_of_role(&machine.role))
                && !is_made_good(step, &steps)
        });
        if let Some(failed) = failed {
            let why = format!("left running: {} did not start", failed.action.target);
            return Some((StepCode::Refused, why));
        }
        // Child processes restart together with the console.
        let fleet = self.console.machines.fleet().ok()?;
        let is_child = fleet.kind() == FleetKind::Local;
        let is_anew = instance
            .started_at_ms
            .is_some_and(|at| at > self.planned_at_ms);
        (self.is_resumed && is_anew && !is_child).then(|| {
            let why = "left running: it was started after this was planned; create a new plan";
            (StepCode::Refused, why.to_owned())
        })
    }

    /// Removes and returns the instances whose nodes are drained, and those that are stopped anyway.
    fn take_drained(&self, open: &mut Vec<Placed>, known: &Known, limit: Instant) -> Vec<Placed> {
        let timeout_s = self.drain_timeout_s();
        let is_over = Instant::now() >= limit;
        let mut drained = Vec::new();
        open.retain(|(place, id)| {
            let Some(how) = self.is_busy(known, id) else {
                self.journal.tell(*place, "drained");
                drained.push((*place, id.clone()));
                return false;
            };
            if is_over && self.scale.stop_anyway {
                let how = format!("{how} after {timeout_s} s; stopping anyway");
                self.journal.tell(*place, how);
                drained.push((*place, id.clone()));
                return false;
            }
            if is_over {
                let why = format!(
                    "{how} after {timeout_s} s; it keeps working. Use --drain-timeout to wait longer, or --stop-anyway to stop it regardless"
                );
                self.journal.fail(*place, StepCode::NotDrained, why);
                return false;
            }
            self.journal.tell(*place, format!("draining: {how}"));
            true
        });
        drained
    }

    /// Stops these instances and returns them.
    async fn stop(&self, drained: Vec<Placed>) -> Vec<Placed> {
        let Ok(fleet) = self.console.machines.fleet() else {
            return drained;
        };
        let ids: Vec<InstanceId> = drained.iter().map(|(_, id)| id.clone()).collect();
        let place_of = |id: &InstanceId| drained.iter().find(|(_, of)| of == id).map(|(at, _)| *at);
        let progress = |id: &InstanceId, how: String| {
            if let Some(place) = place_of(id) {
                self.journal.tell(place, how);
            }
        };
        let outcomes = fleet.stop(&ids, &progress).await;
        for outcome in &outcomes {
            let Some(place) = place_of(&outcome.id) else {
                continue;
            };
            let (code, message) = self.already(outcome);
            if outcome.code.is_good() {
                self.journal.done(place, code, Some(message));
            } else {
                self.journal.fail(place, code, message);
            }
        }
        drained
    }
}
