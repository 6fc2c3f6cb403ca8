//! What every process that serves does: settings, log, health and metrics, and an orderly end.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use skilift_core::catalogue::Catalogue;
use skilift_core::control::WorkerSettings;
use skilift_core::health::{self, HealthCheck, PrometheusHandle};
use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::queue::PublisherConfig;
use skilift_core::queue::rabbit::Broker;
use skilift_http::Listener;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Servers, TlsFiles};
use crate::logging;

/// How long saying good-bye to RabbitMQ may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs a process' future to its end.
pub(crate) fn block_on(
    process: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(process);
    // After a hard end, tasks that still run are left where they are.
    runtime.shutdown_background();
    code
}

/// A process that is about to serve.
pub(crate) struct Process {
    pub(crate) config: Config,
    pub(crate) life: Lifecycle,
    private: TcpListener,
    metrics: PrometheusHandle,
}

impl Process {
    /// Takes the signals, reads the settings, starts the log and takes the private address.
    pub(crate) async fn begin(
        flags: &impl Serialize,
        file: Option<&Path>,
    ) -> anyhow::Result<(Self, Signals)> {
        let signals = Signals::install()?;
        let config = Config::load(flags, file)?;
        logging::start(&config.log)?;
        let private = bind(config.metrics_listen, "--metrics-listen").await?;
        let process = Self {
            // Before anything that counts takes its handles.
            metrics: health::install_metrics().map_err(anyhow::Error::from_boxed)?,
            life: Lifecycle::new(),
            config,
            private,
        };
        Ok((process, signals))
    }

    /// Takes the public address and reads the catalogue.
    pub(crate) async fn open_public(&self) -> anyhow::Result<(Listener, Catalogue)> {
        self.config.check_exposure()?;
        raise_file_limit();
        let catalogue = match &self.config.catalogue {
            Some(file) => Catalogue::read(file)?,
            None => Catalogue::default(),
        };
        let tls = self.config.tls.as_ref().map(TlsFiles::read).transpose()?;
        let public = bind(self.config.api_listen, "--api-listen").await?;
        Ok((Listener::new(public, tls), catalogue))
    }

    /// RabbitMQ, not connected to yet.
    pub(crate) fn broker(&self, servers: &Servers, role: &str) -> anyhow::Result<Arc<Broker>> {
        let name = format!("{} {role} {}", self.config.stack, std::process::id());
        Ok(Arc::new(Broker::new(servers.amqp_url.clone(), name)?))
    }

    /// Where health and metrics are.
    pub(crate) fn private_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.private.local_addr()?)
    }

    /// Serves until the process is asked to end or a task fails, and then says good-bye. `agents` speak for its nodes to the
    /// very end, of which they are told.
    pub(crate) async fn run(
        self,
        signals: Signals,
        check: HealthCheck,
        agents: impl AsyncFnOnce(CancellationToken),
        farewell: impl Future<Output = ()>,
    ) -> anyhow::Result<ExitCode> {
        tracing::info!("health and metrics on http://{}", self.private_address()?);
        let end = CancellationToken::new();
        let health = health::serve(self.private, check, self.metrics, end.clone());
        let drained = async {
            let deadline = self.config.drain_deadline;
            let code = self.life.run_until_drained(signals, deadline).await;
            // After a hard end a task may still hold a connection; the process' end closes it then.
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
            end.cancel();
            code
        };
        let agents = agents(end.clone());
        tokio::pin!(agents);
        // It is seen to the last, but nobody who watches it keeps the process alive.
        tokio::select! {
            code = drained => {
                let _ = tokio::time::timeout(FAREWELL, agents).await;
                Ok(code)
            }
            served = health => {
                served.map_err(anyhow::Error::from_boxed).context("the health listener failed")?;
                Ok(ExitCode::SUCCESS)
            }
            () = &mut agents => anyhow::bail!("what speaks for this node ended unasked"),
        }
    }
}

/// Waits for a start that may have to wait for servers; `None` when a signal came first.
pub(crate) async fn unless_signalled<T>(
    signals: &mut Signals,
    start: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        started = start => Some(started),
        name = signals.next() => {
            tracing::info!("{name}: ending before the start was done");
            None
        }
    }
}

/// How a publisher is set.
pub(crate) fn publisher_config(config: &Config) -> PublisherConfig {
    PublisherConfig {
        lanes: config.lanes,
        message_rides: config.message_rides,
        max_in_flight: config.max_in_flight,
        high_water_rides: config.high_water_rides,
    }
}

/// How the flags set a worker.
pub(crate) fn worker_settings(config: &Config) -> WorkerSettings {
    WorkerSettings {
        threads: config.threads,
        prefetch: config.prefetch_rides,
        batch: config.batch_rides,
        // At most 10 s.
        linger_ms: config.linger.as_millis() as u32,
    }
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; choose another address with {flag}"))
}

/// Every connection is a file descriptor, and the usual soft limit is far below what the system allows.
pub(crate) fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
