//! What each lane is doing, for the health check.

use std::sync::{Arc, Mutex, PoisonError};

use skilift_core::health::{Health, Readiness};

/// The states of all lanes of a worker.
#[derive(Debug, Clone)]
pub(crate) struct LaneStates(Arc<[LaneState]>);

/// The state of one lane. `None` while it works; else what keeps it from working.
#[derive(Debug, Clone)]
pub(crate) struct LaneState(Arc<Mutex<Option<String>>>);

impl LaneState {
    /// The lane consumes and stores.
    pub(crate) fn working(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Something keeps the lane from storing.
    pub(crate) fn hindered(&self, why: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.into());
    }

    fn hindrance(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl LaneStates {
    pub(crate) fn new(lanes: usize) -> Self {
        let starting = || LaneState(Arc::new(Mutex::new(Some("still connecting".to_owned()))));
        Self((0..lanes).map(|_| starting()).collect())
    }

    pub(crate) fn of_lane(&self, number: usize) -> LaneState {
        self.0[number].clone()
    }

    /// Ready when all lanes work, degraded when some do, unavailable when none does.
    pub(crate) fn health(&self, draining: bool) -> Health {
        if draining {
            return Health::plain(Readiness::Draining);
        }
        let hindered: Vec<String> = self.0.iter().filter_map(LaneState::hindrance).collect();
        let Some(first) = hindered.first() else {
            return Health::plain(Readiness::Ready);
        };
        let message = format!(
            "{} of {} threads do not store: {first}",
            hindered.len(),
            self.0.len()
        );
        if hindered.len() == self.0.len() {
            Health::because(Readiness::Unavailable, message)
        } else {
            Health::because(Readiness::Degraded, message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_follows_the_lanes() {
        let states = LaneStates::new(2);
        assert_eq!(states.health(false).status, Readiness::Unavailable);
        states.of_lane(0).working();
        let degraded = states.health(false);
        assert_eq!(degraded.status, Readiness::Degraded);
        assert_eq!(
            degraded.message.unwrap(),
            "1 of 2 threads do not store: still connecting"
        );
        states.of_lane(1).working();
        assert_eq!(states.health(false).status, Readiness::Ready);
        assert_eq!(states.health(true).status, Readiness::Draining);
    }
}
