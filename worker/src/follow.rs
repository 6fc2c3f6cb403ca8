//! Keeps as many lanes as are wanted, by the settings that are wanted.

use std::sync::Arc;

use skilift_core::control::{Orders, WorkerSettings};
use skilift_core::engine::Engine;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use tokio::sync::watch;

use crate::lane::Lane;
use crate::lanes::Lanes;
use crate::wanted::{Rest, Wanted};

/// What turns orders into lanes.
pub(crate) struct Follower<E> {
    pub(crate) flags: WorkerSettings,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) engine: Arc<E>,
    pub(crate) life: Lifecycle,
}

impl<E: Engine> Follower<E> {
    /// Follows orders until the process drains.
    pub(crate) async fn run(self, mut orders: watch::Receiver<Orders>) -> Result<(), TaskError> {
        let draining = self.life.draining();
        loop {
            self.follow(&orders.borrow_and_update());
            self.fit_lanes();
            tokio::select! {
                () = draining.cancelled() => return Ok(()),
                changed = orders.changed() => if changed.is_err() {
                    // Nobody gives orders any more: the last ones stand.
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

    /// Starts the lanes that are missing. Those that shall not run come to rest by themselves, and stay for later.
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
            self.life.spawn("worker lane", lane.run());
        }
    }
}

/// Logs what is wanted, and who says so.
pub(crate) fn announce(wanted: &Wanted) {
    let WorkerSettings {
        threads,
        prefetch,
        batch,
        linger_ms,
    } = wanted.settings;
    let source = match wanted.generation {
        Some(generation) => format!("settings {} of the console", generation.number),
        None => "settings of the flags".to_owned(),
    };
    match &wanted.rest {
        None => tracing::info!(
            "{source}: {threads} threads, prefetch {prefetch} rides, batches of {batch} rides, linger {linger_ms} ms"
        ),
        Some(Rest::Paused) => tracing::info!("paused: finishing what was delivered"),
        Some(Rest::Drained(plan)) => {
            tracing::info!("draining by plan {plan}: finishing what was delivered");
        }
    }
}
