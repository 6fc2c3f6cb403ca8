//! The command line of `skictl queue`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges::{named, number};

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
    /// Show how much waits, how fast it moves, how late rides are stored, and the books (the default)
    Status {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show how it was
    History(HistoryArgs),
    /// Stop consuming, on every worker: rides are accepted and wait
    Pause {
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Consume again
    Resume {
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Look at dead letters, send them again, or throw them away
    Dead(DeadArgs),
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct HistoryArgs {
    /// How far back, at most an hour by seconds and a week by minutes
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub(crate) since: Duration,
    /// Time between two points [default: 1s up to an hour back, else 1m]
    #[arg(long, value_name = "TIME")]
    pub(crate) step: Option<Step>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

/// Time between two points of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// A second
    #[value(name = "1s")]
    Second,
    /// A minute
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
    /// Show dead letters, the newest first
    List {
        /// At most so many, 1 to 500
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=500))]
        limit: u64,
        /// Only older ones than this
        #[arg(long, value_name = "ID")]
        before: Option<String>,
        /// Only those that died for this reason
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show a dead letter with its whole line
    Show {
        /// Its id
        #[arg(value_parser = named("a dead letter's id, as skictl queue dead list shows it"))]
        id: String,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Send dead letters again, with their ids and marked as replays
    Replay {
        #[command(flatten)]
        choice: ChoiceArgs,
        /// At most so many a second, 0.1 to 10000 [default: 100]
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = number(0.1..=10_000.0, "letters a second"))]
        rate: Option<f64>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Throw dead letters away for ever
    Discard {
        #[command(flatten)]
        choice: ChoiceArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// Which dead letters.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "all"]))]
pub(crate) struct ChoiceArgs {
    /// Their ids
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All that there are
    #[arg(long)]
    pub(crate) all: bool,
}
