//! A simulated EC2 that follows a script, on tokio's clock: slow, delayed, partial or missing effects of the real one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use super::call::{CallError, Checks, Ec2, Seen};
use skilift_fleet::instance::{Instance, InstanceId, InstanceState, Obstacle, StateReason};
use skilift_fleet::outcome::Verb;

/// The stack of the instances.
pub(super) const STACK: &str = "test";

/// The behaviour of one call, in the order of the script.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// According to the states of the instances.
    Natural,
    /// The error of this code, with no effect.
    Refuse(&'static str),
    /// It is done, but the response is lost.
    CutAfter,
    /// It is not done, and the response is lost.
    CutBefore,
    /// The connection could not be made.
    NotSent,
    /// It is done after this delay.
    Delay(Duration),
}

/// An instance and its behaviour.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) seen: Seen,
    /// How long a state transition takes.
    pub(super) moves_for: Duration,
    /// How long descriptions show the previous state.
    pub(super) stale_for: Duration,
    /// How long EC2's status checks take; `None` if they never pass.
    pub(super) checks_for: Option<Duration>,
    /// The state after a failed start.
    pub(super) falls_back: Option<(InstanceState, &'static str)>,
    /// The error of every single call for it, and how many times.
    pub(super) refusals: (&'static str, u32),
    /// Whether it has stop protection.
    pub(super) is_protected: bool,
    /// When it is terminated from outside.
    pub(super) removed_after: Option<Duration>,
    /// Starts and stops that had an effect.
    pub(super) effects: Vec<Verb>,
    due: Option<(Instant, InstanceState, Option<StateReason>)>,
    stale: Option<(Instant, Instance)>,
    runs_since: Option<Instant>,
    born: Instant,
}

impl Machine {
    /// A worker in a state.
    pub(super) fn new(number: u32, state: InstanceState) -> Self {
        let id = InstanceId::new(format!("i-{number:08x}"));
        let reason =
            (state == InstanceState::Stopped).then(|| reason("Client.UserInitiatedShutdown"));
        Self {
            seen: Seen {
                stack: Some(STACK.to_owned()),
                instance: Instance {
                    id,
                    role: "worker".to_owned(),
                    name: None,
                    instance_type: "c7g.large".to_owned(),
                    zone: "us-east-1a".to_owned(),
                    state,
                    reason,
                    started_at_ms: None,
                    address: None,
                    is_spot: false,
                    obstacle: None,
                },
            },
            moves_for: Duration::from_secs(8),
            stale_for: Duration::ZERO,
            checks_for: Some(Duration::from_secs(30)),
            falls_back: None,
            refusals: ("", 0),
            is_protected: false,
            removed_after: None,
            effects: Vec::new(),
            due: None,
            stale: None,
            runs_since: None,
            born: Instant::now(),
        }
    }

    pub(super) fn id(&self) -> InstanceId {
        self.seen.instance.id.clone()
    }

    pub(super) fn state(&self) -> InstanceState {
        self.seen.instance.state
    }

    pub(super) fn in_zone(mut self, zone: &str) -> Self {
        zone.clone_into(&mut self.seen.instance.zone);
        self
    }

    pub(super) fn with_obstacle(mut self, obstacle: Obstacle) -> Self {
        self.seen.instance.obstacle = Some(obstacle);
        self
    }

    /// In transition to another state, as if requested from outside.
    pub(super) fn on_its_way(mut self, to: InstanceState) -> Self {
        self.due = Some((Instant::now() + self.moves_for, to, None));
        self
    }

    fn advance(&mut self, now: Instant) {
        if self
            .removed_after
            .is_some_and(|after| now >= self.born + after)
        {
            self.set(
                InstanceState::Terminated,
                Some(reason("Client.UserInitiatedShutdown")),
            );
            self.due = None;
        }
        if let Some((at, state, why)) = self.due.clone()
            && now >= at
        {
            self.due = None;
            self.set(state, why);
            self.runs_since = (state == InstanceState::Running).then_some(at);
        }
    }

    fn set(&mut self, state: InstanceState, why: Option<StateReason>) {
        self.seen.instance.state = state;
        self.seen.instance.reason = why;
    }

    /// Performs the action; does nothing if already in that state.
    fn act(&mut self, verb: Verb, now: Instant) {
        let (from, on_its_way) = match verb {
            Verb::Start => (InstanceState::Stopped, InstanceState::Pending),
            Verb::Stop => (InstanceState::Running, InstanceState::Stopping),
        };
        if self.state() != from {
            return;
        }
        self.effects.push(verb);
        self.stale = Some((now + self.stale_for, self.seen.instance.clone()));
        self.set(on_its_way, None);
        let (to, why) = match (verb, self.falls_back) {
            (Verb::Start, Some((to, why))) => (to, Some(reason(why))),
            (Verb::Start, None) => (InstanceState::Running, None),
            (Verb::Stop, _) => (
                InstanceState::Stopped,
                Some(reason("Client.UserInitiatedShutdown")),
            ),
        };
        self.due = Some((now + self.moves_for, to, why));
    }

    /// EC2's error for this action in its state.
    fn objection(&mut self, verb: Verb) -> Option<CallError> {
        if self.refusals.1 > 0 {
            self.refusals.1 -= 1;
            return Some(refused(self.refusals.0));
        }
        let is_wrong = match verb {
            Verb::Start => self.state().is_gone() || self.state() == InstanceState::Stopping,
            Verb::Stop => self.state().is_gone() || self.state() == InstanceState::Pending,
        };
        is_wrong.then(|| refused("IncorrectInstanceState"))
    }
}

/// A simulated EC2 that follows a script.
pub(super) struct Scripted {
    pub(super) world: Mutex<World>,
}

/// All instances, and the recorded calls.
#[derive(Default)]
pub(super) struct World {
    pub(super) machines: BTreeMap<InstanceId, Machine>,
    /// The behaviour of the next calls that change something; later ones are natural.
    pub(super) turns: Vec<Turn>,
    /// The behaviour of the next descriptions.
    pub(super) looks: Vec<Turn>,
    /// Calls that change something.
    pub(super) calls: Vec<Sent>,
    /// Number of description calls.
    looks_taken: usize,
}

/// A call that changes something.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) verb: Verb,
    pub(super) ids: Vec<InstanceId>,
    /// Whether EC2 accepted it.
    pub(super) is_accepted: bool,
    /// Number of description calls before it.
    pub(super) looks_before: usize,
}

impl Scripted {
    pub(super) fn new(machines: impl IntoIterator<Item = Machine>) -> Self {
        let machines = machines.into_iter().map(|machine| (machine.id(), machine));
        Self {
            world: Mutex::new(World {
                machines: machines.collect(),
                ..World::default()
            }),
        }
    }

    pub(super) fn with<T>(&self, ask: impl FnOnce(&mut World) -> T) -> T {
        ask(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn look(&self) -> Result<(), CallError> {
        let turn = self.with(|world| world.looks.pop());
        match turn {
            Some(Turn::Refuse(code)) => Err(refused(code)),
            Some(Turn::CutAfter | Turn::CutBefore) => Err(cut()),
            Some(Turn::NotSent) => Err(CallError::NotSent("connection refused".to_owned())),
            Some(Turn::Delay(time)) => {
                sleep(time).await;
                Ok(())
            }
            Some(Turn::Natural) | None => Ok(()),
        }
    }
}

#[async_trait]
impl Ec2 for Scripted {
    async fn describe_stack(&self) -> Result<Vec<Seen>, CallError> {
        self.look().await?;
        Ok(self.with(|world| {
            let machines = world.machines.values();
            machines.map(|machine| machine.seen.clone()).collect()
        }))
    }

    async fn describe(&self, ids: &[InstanceId]) -> Result<Vec<Seen>, CallError> {
        self.look().await?;
        self.with(|world| world.looks_taken += 1);
        let now = Instant::now();
        Ok(self.with(|world| {
            let machines = world.machines.values_mut();
            let asked = machines.filter(|machine| ids.contains(&machine.id()));
            let seen = asked.map(|machine| {
                machine.advance(now);
                let mut seen = machine.seen.clone();
                if let Some((until, before)) = &machine.stale
                    && now < *until
                {
                    seen.instance = before.clone();
                }
                seen
            });
            seen.collect()
        }))
    }

    async fn statuses(&self, ids: &[InstanceId]) -> Result<Vec<(InstanceId, Checks)>, CallError> {
        self.look().await?;
        let now = Instant::now();
        Ok(self.with(|world| {
            let machines = world.machines.values();
            let asked = machines.filter(|machine| ids.contains(&machine.id()));
            let running = asked.filter_map(|machine| {
                let since = machine.runs_since.unwrap_or(machine.born);
                let checks = match machine.checks_for {
                    None => Checks::Impaired,
                    Some(time) if now >= since + time => Checks::Ok,
                    Some(_) => Checks::Initializing,
                };
                Some((machine.id(), checks)).filter(|_| machine.state() == InstanceState::Running)
            });
            running.collect()
        }))
    }

    async fn change(&self, verb: Verb, ids: &[InstanceId], dry_run: bool) -> Result<(), CallError> {
        let turn = self
            .with(|world| world.turns.pop())
            .unwrap_or(Turn::Natural);
        if let Turn::Delay(time) = turn {
            sleep(time).await;
        }
        let now = Instant::now();
        self.with(|world| {
            let outcome = match turn {
                Turn::Refuse(code) => Err(refused(code)),
                Turn::NotSent => Err(CallError::NotSent("connection refused".to_owned())),
                Turn::CutBefore => Err(cut()),
                _ if dry_run => Err(refused("DryRunOperation")),
                Turn::CutAfter => world.change(verb, ids, now).and(Err(cut())),
                Turn::Natural | Turn::Delay(_) => world.change(verb, ids, now),
            };
            if !dry_run {
                let looks_before = world.looks_taken;
                world.calls.push(Sent {
                    verb,
                    ids: ids.to_vec(),
                    is_accepted: outcome.is_ok(),
                    looks_before,
                });
            }
            outcome
        })
    }
}

impl World {
    /// EC2's behaviour: it does nothing for the whole batch if one id is invalid, except for stop protection, which it
    /// detects while processing.
    fn change(&mut self, verb: Verb, ids: &[InstanceId], now: Instant) -> Result<(), CallError> {
        for id in ids {
            let machine = self.machines.get_mut(id);
            let machine = machine.ok_or_else(|| refused("InvalidInstanceID.NotFound"))?;
            machine.advance(now);
            if let Some(objection) = machine.objection(verb) {
                return Err(objection);
            }
        }
        for id in ids {
            let Some(machine) = self.machines.get_mut(id) else {
                continue;
            };
            if verb == Verb::Stop && machine.is_protected {
                return Err(refused("OperationNotPermitted"));
            }
            machine.act(verb, now);
        }
        Ok(())
    }
}

fn refused(code: &str) -> CallError {
    CallError::Refused {
        code: code.to_owned(),
        message: "EC2's own words".to_owned(),
    }
}

fn cut() -> CallError {
    CallError::Unknown("the connection was closed".to_owned())
}

fn reason(code: &str) -> StateReason {
    StateReason {
        code: code.to_owned(),
        message: format!("{code}: EC2's own words"),
    }
}
