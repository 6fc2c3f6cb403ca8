//! Skilift's public REST API: accepts rides for the queue and serves reads from the store.
//!
//! # Layout
//!
//! - [`router()`]: all URLs. [`openapi`] documents the same URLs.
//! - `rides`: one skier's day, where a gate posts a ride. `bulk`: many rides in one request. `skiers`: a skier over many
//!   days. `resorts` and `days`: queries of resorts and analysts.
//! - `extract`: parsing of requests; every error names its field. `error`: error responses.
//! - `statistics`: response times. `readiness`: readiness of this process; `store_capacity` watches the store for it.
//! - `ingest`: authorisation of posted rides. `node`: applies the console's settings, and reports the state of this node.
//!
//! The API responds with 201 only after the queue has confirmed the ride; it never writes rides to the store.

mod router;

mod bulk;
mod days;
mod index;
mod resorts;
mod rides;
mod skiers;
mod statistics;

mod error;
mod extract;
mod ingest;
mod node;
pub mod openapi;
mod query;
mod readiness;
mod state;
mod store_capacity;

use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::control::{DesiredState, Status};
use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use skilift_core::queue::Publisher;
use skilift_core::store::Reader;
use skilift_http::Listener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use ingest::IngestPolicy;
pub use router::router;
pub use state::{Api, ApiState};

/// A running public API.
pub struct RunningApi {
    /// Its health.
    pub health: HealthCheck,
    api: Api,
}

impl RunningApi {
    /// Its part of the heartbeat; durations cover the time since the last call.
    #[must_use]
    pub fn status(&self) -> Status {
        self.api.status()
    }
}

/// Starts the watch of the store's capacity and the HTTP server; `publisher` keeps its settings
/// until `desired_state` changes them.
///
/// After [`Lifecycle::drain`] the server accepts no new connections, finishes the requests in flight, and then closes the
/// publisher.
#[must_use]
pub fn start(
    catalogue: Catalogue,
    listener: Listener,
    publisher: Publisher,
    reader: Arc<dyn Reader>,
    ingest_policy: IngestPolicy,
    desired_state: watch::Receiver<DesiredState>,
    lifecycle: &Lifecycle,
) -> RunningApi {
    let state = ApiState::new(
        publisher,
        reader,
        catalogue,
        ingest_policy,
        lifecycle.draining(),
    );
    // Before the first request, so that none is accepted without the policy.
    state.authorizer.begin(&desired_state.borrow());
    let api: Api = Arc::new(state);
    let reconciling = node::reconcile(
        Arc::clone(&api),
        desired_state.clone(),
        lifecycle.draining(),
    );
    lifecycle.spawn("api settings", reconciling);
    lifecycle.spawn(
        "store capacity watch",
        store_capacity::watch(Arc::clone(&api), lifecycle.draining()),
    );
    let serving = serve_until_drained(
        listener,
        Arc::clone(&api),
        desired_state,
        lifecycle.draining(),
    );
    lifecycle.spawn("http server", serving);
    let watched = Arc::clone(&api);
    RunningApi {
        health: Arc::new(move || watched.health()),
        api,
    }
}

async fn serve_until_drained(
    listener: Listener,
    api: Api,
    desired_state: watch::Receiver<DesiredState>,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    tokio::select! {
        () = skilift_http::serve(listener, router(Arc::clone(&api)), drain) => {}
        // As long as requests are served.
        () = api.authorizer.reconcile(desired_state) => {}
    }
    // No more rides arrive: the publisher channels send what they have and end.
    api.publisher.close();
    Ok(())
}
