//! `skictl serve`: one role of a fleet, on RabbitMQ and Redis.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use skilift_api::RunningApi;
use skilift_core::catalogue::Catalogue;
use skilift_core::control::{Agent, Role as NodeRole};
use skilift_core::engine::RabbitRedis;
use skilift_core::queue::rabbit::{self, Broker};
use skilift_core::queue::{Admission, Publisher};
use skilift_core::store::Reader;
use skilift_core::store::redis::Store;
use skilift_fleet::local::Announcement;
use skilift_http::Listener;
use skilift_worker::Worker;

use crate::args::{ApiArgs, ChildArgs, Role, WorkerArgs};
use crate::config::Servers;
use crate::console;
use crate::process::{self, Port, Process, publisher_config, unless_signalled, worker_settings};

/// A running public API and its agent.
pub(crate) struct ApiNode {
    pub(crate) address: SocketAddr,
    /// Base URL.
    pub(crate) url: String,
    pub(crate) publisher: Publisher,
    pub(crate) running: RunningApi,
    pub(crate) agent: Agent,
}

/// A running worker and its agent.
pub(crate) struct WorkerNode {
    pub(crate) running: Worker,
    pub(crate) agent: Agent,
}

/// Runs a role until shutdown.
pub(crate) fn run(role: Role) -> anyhow::Result<ExitCode> {
    match role {
        Role::Api(args) => process::block_on(api(&args)),
        Role::Worker(args) => process::block_on(worker(&args)),
        Role::Console(args) => process::block_on(console::serve(&args)),
    }
}

async fn api(args: &ApiArgs) -> anyhow::Result<ExitCode> {
    let file = args.common.config.as_deref();
    let (process, mut signals) =
        Process::begin_as(args, file, &[Port::Api], args.tie.child).await?;
    let servers = process.config.servers()?;
    let public = process.open_public().await?;
    let broker = process.broker(servers, "api")?;
    let control_channel = process.fleet_control_channel(servers)?;
    let starting = async {
        let agent = process.agent(NodeRole::Api, &control_channel).await?;
        start_api(&process, servers, &broker, public, agent).await
    };
    let Some(api) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let ApiNode {
        running,
        agent,
        address,
        ..
    } = api?;
    announce(&process, &args.tie, Some(address))?;
    let check = Arc::clone(&running.health);
    let heartbeats = async |end| agent.run(end, || running.status()).await;
    process
        .run(signals, check, heartbeats, broker.close())
        .await
}

async fn worker(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    let file = args.common.config.as_deref();
    let (process, mut signals) = Process::begin_as(args, file, &[], args.tie.child).await?;
    let servers = process.config.servers()?;
    let broker = process.broker(servers, "worker")?;
    let control_channel = process.fleet_control_channel(servers)?;
    let starting = async {
        let agent = process.agent(NodeRole::Worker, &control_channel).await?;
        start_worker(&process, servers, &broker, agent).await
    };
    let Some(worker) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let WorkerNode { running, agent } = worker?;
    announce(&process, &args.tie, None)?;
    let check = Arc::clone(&running.health);
    let heartbeats = async |end| agent.run(end, || running.status()).await;
    process
        .run(signals, check, heartbeats, broker.close())
        .await
}

/// Reports readiness to the parent process, if there is one.
fn announce(process: &Process, tie: &ChildArgs, public: Option<SocketAddr>) -> anyhow::Result<()> {
    if tie.child.is_some() {
        let private = process.private_address()?;
        process::print(&Announcement { private, public }.line());
    }
    Ok(())
}

/// Starts a public API on RabbitMQ and Redis.
pub(crate) async fn start_api(
    process: &Process,
    servers: &Servers,
    broker: &Arc<Broker>,
    public: (Listener, Catalogue),
    agent: Agent,
) -> anyhow::Result<ApiNode> {
    let Process {
        config, lifecycle, ..
    } = process;
    // The API writes no rides; the worker checks the durability of Redis.
    let store = Store::for_reading(servers.redis_url.clone(), &config.stack)?;
    // A newer layout would give wrong results; an unavailable store is retried.
    store.check_readable().await?;
    let publishing = publisher_config(config);
    let publisher = rabbit::publish(
        &publishing,
        Arc::clone(broker),
        &config.stack,
        Arc::<Admission>::default(),
        lifecycle,
    );
    let publisher = publisher.await?;
    let reader = store.reader()?.with_archive(config.archive());
    serve_public(process, public, publisher, Arc::new(reader), agent)
}

/// Serves the public API on any queue and store.
pub(crate) fn serve_public(
    process: &Process,
    (listener, catalogue): (Listener, Catalogue),
    publisher: Publisher,
    reader: Arc<dyn Reader>,
    agent: Agent,
) -> anyhow::Result<ApiNode> {
    let (address, url) = (listener.address()?, listener.url()?);
    let running = skilift_api::start(
        catalogue,
        listener,
        publisher.clone(),
        reader,
        process.config.ingest_policy,
        agent.desired_state(),
        &process.lifecycle,
    );
    tracing::info!(stack = %process.config.stack, "public API on {url}");
    Ok(ApiNode {
        address,
        url,
        publisher,
        running,
        agent,
    })
}

/// Starts a worker on RabbitMQ and Redis.
pub(crate) async fn start_worker(
    process: &Process,
    servers: &Servers,
    broker: &Arc<Broker>,
    agent: Agent,
) -> anyhow::Result<WorkerNode> {
    let Process {
        config, lifecycle, ..
    } = process;
    // The worker sizes the pool for its number of threads.
    let url = servers.redis_url.clone();
    let store = Store::new(url, &config.stack, 1, config.store_durability)?;
    let engine = RabbitRedis::new(Arc::clone(broker), store, config.stack.clone());
    let engine = Arc::new(engine);
    let flags = worker_settings(config);
    let running = skilift_worker::start(flags, agent.desired_state(), engine, lifecycle).await?;
    Ok(WorkerNode { running, agent })
}
