//! The nodes that `skictl up` runs as child processes when it works on RabbitMQ and Redis: all its workers, and further APIs.

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

/// This very program, also after its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// What systemd tells a service, and none of its children.
const OF_SYSTEMD: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
/// How long those that are killed may take to be gone.
const LAST: Duration = Duration::from_secs(1);
/// What is wanted of the children, in their folder.
const WANTED_FILE: &str = "nodes.json";
/// How they are set, in their folder.
const SETTINGS_FILE: &str = "settings.toml";

/// The children of this process, and the way of their lines.
pub(crate) struct Children {
    pub(crate) fleet: Arc<LocalFleet>,
    relay: Relay,
    /// The file by which they are set, and what belongs into it.
    settings: (PathBuf, String),
}

impl Children {
    /// Makes ready to start them. `api` is where the API of this process listens.
    pub(crate) fn new(
        process: &Process,
        servers: &Servers,
        api: SocketAddr,
    ) -> anyhow::Result<Self> {
        let Process { config, life, .. } = process;
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
            fleet: Arc::new(LocalFleet::new(fleet, life)?),
            relay,
            settings: (settings, config.child_file()?),
        })
    }

    /// Starts those that are wanted. When none of them can work, nothing can: their own words say why. Only for who holds
    /// the lock of the console's folder: the folder of the children goes with it.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        let (file, text) = &self.settings;
        write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        let started = self.fleet.resume().await;
        if started.is_empty() {
            tracing::warn!(
                "no worker is wanted on this machine: rides are accepted, and wait in the queue"
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

    /// How they are, beside the API of this process.
    pub(crate) fn beside(&self, api: HealthCheck) -> HealthCheck {
        let fleet = Arc::clone(&self.fleet);
        Arc::new(move || {
            let health = api();
            let (running, wanted) = fleet.running("worker");
            if health.status == Readiness::Ready && running < wanted {
                let text = format!("{running} of {wanted} workers run");
                Health::because(Readiness::Degraded, text)
            } else {
                health
            }
        })
    }

    /// Ends those that are left, when the process does.
    pub(crate) async fn end(&self) {
        let _ = tokio::time::timeout(LAST, self.fleet.end()).await;
        self.relay.end().await;
    }
}

/// Knows how a child is started.
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

/// The file of this program; where another one lies there now, this one without its name: a child never has another version.
fn this_program() -> PathBuf {
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

/// Writes a complete file that its owner alone can read.
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
