//! Whether this process can do its work: take rides, which needs the queue, and answer questions, which needs the store.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use skilift_core::health::{Health, Readiness};
use skilift_core::queue::Publisher;

use crate::state::Api;

/// What was seen of the outside world.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// Whether rides could be taken at some time since the start.
    was_open: AtomicBool,
    /// Whether the store did not answer when it was last asked.
    store_is_silent: AtomicBool,
}

impl Condition {
    /// Remembers whether the store answers, and logs it when that is news.
    pub(crate) fn set_store_answers(&self, store: &str, answers: bool, why: &str) {
        let was_silent = self.store_is_silent.swap(!answers, Ordering::Relaxed);
        if !answers && !was_silent {
            tracing::warn!("{store} does not answer: rides are accepted, questions are not: {why}");
        } else if answers && was_silent {
            tracing::info!("{store} answers again");
        }
    }

    /// Remembers when rides can be taken.
    pub(crate) fn look_at(&self, publisher: &Publisher) {
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
            let why = format!("{store} does not answer: rides are accepted, questions are not");
            return Health::because(Readiness::Degraded, why);
        }
        Health::plain(Readiness::Ready)
    }
}

/// Whether new rides are welcome
///
/// The status alone tells. What is missing, when something is, stands in the log and on the private listener.
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
