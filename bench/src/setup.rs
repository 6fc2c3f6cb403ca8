//! Private servers, `skictl` processes and the ceiling.

use std::path::PathBuf;
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

/// Everything that is measured, and what it stands on.
pub(crate) struct Setup {
    pub(crate) rabbit: RabbitServer,
    pub(crate) redis: RedisServer,
    pub(crate) api: Process,
    pub(crate) worker: Process,
    pub(crate) ceiling: Process,
    pub(crate) stack: StackName,
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
    pub(crate) async fn start() -> anyhow::Result<Self> {
        eprintln!("starting RabbitMQ (quorum queue) and Redis (appendfsync always)");
        let (rabbit, redis) = tokio::join!(
            RabbitServer::start(RabbitOptions::default()),
            RedisServer::start(RedisOptions::default())
        );
        let (rabbit, redis) = (rabbit?, redis?);
        let folder = TempDir::new()?;
        let api = start_api(&folder, &rabbit, &redis).await?;
        let worker = start_worker(&folder, &rabbit, &redis).await?;
        let ceiling = Process::start(&folder, "ceiling", &[], &[], "ceiling on ").await?;
        Ok(Self {
            rabbit,
            redis,
            api,
            worker,
            ceiling,
            stack: StackName::default(),
            folder,
        })
    }

    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        Ok(Store::new(
            ServiceUrl::redis(&self.redis.url())?,
            &self.stack,
            1,
            true,
        )?)
    }

    pub(crate) async fn start_worker_again(&mut self) -> anyhow::Result<()> {
        self.worker = start_worker(&self.folder, &self.rabbit, &self.redis).await?;
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

    /// Rides that this worker has stored, found stored already, or put away so far.
    pub(crate) async fn settled(&self) -> anyhow::Result<f64> {
        let mut rides = 0.0;
        for outcome in ["applied", "duplicate", "dead"] {
            rides += self
                .worker
                .metric(&format!("skilift_rides_{outcome}_total"))
                .await?;
        }
        Ok(rides)
    }

    /// Waits until this worker has settled so many rides.
    pub(crate) async fn wait_until_settled(&self, rides: f64) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.settled().await? < rides {
            if Instant::now() > deadline {
                bail!("the worker does not empty the queue");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

async fn start_api(
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
        folder,
        "skictl",
        &arguments,
        &servers(rabbit, redis),
        "public API on ",
    )
    .await
}

async fn start_worker(
    folder: &TempDir,
    rabbit: &RabbitServer,
    redis: &RedisServer,
) -> anyhow::Result<Process> {
    let arguments = ["serve", "worker", "--metrics-listen", "127.0.0.1:0"];
    Process::start(
        folder,
        "skictl",
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
        folder: &TempDir,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, String)],
        says: &str,
    ) -> anyhow::Result<Self> {
        let role = match arguments {
            ["serve", role, ..] | [role, ..] => role,
            [] => program,
        };
        let log = folder.path().join(format!("{role}.log"));
        let mut child = Command::new(built(program)?)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&log)?;
            if let Some((_, rest)) = text.split_once(says)
                && let Some(end) = rest.find(['"', '\n', ' '])
            {
                return Ok(Self {
                    child,
                    url: rest[..end].to_owned(),
                    log,
                });
            }
            if Instant::now() > deadline || child.try_wait()?.is_some() {
                bail!("{program} did not start: {text}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A counter of the process; 0 while it has not counted anything.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let log = std::fs::read_to_string(&self.log)?;
        let (_, rest) = log
            .split_once("health and metrics on ")
            .context("a process without metrics")?;
        let end = rest
            .find(['"', '\n', ' '])
            .context("a line without an end")?;
        let text = skilift_servers::http()
            .get(format!("{}/metrics", &rest[..end]))
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

/// A program that was built beside this one.
pub(crate) fn built(program: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(program);
    if !path.is_file() {
        bail!(
            "{} is missing: run make bench, which builds it",
            path.display()
        );
    }
    Ok(path)
}
