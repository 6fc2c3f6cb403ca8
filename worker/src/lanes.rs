//! All consumers of a worker: their number, their desired state, and the resulting health of the worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skilift_core::control::heartbeat::{Activity, Report, WorkerReport};
use skilift_core::control::{Durations, Status};
use skilift_core::health::{Health, Readiness};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::counts::Counts;
use crate::lane_state::{Figures, LaneState};
use crate::wanted::{Rest, Wanted};

/// Maximum recorded time from acceptance to storage: one day.
const LONGEST_MS: u64 = 86_400_000;

/// Shared state of a worker's consumers.
pub(crate) struct Lanes {
    /// The desired state.
    pub(crate) wanted: watch::Sender<Arc<Wanted>>,
    /// The last desired state that all of them had applied.
    ran: Mutex<Arc<Wanted>>,
    /// Maximum number of running consumers.
    pub(crate) most: usize,
    states: Mutex<Vec<LaneState>>,
    /// Notified when a consumer becomes idle.
    pub(crate) rested: tokio::sync::Notify,
    pub(crate) counts: Arc<Counts>,
    /// Time from acceptance to storage of each ride, in milliseconds.
    pub(crate) stored_after_ms: Durations,
}

impl Lanes {
    pub(crate) fn new(wanted: Wanted, most: usize) -> Self {
        let wanted = Arc::new(wanted);
        Self {
            ran: Mutex::new(Arc::clone(&wanted)),
            wanted: watch::Sender::new(wanted),
            most,
            states: Mutex::default(),
            rested: tokio::sync::Notify::new(),
            counts: Arc::default(),
            stored_after_ms: Durations::up_to(LONGEST_MS),
        }
    }

    /// The number and the state of a new consumer.
    pub(crate) fn add(&self) -> (usize, LaneState) {
        let mut states = self.states();
        let (number, state) = (states.len(), LaneState::default());
        states.push(state.clone());
        (number, state)
    }

    /// Number of consumers, running or idle.
    pub(crate) fn count(&self) -> usize {
        self.states().len()
    }

    /// Number of running consumers.
    pub(crate) fn running(&self) -> usize {
        let states = self.states();
        states
            .iter()
            .filter(|state| state.figures().is_running)
            .count()
    }

    fn states(&self) -> MutexGuard<'_, Vec<LaneState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures(&self) -> Vec<Figures> {
        self.states()
            .iter()
            .map(|state| state.figures().clone())
            .collect()
    }

    /// The desired state that all consumers have applied; the previous one while some have not applied the last change.
    fn ran(&self, lanes: &[Figures]) -> Arc<Wanted> {
        let wanted = Arc::clone(&self.wanted.borrow());
        let has_taken_up = |lane: &Figures| {
            lane.follows
                .as_ref()
                .is_some_and(|follows| Arc::ptr_eq(follows, &wanted))
        };
        let mut ran = self.ran.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() >= wanted.lanes(self.most) && lanes.iter().all(has_taken_up) {
            *ran = wanted;
        }
        Arc::clone(&ran)
    }

    /// Ready if all desired consumers store, degraded if some do, unavailable if none does.
    pub(crate) fn health(&self, is_ending: bool) -> Health {
        self.health_of(&self.figures(), is_ending)
    }

    fn health_of(&self, lanes: &[Figures], is_ending: bool) -> Health {
        if is_ending {
            return Health::plain(Readiness::Draining);
        }
        let running: Vec<&Figures> = lanes.iter().filter(|lane| lane.is_running).collect();
        let mut hindered = running.iter().filter_map(|lane| lane.hindrance.as_ref());
        if let Some(first) = hindered.next() {
            let (hindered, running) = (1 + hindered.count(), running.len());
            let message = format!("{hindered} of {running} threads are blocked: {first}");
            return if hindered == running {
                Health::because(Readiness::Unavailable, message)
            } else {
                Health::because(Readiness::Degraded, message)
            };
        }
        match &self.wanted.borrow().rest {
            None if running.is_empty() => Health::plain(Readiness::Starting),
            None => Health::plain(Readiness::Ready),
            Some(Rest::Paused) => Health::because(Readiness::Ready, "consumption is paused"),
            Some(Rest::Drained(plan)) => {
                let message = format!("drained by plan {plan}: not consuming");
                Health::because(Readiness::Draining, message)
            }
        }
    }

    /// The worker's part of the heartbeat.
    pub(crate) fn status(&self, is_ending: bool) -> Status {
        let lanes = self.figures();
        let ran = self.ran(&lanes);
        let is_at_rest = lanes
            .iter()
            .all(|lane| !lane.is_running && lane.held_messages == 0);
        let activity = match &self.wanted.borrow().rest {
            _ if is_ending => Activity::Draining { plan: None },
            None => Activity::Active,
            Some(Rest::Paused) if is_at_rest => Activity::Paused,
            Some(Rest::Paused) => Activity::Active,
            Some(Rest::Drained(plan)) if is_at_rest => Activity::Drained { plan: plan.clone() },
            Some(Rest::Drained(plan)) => Activity::Draining {
                plan: Some(plan.clone()),
            },
        };
        Status {
            generation: ran.generation,
            activity,
            health: self.health_of(&lanes, is_ending),
            report: Report::Worker(self.report(&lanes, &ran)),
        }
    }

    fn report(&self, lanes: &[Figures], ran: &Wanted) -> WorkerReport {
        let sum = |of: fn(&Figures) -> u64| lanes.iter().map(of).sum();
        let held_since = lanes.iter().filter_map(|lane| lane.held_since).min();
        let longest_held = held_since.map(|since| Instant::now().duration_since(since));
        let running = (0..).zip(lanes).filter(|(_, lane)| lane.is_running);
        WorkerReport {
            settings: ran.settings,
            busy_ms: lanes
                .iter()
                .map(|lane| lane.busy())
                .sum::<std::time::Duration>()
                .as_millis() as u64,
            applied_rides: self.counts.applied(),
            duplicate_rides: self.counts.duplicate(),
            dead_lines: self.counts.dead(),
            delivered_messages: sum(|lane| lane.delivered.messages),
            delivered_rides: sum(|lane| lane.delivered.rides),
            acked_messages: sum(|lane| lane.acked.messages),
            acked_rides: sum(|lane| lane.acked.rides),
            redelivered_messages: sum(|lane| lane.redelivered_messages),
            oldest_unacked_accepted_at_ms: lanes
                .iter()
                .filter_map(|lane| lane.oldest_held_accepted_at_ms)
                .min(),
            longest_unacked_ms: longest_held.map(|held| held.as_millis() as u64),
            accept_to_stored_ms: self.stored_after_ms.take(),
            consumers: running.map(|(number, lane)| lane.report(number)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skilift_core::control::{Generation, WorkerSettings};

    fn wanted(number: u64, rest: Option<Rest>) -> Wanted {
        Wanted {
            settings: WorkerSettings {
                threads: 2,
                prefetch: 4000,
                batch: 1000,
                linger_ms: 25,
            },
            generation: Some(Generation {
                version: number,
                hash: 1,
            }),
            rest,
        }
    }

    fn start(lanes: &Lanes) -> [LaneState; 2] {
        let states = [lanes.add().1, lanes.add().1];
        let wanted = Arc::clone(&lanes.wanted.borrow());
        for state in &states {
            state.starts(Arc::clone(&wanted));
        }
        states
    }

    #[test]
    fn health_follows_the_lanes() {
        let lanes = Lanes::new(wanted(1, None), 8);
        assert_eq!(lanes.health(false).status, Readiness::Starting);
        let [one, other] = start(&lanes);
        assert_eq!(lanes.health(false).status, Readiness::Unavailable);
        one.consumes(9);
        let degraded = lanes.health(false);
        assert_eq!(degraded.status, Readiness::Degraded);
        assert_eq!(
            degraded.message.unwrap(),
            "1 of 2 threads are blocked: still connecting"
        );
        other.consumes(9);
        assert_eq!(lanes.health(false).status, Readiness::Ready);
        assert_eq!(lanes.health(true).status, Readiness::Draining);
    }

    #[test]
    fn a_generation_runs_when_every_lane_has_taken_it_up() {
        let lanes = Lanes::new(wanted(1, None), 8);
        let [one, other] = start(&lanes);
        let generation = || lanes.status(false).generation.unwrap().version;
        let second = Arc::new(wanted(2, None));
        lanes.wanted.send_replace(Arc::clone(&second));
        one.goes_on(Arc::clone(&second));
        assert_eq!(generation(), 1);
        other.starts(second);
        assert_eq!(generation(), 2);
    }

    #[test]
    fn a_worker_is_at_rest_when_no_lane_works() {
        let lanes = Lanes::new(wanted(1, None), 8);
        let states = start(&lanes);
        let told = Arc::new(wanted(1, Some(Rest::Drained("p1".to_owned()))));
        lanes.wanted.send_replace(Arc::clone(&told));
        let (status, plan) = (|| lanes.status(false), "p1".to_owned());
        let draining = Activity::Draining {
            plan: Some(plan.clone()),
        };
        assert_eq!(status().activity, draining);
        states[0].rests(Arc::clone(&told));
        assert_eq!(status().activity, draining);
        states[1].rests(told);
        assert_eq!(status().activity, Activity::Drained { plan });
        assert_eq!(status().health.status, Readiness::Draining);
        assert_eq!(
            lanes.status(true).activity,
            Activity::Draining { plan: None }
        );
    }
}
