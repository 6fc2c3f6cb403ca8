//! What every process that serves does: settings, log, health and metrics, and an orderly end.

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

use crate::config::{Config, Servers, TlsFiles};
use crate::logging::{self, LogFormat};
use crate::notify::{self, Ending};

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
    /// The instance's name, once somebody has begun to look for it.
    pub(crate) instance: OnceLock<Arc<OnceLock<String>>>,
    private: TcpListener,
    metrics: PrometheusHandle,
}

impl Process {
    /// Takes the signals, reads the settings, starts the log and takes the private address.
    pub(crate) async fn begin(
        flags: &impl Serialize,
        file: Option<&Path>,
    ) -> anyhow::Result<(Self, Signals)> {
        Self::begin_as(flags, file, None).await
    }

    /// The same in a process that may be a child of `skictl up`, which then tells it how to log.
    pub(crate) async fn begin_as(
        flags: &impl Serialize,
        file: Option<&Path>,
        child: Option<LogFormat>,
    ) -> anyhow::Result<(Self, Signals)> {
        let signals = match child {
            Some(_) => Signals::install_in_child()
                .context("--child is for processes that skictl up starts")?,
            None => Signals::install()?,
        };
        let config = Config::load(flags, file)?;
        logging::start(&config.log, child)?;
        let private = bind(config.metrics_listen, "--metrics-listen").await?;
        let process = Self {
            // Before anything that counts takes its handles.
            metrics: health::install_metrics().map_err(anyhow::Error::from_boxed)?,
            life: Lifecycle::new(),
            instance: OnceLock::new(),
            config,
            private,
        };
        Ok((process, signals))
    }

    /// Takes the public address and reads the catalogue.
    pub(crate) async fn open_public(&self) -> anyhow::Result<(Listener, Catalogue)> {
        self.config.check_exposure()?;
        raise_file_limit();
        let catalogue = self.catalogue()?;
        let tls = self.config.tls.as_ref().map(TlsFiles::read).transpose()?;
        let public = bind(self.config.api_listen, "--api-listen").await?;
        Ok((Listener::new(public, tls), catalogue))
    }

    /// Takes the console's address. On loopback it speaks plain HTTP where `up` serves it, whatever the API speaks.
    pub(crate) async fn open_console(&self, tls: Option<&TlsFiles>) -> anyhow::Result<Listener> {
        self.config.check_console_exposure()?;
        let tls = tls.map(TlsFiles::read).transpose()?;
        let tcp = bind(self.config.console_listen, "--console-listen").await?;
        Ok(Listener::new(tcp, tls))
    }

    /// The catalogue, where one is named.
    pub(crate) fn catalogue(&self) -> anyhow::Result<Catalogue> {
        Ok(match &self.config.catalogue {
            Some(file) => Catalogue::read(file)?,
            None => Catalogue::default(),
        })
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
        let ending = Ending {
            draining: self.life.draining(),
            // The farewell, what speaks at last, and some room.
            takes: self.config.drain_deadline + 3 * FAREWELL,
            end: end.clone(),
        };
        let informing = notify::keep_informed(Arc::clone(&check), ending);
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
        tokio::pin!(agents, informing);
        // It is seen to the last, but nobody who watches it keeps the process alive.
        tokio::select! {
            code = drained => {
                let last = async { tokio::join!(agents, informing) };
                let _ = tokio::time::timeout(FAREWELL, last).await;
                Ok(code)
            }
            served = health => {
                served.map_err(anyhow::Error::from_boxed).context("the health listener failed")?;
                Ok(ExitCode::SUCCESS)
            }
            () = &mut agents => anyhow::bail!("what speaks for this node ended unasked"),
            () = &mut informing => anyhow::bail!("what speaks to systemd ended unasked"),
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

/// How the flags set an API node.
pub(crate) fn api_settings(config: &Config) -> ApiSettings {
    // Each has its range, far below 2^32.
    ApiSettings {
        lanes: config.lanes.into(),
        message_rides: config.message_rides as u32,
        max_in_flight: config.max_in_flight as u32,
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

/// Prints for whoever started the process. Nobody reads it: then nobody misses it.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
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
