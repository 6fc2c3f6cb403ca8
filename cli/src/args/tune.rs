//! The command line of `skictl tune`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use skilift_core::control::setting;

use super::client::ClientArgs;
use super::ranges::{self, named};

/// Most dollars of a limit.
const MAX_USD: f64 = 1e6;
/// Most requests or rides per second of a limit.
const MAX_RATE: f64 = 1e7;

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(subcommand)]
    pub(crate) command: TuneCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TuneCommand {
    /// Measure configurations under load, and recommend the cheapest one that meets the objective
    #[command(after_help = RUN)]
    Run(Box<RunArgs>),
    /// Resume a sweep that was stopped
    Resume {
        /// ID of the sweep, see `skictl tune list`
        #[arg(value_name = "SWEEP", value_parser = named("the ID of a sweep, see `skictl tune list`"))]
        sweep: String,
    },
    /// Stop a sweep: settings and instances are restored
    Stop {
        /// ID of the sweep, see `skictl tune list`
        #[arg(value_name = "SWEEP", value_parser = named("the ID of a sweep, see `skictl tune list`"))]
        sweep: String,
    },
    /// List the sweeps
    List,
    /// Show the report of a sweep, as it is now
    Show {
        /// ID of the sweep, see `skictl tune list`
        #[arg(value_name = "SWEEP", value_parser = named("the ID of a sweep, see `skictl tune list`"))]
        sweep: String,
    },
}

/// How a sweep goes, for the end of its help.
const RUN: &str = "\
The console measures one point after the other: it applies the settings by a plan, waits until every node runs them and the queue is \
empty, starts `skictl load`, warms up, and measures. Other changes of what it measures are refused meanwhile. At its end, and after \
Ctrl-C, it restores settings and instances, unless --apply. If `skictl` is killed, the sweep goes on; see `skictl tune list`.
Exit codes: 0 a point meets the objective, 8 none does, 3 stopped, 1 failed.";

/// What a sweep measures. Flags take precedence over the file.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// TOML file with the specification, as in infra/tuning in the source tree
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Numbers of workers to measure, separated by commas [default: the current one]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = ranges::setting::<u32>(&setting::WORKER_MAX))]
    pub(crate) workers: Vec<u32>,
    /// EC2 instance types of the workers to measure, separated by commas; the stack must have enough of each [default: any]
    #[arg(long, value_name = "TYPE,..", value_delimiter = ',', value_parser = named("an EC2 instance type"))]
    pub(crate) worker_types: Vec<String>,
    /// Threads of each worker to measure [default: the current number]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = ranges::setting::<u32>(&setting::THREADS))]
    pub(crate) threads: Vec<u32>,
    /// Maximum rides in a batch to measure [default: the current number]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = ranges::setting::<u32>(&setting::BATCH))]
    pub(crate) batch: Vec<u32>,
    /// Numbers of API nodes to measure [default: the current one]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = ranges::setting::<u32>(&setting::API_MAX))]
    pub(crate) api: Vec<u32>,
    /// URL of the API or of its load balancer [default: the API of `skictl up`]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) target: Option<String>,
    /// Requests per second of the load [default: as many as are answered]
    #[arg(long, value_name = "R", value_parser = ranges::number(0.001..=MAX_RATE, "requests per second"))]
    pub(crate) rate: Option<f64>,
    /// Objective: largest 99th percentile of the latency
    #[arg(long, value_name = "TIME", value_parser = ranges::time(Duration::from_millis(1)..=Duration::from_secs(3600)))]
    pub(crate) p99: Option<Duration>,
    /// Latency of the objective [default: accept-to-stored]
    #[arg(long, value_name = "LATENCY")]
    pub(crate) latency: Option<Latency>,
    /// Objective: least rides stored per second
    #[arg(long, value_name = "R", value_parser = ranges::number(0.001..=MAX_RATE, "rides per second"))]
    pub(crate) min_rate: Option<f64>,
    /// Objective: largest cost of the instances per hour, in dollars
    #[arg(long, value_name = "USD", value_parser = ranges::number(0.0001..=MAX_USD, "dollars"))]
    pub(crate) max_hourly: Option<f64>,
    /// Stop when the instances have cost this much meanwhile, in dollars
    #[arg(long, value_name = "USD", value_parser = ranges::number(0.0001..=MAX_USD, "dollars"))]
    pub(crate) max_spend: Option<f64>,
    /// Measurements of each point [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) repeats: Option<u32>,
    /// How long the load runs before a measurement [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = ranges::time(Duration::from_secs(1)..=Duration::from_secs(600)))]
    pub(crate) warm_up: Option<Duration>,
    /// Length of a measurement [default: 20s]
    #[arg(long, value_name = "TIME", value_parser = ranges::time(Duration::from_secs(5)..=Duration::from_secs(3600)))]
    pub(crate) measure: Option<Duration>,
    /// Seed of the order of the measurements, to repeat that of an earlier sweep [default: random]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=u64::from(u32::MAX)))]
    pub(crate) seed: Option<u64>,
    /// Apply the recommendation at the end, instead of restoring settings and instances
    #[arg(long)]
    pub(crate) apply: bool,
    /// Start without a prompt
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CapacityArgs {
    /// Rides per second, on average
    #[arg(long, value_name = "R", value_parser = ranges::number(0.001..=MAX_RATE, "rides per second"))]
    pub(crate) rate: f64,
    /// How many times as many arrive at the peak
    #[arg(long, value_name = "TIMES", default_value_t = 1.0, value_parser = ranges::number(1.0..=1_000.0, "times the average"))]
    pub(crate) peak: f64,
    /// Largest 99th percentile from acceptance to storage [default: that of the sweep's objective]
    #[arg(long, value_name = "TIME", value_parser = ranges::time(Duration::from_millis(1)..=Duration::from_secs(3600)))]
    pub(crate) p99: Option<Duration>,
    /// ID of the sweep that measured the nodes [default: the newest one that has finished]
    #[arg(long, value_name = "SWEEP")]
    pub(crate) sweep: Option<String>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// A latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Latency {
    AcceptToStored,
    Request,
}
