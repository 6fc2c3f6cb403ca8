//! The command line of `skictl stats`.

use clap::{Args, Subcommand};
use skilift_core::ride::{ResortId, Season, SkierId};

use super::client::{ClientArgs, WatchArgs};
use super::operator::DayArgs;

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: StatsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StatsCommand {
    /// List the resorts with rides
    Resorts(WatchArgs),
    /// List the seasons of a resort
    Seasons {
        /// Resort ID
        resort: ResortId,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// List the days of a resort's season that have rides
    Days {
        /// Resort ID
        resort: ResortId,
        /// Season, 1900 to 2999
        season: Season,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show the days of a skier
    Skier {
        /// Skier ID
        skier: SkierId,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Show a resort on a day
    Resort(ResortDayArgs),
    /// Show the rides of each lift on a day
    Lifts(ResortDayArgs),
    /// Show the rides in each hour of a day
    Hours(ResortDayArgs),
    /// Show the skiers with the most vertical on a day
    Top {
        #[command(flatten)]
        at: ResortDayArgs,
        /// Maximum number of skiers, 1 to 100
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
        limit: u64,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ResortDayArgs {
    /// Resort ID
    pub(crate) resort: ResortId,
    #[command(flatten)]
    pub(crate) day: DayArgs,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}
