//! Code of every serving process: configuration, log, health, metrics and orderly shutdown.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use skilift_core::catalogue::Catalogue;
use skilift_core::control::{ApiSettings, WorkerSettings};
use skilift_core::health::{self, HealthCheck, PrometheusHandle};
use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::queue::PublisherConfig;
use skilift_core::queue::rabbit::Broker;
use skilift_http::Listener;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config, Servers, TlsFiles};
use crate::logging::{self, LogFormat};
use crate::notify::{self, Ending};

/// Timeout for closing the connection to RabbitMQ.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a process' future to its end.
pub(crate) fn block_on(
    process: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(process);
    // After a forced exit, running tasks are not awaited.
    runtime.shutdown_background();
    code
}

/// A starting process.
pub(crate) struct Process {
    pub(crate) config: Arc<Config>,
    pub(crate) lifecycle: Lifecycle,
    /// The instance ID, once its lookup has started.
    pub(crate) instance: OnceLock<Arc<OnceLock<String>>>,
    private: TcpListener,
    metrics: PrometheusHandle,
}

impl Process {
    /// Installs the signal handlers, loads the configuration, starts the log and binds the private address.
    pub(crate) async fn begin(
        flags: &impl Serialize,
        file: Option<&Path>,
        ports: &[Port],
    ) -> anyhow::Result<(Self, Signals)> {
        Self::begin_as(flags, file, ports, None).await
    }

    /// The same for a process that may be a child of `skictl up`, which sets the log format.
    pub(crate) async fn begin_as(
        flags: &impl Serialize,
        file: Option<&Path>,
        ports: &[Port],
        child: Option<LogFormat>,
    ) -> anyhow::Result<(Self, Signals)> {
        let signals = match child {
            Some(_) => Signals::install_in_child()
                .context("--child is only for processes started by `skictl up`")?,
            None => Signals::install()?,
        };
        let mut config = Config::load(flags, file)?;
        if let [Port::Api, Port::Console] = ports {
            config.archive_in_data()?;
        }
        logging::start(&config.log, child)?;
        let links = config::service_links();
        if !links.is_empty() {
            tracing::warn!(
                "ignoring {}: service links of Kubernetes, not settings; enableServiceLinks: false in the pod avoids them",
                links.join(", ")
            );
        }
        check_ports(&config, ports)?;
        let private = bind(config.metrics_listen, "--metrics-listen").await?;
        let process = Self {
            // Before any code creates metric handles.
            metrics: health::install_metrics().map_err(anyhow::Error::from_boxed)?,
            lifecycle: Lifecycle::new(),
            instance: OnceLock::new(),
            config: Arc::new(config),
            private,
        };
        Ok((process, signals))
    }

    /// Binds the public address and reads the catalogue.
    pub(crate) async fn open_public(&self) -> anyhow::Result<(Listener, Catalogue)> {
        self.config.check_exposure()?;
        raise_file_limit();
        let catalogue = self.catalogue()?;
        let tls = self.config.tls.as_ref().map(TlsFiles::read).transpose()?;
        let public = bind(self.config.api_listen, "--api-listen").await?;
        Ok((Listener::new(public, tls), catalogue))
    }

    /// Binds the console's address; within `up` a console on loopback uses plain HTTP even if the API uses TLS.
    pub(crate) async fn open_console(&self, tls: Option<&TlsFiles>) -> anyhow::Result<Listener> {
        self.config.check_console_exposure()?;
        let tls = tls.map(TlsFiles::read).transpose()?;
        let tcp = bind(self.config.console_listen, "--console-listen").await?;
        Ok(Listener::new(tcp, tls))
    }

    /// The catalogue, if one is configured.
    pub(crate) fn catalogue(&self) -> anyhow::Result<Catalogue> {
        Ok(match &self.config.catalogue {
            Some(file) => Catalogue::read(file)?,
            None => Catalogue::default(),
        })
    }

    /// A broker client that is not connected yet.
    pub(crate) fn broker(&self, servers: &Servers, role: &str) -> anyhow::Result<Arc<Broker>> {
        let name = format!("{} {role} {}", self.config.stack, std::process::id());
        Ok(Arc::new(Broker::new(servers.amqp_url.clone(), name)?))
    }

    /// Address of health and metrics.
    pub(crate) fn private_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.private.local_addr()?)
    }

    /// Serves until shutdown or until a task fails, then closes all connections. `agents` send the heartbeats of the nodes up to
    /// the end of the process.
    pub(crate) async fn run(
        self,
        signals: Signals,
        check: HealthCheck,
        agents: impl AsyncFnOnce(CancellationToken),
        cleanup: impl Future<Output = ()>,
    ) -> anyhow::Result<ExitCode> {
        tracing::info!("health and metrics on http://{}", self.private_address()?);
        let end = CancellationToken::new();
        let ending = Ending {
            draining: self.lifecycle.draining(),
            // The close of the connections, the last heartbeats, and a margin.
            takes: self.config.drain_deadline + 3 * CLOSE_TIMEOUT,
            end: end.clone(),
        };
        let informing = notify::keep_informed(Arc::clone(&check), ending);
        let router = health::router(check, self.metrics.clone());
        let health = async {
            tokio::select! {
                // It ends last, so that a drain can be observed.
                () = skilift_http::serve(Listener::new(self.private, None), router, end.clone()) => {}
                () = health::fold(self.metrics) => {}
            }
        };
        let drained = async {
            let deadline = self.config.drain_deadline;
            let code = self.lifecycle.run_until_drained(signals, deadline).await;
            // After a forced exit a task may still hold a connection; the end of the process closes it.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, cleanup).await;
            end.cancel();
            code
        };
        let agents = agents(end.clone());
        tokio::pin!(agents, informing);
        // The health listener serves until the end, but open requests to it do not keep the process alive.
        tokio::select! {
            code = drained => {
                let last = async { tokio::join!(agents, informing) };
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, last).await;
                Ok(code)
            }
            () = health => anyhow::bail!("the health listener ended unexpectedly"),
            () = &mut agents => anyhow::bail!("the heartbeat task of this node ended unexpectedly"),
            () = &mut informing => anyhow::bail!("the systemd notification task ended unexpectedly"),
        }
    }
}

/// Waits for a start that may have to wait for servers; `None` if a signal arrives first.
pub(crate) async fn unless_signalled<T>(
    signals: &mut Signals,
    start: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        started = start => Some(started),
        name = signals.next() => {
            tracing::info!("{name}: shutting down before the start was complete");
            None
        }
    }
}

/// Settings of a publisher.
pub(crate) fn publisher_config(config: &Config) -> PublisherConfig {
    PublisherConfig {
        channels: config.channels,
        message_rides: config.message_rides,
        max_in_flight: config.max_in_flight,
        high_water_rides: config.high_water_rides,
    }
}

/// Settings of an API node from flags.
pub(crate) fn api_settings(config: &Config) -> ApiSettings {
    // All ranges are far below 2^32.
    ApiSettings {
        channels: config.channels.into(),
        message_rides: config.message_rides as u32,
        max_in_flight: config.max_in_flight as u32,
    }
}

/// Settings of a worker from flags.
pub(crate) fn worker_settings(config: &Config) -> WorkerSettings {
    WorkerSettings {
        threads: config.threads,
        prefetch: config.prefetch_rides,
        batch: config.batch_rides,
        // At most 10 s.
        linger_ms: config.linger.as_millis() as u32,
    }
}

/// Prints to stdout; write errors are ignored because the reader may be gone.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// A listen address beside that of health and metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Port {
    Api,
    Console,
}

/// Names all addresses at once that other processes listen on.
fn check_ports(config: &Config, ports: &[Port]) -> anyhow::Result<()> {
    let mut addresses = vec![(config.metrics_listen, "--metrics-listen")];
    addresses.extend(ports.iter().map(|port| match port {
        Port::Api => (config.api_listen, "--api-listen"),
        Port::Console => (config.console_listen, "--console-listen"),
    }));
    let is_busy = |address: &SocketAddr| {
        let bound = std::net::TcpListener::bind(address);
        bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    };
    let busy: Vec<String> = addresses
        .iter()
        .filter(|(address, _)| is_busy(address))
        .map(|(address, flag)| format!("{address} ({flag})"))
        .collect();
    anyhow::ensure!(
        busy.is_empty(),
        "cannot listen on {}: another process does (`ss -ltnp` shows it); stop it, or set another address",
        busy.join(", ")
    );
    Ok(())
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}; set another address with {flag}"))
}

/// Raises the soft limit of open files to the hard limit, because every connection is a file descriptor.
pub(crate) fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
