//! `skictl up`: everything in one process on a data directory, or, on RabbitMQ and Redis, API and console in one process and
//! workers as child processes, which can be scaled.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use skilift_console::{EngineKind, Seeds};
use skilift_core::catalogue::Catalogue;
use skilift_core::control::{Agent, ControlChannel, LocalControlChannel, Role};
use skilift_core::embedded::Database;
use skilift_core::engine::Embedded;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_core::queue::Admission;
use skilift_core::queue::embedded::{self, EmbeddedDeadLetterQueue, EmbeddedQueue};
use skilift_core::queue::rabbit::Broker;
use skilift_core::store::Reader;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::Store;
use skilift_fleet::local::local_id;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;

use crate::args::UpArgs;
use crate::children::Children;
use crate::config::Servers;
use crate::console::{self, ConsoleDeps};
use crate::process::{
    self, Port, Process, api_settings, publisher_config, unless_signalled, worker_settings,
};
use crate::serve::{self, ApiNode, WorkerNode};
use crate::simulate;
use crate::summary::{self, Banner, Stored};

/// Runs until shutdown.
pub(crate) fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    process::block_on(up(args))
}

async fn up(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let (process, mut signals) = Process::begin(
        args,
        args.common.config.as_deref(),
        &[Port::Api, Port::Console],
    )
    .await?;
    let public = process.open_public().await?;
    // --data overrides servers from the environment, because simulated rides in a fleet's queue would count as real ones.
    let servers = process.config.servers.as_ref();
    let servers = servers.filter(|_| !args.wants_data_folder());
    let broker = servers.map(|servers| process.broker(servers, "up"));
    let broker = broker.transpose()?;
    let control_channel: Arc<dyn ControlChannel> = match servers {
        Some(servers) => process.fleet_control_channel(servers)?,
        None => Arc::new(LocalControlChannel::default()),
    };
    let listener = process
        .open_console(console::tls_of_up(&process.config))
        .await?;
    // With servers: the fleet of child processes, which also lists the API of this process as not stoppable.
    let children = servers.map(|servers| Children::new(&process, servers, public.0.address()?));
    let children = children.transpose()?;
    let starting = async {
        let (backend, reader): (_, Arc<dyn Reader>) = match servers.zip(broker.as_ref()) {
            Some((servers, broker)) => {
                let reader = fleet_reader(&process, servers)?;
                (Backend::Servers(servers, broker), reader)
            }
            None => {
                let folder = open_folder(&process).await?;
                let reader = EmbeddedReader::new(Arc::clone(&folder.0));
                (Backend::Folder(folder), Arc::new(reader))
            }
        };
        if children.is_some() {
            // The API of this process is an instance of that fleet that cannot be stopped.
            process.name_instance(local_id("api", 0).as_str());
        }
        let deps = ConsoleDeps {
            engine: match backend {
                Backend::Folder(_) => EngineKind::DataFolder,
                Backend::Servers(..) => EngineKind::Servers,
            },
            reader: Arc::clone(&reader),
            control_channel: Arc::clone(&control_channel),
            depth: match &backend {
                Backend::Servers(_, broker) => console::fleet_depth(&process.config, broker),
                Backend::Folder((_, queue)) => Arc::clone(queue) as _,
            },
            dead_letter_queue: match &backend {
                Backend::Servers(_, broker) => {
                    console::fleet_dead_letter_queue(&process.config, broker)
                }
                Backend::Folder((_, queue)) => {
                    Arc::new(EmbeddedDeadLetterQueue::new(Arc::clone(queue)))
                }
            },
            management: match &backend {
                Backend::Servers(_, broker) => console::management(&process.config, broker)?,
                Backend::Folder(_) => None,
            },
            seeds: Seeds {
                worker: Some(worker_settings(&process.config)),
                api: Some(api_settings(&process.config)),
                ingest: Some(process.config.ingest_policy.ingest),
            },
            fleet: children
                .as_ref()
                .map(|children| Arc::clone(&children.fleet) as _),
            api: Some(public.0.url()?),
        };
        // The console starts first: it works without the servers, and the nodes start with its stored state.
        let console = console::start(&process, listener, deps).await?;
        let agent = process.agent(Role::Api, &control_channel).await?;
        let (api, workers) = match backend {
            Backend::Servers(servers, broker) => {
                // From here on the child processes are drained on every error.
                let children = children.as_ref().context("a fleet on servers")?;
                children.start().await?;
                let api = serve::start_api(&process, servers, broker, public, agent).await?;
                (api, Workers::Children(children))
            }
            Backend::Folder(folder) => {
                let agents = (agent, process.agent(Role::Worker, &control_channel).await?);
                let reader = Arc::clone(&reader);
                let (api, worker) =
                    start_on_data_folder(&process, folder, reader, public, agents).await?;
                (api, Workers::Here(worker))
            }
        };
        anyhow::Ok((console, api, workers, reader))
    };
    let started = unless_signalled(&mut signals, starting).await;
    let (console, api, workers, reader) = match (started, &children) {
        (Some(Ok(started)), _) => started,
        (None, None) => return Ok(ExitCode::SUCCESS),
        (Some(Err(error)), None) => return Err(error),
        (failed, Some(children)) => {
            // Child processes end before this process.
            process.lifecycle.drain();
            let deadline = process.config.drain_deadline;
            let code = process.lifecycle.run_until_drained(signals, deadline).await;
            children.end().await;
            return failed.map_or(Ok(code), |failed| failed.map(|_| code));
        }
    };
    let data = match servers {
        Some(servers) => format!("{} and {}", servers.amqp_url, servers.redis_url),
        None => process.config.data()?.display().to_string(),
    };
    tracing::info!("queue and store: {data}");
    let simulated = process.config.simulate;
    let banner = Banner {
        api: &api.url,
        console: &console,
        private: process.private_address()?,
        data: &data,
        simulated,
    };
    banner.print();
    let lifecycle = &process.lifecycle;
    let stored = match &workers {
        Workers::Here(worker) => Stored::Here(Arc::clone(&worker.running.counts)),
        Workers::Children(children) => Stored::InBooks {
            reader,
            children: Arc::clone(&children.fleet),
            before: None,
        },
    };
    let showing = summary::show(api.publisher.clone(), stored, lifecycle.draining());
    lifecycle.spawn("summary line", showing);
    if let Some(rate) = simulated {
        let simulating = simulate::run(api.address, rate, lifecycle.draining());
        lifecycle.spawn("simulated traffic", simulating);
    }
    let ApiNode { agent, running, .. } = api;
    match workers {
        Workers::Here(WorkerNode {
            agent: of_worker,
            running: worker,
        }) => {
            let check = both(Arc::clone(&running.health), Arc::clone(&worker.health));
            let heartbeats = async |end: CancellationToken| {
                tokio::join!(
                    agent.run(end.clone(), || running.status()),
                    of_worker.run(end, || worker.status())
                );
            };
            process.run(signals, check, heartbeats, async {}).await
        }
        Workers::Children(children) => {
            let check = children.beside(Arc::clone(&running.health));
            let heartbeats = async |end| agent.run(end, || running.status()).await;
            let cleanup = async {
                children.end().await;
                if let Some(broker) = broker {
                    broker.close().await;
                }
            };
            process.run(signals, check, heartbeats, cleanup).await
        }
    }
}

/// What stores rides.
enum Workers<'a> {
    /// This process.
    Here(WorkerNode),
    /// Its child processes.
    Children(&'a Children),
}

/// Queue and store of the nodes.
enum Backend<'a> {
    Servers(&'a Servers, &'a Arc<Broker>),
    Folder(Folder),
}

/// An open data directory.
type Folder = (Arc<Database>, Arc<EmbeddedQueue>);

/// Opens the data directory.
async fn open_folder(process: &Process) -> anyhow::Result<Folder> {
    let folder = process.config.data()?;
    let opening = tokio::task::spawn_blocking(move || {
        let database = Arc::new(Database::open(&folder)?);
        let queue = EmbeddedQueue::open(Arc::clone(&database))?;
        anyhow::Ok((database, queue))
    });
    opening.await?
}

/// The console's connection to the store, separate from that of the API.
fn fleet_reader(process: &Process, servers: &Servers) -> anyhow::Result<Arc<dyn Reader>> {
    let store = Store::for_reading(servers.redis_url.clone(), &process.config.stack)?;
    let reader = store.reader()?.with_archive(process.config.archive());
    Ok(Arc::new(reader))
}

async fn start_on_data_folder(
    process: &Process,
    (database, queue): Folder,
    reader: Arc<dyn Reader>,
    public: (Listener, Catalogue),
    (api, worker): (Agent, Agent),
) -> anyhow::Result<(ApiNode, WorkerNode)> {
    let Process {
        config, lifecycle, ..
    } = process;
    let admission = Arc::<Admission>::default();
    let publisher = embedded::publish(&publisher_config(config), &queue, admission, lifecycle);
    let engine = Arc::new(Embedded::new(database, queue));
    let flags = worker_settings(config);
    let running = skilift_worker::start(flags, worker.desired_state(), engine, lifecycle).await?;
    let worker = WorkerNode {
        running,
        agent: worker,
    };
    let api = serve::serve_public(process, public, publisher, reader, api)?;
    Ok((api, worker))
}

/// The worse of two healths.
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
