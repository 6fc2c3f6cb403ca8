//! The desired state of a worker's consumers: from the console, else from flags.

use std::time::Duration;

use skilift_core::control::{Generation, Orders, WorkerSettings};

/// The desired state of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) settings: WorkerSettings,
    /// `None` if the settings come from flags.
    pub(crate) generation: Option<Generation>,
    pub(crate) rest: Option<Rest>,
}

/// Why a worker must not consume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Consumption is paused on all workers.
    Paused,
    /// A plan drains this worker.
    Drained(String),
}

/// The settings of one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneSettings {
    pub(crate) prefetch_rides: usize,
    pub(crate) batch_rides: usize,
    pub(crate) linger: Duration,
}

impl Wanted {
    /// Applies the desired state; invalid settings leave those of `before` in force.
    pub(crate) fn by(orders: &Orders, flags: WorkerSettings, before: Option<&Self>) -> Self {
        let document = orders.document.as_deref();
        let (settings, generation) = match document.and_then(|document| document.worker) {
            None => (flags, None),
            Some(said) => match (said.value.check(), before) {
                (Ok(()), _) => (said.value, Some(said.generation)),
                (Err(error), before) => {
                    tracing::error!("the console's settings cannot be applied: {error}");
                    before.map_or((flags, None), |before| (before.settings, before.generation))
                }
            },
        };
        let paused = document.and_then(|document| document.pause.as_ref());
        let drained = orders.drain.clone().map(Rest::Drained);
        Self {
            settings,
            generation,
            rest: drained.or(paused.map(|_| Rest::Paused)),
        }
    }

    /// Desired number of consumers, at most `most`.
    pub(crate) fn lanes(&self, most: usize) -> usize {
        match self.rest {
            Some(_) => 0,
            None => (self.settings.threads as usize).min(most),
        }
    }

    /// The settings of every running consumer.
    pub(crate) fn of_each_lane(&self) -> LaneSettings {
        let WorkerSettings {
            prefetch,
            batch,
            linger_ms,
            ..
        } = self.settings;
        LaneSettings {
            prefetch_rides: prefetch as usize,
            batch_rides: batch as usize,
            linger: Duration::from_millis(linger_ms.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skilift_core::control::{Document, Pause, Versioned};
    use std::sync::Arc;

    const FLAGS: WorkerSettings = WorkerSettings {
        threads: 2,
        prefetch: 4000,
        batch: 1000,
        linger_ms: 25,
    };

    fn orders(threads: Option<u32>, is_paused: bool, drain: Option<&str>) -> Orders {
        let settings = |threads| Versioned::new(7, WorkerSettings { threads, ..FLAGS });
        let document = Document {
            worker: threads.map(settings),
            pause: is_paused.then(|| Pause {
                paused_at_ms: 1,
                paused_by: "ann".to_owned(),
            }),
            ..Document::default()
        };
        Orders {
            document: Some(Arc::new(document)),
            drain: drain.map(str::to_owned),
            ..Orders::default()
        }
    }

    #[test]
    fn the_console_goes_before_the_flags_and_rest_before_both() {
        let wanted = |orders: &Orders| Wanted::by(orders, FLAGS, None);
        let flags = wanted(&Orders::default());
        assert_eq!((flags.lanes(8), flags.generation), (2, None));
        assert_eq!(wanted(&orders(None, false, None)), flags);
        let said = wanted(&orders(Some(5), false, None));
        assert_eq!((said.lanes(8), said.lanes(1)), (5, 1));
        assert_eq!(said.generation.unwrap().version, 7);
        let paused = wanted(&orders(Some(5), true, None));
        assert_eq!((paused.lanes(8), &paused.rest), (0, &Some(Rest::Paused)));
        let drained = wanted(&orders(Some(5), true, Some("p1")));
        assert_eq!(drained.rest, Some(Rest::Drained("p1".to_owned())));
    }

    #[test]
    fn settings_that_nobody_could_run_change_nothing() {
        let before = Wanted::by(&orders(Some(5), false, None), FLAGS, None);
        let after = Wanted::by(&orders(Some(0), false, None), FLAGS, Some(&before));
        assert_eq!(after, before);
        assert_eq!(
            Wanted::by(&orders(Some(0), false, None), FLAGS, None).lanes(8),
            2
        );
    }
}
