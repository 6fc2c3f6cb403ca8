//! Skilift's public REST API: accepts rides for the queue and serves reads from the store.
//!
//! # Layout
//!
//! - [`router()`]: all URLs. [`openapi`] documents the same URLs.
//! - `rides`: one skier's day, where a gate posts a ride. `bulk`: many rides in one request. `skiers`: a skier over many
//!   days. `resorts` and `days`: queries of resorts and analysts.
//! - `extract`: parsing of requests; every error names its field. `error`: error responses.
//! - `statistics`: response times. `condition`: readiness of this process; `room` watches the store for it.
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

mod condition;
mod error;
mod extract;
mod ingest;
mod node;
pub mod openapi;
mod query;
mod room;
mod state;

use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::control::{Orders, Status};
use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use skilift_core::queue::Publisher;
use skilift_core::store::Reader;
use skilift_http::Listener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use ingest::Doors;
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

/// Starts the watch of the store's capacity and the HTTP server; `publisher` keeps its settings until `orders` change them.
///
/// After [`Lifecycle::drain`] the server accepts no new connections, finishes the requests in flight, and then closes the
/// publisher.
#[must_use]
pub fn start(
    catalogue: Catalogue,
    listener: Listener,
    publisher: Publisher,
    reader: Arc<dyn Reader>,
    doors: Doors,
    orders: watch::Receiver<Orders>,
    life: &Lifecycle,
) -> RunningApi {
    let state = ApiState::new(publisher, reader, catalogue, doors, life.draining());
    // Before the first request, so that none is accepted without the policy.
    state.guard.begin(&orders.borrow());
    let api: Api = Arc::new(state);
    let following = node::follow(Arc::clone(&api), orders.clone(), life.draining());
    life.spawn("api settings", following);
    life.spawn("room watch", room::watch(Arc::clone(&api), life.draining()));
    let serving = serve_until_drained(listener, Arc::clone(&api), orders, life.draining());
    life.spawn("http server", serving);
    let watched = Arc::clone(&api);
    RunningApi {
        health: Arc::new(move || watched.health()),
        api,
    }
}

async fn serve_until_drained(
    listener: Listener,
    api: Api,
    orders: watch::Receiver<Orders>,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    tokio::select! {
        () = skilift_http::serve(listener, router(Arc::clone(&api)), drain) => {}
        // As long as requests are served.
        () = api.guard.follow_all(orders) => {}
    }
    // No more rides arrive: the publisher channels send what they have and end.
    api.publisher.close();
    Ok(())
}
