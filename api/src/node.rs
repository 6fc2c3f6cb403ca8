//! Applies the console's settings and drain requests to this node, and reports its state.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skilift_core::control::heartbeat::{Activity, ApiReport, Report};
use skilift_core::control::{ApiSettings, DesiredState, Generation, STILL_WELCOME, Status};
use skilift_core::lifecycle::TaskError;
use skilift_core::queue::Shed;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::state::{Api, ApiState};

/// The share of rides in flight that uploads may use, so that capacity remains for gates.
const UPLOADS_PART: u32 = 4;
/// Interval at which a node that rejects rides checks whether all accepted ones are answered.
const FLUSH_CHECK: Duration = Duration::from_millis(50);

/// The desired state of this node and its progress.
pub(crate) struct Node(Mutex<NodeState>);

struct NodeState {
    flags: ApiSettings,
    generation: Option<Generation>,
    drain: Option<Drain>,
    /// Whether the workers are paused.
    is_paused: bool,
}

/// A drain requested by a plan.
struct Drain {
    plan: String,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Not ready, but rides are still accepted until then.
    Welcome(Instant),
    /// Rides are rejected; accepted ones are still waiting for their confirms.
    Flushing,
    /// No ride is in flight.
    Done,
}

/// Maximum rides in flight of all uploads together.
pub(crate) fn upload_places(settings: ApiSettings) -> u32 {
    (settings.max_in_flight / UPLOADS_PART).max(1)
}

impl Node {
    pub(crate) fn new(flags: ApiSettings) -> Self {
        Self(Mutex::new(NodeState {
            flags,
            generation: None,
            drain: None,
            is_paused: false,
        }))
    }

    /// Why this node is not ready, if a plan drains it.
    pub(crate) fn why_draining(&self) -> Option<String> {
        let state = self.state();
        let drain = state.drain.as_ref()?;
        let plan = &drain.plan;
        Some(match drain.step {
            Step::Done => format!("drained by plan {plan}: rejecting all rides"),
            _ => format!("draining by plan {plan}"),
        })
    }

    /// Whether no ride is being stored, because consumption is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.state().is_paused
    }

    fn state(&self) -> MutexGuard<'_, NodeState> {
        // No holder of the lock can panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies the desired state until `end`.
pub(crate) async fn reconcile(
    api: Api,
    mut desired_state: watch::Receiver<DesiredState>,
    end: CancellationToken,
) -> Result<(), TaskError> {
    let reconciling = async {
        loop {
            let desired = desired_state.borrow_and_update().clone();
            api.apply_settings(&desired).await;
            api.apply_drain(desired.drain);
            api.node.state().is_paused = desired.is_paused;
            tokio::select! {
                changed = desired_state.changed() => if changed.is_err() {
                    // No further updates: the last state remains in force.
                    return std::future::pending::<()>().await;
                },
                () = api.finish_drain() => {}
            }
        }
    };
    let _: Option<()> = end.run_until_cancelled(reconciling).await;
    Ok(())
}

impl ApiState {
    /// Applies the console's settings, or else those of the flags.
    async fn apply_settings(&self, desired: &DesiredState) {
        let said = desired.document.as_ref().and_then(|document| document.api);
        let (settings, generation) = match said {
            None => (self.node.state().flags, None),
            Some(said) => match said.value.check() {
                Ok(()) => (said.value, Some(said.generation)),
                Err(error) => {
                    tracing::error!("the console's settings cannot be applied: {error}");
                    return;
                }
            },
        };
        let running = self.publisher.settings();
        if settings != running {
            let (before, after) = (upload_places(running), upload_places(settings));
            // The share of uploads shrinks first, so that neither uploads nor gates are rejected. The semaphore is never closed,
            // so all permits are obtained in the end.
            let fewer = before.saturating_sub(after);
            if let Ok(places) = self.upload_places.acquire_many(fewer).await {
                places.forget();
            }
            self.publisher.change(settings).await;
            self.upload_places
                .add_permits(after.saturating_sub(before) as usize);
        }
        let before = std::mem::replace(&mut self.node.state().generation, generation);
        if settings != running || before != generation {
            let ApiSettings {
                channels,
                message_rides,
                max_in_flight,
            } = settings;
            let source = match generation {
                Some(generation) => format!("console settings version {}", generation.version),
                None => "settings from flags".to_owned(),
            };
            tracing::info!(
                "{source}: publisher channels {channels}, rides per message {message_rides}, maximum rides in flight {max_in_flight}"
            );
        }
    }

    /// Starts or ends a drain.
    fn apply_drain(&self, plan: Option<String>) {
        let mut state = self.node.state();
        match (plan, &mut state.drain) {
            (None, None) => {}
            (Some(plan), Some(drain)) => drain.plan = plan,
            (Some(plan), none) => {
                tracing::info!("draining by plan {plan}: no longer ready");
                let step = Step::Welcome(Instant::now() + STILL_WELCOME);
                *none = Some(Drain { plan, step });
            }
            (None, drain) => {
                *drain = None;
                self.publisher.admission().set(Shed::Drained, false);
                tracing::info!("no longer drained");
            }
        }
    }

    /// Runs the steps of a drain; waits forever if there is no further step.
    async fn finish_drain(&self) {
        loop {
            let step = self.node.state().drain.as_ref().map(|drain| drain.step);
            let next = match step {
                None | Some(Step::Done) => return std::future::pending().await,
                Some(Step::Welcome(until)) => {
                    tokio::time::sleep_until(until).await;
                    self.publisher.admission().set(Shed::Drained, true);
                    Step::Flushing
                }
                Some(Step::Flushing) => {
                    // At least once, for a ride that was accepted just before.
                    tokio::time::sleep(FLUSH_CHECK).await;
                    if self.publisher.in_flight() > 0 {
                        continue;
                    }
                    tracing::info!("drained: all accepted rides are confirmed");
                    Step::Done
                }
            };
            if let Some(drain) = &mut self.node.state().drain {
                drain.step = next;
            }
        }
    }

    /// The heartbeat of this node; durations cover the time since the last call.
    pub(crate) fn status(&self) -> Status {
        let publisher = &self.publisher;
        let (generation, activity) = {
            let state = self.node.state();
            let activity = match &state.drain {
                _ if self.draining.is_cancelled() => Activity::Draining { plan: None },
                None => Activity::Active,
                Some(Drain { plan, step }) => {
                    let plan = plan.clone();
                    match step {
                        Step::Done => Activity::Drained { plan },
                        _ => Activity::Draining { plan: Some(plan) },
                    }
                }
            };
            (state.generation, activity)
        };
        let reasons = publisher.admission().reasons();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let report = ApiReport {
            settings: publisher.settings(),
            channels: number(publisher.channels()),
            accepted_rides: publisher.accepted(),
            refused_requests: self.statistics.refused(),
            denied_requests: self.statistics.denied(),
            unkeyed_requests: self.authorizer.unkeyed(),
            reads: self.statistics.reads(),
            in_flight_rides: publisher.in_flight() as u64,
            backlog_rides: publisher.backlog().rides(),
            shedding: reasons.map(|reason| reason.message().to_owned()).collect(),
            confirmed: publisher.confirmed(),
            post_us: self.statistics.take_ride_durations(),
            keys_serial: self.authorizer.keys_serial(),
        };
        Status {
            generation,
            activity,
            health: self.health(),
            report: Report::Api(report),
        }
    }
}
