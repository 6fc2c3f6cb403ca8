//! The operator's client: it asks a console, over HTTP, and shows what is answered.
//!
//! - `server`: which console, and the token to show. `contexts`: consoles by name. `connection`: one console. `error`: what
//!   goes wrong, and its exit code.
//! - `show`: views, once or again and again. `change`: plans, agreed to and applied. `plan`: how they look. `follow`: waiting
//!   for those that go on. `ask`: questions to who sits there.
//! - `look`, `page`: figures, tables and colours for people; `columns`: how a table fits a terminal; `notes`: what stands below.
//! - Then the commands, one file each.

mod access;
mod ask;
mod audit;
mod change;
mod columns;
mod connection;
mod context;
mod contexts;
mod cost;
mod ec2;
mod error;
mod follow;
mod letters;
mod login;
mod look;
mod nodes;
mod notes;
mod page;
mod plan;
mod queue;
mod scale;
mod server;
mod settings;
mod show;
mod stats;

use std::process::ExitCode;

use anyhow::Context as _;
use skilift_core::lifecycle::Signals;

use self::change::Changing;
pub(crate) use self::columns::Columns;
use self::connection::Console;
pub(crate) use self::connection::tls;
pub(crate) use self::error::ClientError;
use self::follow::Patience;
pub(crate) use self::look::{Look, bytes};
pub(crate) use self::page::{Page, Tone};
use self::server::Server;
use self::show::Showing;
use crate::args::Operate;
use crate::args::client::{ClientArgs, ConsentArgs, Form, WatchArgs};
use crate::exit::Exit;

/// Runs one of the operator's commands.
pub(crate) fn run(command: &Operate) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Operate::Stats(args) => until_signal(stats::run(args)),
        Operate::Queue(args) => until_signal(queue::run(args)),
        Operate::Nodes(args) => until_signal(nodes::run(args)),
        Operate::Settings(args) => until_signal(settings::run(args)),
        Operate::Scale(args) => until_signal(scale::run(args)),
        Operate::Ec2(args) => until_signal(ec2::run(args)),
        Operate::Cost(args) => until_signal(cost::run(args)),
        Operate::Audit(args) => until_signal(audit::run(args)),
        Operate::Repair(args) => until_signal(audit::repair(args)),
        Operate::Users(args) => until_signal(access::users(args)),
        Operate::Tokens(args) => until_signal(access::tokens(args)),
        Operate::Keys(args) => until_signal(access::keys(args)),
        Operate::Login(args) => until_signal(login::run(args)),
        Operate::Context(args) => until_signal(context::run(args)),
    };
    Ok(exit?.into())
}

/// Runs a command to its end, or to the first signal.
fn until_signal(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::install()?;
        tokio::select! {
            outcome = command => outcome,
            _ = signals.next() => Ok(Exit::Interrupted),
        }
    });
    // A question that nobody answers any more is not waited for.
    runtime.shutdown_background();
    outcome
}

/// What every command has: a console and a form.
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

    fn showing(&self, watch: WatchArgs) -> Showing<'_> {
        Showing {
            console: &self.console,
            form: self.form,
            watch: watch.watch,
        }
    }

    /// How a change is made. Nothing of it is watched.
    fn change<'a>(
        &'a self,
        outer: WatchArgs,
        consent: &'a ConsentArgs,
    ) -> Result<Changing<'a>, ClientError> {
        if outer.watch.is_some() {
            return Err(ClientError::Usage(
                "--watch is for commands that show something".to_owned(),
            ));
        }
        Ok(Changing {
            console: &self.console,
            form: self.form,
            consent,
            patience: Patience::default(),
        })
    }

    /// What was said before the subcommand or behind it.
    fn either(&self, outer: WatchArgs, inner: WatchArgs) -> WatchArgs {
        WatchArgs {
            watch: inner.watch.or(outer.watch),
        }
    }
}
