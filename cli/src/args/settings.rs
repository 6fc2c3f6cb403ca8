//! The command line of `skictl settings`.

use std::ops::RangeInclusive;

use clap::{Args, Subcommand, ValueEnum};
use skilift_console::view::settings::Section;

use super::client::{ClientArgs, ConsentArgs, WatchArgs};
use super::ranges;

#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: Option<SettingsCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show each section as it shall be, and which nodes follow (the default)
    Show {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Change a section while rides flow
    #[command(subcommand)]
    Set(SetCommand),
    /// Show what a section was
    History {
        /// The section
        section: SectionName,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Set a section to what it was
    Rollback {
        /// The section
        section: SectionName,
        /// To the version of this number [default: the one before]
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// A section on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SectionName {
    /// How workers work
    Worker,
    /// How API nodes publish
    Api,
    /// Who may post rides
    Ingest,
    /// How many nodes may run
    Fleet,
}

impl From<SectionName> for Section {
    fn from(name: SectionName) -> Self {
        match name {
            SectionName::Worker => Self::Worker,
            SectionName::Api => Self::Api,
            SectionName::Ingest => Self::Ingest,
            SectionName::Fleet => Self::Fleet,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetCommand {
    /// How workers work; what is not named stays
    #[command(arg_required_else_help = true)]
    Worker {
        /// Threads of each worker, each one AMQP channel and one Redis connection, 1 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::THREADS, "threads"))]
        threads: Option<u32>,
        /// Rides that a thread may hold unacknowledged, 1 to 1000000
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::PREFETCH, "rides"))]
        prefetch: Option<u32>,
        /// Rides at which a batch is full, 1 to 100000
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::BATCH, "rides"))]
        batch: Option<u32>,
        /// How long a batch waits for more rides, up to 10s
        #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::linger_ms)]
        linger: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// How API nodes publish; what is not named stays
    #[command(arg_required_else_help = true)]
    Api {
        /// Publisher lanes of each API node, each one AMQP channel, 1 to 64
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::LANES, "lanes"))]
        lanes: Option<u32>,
        /// Most rides in one message, 1 to 10000
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::MESSAGE_RIDES, "rides"))]
        message_rides: Option<u32>,
        /// Most rides that wait for their confirm at once, 1 to 1000000; more are refused
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::MAX_IN_FLIGHT, "rides"))]
        max_in_flight: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Who may post rides: everybody, or who shows an ingest key
    Ingest {
        /// Who
        who: Ingest,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// How many machines skictl scale and skictl ec2 let run; what is not named stays
    #[command(arg_required_else_help = true)]
    Fleet {
        /// The least workers, 0 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::MACHINES, "machines"))]
        worker_min: Option<u32>,
        /// The most workers, 1 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::MOST_MACHINES, "machines"))]
        worker_max: Option<u32>,
        /// The least API nodes, 0 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::MACHINES, "machines"))]
        api_min: Option<u32>,
        /// The most API nodes, 1 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = setting(ranges::MOST_MACHINES, "machines"))]
        api_max: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// On what a change stands.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct UnchangedArgs {
    /// Only if the section still has this number
    #[arg(long, value_name = "N")]
    pub(crate) if_number: Option<u64>,
}

/// Who may post rides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ingest {
    /// Who shows an ingest key that covers the ride's resort
    Keys,
    /// Everybody who can reach the API
    Open,
}

/// A setting, which the control plane counts in 32 bits.
pub(super) fn setting(
    range: RangeInclusive<u64>,
    unit: &'static str,
) -> impl Fn(&str) -> Result<u32, String> + Clone {
    let count = ranges::count(range, unit);
    move |text| count(text).map(|number| number as u32)
}
