//! A private RabbitMQ server.

mod node;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixDatagram};
use tokio::time::{sleep, timeout};

use crate::port::{free_port, is_free};
use crate::process::Process;
use crate::program;
use node::Node;

const START_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const CTL_LIMIT: Duration = Duration::from_secs(120);
const ATTEMPTS: usize = 5;

/// How a [`RabbitServer`] is configured.
#[derive(Clone, Debug, Default)]
pub struct RabbitOptions {
    /// Further lines of `rabbitmq.conf`, for example `consumer_timeout = 60000`.
    pub config: Vec<String>,
    /// Further arguments of the Erlang virtual machine.
    pub erl_args: Vec<String>,
}

/// A RabbitMQ of our own on 127.0.0.1, with its data in a temporary folder, without plugins, with one random user.
///
/// It has its own name server for Erlang nodes, so that any number of them can run side by side. Dropping it kills both and
/// removes the folder.
pub struct RabbitServer {
    // Fields are dropped in this order: first the processes, then their folder.
    process: Process,
    epmd: Process,
    node: Node,
}

impl RabbitServer {
    /// Starts a server and waits until it is completely up (about five seconds).
    ///
    /// # Errors
    /// When `rabbitmq-server` is not installed, or does not start; the message then holds the last lines of its log.
    pub async fn start(options: RabbitOptions) -> anyhow::Result<Self> {
        let mut attempt = 1;
        loop {
            let node = Node::create(&options, [free_port()?, free_port()?, free_port()?])?;
            let epmd = start_epmd(&node).await?;
            let (process, started) = boot(&node).await?;
            let server = Self {
                process,
                epmd,
                node,
            };
            match server.until_it_answers(started).await {
                Ok(()) => return Ok(server),
                Err(_) if attempt < ATTEMPTS && server.lost_a_port() => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// `amqp://USER:PASSWORD@127.0.0.1:PORT/%2f`.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        let Node { user, password, .. } = &self.node;
        format!("amqp://{user}:{password}@{}/%2f", self.addr())
    }

    /// Where it speaks AMQP; the same after [`start_again`](Self::start_again).
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.node.amqp_port).into()
    }

    /// The id of the Erlang virtual machine's process, also after its end.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Its folder: `rabbitmq.conf`, `rabbitmq.log` and its data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.node.folder.path()
    }

    /// Runs `rabbitmqctl --silent ARGS...` on it and returns what that printed: rows only, no headings.
    ///
    /// # Errors
    /// When the command fails; the message holds what it printed.
    pub async fn ctl(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = std::process::Command::new(self.node.rabbitmqctl());
        program::clean_environment(&mut command);
        command.envs(self.node.environment());
        let mut command = tokio::process::Command::from(command);
        command
            .arg("--silent")
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true);

        let what = || format!("rabbitmqctl {}", args.join(" "));
        let output = timeout(CTL_LIMIT, command.output())
            .await
            .with_context(|| format!("{} took too long", what()))?
            .with_context(|| format!("cannot run {}", what()))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(
            output.status.success(),
            "{} failed ({}):\n{printed}{}",
            what(),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(printed)
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
    /// it is completely up.
    ///
    /// # Errors
    /// When it still runs, or does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.process.is_running(), "rabbitmq-server still runs");
        let (process, started) = boot(&self.node).await?;
        self.process = process;
        self.until_it_answers(started).await
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

    async fn until_it_answers(&self, started: UnixDatagram) -> anyhow::Result<()> {
        let answers = async {
            until_notified(&started).await;
            while !matches!(
                timeout(Duration::from_secs(1), self.greet()).await,
                Ok(Ok(true))
            ) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            outcome = self.process.until_ready(START_LIMIT, answers) => outcome,
            how = self.epmd.end() => anyhow::bail!("epmd, which the node needs, has ended ({how})"),
        }
    }

    fn lost_a_port(&self) -> bool {
        let ours = |port| self.process.is_running() || is_free(port);
        !self.epmd.is_running() || !ours(self.node.amqp_port) || !ours(self.node.distribution_port)
    }

    /// Whether it answers an AMQP greeting, and is the server that we started: its first frame holds the cluster's name.
    async fn greet(&self) -> anyhow::Result<bool> {
        let mut connection = TcpStream::connect(self.addr()).await?;
        connection.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let name = self.node.cluster_name();
        let mut frame = Vec::new();
        while connection.read_buf(&mut frame).await? > 0 {
            if frame
                .windows(name.len())
                .any(|part| part == name.as_bytes())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Starts the name server through which `rabbitmqctl` finds the node, and waits until it listens.
async fn start_epmd(node: &Node) -> anyhow::Result<Process> {
    let logs = vec![node.folder.path().join("epmd.log")];
    let epmd = Process::start("epmd", &program::epmd()?, logs, |command| {
        command
            .args(["-port", &node.epmd_port.to_string()])
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .current_dir(node.folder.path());
    })
    .await?;
    let listening = async {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, node.epmd_port))
            .await
            .is_err()
        {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // An end of its own is noticed while the node starts: whoever took its port meanwhile would accept a connection too.
    let _ = epmd.until_ready(START_LIMIT, listening).await;
    Ok(epmd)
}

/// Starts the node. The socket gets its word when it is up.
async fn boot(node: &Node) -> anyhow::Result<(Process, UnixDatagram)> {
    let socket = node.notify_socket();
    let _ = std::fs::remove_file(&socket);
    let started = UnixDatagram::bind(&socket)
        .with_context(|| format!("cannot open the socket {}", socket.display()))?;
    let process = Process::start("rabbitmq-server", &node.script, node.logs(), |command| {
        command
            .envs(node.environment())
            .env("NOTIFY_SOCKET", &socket)
            .current_dir(node.folder.path());
    })
    .await?;
    Ok((process, started))
}

/// Waits for the word with which services tell systemd that they are up.
async fn until_notified(socket: &UnixDatagram) {
    let mut datagram = [0; 4096];
    while let Ok(length) = socket.recv(&mut datagram).await {
        if datagram[..length]
            .split(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1")
        {
            return;
        }
    }
}
