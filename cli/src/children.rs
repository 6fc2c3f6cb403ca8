//! Child processes of `skictl up` on RabbitMQ and Redis: all its workers, and additional API nodes.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, Metadata};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::unistd::gethostname;
use skilift_core::clock::epoch_ms;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_fleet::local::{
    Inner, Launch, LocalConfig, LocalFleet, MOST_OF_ROLE, Patience, Place, local_id,
};
use skilift_fleet::outcome::{Outcome, OutcomeCode};
use tempfile::NamedTempFile;

use crate::config::{Servers, own_variables};
use crate::logging::LogFormat;
use crate::process::Process;
use crate::relay::Relay;

/// The running program, even if its file has been replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Variables that systemd sets for the service; not passed to child processes.
const OF_SYSTEMD: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
/// Timeout for killed child processes to exit.
const LAST: Duration = Duration::from_secs(1);
/// File with the desired child processes, in their directory.
const WANTED_FILE: &str = "nodes.json";
/// Configuration file of the child processes, in their directory.
const SETTINGS_FILE: &str = "settings.toml";

/// The child processes of this process, and the relay of their log lines.
pub(crate) struct Children {
    pub(crate) fleet: Arc<LocalFleet>,
    relay: Relay,
    /// Path and content of their configuration file.
    settings: (PathBuf, String),
}

impl Children {
    /// Prepares the child processes; `api` is the listen address of the API of this process.
    pub(crate) fn new(
        process: &Process,
        servers: &Servers,
        api: SocketAddr,
    ) -> anyhow::Result<Self> {
        let Process {
            config, lifecycle, ..
        } = process;
        let folder = std::path::absolute(config.data()?)?;
        let folder = folder.join(format!("children-{}", config.stack));
        let settings = folder.join(SETTINGS_FILE);
        let launch = Launcher {
            settings: settings.clone(),
            private: config.metrics_listen,
            public: api,
            environment: vec![
                ("SKI_AMQP_URL".into(), servers.amqp_url.reveal().into()),
                ("SKI_REDIS_URL".into(), servers.redis_url.reveal().into()),
            ],
            without: own_variables()
                .chain(OF_SYSTEMD.map(OsString::from))
                .collect(),
            log: LogFormat::of_stderr(),
        };
        let host = gethostname().ok().and_then(|name| name.into_string().ok());
        let relay = Relay::to_stderr();
        let fleet = LocalConfig {
            host: host.unwrap_or_else(|| "unnamed".to_owned()),
            file: folder.join(WANTED_FILE),
            most: MOST_OF_ROLE,
            first: vec![local_id("worker", 1)],
            inner: vec![Inner {
                id: local_id("api", 0),
                role: "api".to_owned(),
                address: Some(api),
                started_at_ms: epoch_ms(),
            }],
            drain_deadline: config.drain_deadline,
            patience: Patience::default(),
            launch: Box::new(move |place| launch.launch(place)),
            lines: relay.lines(),
        };
        Ok(Self {
            fleet: Arc::new(LocalFleet::new(fleet, lifecycle)?),
            relay,
            settings: (settings, config.child_file()?),
        })
    }

    /// Starts the desired child processes; fails with the first error if none of them starts. The caller must hold the lock of
    /// the console's directory, which also protects the directory of the child processes.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        let (file, text) = &self.settings;
        write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let started = self.fleet.resume().await;
        if started.is_empty() {
            tracing::warn!(
                "no worker is configured on this host: rides are accepted and stay queued"
            );
        }
        let has_failed = |outcome: &Outcome| outcome.code == OutcomeCode::FellBack;
        match started.first() {
            Some(first) if started.iter().all(has_failed) => {
                bail!("{}: {}", first.id, first.message)
            }
            _ => Ok(()),
        }
    }

    /// Health of the child processes.
    pub(crate) fn beside(&self, api: HealthCheck) -> HealthCheck {
        let fleet = Arc::clone(&self.fleet);
        Arc::new(move || {
            let health = api();
            let (running, wanted) = fleet.running("worker");
            if health.status == Readiness::Ready && running < wanted {
                let text = format!("{running} of {wanted} workers are running");
                Health::because(Readiness::Degraded, text)
            } else {
                health
            }
        })
    }

    /// Stops the remaining child processes at shutdown.
    pub(crate) async fn end(&self) {
        let _ = tokio::time::timeout(LAST, self.fleet.end()).await;
        self.relay.end().await;
    }
}

/// Builds the command line of a child process.
struct Launcher {
    settings: PathBuf,
    private: SocketAddr,
    public: SocketAddr,
    environment: Vec<(OsString, OsString)>,
    without: Vec<OsString>,
    log: LogFormat,
}

impl Launcher {
    fn launch(&self, place: &Place<'_>) -> Launch {
        let private = SocketAddr::new(self.private.ip(), place.private_port);
        let public = SocketAddr::new(self.public.ip(), place.public_port);
        let log = match self.log {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let mut arguments: Vec<OsString> = ["serve", place.role, "--child", log, "--config"]
            .map(OsString::from)
            .into();
        arguments.push(self.settings.clone().into());
        arguments.push("--metrics-listen".into());
        arguments.push(private.to_string().into());
        if place.role == "api" {
            arguments.push("--api-listen".into());
            arguments.push(public.to_string().into());
        }
        let id = ("SKI_INSTANCE_ID".into(), place.id.as_str().into());
        Launch {
            program: this_program(),
            called: std::env::args_os().next(),
            arguments,
            environment: self.environment.iter().cloned().chain([id]).collect(),
            without: self.without.clone(),
        }
    }
}

/// The file of this program; if it has been replaced, the running one, so that a child never has another version.
pub(crate) fn this_program() -> PathBuf {
    let same =
        |one: Metadata, other: Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let named = std::env::current_exe().ok().filter(|file| {
        let both = file
            .metadata()
            .ok()
            .zip(Path::new(THIS_PROGRAM).metadata().ok());
        both.is_some_and(|(one, other)| same(one, other))
    });
    named.unwrap_or_else(|| THIS_PROGRAM.into())
}

/// Atomically writes a file that only its owner can read.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(file)?;
    File::open(folder)?.sync_all()
}
