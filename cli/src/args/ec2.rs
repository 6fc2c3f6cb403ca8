//! The command lines of `skictl ec2` and `skictl cost`.

use clap::{Args, Subcommand};

use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges::named;
use super::scale::{DrainArgs, WaitArgs};

#[derive(Debug, Args)]
pub(crate) struct Ec2Args {
    #[command(flatten)]
    pub(crate) list: ListArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Ec2Command>,
}

/// What is shown of the machines.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ListArgs {
    /// Only machines of this role: api, worker, broker, redis, console, or what else their tag says
    #[arg(long, value_name = "ROLE", value_parser = named("a role, as api or worker"))]
    pub(crate) role: Option<String>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ec2Command {
    /// Show all machines, and how many of each role there are and may be
    List(ListArgs),
    /// Start machines by their ids, and wait on demand until their nodes work
    Start {
        /// The machines, as skictl ec2 calls them
        #[arg(value_name = "ID", required = true, value_parser = named("a machine's id, as skictl ec2 shows it"))]
        ids: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Drain the nodes of machines, and stop these
    Stop {
        /// The machines, as skictl ec2 calls them
        #[arg(value_name = "ID", required = true, value_parser = named("a machine's id, as skictl ec2 shows it"))]
        ids: Vec<String>,
        #[command(flatten)]
        drain: DrainArgs,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CostArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
