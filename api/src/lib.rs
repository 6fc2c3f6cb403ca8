//! Skilift's public REST API: accepts rides for the queue and answers questions from the store.
//!
//! # Layout
//!
//! - [`router()`]: every URL, as a table of contents. [`openapi`] documents the same URLs.
//! - `rides`: one skier's day, where a gate posts a ride. `bulk`: many rides in one request. `skiers`: a skier over many
//!   days. `resorts` and `days`: what resorts and analysts ask.
//! - `extract`: how requests are read, so that every refusal names its field. `error`: how refusals look.
//! - `statistics`: how long answers take. `condition`: whether this process can do its work; `room` watches the store for it.
//! - `ingest`: who may post rides. `node`: follows what the console says, and says how this node is.
//!
//! A ride is answered 201 only after the queue has it safe; nothing here writes rides to the store.

mod router;

mod bulk;
mod days;
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

/// A public API that runs.
pub struct RunningApi {
    /// How it is.
    pub health: HealthCheck,
    api: Api,
}

impl RunningApi {
    /// What its heartbeat says of it. Durations are those since the last call.
    #[must_use]
    pub fn status(&self) -> Status {
        self.api.status()
    }
}

/// Starts the watch over the store's room and the HTTP server. Until `orders` say otherwise `publisher` works as it was set.
///
/// After [`Lifecycle::drain`] the server takes no new connections, finishes the requests that are on their way, and then
/// closes the publisher.
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
    // Before the first request, for nobody must slip in.
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
        // As long as anybody is served.
        () = api.guard.follow_all(orders) => {}
    }
    // No more rides will come: the lanes send what they have and end.
    api.publisher.close();
    Ok(())
}
