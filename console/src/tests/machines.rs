//! Machines that start and stop when they are told to, with nodes on them that beat and follow what the console says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{BootId, ControlChannel, Heartbeat, Role};
use skilift_fleet::instance::{Instance, InstanceId, InstanceState};
use skilift_fleet::outcome::{FleetError, Outcome, OutcomeCode, Verb};
use skilift_fleet::{Fleet, FleetKind, Progress};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::harness::TestControlChannel;
use crate::registry;

/// Machines for tests.
pub(super) struct TestMachines {
    control_channel: Arc<TestControlChannel>,
    machines: Mutex<BTreeMap<InstanceId, Machine>>,
    /// What comes of those that do not do as they are told.
    pub(super) refusals: Mutex<BTreeMap<String, OutcomeCode>>,
    /// Machines whose nodes never finish what they have.
    pub(super) stubborn: Arc<Mutex<BTreeSet<String>>>,
    /// Machines whose nodes do not know where they run.
    pub(super) is_nameless: Arc<Mutex<BTreeSet<String>>>,
    /// Whether whoever asks may change nothing.
    pub(super) is_denied: AtomicBool,
    /// Whether they cannot be listed.
    /// How a listing fails, if it does.
    pub(super) away: Mutex<Option<OutcomeCode>>,
    /// Whether a start or stop panics, as a fault of ours would.
    pub(super) panics: AtomicBool,
    /// Every start and stop, in order.
    pub(super) calls: Mutex<Vec<(Verb, Vec<String>)>>,
    /// Taken by every start and stop: none goes on without.
    pub(super) gate: Semaphore,
    /// Rides a second that each worker stores, and the part of its time that it is busy with that.
    pace: (u64, f64),
}

struct Machine {
    instance: Instance,
    /// Beats for as long as it is there.
    node: JoinSet<()>,
    role: Role,
    port: u16,
}

impl TestMachines {
    /// Workers and an API node, in zones in turn; the first `up` workers and the API node run.
    pub(super) fn with_pace(
        control_channel: &Arc<TestControlChannel>,
        workers: u16,
        up: u16,
        pace: (u64, f64),
    ) -> Arc<Self> {
        let machines = Self {
            control_channel: Arc::clone(control_channel),
            machines: Mutex::default(),
            refusals: Mutex::default(),
            stubborn: Arc::default(),
            is_nameless: Arc::default(),
            is_denied: AtomicBool::new(false),
            away: Mutex::default(),
            panics: AtomicBool::new(false),
            calls: Mutex::default(),
            gate: Semaphore::new(1_000),
            pace,
        };
        let zones = ["us-east-1a", "us-east-1b", "us-east-1c"];
        machines.put(Role::Api, 100, zones[0], true);
        for number in 1..=workers {
            let zone = zones[usize::from(number - 1) % zones.len()];
            machines.put(Role::Worker, number, zone, number <= up);
        }
        Arc::new(machines)
    }

    fn put(&self, role: Role, number: u16, zone: &str, is_up: bool) {
        let id = InstanceId::new(format!("i-{number:08x}"));
        let state = if is_up {
            InstanceState::Running
        } else {
            InstanceState::Stopped
        };
        let instance = Instance {
            id: id.clone(),
            role: role.to_string(),
            name: None,
            instance_type: "c7g.large".to_owned(),
            zone: zone.to_owned(),
            state,
            reason: None,
            started_at_ms: None,
            address: None,
            is_spot: false,
            obstacle: None,
        };
        let mut machine = Machine {
            instance,
            node: JoinSet::new(),
            role,
            port: number,
        };
        if is_up {
            self.boot(&mut machine);
        }
        self.machines.lock().unwrap().insert(id, machine);
    }

    /// Changes a machine behind the console's back.
    pub(super) fn change(&self, id: &str, change: impl FnOnce(&mut Instance)) {
        let mut machines = self.machines.lock().unwrap();
        change(&mut machines.get_mut(&InstanceId::new(id)).unwrap().instance);
    }

    pub(super) fn state(&self, id: &str) -> InstanceState {
        self.machines.lock().unwrap()[&InstanceId::new(id)]
            .instance
            .state
    }

    /// Has the machine's node beat, and do as the console says.
    fn boot(&self, machine: &mut Machine) {
        let (control_channel, role, port) = (
            Arc::clone(&self.control_channel),
            machine.role,
            machine.port,
        );
        let (id, stubborn) = (machine.instance.id.to_string(), Arc::clone(&self.stubborn));
        let is_nameless = Arc::clone(&self.is_nameless);
        let (boot, began) = (BootId::random(), epoch_ms());
        let (stores, busy) = self.pace;
        machine.node.spawn(async move {
            for number in 1.. {
                let sent = epoch_ms();
                let mut beat = beat(role, port, boot, (began, sent), (stores, busy));
                beat.number = number;
                let knows_it = !is_nameless.lock().unwrap().contains(&id);
                beat.instance_id = knows_it.then(|| id.clone());
                let document = control_channel
                    .document()
                    .await
                    .ok()
                    .flatten()
                    .unwrap_or_default();
                beat.generation = match role {
                    Role::Api => document.api.map(|set| set.generation),
                    Role::Worker => document.worker.map(|set| set.generation),
                };
                if let Some(mark) = document.drain_of(&beat.node, boot, sent) {
                    let plan = mark.plan.clone();
                    beat.activity = if stubborn.lock().unwrap().contains(&id) {
                        Activity::Draining { plan: Some(plan) }
                    } else {
                        Activity::Drained { plan }
                    };
                }
                let _ = control_channel.send_heartbeat(&beat).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }

    async fn carry_out(&self, verb: Verb, ids: &[InstanceId]) -> Vec<Outcome> {
        assert!(!self.panics.load(Ordering::Relaxed), "a fault, for a test");
        let named = ids.iter().map(ToString::to_string).collect();
        self.calls.lock().unwrap().push((verb, named));
        let _passed = self.gate.acquire().await.unwrap();
        let mut machines = self.machines.lock().unwrap();
        let outcome = |id: &InstanceId| {
            let refusal = self.refusals.lock().unwrap().get(id.as_str()).copied();
            let code = match (refusal, machines.get_mut(id)) {
                (Some(code), _) => code,
                (None, None) => OutcomeCode::NotFound,
                (None, Some(machine)) => {
                    let wanted = match verb {
                        Verb::Start => InstanceState::Running,
                        Verb::Stop => InstanceState::Stopped,
                    };
                    let was = std::mem::replace(&mut machine.instance.state, wanted);
                    if was == wanted {
                        OutcomeCode::Already
                    } else {
                        match verb {
                            Verb::Start => self.boot(machine),
                            Verb::Stop => machine.node.abort_all(),
                        }
                        OutcomeCode::Done
                    }
                }
            };
            Outcome {
                id: id.clone(),
                code,
                message: format!("{code:?}, for a test"),
            }
        };
        ids.iter().map(outcome).collect()
    }
}

fn beat(
    role: Role,
    port: u16,
    boot: BootId,
    (began, sent): (u64, u64),
    (stores, busy): (u64, f64),
) -> Heartbeat {
    // As if it had been at it for a while.
    let ran_ms = sent - began + 60_000;
    let rides = stores * ran_ms / 1_000;
    match role {
        Role::Api => {
            let mut beat = registry::tests::api(port, boot, began, sent, rides);
            if let Report::Api(report) = &mut beat.report {
                report.accepted_rides = rides;
            }
            beat
        }
        Role::Worker => {
            let mut beat = registry::tests::worker(port, boot, began, sent, rides / 10);
            if let Report::Worker(report) = &mut beat.report {
                report.busy_ms = (ran_ms as f64 * busy) as u64;
            }
            beat
        }
    }
}

#[async_trait]
impl Fleet for TestMachines {
    fn kind(&self) -> FleetKind {
        FleetKind::Ec2 {
            region: Some("us-east-1".to_owned()),
        }
    }

    async fn list(&self) -> Result<Vec<Instance>, FleetError> {
        if let Some(code) = *self.away.lock().unwrap() {
            return Err(FleetError {
                code,
                message: "away, for a test".to_owned(),
            });
        }
        let machines = self.machines.lock().unwrap();
        Ok(machines.values().map(|of| of.instance.clone()).collect())
    }

    async fn preflight(&self, verb: Verb, _: &[InstanceId]) -> Result<(), FleetError> {
        if self.is_denied.load(Ordering::Relaxed) {
            return Err(FleetError {
                code: OutcomeCode::Denied,
                message: format!("may not {verb}, for a test"),
            });
        }
        Ok(())
    }

    async fn start(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome> {
        ids.iter().for_each(|id| progress(id, "pending".to_owned()));
        self.carry_out(Verb::Start, ids).await
    }

    async fn stop(&self, ids: &[InstanceId], _: Progress<'_>) -> Vec<Outcome> {
        self.carry_out(Verb::Stop, ids).await
    }
}
