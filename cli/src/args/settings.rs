//! The command line of `skictl settings`.

use clap::{Args, Subcommand, ValueEnum};
use skilift_console::view::settings::Section;
use skilift_core::control::setting;

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
    /// Show the desired settings and which nodes are up to date (default)
    Show {
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Change a section of the running system
    #[command(subcommand)]
    Set(SetCommand),
    /// Show the previous versions of a section
    History {
        /// Section
        section: SectionName,
        #[command(flatten)]
        watch: WatchArgs,
    },
    /// Restore a previous version of a section
    Rollback {
        /// Section
        section: SectionName,
        /// Version to roll back to [default: the previous one]
        #[arg(long, value_name = "N")]
        to: Option<u64>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// A settings section on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SectionName {
    Worker,
    Api,
    Ingest,
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
    /// Worker settings; omitted values are left unchanged
    #[command(arg_required_else_help = true)]
    Worker {
        /// Threads of each worker, each one AMQP channel and one Redis connection, 1 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::THREADS))]
        threads: Option<u32>,
        /// Maximum unacknowledged rides of a thread, 1 to 1000000
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::PREFETCH))]
        prefetch: Option<u32>,
        /// Maximum rides in a batch, 1 to 100000
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::BATCH))]
        batch: Option<u32>,
        /// Maximum time that a batch waits for more rides, up to 10s
        #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::linger_ms)]
        linger: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Publishing settings of API nodes; omitted values are left unchanged
    #[command(arg_required_else_help = true)]
    Api {
        /// Publisher channels of each API node, each one AMQP channel, 1 to 64
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::CHANNELS))]
        channels: Option<u32>,
        /// Maximum rides in one message, 1 to 10000
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::MESSAGE_RIDES))]
        message_rides: Option<u32>,
        /// Maximum unconfirmed rides, 1 to 1000000; further rides are rejected with 503
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::MAX_IN_FLIGHT))]
        max_in_flight: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Ingest policy: who may post rides, anyone or only clients with an ingest key
    Ingest {
        /// Policy: keys (only clients with a valid ingest key for the resort of the ride) or open (any client that can reach the API)
        who: Ingest,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Limits of `skictl scale` and `skictl ec2`; omitted values are left unchanged
    #[command(arg_required_else_help = true)]
    Fleet {
        /// Minimum number of workers, 0 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::WORKER_MIN))]
        worker_min: Option<u32>,
        /// Maximum number of workers, 1 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::WORKER_MAX))]
        worker_max: Option<u32>,
        /// Minimum number of API nodes, 0 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::API_MIN))]
        api_min: Option<u32>,
        /// Maximum number of API nodes, 1 to 256
        #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u32>(&setting::API_MAX))]
        api_max: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// Precondition of a change.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct UnchangedArgs {
    /// Fail unless the section is still at this version
    #[arg(long, value_name = "N")]
    pub(crate) if_version: Option<u64>,
}

/// Ingest policy: who may post rides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ingest {
    Keys,
    Open,
}
