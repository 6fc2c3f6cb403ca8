//! `skictl`: Skilift's services and tools in one binary.
//!
//! - `args`: the command line. `config`: flags, environment and file, merged and validated.
//! - `up`: everything in one process, with its `summary` line and its `simulate`d traffic; on RabbitMQ and Redis its workers
//!   are `children`, whose log lines `relay` forwards. `serve`: one role of a fleet.
//!   `console`: the admin API, alone or within `up`. `process`: code shared by all of them.
//! - `client`: the operator's commands, which send requests to a console. `doctor`: checks a deployment without a
//!   console. `exit`: exit codes.
//! - `node`: identity of a process for the console, with its `instance`. `notify`: notifications to systemd.
//! - `load`: the load test client. `rehearse`: a scripted EC2 with nodes on this machine. `documents`: completions and man pages. `import`: a console's
//!   directory from an export.
//! - `logging`: one line per event on stderr. `messages`: what commands say there.

#![deny(clippy::print_stderr)]

#[macro_use]
mod messages;

mod args;
mod children;
mod client;
mod config;
mod console;
mod doctor;
mod documents;
mod exit;
mod import;
mod instance;
mod load;
mod logging;
mod node;
mod notify;
mod process;
mod rehearse;
mod relay;
mod serve;
mod simulate;
mod summary;
mod up;

use std::process::ExitCode;

use crate::args::config::ConfigCommand;
use crate::args::{Cli, Command};
use crate::client::ClientError;
use crate::exit::Exit;

/// Uses less CPU per request than the system allocator, and keeps memory flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    documents::complete();
    let outcome = match Cli::read().command {
        Command::Up(args) => up::run(&args),
        Command::Serve(role) => serve::run(*role),
        Command::Load(args) => load::run(&args),
        Command::Rehearse(command) => rehearse::run(command),
        Command::Completions { shell } => documents::completions(shell),
        Command::Man { folder } => documents::man(folder.as_deref()),
        Command::Doctor(args) => doctor::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Config(ConfigCommand::Show(args)) => config::show::run(&args),
        Command::Operator(command) => client::run(&command),
    };
    outcome.unwrap_or_else(|error| {
        say!("skictl: {error:#}");
        exit_of(&error).into()
    })
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        error.exit()
    } else if error.is::<config::ConfigError>() {
        // An invalid configuration is a usage error, like an invalid flag.
        Exit::Usage
    } else {
        Exit::Failed
    }
}
