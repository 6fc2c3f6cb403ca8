//! The operator's client: sends requests to a console over HTTP and renders the responses.
//!
//! - `server`: selection of the console and its token. `contexts`: named consoles. `connection`: one console. `error`: errors
//!   and their exit codes.
//! - `show`: views, once or refreshed. `change`: plans, confirmed and applied. `plan`: rendering of plans. `follow`: waiting
//!   for running plans. `prompt`: terminal prompts.
//! - `figures`, `page`: figures, tables and colours; `columns`: layout of tables on a terminal; `notes`: notes below a page.
//! - The other files hold one command each.

mod access;
mod archive;
mod audit;
mod capacity;
mod change;
pub(crate) mod columns;
pub(crate) mod completion;
mod connection;
mod context;
mod contexts;
mod cost;
mod dead_letters;
mod ec2;
mod error;
mod export;
mod figures;
mod follow;
mod login;
mod nodes;
mod notes;
mod page;
mod plan;
mod plans;
mod prompt;
mod queue;
mod scale;
pub(crate) mod server;
mod settings;
mod show;
mod stats;
mod status;
mod top;
mod tune;

use std::process::ExitCode;

use anyhow::Context as _;
use skilift_core::lifecycle::Signals;

use self::change::ChangeCommand;
pub(crate) use self::columns::Columns;
use self::connection::Console;
pub(crate) use self::connection::tls;
pub(crate) use self::error::ClientError;
pub(crate) use self::figures::{TerminalStyle, bytes};
use self::follow::Patience;
pub(crate) use self::page::{Page, Style};
use self::server::Server;
use self::show::ShowCommand;
use crate::args::OperatorCommand;
use crate::args::client::{ClientArgs, ConsentArgs, Form, WatchArgs};
use crate::exit::Exit;

/// Runs one of the operator's commands.
pub(crate) fn run(command: &OperatorCommand) -> anyhow::Result<ExitCode> {
    let exit = match command {
        OperatorCommand::Stats(args) => until_signal(stats::run(args)),
        OperatorCommand::Status(args) => until_signal(status::run(args)),
        OperatorCommand::Top(args) => until_signal(top::run(args)),
        OperatorCommand::Queue(args) => until_signal(queue::run(args)),
        OperatorCommand::Nodes(args) => until_signal(nodes::run(args)),
        OperatorCommand::Settings(args) => until_signal(settings::run(args)),
        OperatorCommand::Scale(args) => until_signal(scale::run(args)),
        OperatorCommand::Ec2(args) => until_signal(ec2::run(args)),
        OperatorCommand::Cost(args) => until_signal(cost::run(args)),
        OperatorCommand::Tune(args) => tune::run(args),
        OperatorCommand::Capacity(args) => until_signal(capacity::run(args)),
        OperatorCommand::Plans(args) => until_signal(plans::run(args)),
        OperatorCommand::Audit(args) => until_signal(audit::run(args)),
        OperatorCommand::Export(args) => until_signal(export::run(args)),
        OperatorCommand::Archive(args) => until_signal(archive::run(args)),
        OperatorCommand::Repair(args) => until_signal(audit::repair(args)),
        OperatorCommand::Users(args) => until_signal(access::users(args)),
        OperatorCommand::Tokens(args) => until_signal(access::tokens(args)),
        OperatorCommand::Keys(args) => until_signal(access::keys(args)),
        OperatorCommand::Login(args) => until_signal(login::run(args)),
        OperatorCommand::Logout(args) => until_signal(context::log_out(args)),
        OperatorCommand::Whoami(args) => until_signal(login::show_user(args)),
        OperatorCommand::Context(args) => until_signal(context::run(args)),
    };
    Ok(exit?.into())
}

/// Runs a command to its end, or to the first signal.
fn until_signal(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    block_on(async {
        let mut signals = Signals::install()?;
        tokio::select! {
            outcome = command => outcome,
            _ = signals.next() => Ok(Exit::Interrupted),
        }
    })
}

/// Runs a command to its end, on this thread.
fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(command);
    // An open prompt must not delay the exit.
    runtime.shutdown_background();
    outcome
}

/// Console and output format of a command.
#[derive(Debug)]
struct Client {
    console: Console,
    form: Form,
}

impl Client {
    fn new(args: &ClientArgs) -> anyhow::Result<Self> {
        Ok(Self {
            console: Console::new(&Server::choose(args)?)?,
            form: args.output,
        })
    }

    fn show_command(&self, watch: WatchArgs) -> ShowCommand<'_> {
        ShowCommand {
            console: &self.console,
            form: self.form,
            watch: watch.watch,
        }
    }

    /// A change with these options; `--watch` is rejected.
    fn change<'a>(
        &'a self,
        outer: WatchArgs,
        consent: &'a ConsentArgs,
    ) -> Result<ChangeCommand<'a>, ClientError> {
        if outer.watch.is_some() {
            return Err(ClientError::Usage(
                "--watch applies only to commands that show a view".to_owned(),
            ));
        }
        Ok(ChangeCommand {
            console: &self.console,
            form: self.form,
            consent,
            patience: Patience::default(),
        })
    }

    /// `--watch` as given before or after the subcommand.
    fn either(&self, outer: WatchArgs, inner: WatchArgs) -> WatchArgs {
        WatchArgs {
            watch: inner.watch.or(outer.watch),
        }
    }
}
