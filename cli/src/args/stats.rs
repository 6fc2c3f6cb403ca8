//! The command line of `skictl stats`.

use clap::{Args, Subcommand};
use skilift_core::ride::{ResortId, SkierId};

use super::client::{ClientArgs, WatchArgs};
use super::operate::DayArgs;

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: StatsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StatsCommand {
    /// Show a skier's days
    Skier {
        /// The skier
        skier: SkierId,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show a resort's day
    Resort(ResortDayArgs),
    /// Show how often each lift was ridden on a day
    Lifts(ResortDayArgs),
    /// Show how many rides each hour of a day had
    Hours(ResortDayArgs),
    /// Show who skied the most metres on a day
    Top {
        #[command(flatten)]
        at: ResortDayArgs,
        /// So many, 1 to 100
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
        limit: u64,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ResortDayArgs {
    /// The resort
    pub(crate) resort: ResortId,
    #[command(flatten)]
    pub(crate) day: DayArgs,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}
