//! The command line of `skictl settings`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use skilift_console::view::settings::Section;

use super::client::{ClientArgs, ConsentArgs, WatchArgs};

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
}

impl From<SectionName> for Section {
    fn from(name: SectionName) -> Self {
        match name {
            SectionName::Worker => Self::Worker,
            SectionName::Api => Self::Api,
            SectionName::Ingest => Self::Ingest,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum SetCommand {
    /// How workers work; what is not named stays
    #[command(arg_required_else_help = true)]
    Worker {
        /// Threads of each worker, each one AMQP channel and one Redis connection
        #[arg(long, value_name = "N")]
        threads: Option<u32>,
        /// Rides that a thread may hold unacknowledged
        #[arg(long, value_name = "N")]
        prefetch: Option<u32>,
        /// Rides at which a batch is full
        #[arg(long, value_name = "N")]
        batch: Option<u32>,
        /// How long a batch waits for more rides
        #[arg(long, value_name = "TIME", value_parser = linger)]
        linger: Option<u32>,
        #[command(flatten)]
        unchanged: UnchangedArgs,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// How API nodes publish; what is not named stays
    #[command(arg_required_else_help = true)]
    Api {
        /// Publisher lanes of each API node, each one AMQP channel
        #[arg(long, value_name = "N")]
        lanes: Option<u32>,
        /// Most rides in one message
        #[arg(long, value_name = "N")]
        message_rides: Option<u32>,
        /// Most rides that wait for their confirm at once; more are refused
        #[arg(long, value_name = "N")]
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

/// Whole milliseconds.
fn linger(text: &str) -> Result<u32, String> {
    let time: Duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if !time.subsec_nanos().is_multiple_of(1_000_000) {
        return Err("it is counted in whole milliseconds".to_owned());
    }
    u32::try_from(time.as_millis()).map_err(|_| "it must be at most 10s".to_owned())
}

pub(super) const SETTINGS_EXAMPLES: &str = "\
Examples:
  skictl settings set worker --threads 16 --linger 25ms
  skictl settings set worker --threads 8 --if-number 3 --yes
  skictl settings set ingest keys
  skictl settings history worker
  skictl settings rollback worker --to 2";
