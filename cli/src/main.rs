//! `skictl`: Skilift's services and tools in one binary.
//!
//! - `args`: the command line. `config`: flags, environment and file, merged and checked.
//! - `up`: everything in one process, with its `summary` line and its `simulate`d traffic; on servers its workers are
//!   `children`, whose lines `relay` passes on. `serve`: one role of a fleet.
//!   `console`: the admin API, alone or within `up`. `process`: what all of them have in common.
//! - `client`: the operator's commands, which ask a console. `doctor`: looks at what a deployment stands on, without a
//!   console. `exit`: what exit codes say.
//! - `node`: what the console knows a process by, its `instance` too. `notify`: what systemd is told.
//! - `load`: the test client. `documents`: completions and man pages.
//! - `logging`: one line per event on stderr.

mod args;
mod children;
mod client;
mod config;
mod console;
mod doctor;
mod documents;
mod exit;
mod instance;
mod load;
mod logging;
mod node;
mod notify;
mod process;
mod relay;
mod serve;
mod simulate;
mod summary;
mod up;

use std::process::ExitCode;

use crate::args::{Cli, Command};
use crate::client::ClientError;
use crate::exit::Exit;

/// Less CPU per request than the system allocator, and memory that stays flat.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match Cli::read().command {
        Command::Up(args) => up::run(&args),
        Command::Serve(role) => serve::run(*role),
        Command::Load(args) => load::run(&args),
        Command::Completions { shell } => documents::completions(shell),
        Command::Man { folder } => documents::man(folder.as_deref()),
        Command::Doctor(args) => doctor::run(&args),
        Command::Operate(command) => client::run(&command),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("skictl: {error:#}");
        exit_of(&error).into()
    })
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        error.exit()
    } else if error.is::<config::ConfigError>() {
        // A configuration that cannot be used is a usage error, as a wrong flag is.
        Exit::Usage
    } else {
        Exit::Failed
    }
}
