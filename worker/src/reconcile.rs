//! Runs the desired number of consumers with the desired settings.

use std::sync::Arc;

use skilift_core::control::{DesiredState, WorkerSettings};
use skilift_core::engine::Engine;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use tokio::sync::watch;

use crate::consumer::Consumer;
use crate::consumers::Consumers;
use crate::desired::{DesiredWorkerState, IdleReason};

/// Applies the desired state to the consumers.
pub(crate) struct Reconciler<E> {
    pub(crate) flags: WorkerSettings,
    pub(crate) consumers: Arc<Consumers>,
    pub(crate) engine: Arc<E>,
    pub(crate) lifecycle: Lifecycle,
}

impl<E: Engine> Reconciler<E> {
    /// Applies the desired state until the process drains.
    pub(crate) async fn run(
        self,
        mut desired_state: watch::Receiver<DesiredState>,
    ) -> Result<(), TaskError> {
        let draining = self.lifecycle.draining();
        loop {
            self.reconcile(&desired_state.borrow_and_update());
            self.start_consumers();
            tokio::select! {
                () = draining.cancelled() => return Ok(()),
                changed = desired_state.changed() => if changed.is_err() {
                    // No further updates: the last state remains in force.
                    draining.cancelled().await;
                },
                () = self.consumers.became_idle.notified() => {}
            }
        }
    }

    fn reconcile(&self, desired_state: &DesiredState) {
        let before = Arc::clone(&self.consumers.desired.borrow());
        let desired = DesiredWorkerState::resolve(desired_state, self.flags, Some(&before));
        if desired != *before {
            announce(&desired);
            self.consumers.desired.send_replace(Arc::new(desired));
        }
    }

    /// Starts missing consumers; surplus ones become idle on their own and are kept for later.
    fn start_consumers(&self) {
        let desired = self
            .consumers
            .desired
            .borrow()
            .consumers(self.consumers.most);
        self.engine
            .set_max_pipelines(desired.max(self.consumers.running()));
        while self.consumers.count() < desired {
            let (number, state) = self.consumers.add();
            let consumer = Consumer {
                number,
                state,
                consumers: Arc::clone(&self.consumers),
                engine: Arc::clone(&self.engine),
                draining: self.lifecycle.draining(),
            };
            self.lifecycle.spawn("worker thread", consumer.run());
        }
    }
}

/// Logs the desired settings and their source.
pub(crate) fn announce(desired: &DesiredWorkerState) {
    let WorkerSettings {
        threads,
        prefetch,
        batch,
        linger_ms,
    } = desired.settings;
    let source = match desired.generation {
        Some(generation) => format!("console settings version {}", generation.version),
        None => "settings from flags".to_owned(),
    };
    match &desired.idle_reason {
        None => tracing::info!(
            "{source}: threads {threads}, prefetch {prefetch} rides, batch {batch} rides, linger {linger_ms} ms"
        ),
        Some(IdleReason::Paused) => tracing::info!("paused: finishing delivered messages"),
        Some(IdleReason::Drained(plan)) => {
            tracing::info!("draining by plan {plan}: finishing delivered messages");
        }
    }
}
