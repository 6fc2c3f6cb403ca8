//! Skilift's public REST API: accepts rides for the queue and answers questions from the store.
//!
//! # Layout
//!
//! - [`router()`]: every URL, as a table of contents. [`openapi`] documents the same URLs.
//! - `rides`: one skier's day, where a gate posts a ride. `bulk`: many rides in one request. `skiers`: a skier over many
//!   days. `resorts` and `days`: what resorts and analysts ask; `leaders`: the best of a day.
//! - `extract`: how requests are read, so that every refusal names its field. `error`: how refusals look.
//! - `statistics`: how long answers take. `condition`: whether this process can do its work; `memory` watches Redis for it.
//! - `connections`: the public socket, with its bounds in number and time. `lingering`: answers that are always heard.
//!
//! A ride is answered 201 only after the queue has it safe; nothing here writes rides to the store.

mod router;

mod bulk;
mod days;
mod leaders;
mod resorts;
mod rides;
mod skiers;
mod statistics;

mod condition;
mod connections;
mod error;
mod extract;
mod lingering;
mod memory;
pub mod openapi;
mod query;
mod state;

use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::health::HealthCheck;
use skilift_core::lifecycle::{Lifecycle, TaskError};
use skilift_core::queue::rabbit::{Admission, Broker, BrokerError, Publisher, PublisherConfig};
use skilift_core::stack::StackName;
use skilift_core::store::redis::{Store, StoreError};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use connections::serve;
pub use router::router;
pub use state::{Api, ApiState};

/// How the API works.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Publisher lanes, each one AMQP channel.
    pub lanes: u16,
    /// Most rides in one message.
    pub message_rides: usize,
    /// Most rides that wait for their confirm at once; more are refused.
    pub max_in_flight: usize,
    /// Rides in the queue above which new ones are refused.
    pub high_water_rides: u64,
    /// What is known of the resorts.
    pub catalogue: Catalogue,
}

/// Why the API cannot start. A broker or store that is merely absent is no reason: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// RabbitMQ will not do.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Redis will not do.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts the publisher, the watch over Redis' memory and the HTTP server, and returns how to ask for their health.
///
/// After [`Lifecycle::drain`] the server takes no new connections, finishes the requests that are on their way, and then
/// closes the publisher.
///
/// # Errors
/// When RabbitMQ or Redis can never be used with this configuration.
pub async fn start(
    config: ApiConfig,
    listener: TcpListener,
    broker: Arc<Broker>,
    store: Store,
    stack: &StackName,
    life: &Lifecycle,
) -> Result<HealthCheck, StartError> {
    let reader = store.reader()?;
    let admission = Arc::new(Admission::default());
    let publishing = PublisherConfig {
        lanes: config.lanes,
        message_rides: config.message_rides,
        max_in_flight: config.max_in_flight,
        high_water_rides: config.high_water_rides,
    };
    let publisher =
        Publisher::start(publishing, broker, stack, Arc::clone(&admission), life).await?;
    let api: Api = Arc::new(ApiState::new(
        publisher,
        config.max_in_flight,
        reader,
        config.catalogue,
        life.draining(),
    ));

    let watching = memory::watch(Arc::clone(&api), admission, life.draining());
    life.spawn("memory watch", watching);
    let serving = serve_until_drained(listener, Arc::clone(&api), life.draining());
    life.spawn("http server", serving);
    Ok(Arc::new(move || api.health()))
}

async fn serve_until_drained(
    listener: TcpListener,
    api: Api,
    drain: CancellationToken,
) -> Result<(), TaskError> {
    serve(listener, router(Arc::clone(&api)), drain).await;
    // No more rides will come: the lanes send what they have and end.
    api.publisher.close();
    Ok(())
}
