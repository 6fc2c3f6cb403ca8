//! When nodes and queue are ready for a measurement, and whether a user disturbs it.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use skilift_core::clock::epoch_ms;
use skilift_core::control::Role;
use skilift_tuning::sweep::Config;

use super::job::{End, Failure, Job, STEP};
use crate::view::change::ScaledRole;
use crate::view::figures::counted;
use crate::view::nodes::NodeState;
use crate::view::settings::Section;

/// How long nodes may take to run new settings.
const FOLLOW: Duration = Duration::from_secs(60);
/// A queue with at most this many rides, or a tenth of a second of what arrives, counts as empty.
const EMPTY_RIDES: f64 = 100.0;
const EMPTY_S: f64 = 0.1;

impl Job {
    /// Waits until every node runs the settings.
    pub(super) async fn wait_for_nodes(&self, config: Config) -> Result<(), Failure> {
        let began = Instant::now();
        while let Some(why) = self.unready(config) {
            self.check_lease()?;
            if began.elapsed() > FOLLOW {
                return Err(Failure::Again(why));
            }
            self.pause(STEP).await?;
        }
        Ok(())
    }

    /// What is missing before all nodes run the settings of a configuration.
    fn unready(&self, config: Config) -> Option<String> {
        let document = self.console.desired.document();
        let wanted = document.worker.map(|set| set.generation);
        let known = self.console.roster.known();
        if !known.is_complete {
            return Some("heartbeats of the nodes are missing".to_owned());
        }
        let nodes = known.nodes.iter().filter(|node| !node.is_gone);
        for (role, count) in [(Role::Api, config.api), (Role::Worker, config.workers)] {
            let of_role = nodes.clone().filter(|node| node.role == role);
            let ready = of_role.filter(|node| {
                matches!(node.state, NodeState::Ready | NodeState::Degraded)
                    && (role == Role::Api || node.generation == wanted)
            });
            let ready = ready.count();
            if ready != count as usize {
                return Some(format!(
                    "{ready} of {} ready with the settings",
                    counted(
                        count.into(),
                        &format!("{role} node is"),
                        &format!("{role} nodes are")
                    )
                ));
            }
        }
        None
    }

    /// Waits until the queue is empty, and returns how long that took.
    pub(super) async fn wait_for_empty_queue(&self) -> Result<Duration, Failure> {
        let (began, limit_s) = (Instant::now(), self.record.spec.drain_timeout_s);
        loop {
            let backlog = self.backlog();
            if self.is_empty(backlog) {
                return Ok(began.elapsed());
            }
            if began.elapsed() > Duration::from_secs(limit_s.into()) {
                return Err(match backlog {
                    Some(rides) => Failure::Point(format!(
                        "{} were still queued after {limit_s} s",
                        counted(rides, "ride", "rides")
                    )),
                    None => Failure::Again("the backlog is unknown".to_owned()),
                });
            }
            self.check_lease()?;
            self.pause(STEP).await?;
        }
    }

    /// Rides that are queued, if known.
    pub(super) fn backlog(&self) -> Option<u64> {
        self.console.monitor.latest()?.queue.backlog_rides.value
    }

    fn is_empty(&self, backlog: Option<u64>) -> bool {
        let publish = self
            .console
            .monitor
            .latest()
            .and_then(|seen| seen.queue.rates.publish_per_s.value);
        let empty = (publish.unwrap_or_default() * EMPTY_S).max(EMPTY_RIDES);
        backlog.is_some_and(|rides| rides as f64 <= empty)
    }

    /// Ends the sweep if a user changed what it measures, and says who.
    pub(super) fn check_lease(&self) -> Result<(), End> {
        let broken_by = self.control.broken_by.lock();
        if let Some(by) = &*broken_by.unwrap_or_else(PoisonError::into_inner) {
            return Err(End::Broken(format!("{by} changed what it measures")));
        }
        let document = self.console.desired.document();
        if let Some(pause) = document.pause_at(epoch_ms()) {
            return Err(End::Broken(format!(
                "{} paused consumption",
                pause.paused_by
            )));
        }
        let generation = document.worker.map(|set| set.generation);
        if self.generation.is_none() || generation == self.generation {
            return Ok(());
        }
        let version = generation.map_or(0, |generation| generation.version);
        let found = self.console.state.version(Section::Worker, version);
        let by = found.ok().flatten().map(|found| match found.plan {
            Some(plan) => format!("{} ({plan})", found.by),
            None => found.by,
        });
        let by = by.unwrap_or_else(|| "an unknown user".to_owned());
        Err(End::Broken(format!("{by} changed the worker settings")))
    }

    /// Ends the measurement if instances were started or stopped meanwhile.
    pub(super) fn check_counts(&self, config: Config) -> Result<(), Failure> {
        for (role, wanted) in [
            (ScaledRole::Api, config.api),
            (ScaledRole::Worker, config.workers),
        ] {
            let up = super::spec::count(&self.console, role);
            if up != wanted {
                return Err(Failure::Again(format!(
                    "{up} instead of {wanted} {role} nodes run"
                )));
            }
        }
        Ok(())
    }
}
