//! The command line of `skictl queue`.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use super::client::{ClientArgs, ConsentArgs, WatchArgs};

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
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
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
        id: String,
    },
    /// Send dead letters again, with their ids and marked as replays
    Replay {
        #[command(flatten)]
        choice: ChoiceArgs,
        /// At most so many a second [default: 100]
        #[arg(long, value_name = "N", value_parser = rate)]
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

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number above 0".to_owned()),
    }
}

pub(super) const QUEUE_EXAMPLES: &str = "\
Examples:
  skictl queue --watch
  skictl queue pause --yes
  skictl queue history --since 1h --output csv > hour.csv
  skictl queue dead replay --all --rate 50
  skictl queue --output json | jq .total_rides.value";
