//! Private servers, `skictl` processes and the ceiling.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::redis::Store;
use skilift_servers::{RabbitOptions, RabbitServer, RedisOptions, RedisServer};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::preload::preload;

/// The programs of one version: `skictl`, and of this version the ceiling.
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// Those that were built beside this program.
    pub(crate) fn beside_this_one() -> anyhow::Result<Self> {
        let directory = std::env::current_exe()?;
        Self::in_directory(directory.with_file_name(""))
    }

    /// Those in a directory.
    pub(crate) fn in_directory(directory: PathBuf) -> anyhow::Result<Self> {
        let programs = Self(directory);
        programs.path("skictl")?;
        Ok(programs)
    }

    /// The path of a program.
    pub(crate) fn path(&self, program: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(program);
        if !path.is_file() {
            bail!(
                "{} is missing: run make bench, which builds it",
                path.display()
            );
        }
        Ok(path)
    }
}

/// Everything that is measured, and what it runs on.
pub(crate) struct Setup {
    pub(crate) programs: Programs,
    /// Bytes of Redis' memory for each preloaded ride.
    pub(crate) bytes_per_ride: f64,
    pub(crate) rabbit: RabbitServer,
    pub(crate) redis: RedisServer,
    pub(crate) api: Process,
    pub(crate) worker: Process,
    pub(crate) ceiling: Process,
    pub(crate) stack: StackName,
    /// Rides that earlier workers settled: a new one begins to count at 0, unlike the API.
    settled_before: f64,
    folder: TempDir,
}

/// A process of ours, with the address that it said it serves.
pub(crate) struct Process {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    log: PathBuf,
}

impl Setup {
    /// Servers that hold the preloaded rides, an API, a worker and the ceiling.
    pub(crate) async fn start(programs: &Programs) -> anyhow::Result<Self> {
        eprintln!("starting RabbitMQ (quorum queue) and Redis (appendfsync always)");
        let (rabbit, redis) = tokio::join!(
            RabbitServer::start(RabbitOptions::default()),
            RedisServer::start(RedisOptions::default())
        );
        let (rabbit, redis) = (rabbit?, redis?);
        let folder = TempDir::new()?;
        let skictl = programs.path("skictl")?;
        let api = start_api(&skictl, &folder, &rabbit, &redis).await?;
        let worker = start_worker(&skictl, &folder, &rabbit, &redis).await?;
        let ceiling = Programs::beside_this_one()?.path("ceiling")?;
        let ceiling = Process::start(&ceiling, &folder, &[], &[], "ceiling on ").await?;
        let mut setup = Self {
            programs: Programs(programs.0.clone()),
            bytes_per_ride: 0.0,
            rabbit,
            redis,
            api,
            worker,
            ceiling,
            stack: StackName::default(),
            settled_before: 0.0,
            folder,
        };
        setup.bytes_per_ride = preload(&setup).await?;
        Ok(setup)
    }

    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        let url = ServiceUrl::redis(&self.redis.url())?;
        Ok(Store::for_reading(url, &self.stack)?)
    }

    /// Ends the worker in order. No rides must be waiting.
    pub(crate) async fn stop_worker(&mut self) -> anyhow::Result<()> {
        self.settled_before = self.settled().await?;
        self.worker.drain().await
    }

    pub(crate) async fn start_worker_again(&mut self) -> anyhow::Result<()> {
        let skictl = self.programs.path("skictl")?;
        self.worker = start_worker(&skictl, &self.folder, &self.rabbit, &self.redis).await?;
        Ok(())
    }

    /// The processes whose CPU time a ride costs.
    pub(crate) fn pids(&self) -> anyhow::Result<[u32; 4]> {
        Ok([
            self.api.pid()?,
            self.worker.pid()?,
            self.rabbit.pid(),
            self.redis.pid(),
        ])
    }

    /// Rides that were accepted so far.
    pub(crate) async fn accepted(&self) -> anyhow::Result<f64> {
        self.api.metric("skilift_rides_accepted_total").await
    }

    /// Rides that workers have stored, found stored already, or dead-lettered so far.
    pub(crate) async fn settled(&self) -> anyhow::Result<f64> {
        let mut rides = self.settled_before;
        for outcome in ["applied", "duplicate", "dead"] {
            rides += self
                .worker
                .metric(&format!("skilift_rides_{outcome}_total"))
                .await?;
        }
        Ok(rides)
    }

    /// Waits until workers have settled so many rides.
    pub(crate) async fn wait_until_settled(&self, rides: f64) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let settled = self.settled().await?;
            if settled >= rides {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the worker does not empty the queue: {settled} of {rides} rides are settled"
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn start_api(
    skictl: &Path,
    folder: &TempDir,
    rabbit: &RabbitServer,
    redis: &RedisServer,
) -> anyhow::Result<Process> {
    let arguments = [
        "serve",
        "api",
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
    ];
    // Filling the queue is part of what is measured.
    let arguments = [&arguments[..], &["--high-water", "100000000"]].concat();
    Process::start(
        skictl,
        folder,
        &arguments,
        &servers(rabbit, redis),
        "public API on ",
    )
    .await
}

async fn start_worker(
    skictl: &Path,
    folder: &TempDir,
    rabbit: &RabbitServer,
    redis: &RedisServer,
) -> anyhow::Result<Process> {
    let arguments = ["serve", "worker", "--metrics-listen", "127.0.0.1:0"];
    Process::start(
        skictl,
        folder,
        &arguments,
        &servers(rabbit, redis),
        "health and metrics on ",
    )
    .await
}

pub(crate) fn servers(rabbit: &RabbitServer, redis: &RedisServer) -> [(&'static str, String); 2] {
    [
        ("SKI_AMQP_URL", rabbit.amqp_url()),
        ("SKI_REDIS_URL", redis.url()),
    ]
}

impl Process {
    pub(crate) async fn start(
        program: &Path,
        folder: &TempDir,
        arguments: &[&str],
        environment: &[(&str, String)],
        says: &str,
    ) -> anyhow::Result<Self> {
        let role = match arguments {
            ["serve", role, ..] | [role, ..] => role,
            [] => "program",
        };
        let log = folder.path().join(format!("{role}.log"));
        let mut child = Command::new(program)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&log)?;
            if let Some(url) = said_after(&text, says) {
                return Ok(Self { child, url, log });
            }
            if Instant::now() > deadline || child.try_wait()?.is_some() {
                bail!("{} did not start: {text}", program.display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What follows `text` in its log, up to a quote, a space or the line's end.
    pub(crate) fn said_after(&self, text: &str) -> anyhow::Result<String> {
        let log = std::fs::read_to_string(&self.log)?;
        let found = said_after(&log, text);
        found.with_context(|| format!("a process has not said {text:?}"))
    }

    /// A counter of the process; 0 while it has not counted anything.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let url = self.said_after("health and metrics on ")?;
        let text = skilift_servers::http()
            .get(format!("{url}/metrics"))
            .send()
            .await?
            .text()
            .await?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map_or(Ok(0.0), str::parse)?)
    }

    /// Ends the process as a power cut would.
    pub(crate) async fn kill_9(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("a process of ours has ended")
    }

    /// Asks the process to finish its work, and waits until it has.
    pub(crate) async fn drain(&mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.pid()?.try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait().await?;
        if !status.success() {
            bail!("a process did not drain: {status}");
        }
        Ok(())
    }
}

fn said_after(log: &str, text: &str) -> Option<String> {
    let (_, rest) = log.split_once(text)?;
    let end = rest.find(['"', '\n', ' '])?;
    Some(rest[..end].to_owned())
}
