//! The instances of a region, and what starting and stopping makes of them.
//!
//! A state machine without a clock: each call is given the time, and writes down what will happen when. What is described is
//! what was so some time before.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::instance::{Ec2Instance, Ec2Spot, Ec2State};
use super::refusal::Refusal;

/// How long things take in an [`Ec2Stub`](super::Ec2Stub). Real ones take up to minutes; by default they take a moment here.
#[derive(Clone, Copy, Debug)]
pub struct Ec2Timings {
    /// From pending to running, and from shutting down to terminated.
    pub pending: Duration,
    /// From stopping to stopped.
    pub stopping: Duration,
    /// For how long the status checks of an instance that has come to run say "initializing".
    pub initializing: Duration,
    /// For how long a describe shows what was so before a change.
    pub lag: Duration,
    /// For how long after its stop a Spot request is still in the wrong state for a start.
    pub spot_settling: Duration,
}

impl Default for Ec2Timings {
    fn default() -> Self {
        Self {
            pending: Duration::from_millis(100),
            stopping: Duration::from_millis(100),
            initializing: Duration::from_millis(100),
            lag: Duration::from_millis(50),
            spot_settling: Duration::from_millis(100),
        }
    }
}

/// The instances of a region.
#[derive(Debug)]
pub(super) struct Region {
    timings: Ec2Timings,
    pub(super) machines: BTreeMap<String, Machine>,
    /// How many more of a type may be started in a zone, where that is limited.
    free: HashMap<(String, String), usize>,
    /// How many instances there have been, for their addresses.
    count: u32,
}

/// An instance with its past and what is to come.
#[derive(Debug)]
pub(super) struct Machine {
    /// What does not change by itself; its state is the one the history begins with.
    pub(super) facts: Ec2Instance,
    pub(super) number: u32,
    /// By time, never empty.
    history: Vec<Change>,
}

/// From when an instance is in a state, and why.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// None: from the beginning.
    pub(super) at: Option<Instant>,
    pub(super) state: Ec2State,
    /// The code of its `StateReason`.
    pub(super) reason: Option<String>,
    /// When it was started last; none: before this began.
    pub(super) launched: Option<Instant>,
}

/// What was done to one instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Transition {
    pub(super) id: String,
    pub(super) previous: Ec2State,
    pub(super) current: Ec2State,
}

/// What came of a call, and what it changed, which can be something although it was refused.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) result: Result<Vec<Transition>, Refusal>,
    pub(super) changed: Vec<String>,
}

impl Effect {
    pub(super) fn refused(refusal: Refusal) -> Self {
        Self {
            result: Err(refusal),
            changed: Vec::new(),
        }
    }
}

impl Machine {
    /// How it is at a time.
    pub(super) fn at(&self, now: Instant) -> &Change {
        let past = self.history.iter().rev();
        let mut past = past.filter(|change| change.at.is_none_or(|at| at <= now));
        past.next().unwrap_or(&self.history[0])
    }

    /// Writes down what happens from now on, in place of what would have.
    fn plan(&mut self, now: Instant, changes: impl IntoIterator<Item = Change>) {
        self.history
            .retain(|change| change.at.is_none_or(|at| at <= now));
        self.history.extend(changes);
    }
}

impl Region {
    pub(super) fn new(timings: Ec2Timings) -> Self {
        Self {
            timings,
            machines: BTreeMap::new(),
            free: HashMap::new(),
            count: 0,
        }
    }

    pub(super) fn timings(&self) -> &Ec2Timings {
        &self.timings
    }

    /// Adds an instance or replaces it; the change is visible immediately.
    pub(super) fn put(&mut self, facts: Ec2Instance) {
        self.count += 1;
        let beginning = Change {
            at: None,
            state: facts.state,
            reason: facts.state_reason.clone().or_else(|| {
                let interrupted = facts.spot == Some(Ec2Spot::Interrupted);
                interrupted.then(|| "Server.SpotInstanceShutdown".to_owned())
            }),
            launched: None,
        };
        let machine = Machine {
            number: self
                .machines
                .get(&facts.id)
                .map_or(self.count, |old| old.number),
            history: vec![beginning],
            facts,
        };
        self.machines.insert(machine.facts.id.clone(), machine);
    }

    /// The current state of an instance.
    pub(super) fn instance(&self, id: &str, now: Instant) -> Option<Ec2Instance> {
        let machine = self.machines.get(id)?;
        let change = machine.at(now);
        Some(Ec2Instance {
            state: change.state,
            state_reason: change.reason.clone(),
            ..machine.facts.clone()
        })
    }

    /// Changes an instance as another client would. A new state takes effect immediately and cancels planned transitions.
    pub(super) fn change(&mut self, id: &str, now: Instant, change: impl FnOnce(&mut Ec2Instance)) {
        let Some(before) = self.instance(id, now) else {
            return;
        };
        let mut after = before.clone();
        change(&mut after);
        if (before.state, &before.state_reason) != (after.state, &after.state_reason) {
            self.put(after);
        } else if let Some(machine) = self.machines.get_mut(id) {
            machine.facts = after;
        }
    }

    pub(super) fn limit(&mut self, instance_type: &str, zone: &str, free: Option<usize>) {
        let place = (instance_type.to_owned(), zone.to_owned());
        match free {
            Some(free) => self.free.insert(place, free),
            None => self.free.remove(&place),
        };
    }

    pub(super) fn clear_limits(&mut self) {
        self.free.clear();
    }

    /// Refuses malformed and unknown IDs.
    pub(super) fn check_ids(&self, ids: &[String]) -> Result<(), Refusal> {
        if let Some(id) = ids.iter().find(|id| !is_well_formed(id)) {
            return Err(Refusal::malformed(id));
        }
        let unknown = ids.iter().map(String::as_str);
        let unknown: Vec<&str> = unknown
            .filter(|id| !self.machines.contains_key(*id))
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Refusal::not_found(&unknown))
        }
    }

    /// Starts all of them or none. Those in `falling` fall back with the reason that goes with them.
    pub(super) fn start(
        &mut self,
        ids: &[String],
        falling: &HashMap<String, String>,
        now: Instant,
    ) -> Effect {
        if let Err(refusal) = self.may_start(ids, now) {
            return Effect::refused(refusal);
        }
        let timings = self.timings;
        self.apply(ids, now, |machine, before| {
            if before.state != Ec2State::Stopped {
                return Vec::new();
            }
            let next = falling
                .get(&machine.id)
                .map_or((Ec2State::Running, None), |reason| {
                    (Ec2State::Stopped, Some(reason.clone()))
                });
            let changes = [
                (Duration::ZERO, (Ec2State::Pending, None)),
                (timings.pending, next),
            ];
            let changes = changes.map(|(after, (state, reason))| Change {
                at: Some(now + after),
                state,
                reason,
                launched: Some(now),
            });
            changes.to_vec()
        })
    }

    fn may_start(&mut self, ids: &[String], now: Instant) -> Result<(), Refusal> {
        self.check_ids(ids)?;
        let mut needed: HashMap<(String, String), usize> = HashMap::new();
        for (id, machine) in self.named(ids) {
            let change = machine.at(now);
            match change.state {
                Ec2State::Pending | Ec2State::Running => continue,
                Ec2State::Stopped => {}
                _ => return Err(Refusal::not_startable(id)),
            }
            let settles = change
                .at
                .is_some_and(|at| now < at + self.timings.spot_settling);
            match machine.facts.spot {
                Some(Ec2Spot::Interrupted) => return Err(Refusal::spot_request_state(id)),
                Some(_) if settles => return Err(Refusal::spot_request_state(id)),
                _ => {}
            }
            *needed.entry(place(&machine.facts)).or_default() += 1;
        }
        let lacks = |(place, needed): (&(String, String), &usize)| {
            self.free.get(place).is_some_and(|free| free < needed)
        };
        if needed.iter().any(lacks) {
            return Err(Refusal::usual("InsufficientInstanceCapacity"));
        }
        for (place, needed) in needed {
            self.free.entry(place).and_modify(|free| *free -= needed);
        }
        Ok(())
    }

    /// Stops all of them or none; only stop protection is noticed so late that those named before are stopped already.
    pub(super) fn stop(&mut self, ids: &[String], now: Instant) -> Effect {
        if let Err(refusal) = self.may_stop(ids, now) {
            return Effect::refused(refusal);
        }
        let protected = self.named(ids).position(|(_, machine)| {
            machine.facts.stop_protected && machine.at(now).state == Ec2State::Running
        });
        let timings = self.timings;
        let before_it = &ids[..protected.unwrap_or(ids.len())];
        let mut effect = self.apply(before_it, now, |machine, before| {
            if before.state != Ec2State::Running {
                return Vec::new();
            }
            let stopped = timings.stopping;
            let mut changes = vec![
                (Duration::ZERO, Ec2State::Stopping),
                (stopped, Ec2State::Stopped),
            ];
            if machine.in_auto_scaling_group() {
                changes.push((stopped + timings.pending, Ec2State::ShuttingDown));
                changes.push((stopped + 2 * timings.pending, Ec2State::Terminated));
            }
            let changes = changes.into_iter().map(|(after, state)| Change {
                at: Some(now + after),
                state,
                reason: Some("Client.UserInitiatedShutdown".to_owned()),
                launched: before.launched,
            });
            changes.collect()
        });
        for id in &effect.changed {
            let place = place(&self.machines[id].facts);
            self.free.entry(place).and_modify(|free| *free += 1);
        }
        if let Some(index) = protected {
            effect.result = Err(Refusal::stop_protected(&ids[index]));
        }
        effect
    }

    fn may_stop(&self, ids: &[String], now: Instant) -> Result<(), Refusal> {
        self.check_ids(ids)?;
        for (id, machine) in self.named(ids) {
            match machine.at(now).state {
                Ec2State::Stopped => continue,
                Ec2State::Running | Ec2State::Stopping => {}
                _ => return Err(Refusal::not_stoppable(id)),
            }
            if machine.facts.instance_store {
                return Err(Refusal::instance_store(id));
            }
            if machine.facts.spot == Some(Ec2Spot::OneTime) {
                return Err(Refusal::one_time_spot(id));
            }
        }
        Ok(())
    }

    /// The machines of `ids`, which are known to exist.
    fn named<'a>(&'a self, ids: &'a [String]) -> impl Iterator<Item = (&'a str, &'a Machine)> {
        ids.iter().map(|id| (id.as_str(), &self.machines[id]))
    }

    fn apply(
        &mut self,
        ids: &[String],
        now: Instant,
        plan: impl Fn(&Ec2Instance, &Change) -> Vec<Change>,
    ) -> Effect {
        let mut changed = Vec::new();
        let mut transitions = Vec::new();
        for id in ids {
            let Some(machine) = self.machines.get_mut(id) else {
                continue;
            };
            let before = machine.at(now).clone();
            let changes = plan(&machine.facts, &before);
            if !changes.is_empty() {
                changed.push(id.clone());
                machine.plan(now, changes);
            }
            transitions.push(Transition {
                id: id.clone(),
                previous: before.state,
                current: machine.at(now).state,
            });
        }
        Effect {
            result: Ok(transitions),
            changed,
        }
    }
}

fn place(instance: &Ec2Instance) -> (String, String) {
    (instance.instance_type.clone(), instance.zone.clone())
}

pub(super) fn is_well_formed(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        (8..=17).contains(&digits.len())
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests;
