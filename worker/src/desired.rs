//! The desired state of a worker's consumers: from the console, else from flags.

use std::time::Duration;

use skilift_core::control::{DesiredState, Generation, WorkerSettings};

/// The desired state of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DesiredWorkerState {
    pub(crate) settings: WorkerSettings,
    /// `None` if the settings come from flags.
    pub(crate) generation: Option<Generation>,
    pub(crate) idle_reason: Option<IdleReason>,
}

/// Why a worker must not consume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdleReason {
    /// Consumption is paused on all workers.
    Paused,
    /// A plan drains this worker.
    Drained(String),
}

/// The settings of one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerSettings {
    pub(crate) prefetch_rides: usize,
    pub(crate) batch_rides: usize,
    pub(crate) linger: Duration,
}

impl DesiredWorkerState {
    /// Applies the desired state; invalid settings leave those of `before` in force.
    pub(crate) fn resolve(
        desired_state: &DesiredState,
        flags: WorkerSettings,
        before: Option<&Self>,
    ) -> Self {
        let document = desired_state.document.as_deref();
        let (settings, generation) = match document.and_then(|document| document.worker) {
            None => (flags, None),
            Some(console) => match (console.value.check(), before) {
                (Ok(()), _) => (console.value, Some(console.generation)),
                (Err(error), before) => {
                    tracing::error!("the console's settings cannot be applied: {error}");
                    before.map_or((flags, None), |before| (before.settings, before.generation))
                }
            },
        };
        let drained = desired_state.drain.clone().map(IdleReason::Drained);
        Self {
            settings,
            generation,
            idle_reason: drained.or(desired_state.is_paused.then_some(IdleReason::Paused)),
        }
    }

    /// Desired number of consumers, at most `most`.
    pub(crate) fn consumers(&self, most: usize) -> usize {
        match self.idle_reason {
            Some(_) => 0,
            None => (self.settings.threads as usize).min(most),
        }
    }

    /// The settings of every running consumer.
    pub(crate) fn consumer_settings(&self) -> ConsumerSettings {
        let WorkerSettings {
            prefetch,
            batch,
            linger_ms,
            ..
        } = self.settings;
        ConsumerSettings {
            prefetch_rides: prefetch as usize,
            batch_rides: batch as usize,
            linger: Duration::from_millis(linger_ms.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skilift_core::control::{Document, Versioned};
    use std::sync::Arc;

    const FLAGS: WorkerSettings = WorkerSettings {
        threads: 2,
        prefetch: 4000,
        batch: 1000,
        linger_ms: 25,
    };

    fn desired_state(threads: Option<u32>, is_paused: bool, drain: Option<&str>) -> DesiredState {
        let settings = |threads| Versioned::new(7, WorkerSettings { threads, ..FLAGS });
        let document = Document {
            worker: threads.map(settings),
            ..Document::default()
        };
        DesiredState {
            document: Some(Arc::new(document)),
            drain: drain.map(str::to_owned),
            is_paused,
            ..DesiredState::default()
        }
    }

    #[test]
    fn the_console_goes_before_the_flags_and_rest_before_both() {
        let desired =
            |desired_state: &DesiredState| DesiredWorkerState::resolve(desired_state, FLAGS, None);
        let flags = desired(&DesiredState::default());
        assert_eq!((flags.consumers(8), flags.generation), (2, None));
        assert_eq!(desired(&desired_state(None, false, None)), flags);
        let console = desired(&desired_state(Some(5), false, None));
        assert_eq!((console.consumers(8), console.consumers(1)), (5, 1));
        assert_eq!(console.generation.unwrap().version, 7);
        let paused = desired(&desired_state(Some(5), true, None));
        assert_eq!(
            (paused.consumers(8), &paused.idle_reason),
            (0, &Some(IdleReason::Paused))
        );
        let drained = desired(&desired_state(Some(5), true, Some("p1")));
        assert_eq!(
            drained.idle_reason,
            Some(IdleReason::Drained("p1".to_owned()))
        );
    }

    #[test]
    fn settings_that_nobody_could_run_change_nothing() {
        let before = DesiredWorkerState::resolve(&desired_state(Some(5), false, None), FLAGS, None);
        let after =
            DesiredWorkerState::resolve(&desired_state(Some(0), false, None), FLAGS, Some(&before));
        assert_eq!(after, before);
        assert_eq!(
            DesiredWorkerState::resolve(&desired_state(Some(0), false, None), FLAGS, None)
                .consumers(8),
            2
        );
    }
}
