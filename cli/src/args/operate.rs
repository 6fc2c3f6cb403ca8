//! The operator's commands: what asks a console, and what asks it to change something.

use clap::{Args, Subcommand};
use skilift_core::ride::{Day, ResortId, Season};

use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges::named;

/// Where the console is looked for, for the end of `--help`.
pub(super) const CONSOLE: &str = "\
The console is the one of --server or --context, else of SKI_SERVER or SKI_CONTEXT, else the current one of skictl context, \
else http://127.0.0.1:8081. Its token is in the file of --token-file or SKI_TOKEN_FILE, else in that of the context; a \
skictl up on this machine is known without. Exit codes: see skictl --help.";

/// One day of one resort.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DayArgs {
    /// Season, 1900 to 2999
    #[arg(long, value_name = "YEAR")]
    pub(crate) season: Season,
    /// Day of the season, 1 to 366
    #[arg(long, value_name = "N")]
    pub(crate) day: Day,
}

#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<NodesCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Show all nodes
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show all that is known of a node
    Show {
        /// The node, as skictl nodes calls it
        #[arg(value_parser = named("a node's name, as skictl nodes shows it"))]
        node: String,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Let a node finish what it has and take no more
    Drain {
        /// The node, as skictl nodes calls it
        #[arg(value_parser = named("a node's name, as skictl nodes shows it"))]
        node: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Let a drained node work again
    Undrain {
        /// The node, as skictl nodes calls it
        #[arg(value_parser = named("a node's name, as skictl nodes shows it"))]
        node: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// At most so many, 1 to 500, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub(crate) limit: u64,
    /// Only what came before this number
    #[arg(long, value_name = "N")]
    pub(crate) before: Option<u64>,
    /// Only what this user or token did
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,
    /// Only this kind of action: login, logout, ask (what was refused for want of rights), plan, apply, or of the console itself
    /// seed, adopt, insist (settings at its start), resume (a plan that a crash cut off)
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Resort, 1 to 65535
    #[arg(long, value_name = "N")]
    pub(crate) resort: ResortId,
    #[command(flatten)]
    pub(crate) day: DayArgs,
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
