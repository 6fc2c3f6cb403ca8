//! Readiness of this process: accepting rides requires the queue, serving reads requires the store.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use skilift_core::health::{Health, Readiness};
use skilift_core::queue::Publisher;

use crate::state::Api;

/// Last known state of queue and store.
#[derive(Debug, Default)]
pub(crate) struct ReadinessState {
    /// Whether rides could be accepted at any time since the start.
    was_open: AtomicBool,
    /// Whether the store did not respond to the last query.
    store_is_silent: AtomicBool,
}

impl ReadinessState {
    /// Records whether the store responds, and logs a change.
    pub(crate) fn set_store_answers(&self, store: &str, answers: bool, why: &str) {
        let was_silent = self.store_is_silent.swap(!answers, Ordering::Relaxed);
        if !answers && !was_silent {
            tracing::warn!("{store} does not respond: rides are accepted, reads fail: {why}");
        } else if answers && was_silent {
            tracing::info!("{store} responds again");
        }
    }

    /// Records when rides can be accepted.
    pub(crate) fn record_open(&self, publisher: &Publisher) {
        if publisher.check_open().is_ok() {
            self.was_open.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn health(&self, draining: bool, publisher: &Publisher, store: &str) -> Health {
        if draining {
            return Health::plain(Readiness::Draining);
        }
        if let Err(why) = publisher.check_open() {
            let status = if self.was_open.load(Ordering::Relaxed) {
                Readiness::Unavailable
            } else {
                Readiness::Starting
            };
            return Health::because(status, why.to_string());
        }
        self.was_open.store(true, Ordering::Relaxed);
        if self.store_is_silent.load(Ordering::Relaxed) {
            let why = format!("{store} does not respond: rides are accepted, reads fail");
            return Health::because(Readiness::Degraded, why);
        }
        Health::plain(Readiness::Ready)
    }
}

/// Whether rides are accepted
///
/// Only the status is significant; the log and the private listener give the reason.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "getReadiness",
    tag = "Operation",
    responses(
        (status = 200, description = "Rides are accepted"),
        (status = 503, description = "Starting, draining, or unable to accept rides"),
    )
)]
pub(crate) async fn readyz(State(api): State<Api>) -> StatusCode {
    api.health().status.status()
}
