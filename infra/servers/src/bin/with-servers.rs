//! `with-servers [OPTIONS] -- COMMAND...`: runs a command with a private RabbitMQ and a private Redis at its side.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context as _;
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use skilift_servers::{
    AWS_OF_NOBODY, AppendFsync, RabbitOptions, RabbitServer, RedisOptions, RedisServer,
};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};

/// Starts a private RabbitMQ and a private Redis, runs COMMAND with their URLs in `SKI_AMQP_URL` and `SKI_REDIS_URL`, stops the
/// servers and exits with COMMAND's exit code.
///
/// COMMAND gets no AWS credentials but those of nobody, so that no test can reach an account. SIGINT, SIGTERM and SIGHUP are passed
/// on to it. The servers' data are removed at the end.
#[derive(Parser)]
struct Arguments {
    /// When Redis hands its append-only file to the disk.
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    redis_appendfsync: AppendFsync,

    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

// One thread: what asks the kernel to end COMMAND when "its parent" ends means the thread that started it.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("with-servers: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut signals = Signals {
        interrupt: unix::signal(SignalKind::interrupt())?,
        terminate: unix::signal(SignalKind::terminate())?,
        hangup: unix::signal(SignalKind::hangup())?,
    };
    let redis_options = RedisOptions {
        appendfsync: arguments.redis_appendfsync,
        ..RedisOptions::default()
    };
    let starting = async {
        tokio::try_join!(
            RedisServer::start(redis_options),
            RabbitServer::start(RabbitOptions::default())
        )
    };
    let (mut redis, mut rabbit) = tokio::select! {
        servers = starting => servers?,
        signal = signals.next() => return Ok(killed_by(signal as i32)),
    };

    // setpriv ends the command when we are killed: without its servers it is of no use.
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM", "--"])
        .args(&arguments.command)
        .env("SKI_AMQP_URL", rabbit.amqp_url())
        .env("SKI_REDIS_URL", redis.url());
    forget_aws_account(&mut command);
    let mut child = command.spawn().context("cannot start setpriv")?;
    let status = wait(&mut child, &mut signals).await?;

    let (redis_stopped, rabbit_stopped) = tokio::join!(redis.stop(), rabbit.stop());
    redis_stopped.and(rabbit_stopped)?;
    Ok(exit_code(status))
}

/// Takes from the command what would lead it to somebody's account at AWS. Tests start and stop machines, and find credentials as
/// AWS's own tools do: one that forgot to name its own server would otherwise stop the machines of whoever runs it.
fn forget_aws_account(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"AWS_") {
            command.env_remove(variable);
        }
    }
    // These come before any file of credentials, and before what a machine of EC2 is told about itself.
    command.envs(AWS_OF_NOBODY);
}

/// Waits for the command's end and passes on the signals that come meanwhile.
async fn wait(child: &mut Child, signals: &mut Signals) -> anyhow::Result<ExitStatus> {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return status.context("cannot wait for the command"),
            signal = signals.next() => signal,
        };
        // Ctrl-C reaches the command by itself; twice would be taken for impatience.
        if signal == Signal::SIGINT && in_terminal_foreground() {
            continue;
        }
        if let Some(pid) = child.id() {
            kill(Pid::from_raw(i32::try_from(pid)?), signal)
                .context("cannot signal the command")?;
        }
    }
}

struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}

/// Whether a terminal sends its Ctrl-C to our process group, which the command shares.
fn in_terminal_foreground() -> bool {
    File::open("/dev/tty")
        .ok()
        .and_then(|terminal| tcgetpgrp(terminal).ok())
        .is_some_and(|foreground| foreground == getpgrp())
}

/// What a shell would report.
fn exit_code(status: ExitStatus) -> ExitCode {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        (None, Some(signal)) => killed_by(signal),
        (None, None) => ExitCode::FAILURE,
    }
}

fn killed_by(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}
