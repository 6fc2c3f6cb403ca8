//! The command line of `skictl queue`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges::{self, named, number};

#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<QueueCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Show the backlog, rates, how late rides are stored, and reconciliation (default)
    Status {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show the history of the queue
    History(HistoryArgs),
    /// Pause consumption on every worker; rides are still accepted and stay queued
    Pause {
        /// Resume by itself after this time, 1s to 7d, for example 10m
        #[arg(long = "for", value_name = "TIME", value_parser = ranges::time(Duration::from_secs(1)..=Duration::from_secs(7 * 86_400)))]
        period: Option<Duration>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Resume consumption
    Resume {
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Show, replay or discard dead letters
    Dead(DeadArgs),
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct HistoryArgs {
    /// How far back, at most 1 hour in steps of 1s and 1 week in steps of 1m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(crate) since: Duration,
    /// Time between two points [default: 1s up to 1 hour back, else 1m]
    #[arg(long, value_name = "TIME")]
    pub(crate) step: Option<Step>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

/// Time between two points of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    #[value(name = "1s")]
    Second,
    #[value(name = "1m")]
    Minute,
}

#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    pub(crate) command: DeadCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Show dead letters, newest first
    List {
        /// Maximum number of dead letters, 1 to 500
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=500))]
        limit: u64,
        /// Only dead letters older than this one
        #[arg(long, value_name = "ID")]
        before: Option<String>,
        /// Only those whose reason contains TEXT
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show a dead letter with its complete line
    Show {
        /// ID of the dead letter
        #[arg(value_parser = named("the ID of a dead letter, see `skictl queue dead list`"))]
        id: String,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Send dead letters again with their original IDs, marked as replays
    Replay {
        #[command(flatten)]
        choice: ChoiceArgs,
        /// Maximum dead letters per second, 0.1 to 10000 [default: 100]
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(0.1..=10_000.0, "dead letters per second"))]
        rate: Option<f64>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Permanently discard dead letters
    Discard {
        #[command(flatten)]
        choice: ChoiceArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// Selection of dead letters.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "all", "reason"]))]
pub(crate) struct ChoiceArgs {
    /// IDs of the dead letters
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All dead letters
    #[arg(long)]
    pub(crate) all: bool,
    /// All whose reason contains TEXT
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}
