//! All consumers of a worker: their number, their desired state, and the resulting health of the worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skilift_core::control::heartbeat::{Activity, Report, WorkerReport};
use skilift_core::control::{Durations, Status};
use skilift_core::health::{Health, Readiness};
use tokio::sync::watch;

use crate::consumer_state::{ConsumerMetrics, ConsumerState};
use crate::counts::Counts;
use crate::desired::{DesiredWorkerState, IdleReason};

/// Maximum recorded time from acceptance to storage: one day.
const MAX_MS: u64 = 86_400_000;

/// Shared state of a worker's consumers.
pub(crate) struct Consumers {
    /// The desired state.
    pub(crate) desired: watch::Sender<Arc<DesiredWorkerState>>,
    /// The last desired state that all of them had applied.
    last_applied: Mutex<Arc<DesiredWorkerState>>,
    /// Maximum number of running consumers.
    pub(crate) most: usize,
    states: Mutex<Vec<ConsumerState>>,
    /// Notified when a consumer becomes idle.
    pub(crate) became_idle: tokio::sync::Notify,
    pub(crate) counts: Arc<Counts>,
    /// Number of consumers that gave up storing and wait for the store.
    waiting_for_store: watch::Sender<usize>,
    /// Time from acceptance to storage of each ride, in milliseconds.
    pub(crate) stored_after_ms: Durations,
}

/// A consumer that waits for the store.
pub(crate) struct WaitingForStore<'a>(&'a Consumers);

impl Drop for WaitingForStore<'_> {
    fn drop(&mut self) {
        self.0
            .waiting_for_store
            .send_modify(|waiting| *waiting -= 1);
    }
}

impl Consumers {
    pub(crate) fn new(desired: DesiredWorkerState, most: usize) -> Self {
        let desired = Arc::new(desired);
        Self {
            last_applied: Mutex::new(Arc::clone(&desired)),
            desired: watch::Sender::new(desired),
            most,
            states: Mutex::default(),
            became_idle: tokio::sync::Notify::new(),
            counts: Arc::default(),
            waiting_for_store: watch::Sender::new(0),
            stored_after_ms: Durations::up_to(MAX_MS),
        }
    }

    /// Says that the store fails for every batch, until the returned value is dropped. Meanwhile no consumer takes messages that it
    /// could only hold and return: each return counts against a message.
    pub(crate) fn wait_for_store(&self) -> WaitingForStore<'_> {
        self.waiting_for_store.send_modify(|waiting| *waiting += 1);
        WaitingForStore(self)
    }

    /// How many consumers wait for the store.
    pub(crate) fn waiting_for_store(&self) -> watch::Receiver<usize> {
        self.waiting_for_store.subscribe()
    }

    /// The number and the state of a new consumer.
    pub(crate) fn add(&self) -> (usize, ConsumerState) {
        let mut states = self.states();
        let (number, state) = (states.len(), ConsumerState::default());
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
            .filter(|state| state.metrics().is_running)
            .count()
    }

    fn states(&self) -> MutexGuard<'_, Vec<ConsumerState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metrics(&self) -> Vec<ConsumerMetrics> {
        self.states()
            .iter()
            .map(|state| state.metrics().clone())
            .collect()
    }

    /// The desired state that all consumers have applied; the previous one while some have not applied the last change.
    fn last_applied(&self, consumers: &[ConsumerMetrics]) -> Arc<DesiredWorkerState> {
        let desired = Arc::clone(&self.desired.borrow());
        let has_applied = |consumer: &ConsumerMetrics| {
            consumer
                .applied
                .as_ref()
                .is_some_and(|applied| Arc::ptr_eq(applied, &desired))
        };
        let mut last_applied = self
            .last_applied
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if consumers.len() >= desired.consumers(self.most) && consumers.iter().all(has_applied) {
            *last_applied = desired;
        }
        Arc::clone(&last_applied)
    }

    /// Ready if all desired consumers store, degraded if some do, unavailable if none does.
    pub(crate) fn health(&self, is_ending: bool) -> Health {
        self.health_of(&self.metrics(), is_ending)
    }

    fn health_of(&self, consumers: &[ConsumerMetrics], is_ending: bool) -> Health {
        if is_ending {
            return Health::plain(Readiness::Draining);
        }
        let running: Vec<&ConsumerMetrics> = consumers
            .iter()
            .filter(|consumer| consumer.is_running)
            .collect();
        let mut blocked = running
            .iter()
            .filter_map(|consumer| consumer.blocked_reason.as_ref());
        if let Some(first) = blocked.next() {
            let (blocked, running) = (1 + blocked.count(), running.len());
            let message = format!("{blocked} of {running} threads are blocked: {first}");
            return if blocked == running {
                Health::because(Readiness::Unavailable, message)
            } else {
                Health::because(Readiness::Degraded, message)
            };
        }
        match &self.desired.borrow().idle_reason {
            None if running.is_empty() => Health::plain(Readiness::Starting),
            None => Health::plain(Readiness::Ready),
            Some(IdleReason::Paused) => Health::because(Readiness::Ready, "consumption is paused"),
            Some(IdleReason::Drained(plan)) => {
                let message = format!("drained by plan {plan}: not consuming");
                Health::because(Readiness::Draining, message)
            }
        }
    }

    /// The worker's part of the heartbeat.
    pub(crate) fn status(&self, is_ending: bool) -> Status {
        let consumers = self.metrics();
        let last_applied = self.last_applied(&consumers);
        let is_idle = consumers
            .iter()
            .all(|consumer| !consumer.is_running && consumer.unacked_messages == 0);
        let activity = match &self.desired.borrow().idle_reason {
            _ if is_ending => Activity::Draining { plan: None },
            None => Activity::Active,
            Some(IdleReason::Paused) if is_idle => Activity::Paused,
            Some(IdleReason::Paused) => Activity::Active,
            Some(IdleReason::Drained(plan)) if is_idle => Activity::Drained { plan: plan.clone() },
            Some(IdleReason::Drained(plan)) => Activity::Draining {
                plan: Some(plan.clone()),
            },
        };
        Status {
            generation: last_applied.generation,
            activity,
            health: self.health_of(&consumers, is_ending),
            report: Report::Worker(self.report(&consumers, &last_applied)),
        }
    }

    fn report(
        &self,
        consumers: &[ConsumerMetrics],
        last_applied: &DesiredWorkerState,
    ) -> WorkerReport {
        let sum = |of: fn(&ConsumerMetrics) -> u64| consumers.iter().map(of).sum();
        let running = (0..)
            .zip(consumers)
            .filter(|(_, consumer)| consumer.is_running);
        WorkerReport {
            settings: last_applied.settings,
            busy_ms: consumers
                .iter()
                .map(|consumer| consumer.busy())
                .sum::<std::time::Duration>()
                .as_millis() as u64,
            applied_rides: self.counts.applied(),
            duplicate_rides: self.counts.duplicate(),
            dead_lines: self.counts.dead(),
            delivered_messages: sum(|consumer| consumer.delivered.messages),
            delivered_rides: sum(|consumer| consumer.delivered.rides),
            acked_messages: sum(|consumer| consumer.acked.messages),
            acked_rides: sum(|consumer| consumer.acked.rides),
            redelivered_messages: sum(|consumer| consumer.redelivered_messages),
            oldest_unacked_accepted_at_ms: consumers
                .iter()
                .filter_map(|consumer| consumer.oldest_unacked_accepted_at_ms)
                .min(),
            accept_to_stored_ms: self.stored_after_ms.take(),
            consumers: running
                .map(|(number, consumer)| consumer.report(number))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skilift_core::control::{Generation, WorkerSettings};

    fn desired(number: u64, idle_reason: Option<IdleReason>) -> DesiredWorkerState {
        DesiredWorkerState {
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
            idle_reason,
        }
    }

    fn start(consumers: &Consumers) -> [ConsumerState; 2] {
        let states = [consumers.add().1, consumers.add().1];
        let desired = Arc::clone(&consumers.desired.borrow());
        for state in &states {
            state.starts(Arc::clone(&desired));
        }
        states
    }

    #[test]
    fn health_follows_the_lanes() {
        let consumers = Consumers::new(desired(1, None), 8);
        assert_eq!(consumers.health(false).status, Readiness::Starting);
        let [one, other] = start(&consumers);
        assert_eq!(consumers.health(false).status, Readiness::Unavailable);
        one.consumes(9);
        let degraded = consumers.health(false);
        assert_eq!(degraded.status, Readiness::Degraded);
        assert_eq!(
            degraded.message.unwrap(),
            "1 of 2 threads are blocked: still connecting"
        );
        other.consumes(9);
        assert_eq!(consumers.health(false).status, Readiness::Ready);
        assert_eq!(consumers.health(true).status, Readiness::Draining);
    }

    #[test]
    fn a_generation_runs_when_every_lane_has_taken_it_up() {
        let consumers = Consumers::new(desired(1, None), 8);
        let [one, other] = start(&consumers);
        let generation = || consumers.status(false).generation.unwrap().version;
        let second = Arc::new(desired(2, None));
        consumers.desired.send_replace(Arc::clone(&second));
        one.goes_on(Arc::clone(&second));
        assert_eq!(generation(), 1);
        other.starts(second);
        assert_eq!(generation(), 2);
    }

    #[test]
    fn a_worker_is_at_rest_when_no_lane_works() {
        let consumers = Consumers::new(desired(1, None), 8);
        let states = start(&consumers);
        let drained = Arc::new(desired(1, Some(IdleReason::Drained("p1".to_owned()))));
        consumers.desired.send_replace(Arc::clone(&drained));
        let (status, plan) = (|| consumers.status(false), "p1".to_owned());
        let draining = Activity::Draining {
            plan: Some(plan.clone()),
        };
        assert_eq!(status().activity, draining);
        states[0].becomes_idle(Arc::clone(&drained));
        assert_eq!(status().activity, draining);
        states[1].becomes_idle(drained);
        assert_eq!(status().activity, Activity::Drained { plan });
        assert_eq!(status().health.status, Readiness::Draining);
        assert_eq!(
            consumers.status(true).activity,
            Activity::Draining { plan: None }
        );
    }
}
