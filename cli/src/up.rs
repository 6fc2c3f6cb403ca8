//! `skictl up`: everything in one process.

use std::process::ExitCode;
use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::control::{Agent, ControlPlane, LocalPlane, Role};
use skilift_core::embedded::Database;
use skilift_core::engine::Embedded;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_core::queue::Admission;
use skilift_core::queue::embedded::{self, EmbeddedQueue};
use skilift_core::store::embedded::EmbeddedReader;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;

use crate::args::UpArgs;
use crate::process::{self, Process, publisher_config, unless_signalled, worker_settings};
use crate::serve::{self, ApiNode, WorkerNode};
use crate::{simulate, summary};

/// Runs until it is asked to end.
pub(crate) fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    process::block_on(up(args))
}

async fn up(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let (process, mut signals) = Process::begin(args, args.common.config.as_deref()).await?;
    let public = process.open_public().await?;
    // Whoever names a folder means it, whatever the environment says: simulated rides in a fleet's queue would be real ones.
    let servers = process.config.servers.as_ref();
    let servers = servers.filter(|_| !args.wants_data_folder());
    let broker = servers.map(|servers| process.broker(servers, "up"));
    let broker = broker.transpose()?;
    let plane: Arc<dyn ControlPlane> = match servers {
        Some(servers) => process.fleet_plane(servers)?,
        None => Arc::new(LocalPlane::default()),
    };
    let starting = async {
        let agents = (
            process.agent(Role::Api, &plane).await?,
            process.agent(Role::Worker, &plane).await?,
        );
        match servers.zip(broker.as_ref()) {
            Some((servers, broker)) => {
                let worker = serve::start_worker(&process, servers, broker, agents.1).await?;
                let api = serve::start_api(&process, servers, broker, public, agents.0).await?;
                anyhow::Ok((api, worker))
            }
            None => start_on_data_folder(&process, public, agents).await,
        }
    };
    let Some(started) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let (api, worker) = started?;
    let data = match servers {
        Some(servers) => format!("{} and {}", servers.amqp_url, servers.redis_url),
        None => process.config.data()?.display().to_string(),
    };
    tracing::info!("queue and store: {data}");
    summary::greet(&api.url, process.private_address()?, &data);
    let life = &process.life;
    let showing = summary::show(
        api.publisher.clone(),
        Arc::clone(&worker.running.counts),
        life.draining(),
    );
    life.spawn("summary line", showing);
    if let Some(rate) = process.config.simulate {
        let simulating = simulate::run(api.address, rate, life.draining());
        life.spawn("simulated traffic", simulating);
    }
    let (api, worker) = ((api.agent, api.running), (worker.agent, worker.running));
    let check = both(Arc::clone(&api.1.health), Arc::clone(&worker.1.health));
    let speaking = async |end: CancellationToken| {
        tokio::join!(
            api.0.run(end.clone(), || api.1.status()),
            worker.0.run(end, || worker.1.status())
        );
    };
    let farewell = async {
        if let Some(broker) = broker {
            broker.close().await;
        }
    };
    process.run(signals, check, speaking, farewell).await
}

async fn start_on_data_folder(
    process: &Process,
    public: (Listener, Catalogue),
    (api, worker): (Agent, Agent),
) -> anyhow::Result<(ApiNode, WorkerNode)> {
    let Process { config, life, .. } = process;
    let folder = config.data()?;
    let opening = tokio::task::spawn_blocking(move || {
        let database = Arc::new(Database::open(&folder)?);
        let queue = EmbeddedQueue::open(Arc::clone(&database))?;
        anyhow::Ok((database, queue))
    });
    let (database, queue) = opening.await??;
    let admission = Arc::<Admission>::default();
    let publisher = embedded::publish(&publisher_config(config), &queue, admission, life);
    let reader = Arc::new(EmbeddedReader::new(Arc::clone(&database)));
    let engine = Arc::new(Embedded::new(database, queue));
    let flags = worker_settings(config);
    let running = skilift_worker::start(flags, worker.orders(), engine, life).await?;
    let worker = WorkerNode {
        running,
        agent: worker,
    };
    let api = serve::serve_public(process, public, publisher, reader, api)?;
    Ok((api, worker))
}

/// The health of two: the one that can do less.
fn both(one: HealthCheck, other: HealthCheck) -> HealthCheck {
    let worse = |one: Health, other: Health| {
        if severity(one.status) >= severity(other.status) {
            one
        } else {
            other
        }
    };
    Arc::new(move || worse(one(), other()))
}

fn severity(readiness: Readiness) -> u8 {
    match readiness {
        Readiness::Ready => 0,
        Readiness::Degraded => 1,
        Readiness::Starting => 2,
        Readiness::Unavailable => 3,
        Readiness::Draining => 4,
    }
}
