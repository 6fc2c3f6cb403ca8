//! `skictl serve`: one role of a fleet.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use skilift_api::ApiConfig;
use skilift_core::catalogue::Catalogue;
use skilift_core::health::{self, HealthCheck, PrometheusHandle};
use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::queue::rabbit::Broker;
use skilift_core::store::redis::Store;
use skilift_worker::WorkerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::args::{ApiArgs, Role, WorkerArgs};
use crate::config::Config;
use crate::logging;

/// How long saying good-bye to RabbitMQ may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs a role until it is asked to end.
pub(crate) fn run(role: Role) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = match role {
        Role::Api(args) => runtime.block_on(api(&args)),
        Role::Worker(args) => runtime.block_on(worker(&args)),
    };
    // After a hard end, tasks that still run are left where they are.
    runtime.shutdown_background();
    code
}

async fn api(args: &ApiArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::install()?;
    let config = Config::load(args, args.common.config.as_deref())?;
    config.check_exposure()?;
    logging::start(&config.log)?;
    raise_file_limit();
    let catalogue = match &config.catalogue {
        Some(file) => Catalogue::read(file)?,
        None => Catalogue::default(),
    };
    let public = bind(config.api_listen, "--api-listen").await?;
    let private = bind(config.metrics_listen, "--metrics-listen").await?;
    let public_address = public.local_addr()?;

    // Before anything that counts takes its handles.
    let metrics = health::install_metrics().map_err(anyhow::Error::from_boxed)?;
    let life = Lifecycle::new();
    let broker = connect(&config, "api")?;
    // The API writes no rides: the worker answers for what Redis keeps.
    let store = Store::new(config.redis_url.clone(), &config.stack, 1, true)?;
    let api = ApiConfig {
        lanes: config.lanes,
        message_rides: config.message_rides,
        max_in_flight: config.max_in_flight,
        high_water_rides: config.high_water_rides,
        catalogue,
    };
    // A newer layout would be answered wrongly; a store that is absent is waited for.
    let starting = async {
        store.check_readable().await?;
        let api = skilift_api::start(
            api,
            public,
            Arc::clone(&broker),
            store,
            &config.stack,
            &life,
        );
        anyhow::Ok(api.await?)
    };
    let Some(check) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let check = check?;
    tracing::info!(stack = %config.stack, "public API on http://{public_address}");
    run_until_drained(&config, signals, private, metrics, check, life, &broker).await
}

async fn worker(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::install()?;
    let config = Config::load(args, args.common.config.as_deref())?;
    logging::start(&config.log)?;
    let private = bind(config.metrics_listen, "--metrics-listen").await?;

    // Before anything that counts takes its handles.
    let metrics = health::install_metrics().map_err(anyhow::Error::from_boxed)?;
    let life = Lifecycle::new();
    let broker = connect(&config, "worker")?;
    let store = Store::new(
        config.redis_url.clone(),
        &config.stack,
        // One for each thread, and as many to look whether Redis is back.
        config.threads * 2,
        config.accept_loss_window,
    )?;
    let worker = WorkerConfig {
        threads: config.threads,
        prefetch_rides: config.prefetch_rides,
        batch_rides: config.batch_rides,
        linger: config.linger,
    };
    let starting = skilift_worker::start(worker, Arc::clone(&broker), store, &config.stack, &life);
    let Some(check) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let check = check?;
    run_until_drained(&config, signals, private, metrics, check, life, &broker).await
}

/// Waits for a start that may have to wait for servers; `None` when a signal came first.
async fn unless_signalled<T>(signals: &mut Signals, start: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        started = start => Some(started),
        name = signals.next() => {
            tracing::info!("{name}: ending before the start was done");
            None
        }
    }
}

/// Every connection is a file descriptor, and the usual soft limit is far below what the system allows.
pub(crate) fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}

fn connect(config: &Config, role: &str) -> anyhow::Result<Arc<Broker>> {
    let name = format!("{} {role} {}", config.stack, std::process::id());
    Ok(Arc::new(Broker::new(config.amqp_url.clone(), name)?))
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with {flag}"))
}

async fn run_until_drained(
    config: &Config,
    signals: Signals,
    private: TcpListener,
    metrics: PrometheusHandle,
    check: HealthCheck,
    life: Lifecycle,
    broker: &Broker,
) -> anyhow::Result<ExitCode> {
    tracing::info!("health and metrics on http://{}", private.local_addr()?);
    let end = CancellationToken::new();
    let health = health::serve(private, check, metrics, end.clone());
    let drained = async {
        let code = life.run_until_drained(signals, config.drain_deadline).await;
        // After a hard end a task may still hold the connection; the process' end closes it then.
        let _ = tokio::time::timeout(FAREWELL, broker.close()).await;
        end.cancel();
        code
    };
    // Health is served to the last, but nobody who watches it keeps the process alive.
    tokio::select! {
        code = drained => Ok(code),
        served = health => {
            served.map_err(anyhow::Error::from_boxed).context("the health listener failed")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
