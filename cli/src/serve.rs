//! `skictl serve`: one role of a fleet, on RabbitMQ and Redis.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::engine::RabbitRedis;
use skilift_core::health::HealthCheck;
use skilift_core::queue::rabbit::{self, Broker};
use skilift_core::queue::{Admission, Publisher};
use skilift_core::store::Reader;
use skilift_core::store::redis::Store;
use skilift_http::Listener;
use skilift_worker::Worker;

use crate::args::{ApiArgs, Role, WorkerArgs};
use crate::config::Servers;
use crate::process::{self, Process, publisher_config, unless_signalled, worker_config};

/// A public API that runs.
pub(crate) struct RunningApi {
    pub(crate) address: SocketAddr,
    /// The beginning of its URLs.
    pub(crate) url: String,
    pub(crate) publisher: Publisher,
    pub(crate) health: HealthCheck,
}

/// Runs a role until it is asked to end.
pub(crate) fn run(role: Role) -> anyhow::Result<ExitCode> {
    match role {
        Role::Api(args) => process::block_on(api(&args)),
        Role::Worker(args) => process::block_on(worker(&args)),
    }
}

async fn api(args: &ApiArgs) -> anyhow::Result<ExitCode> {
    let (process, mut signals) = Process::begin(args, args.common.config.as_deref()).await?;
    let servers = process.config.servers()?;
    let public = process.open_public().await?;
    let broker = process.broker(servers, "api")?;
    let starting = start_api(&process, servers, &broker, public);
    let Some(api) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    process.run(signals, api?.health, broker.close()).await
}

async fn worker(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    let (process, mut signals) = Process::begin(args, args.common.config.as_deref()).await?;
    let servers = process.config.servers()?;
    let broker = process.broker(servers, "worker")?;
    let starting = start_worker(&process, servers, &broker);
    let Some(worker) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    process.run(signals, worker?.health, broker.close()).await
}

/// Starts a public API on RabbitMQ and Redis.
pub(crate) async fn start_api(
    process: &Process,
    servers: &Servers,
    broker: &Arc<Broker>,
    public: (Listener, Catalogue),
) -> anyhow::Result<RunningApi> {
    let Process { config, life, .. } = process;
    // The API writes no rides: the worker answers for what Redis keeps.
    let store = Store::new(servers.redis_url.clone(), &config.stack, 1, true)?;
    // A newer layout would be answered wrongly; a store that is absent is waited for.
    store.check_readable().await?;
    let publishing = publisher_config(config);
    let publisher = rabbit::publish(
        &publishing,
        Arc::clone(broker),
        &config.stack,
        Arc::<Admission>::default(),
        life,
    );
    let publisher = publisher.await?;
    serve_public(process, public, publisher, Arc::new(store.reader()?))
}

/// Serves the public API on whatever it has.
pub(crate) fn serve_public(
    process: &Process,
    (listener, catalogue): (Listener, Catalogue),
    publisher: Publisher,
    reader: Arc<dyn Reader>,
) -> anyhow::Result<RunningApi> {
    let (address, url) = (listener.address()?, listener.url()?);
    let health = skilift_api::start(
        catalogue,
        listener,
        publisher.clone(),
        reader,
        &process.life,
    );
    tracing::info!(stack = %process.config.stack, "public API on {url}");
    Ok(RunningApi {
        address,
        url,
        publisher,
        health,
    })
}

/// Starts a worker on RabbitMQ and Redis.
pub(crate) async fn start_worker(
    process: &Process,
    servers: &Servers,
    broker: &Arc<Broker>,
) -> anyhow::Result<Worker> {
    let Process { config, life, .. } = process;
    let store = Store::new(
        servers.redis_url.clone(),
        &config.stack,
        // One for each thread, and as many to look whether Redis is back.
        config.threads * 2,
        config.accept_loss_window,
    )?;
    let engine = RabbitRedis::new(Arc::clone(broker), store, config.stack.clone());
    let engine = Arc::new(engine);
    Ok(skilift_worker::start(worker_config(config), engine, life).await?)
}
