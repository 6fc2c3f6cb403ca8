//! The command lines of the operator's commands `nodes`, `audit` and `repair`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use skilift_console::view::alarm::AlarmCode;
use skilift_console::view::audit::AuditOutcome;
use skilift_core::ride::{Day, ResortId, Season};

use crate::client::completion;

use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges::{self, named};
use super::scale::WaitArgs;

/// How the console is found, for the end of `--help`.
pub(super) const CONSOLE: &str = "\
The console is given by --server or --context, else by SKI_SERVER or SKI_CONTEXT, else by the current context, else it is \
the one that runs on this host, on any port. The token is read from --token-file or SKI_TOKEN_FILE, else from the token file of the context; \
a console started by `skictl up` on this machine is found automatically. Exit codes: see `skictl --help`.";

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
    /// Show all nodes (default)
    List {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show all details of a node
    Show {
        /// Name of the node, see `skictl nodes`
        #[arg(value_parser = named("the name of a node, see `skictl nodes`"), add = completion::node())]
        node: String,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Drain a node: it finishes outstanding work and takes no new work
    Drain {
        /// Name of the node, see `skictl nodes`
        #[arg(value_parser = named("the name of a node, see `skictl nodes`"), add = completion::node())]
        node: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Forget a node that is gone for good: it is no longer listed, and no alarm names it
    Forget {
        /// Name of the node, see `skictl nodes`
        #[arg(value_parser = named("the name of a node, see `skictl nodes`"), add = completion::node())]
        node: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Return a drained node to work
    Undrain {
        /// Name of the node, see `skictl nodes`
        #[arg(value_parser = named("the name of a node, see `skictl nodes`"), add = completion::node())]
        node: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// Exit codes of `skictl status`, for the end of its help.
pub(super) const STATUS_EXIT_CODES: &str = "\
Exit codes:
  0  no alarm, only information, or every alarm is acknowledged
  8  a warning
  9  a critical alarm
  1  the console cannot be reached";

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<StatusCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StatusCommand {
    /// Show alarms and key figures (default)
    Show {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Acknowledge an alarm: it stays listed, and counts for the exit code again when it grows
    Acknowledge {
        /// Code of the alarm, for example `nodes_lost`; see `skictl status --output json`
        #[arg(value_name = "ALARM")]
        alarm: AlarmCode,
        /// Why, for the next reader of the alarm
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    /// Maximum number of entries, 1 to 500, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub(crate) limit: u64,
    /// Only entries before this entry number
    #[arg(long, value_name = "N")]
    pub(crate) before: Option<u64>,
    /// Only entries of this user or token
    #[arg(long, value_name = "NAME")]
    pub(crate) who: Option<String>,
    /// Only entries of this action: login, logout, request (denied because of missing permissions), plan, apply, cancel, or an action of the
    /// console itself: bootstrap, import, end, reassert (settings at its start), resume (a plan that a crash interrupted)
    #[arg(long, value_name = "ACTION")]
    pub(crate) action: Option<String>,
    /// Only entries with this outcome: planned, started, succeeded, partial, cancelled, denied, refused, failed
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<AuditOutcome>,
    /// Only entries of this last time, for example 1h, up to 365d
    #[arg(long, value_name = "TIME", value_parser = ranges::time(Duration::from_secs(1)..=Duration::from_secs(365 * 86_400)))]
    pub(crate) since: Option<Duration>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Resort ID, 1 to 65535
    #[arg(long, value_name = "N")]
    pub(crate) resort: ResortId,
    #[command(flatten)]
    pub(crate) day: DayArgs,
    #[command(flatten)]
    pub(crate) consent: ConsentArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to write, readable only by you; an existing one is replaced
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// File of `skictl export`
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Data directory of the console [default: that of `skictl serve console`]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
}
