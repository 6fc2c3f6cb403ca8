//! Runs the desired number of consumers with the desired settings.

use std::sync::Arc;

use skilift_core::control::{Orders, WorkerSettings};
use skilift_core::engine::Engine;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use tokio::sync::watch;

use crate::lane::Lane;
use crate::lanes::Lanes;
use crate::wanted::{Rest, Wanted};

/// Applies the desired state to the consumers.
pub(crate) struct Follower<E> {
    pub(crate) flags: WorkerSettings,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) engine: Arc<E>,
    pub(crate) life: Lifecycle,
}

impl<E: Engine> Follower<E> {
    /// Applies the desired state until the process drains.
    pub(crate) async fn run(self, mut orders: watch::Receiver<Orders>) -> Result<(), TaskError> {
        let draining = self.life.draining();
        loop {
            self.follow(&orders.borrow_and_update());
            self.fit_lanes();
            tokio::select! {
                () = draining.cancelled() => return Ok(()),
                changed = orders.changed() => if changed.is_err() {
                    // No further updates: the last state remains in force.
                    draining.cancelled().await;
                },
                () = self.lanes.rested.notified() => {}
            }
        }
    }

    fn follow(&self, orders: &Orders) {
        let before = Arc::clone(&self.lanes.wanted.borrow());
        let wanted = Wanted::by(orders, self.flags, Some(&before));
        if wanted != *before {
            announce(&wanted);
            self.lanes.wanted.send_replace(Arc::new(wanted));
        }
    }

    /// Starts missing consumers; surplus ones become idle on their own and are kept for later.
    fn fit_lanes(&self) {
        let wanted = self.lanes.wanted.borrow().lanes(self.lanes.most);
        self.engine.make_room(wanted.max(self.lanes.running()));
        while self.lanes.count() < wanted {
            let (number, state) = self.lanes.add();
            let lane = Lane {
                number,
                state,
                lanes: Arc::clone(&self.lanes),
                engine: Arc::clone(&self.engine),
                draining: self.life.draining(),
            };
            self.life.spawn("worker thread", lane.run());
        }
    }
}

/// Logs the desired settings and their source.
pub(crate) fn announce(wanted: &Wanted) {
    let WorkerSettings {
        threads,
        prefetch,
        batch,
        linger_ms,
    } = wanted.settings;
    let source = match wanted.generation {
        Some(generation) => format!("console settings version {}", generation.version),
        None => "settings from flags".to_owned(),
    };
    match &wanted.rest {
        None => tracing::info!(
            "{source}: {threads} threads, prefetch {prefetch} rides, batches of {batch} rides, linger {linger_ms} ms"
        ),
        Some(Rest::Paused) => tracing::info!("paused: finishing delivered messages"),
        Some(Rest::Drained(plan)) => {
            tracing::info!("draining by plan {plan}: finishing delivered messages");
        }
    }
}
