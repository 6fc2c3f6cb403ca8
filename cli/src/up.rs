//! `skictl up`: everything in one process.

use std::process::ExitCode;
use std::sync::Arc;

use skilift_core::catalogue::Catalogue;
use skilift_core::embedded::Database;
use skilift_core::engine::Embedded;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_core::queue::Admission;
use skilift_core::queue::embedded::{self, EmbeddedQueue};
use skilift_core::store::embedded::EmbeddedReader;
use skilift_http::Listener;
use skilift_worker::Worker;

use crate::args::UpArgs;
use crate::process::{self, Process, publisher_config, unless_signalled, worker_config};
use crate::serve::{self, RunningApi};
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
    let starting = async {
        match servers.zip(broker.as_ref()) {
            Some((servers, broker)) => {
                let worker = serve::start_worker(&process, servers, broker).await?;
                let api = serve::start_api(&process, servers, broker, public).await?;
                anyhow::Ok((api, worker))
            }
            None => start_on_data_folder(&process, public).await,
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
    let showing = summary::show(api.publisher, worker.counts, life.draining());
    life.spawn("summary line", showing);
    if let Some(rate) = process.config.simulate {
        let simulating = simulate::run(api.address, rate, life.draining());
        life.spawn("simulated traffic", simulating);
    }
    let check = both(api.health, worker.health);
    let farewell = async {
        if let Some(broker) = broker {
            broker.close().await;
        }
    };
    process.run(signals, check, farewell).await
}

async fn start_on_data_folder(
    process: &Process,
    public: (Listener, Catalogue),
) -> anyhow::Result<(RunningApi, Worker)> {
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
    let worker = skilift_worker::start(worker_config(config), engine, life).await?;
    let api = serve::serve_public(process, public, publisher, reader)?;
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
