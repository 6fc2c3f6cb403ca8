//! A private Redis server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::port::free_port;
use crate::process::Process;
use crate::program;

/// Long enough to load a large append-only file.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const ATTEMPTS: usize = 5;

/// When Redis hands its append-only file to the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum AppendFsync {
    /// Before it answers.
    #[default]
    Always,
    /// Once a second: a crash of the machine loses up to about two seconds.
    Everysec,
    /// Whenever the operating system does.
    No,
}

impl AppendFsync {
    /// The word for it in `redis.conf`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::No => "no",
        }
    }
}

/// How a [`RedisServer`] is configured. The default is as durable as the product demands.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// `appendonly`: whether data survives a restart.
    pub appendonly: bool,
    /// `appendfsync`.
    pub appendfsync: AppendFsync,
    /// `maxmemory`, for example `100mb`; none: without a limit.
    pub maxmemory: Option<String>,
    /// Further keys and values of `redis.conf`; they come last, so that they override the others.
    pub config: Vec<(String, String)>,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            appendonly: true,
            appendfsync: AppendFsync::Always,
            maxmemory: None,
            config: Vec::new(),
        }
    }
}

/// A Redis of our own on 127.0.0.1, with its data in a temporary folder.
///
/// Dropping it kills it and removes the folder.
pub struct RedisServer {
    // Fields are dropped in this order: first the process, then its folder.
    process: Process,
    port: u16,
    password: String,
    folder: TempDir,
}

impl RedisServer {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// When `redis-server` is not installed, or does not start; the message then holds the last lines of its log.
    pub async fn start(options: RedisOptions) -> anyhow::Result<Self> {
        let mut attempt = 1;
        loop {
            let folder = tempfile::Builder::new()
                .prefix("skilift-redis-")
                .tempdir()
                .context("cannot create a folder for Redis")?;
            let port = free_port()?;
            let password = format!("{:032x}", rand::random::<u128>());
            fs::write(
                config_file(folder.path()),
                options.config_text(port, &password),
            )?;
            let server = Self {
                process: spawn(folder.path()).await?,
                port,
                password,
                folder,
            };
            match server.until_it_answers().await {
                Ok(()) => return Ok(server),
                // Its own port, or that of its cluster bus, which is 10,000 higher.
                Err(error) if attempt < ATTEMPTS && is_of_a_port(&error) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `redis://:PASSWORD@127.0.0.1:PORT/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://:{}@{}/", self.password, self.addr())
    }

    /// Where it listens; the same after [`start_again`](Self::start_again).
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The id of its process, also after its end.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its folder: `redis.conf`, `redis.log` and its data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Shuts it down in order (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// When it had ended before, or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.terminate(STOP_LIMIT).await
    }

    /// Kills it (SIGKILL), as a crash would, and waits until it is gone.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill), at the same address and with its data, and waits until
    /// it has loaded them and answers.
    ///
    /// # Errors
    /// When it still runs, or does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.process.is_running(), "redis-server still runs");
        self.process = spawn(self.folder.path()).await?;
        self.until_it_answers().await
    }

    /// Freezes it (SIGSTOP): its connections stay open, nothing is answered.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process.signal_group(Signal::SIGSTOP)
    }

    /// Lets it go on (SIGCONT) after [`pause`](Self::pause).
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process.signal_group(Signal::SIGCONT)
    }

    async fn until_it_answers(&self) -> anyhow::Result<()> {
        self.process
            .until_ready(START_LIMIT, async {
                while !matches!(
                    timeout(Duration::from_secs(1), self.ping()).await,
                    Ok(Ok(true))
                ) {
                    sleep(Duration::from_millis(10)).await;
                }
            })
            .await
    }
    /// Whether it accepts the password and answers a PING; not while it still loads its data.
    async fn ping(&self) -> anyhow::Result<bool> {
        let mut connection = BufReader::new(TcpStream::connect(self.addr()).await?);
        let request = format!("AUTH {}\r\nPING\r\n", self.password);
        connection.write_all(request.as_bytes()).await?;
        let mut answers = String::new();
        connection.read_line(&mut answers).await?;
        connection.read_line(&mut answers).await?;
        Ok(answers == "+OK\r\n+PONG\r\n")
    }
}

impl RedisOptions {
    fn config_text(&self, port: u16, password: &str) -> String {
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {port}"),
            format!("requirepass {password}"),
            "save \"\"".to_owned(),
            format!("appendonly {}", if self.appendonly { "yes" } else { "no" }),
            format!("appendfsync {}", self.appendfsync.as_str()),
            "maxmemory-policy noeviction".to_owned(),
        ];
        lines.extend(
            self.maxmemory
                .iter()
                .map(|size| format!("maxmemory {size}")),
        );
        lines.extend(
            self.config
                .iter()
                .map(|(key, value)| format!("{key} {value}")),
        );
        lines.join("\n") + "\n"
    }
}

/// Whether a server did not start because another program has taken a port since.
fn is_of_a_port(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("Address already in use")
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("redis.conf")
}

async fn spawn(folder: &Path) -> anyhow::Result<Process> {
    let program = program::redis_server()?;
    let logs = vec![folder.join("redis.log")];
    Process::start("redis-server", &program, logs, |command| {
        command.arg(config_file(folder)).current_dir(folder);
    })
    .await
}
