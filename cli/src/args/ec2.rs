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

/// Options of the list of instances.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ListArgs {
    /// Only instances of this role: api, worker, broker, redis, console, or another value of their role tag
    #[arg(long, value_name = "ROLE", value_parser = named("a role, for example api or worker"))]
    pub(crate) role: Option<String>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ec2Command {
    /// Show all instances, and the number and the limits of each role (default)
    List(ListArgs),
    /// Start instances by ID; with --wait, wait until their nodes are ready
    Start {
        /// IDs of the instances, see `skictl ec2`
        #[arg(value_name = "ID", required = true, value_parser = named("the ID of an instance, see `skictl ec2`"))]
        ids: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Drain the nodes of instances, then stop the instances
    Stop {
        /// IDs of the instances, see `skictl ec2`
        #[arg(value_name = "ID", required = true, value_parser = named("the ID of an instance, see `skictl ec2`"))]
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
