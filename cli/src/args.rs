//! The command line. Every option is also a configuration key and a `SKI_*` variable of the same name.

pub(crate) mod access;
pub(crate) mod archive;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod ec2;
mod examples;
pub(crate) mod load;
pub(crate) mod operator;
#[cfg(test)]
mod parity;
pub(crate) mod plans;
pub(crate) mod queue;
mod ranges;
pub(crate) mod rehearse;
pub(crate) mod scale;
pub(crate) mod settings;
pub(crate) mod stats;
mod store;
#[cfg(test)]
mod tests;
pub(crate) mod top;
pub(crate) mod tune;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use serde::Serialize;
use skilift_core::control::setting;
use skilift_load::simulation::Rate;

use self::store::{ArchiveArgs, StoreArgs};
pub(crate) use self::worker::WorkerArgs;
use crate::config::listen;
use crate::exit::EXIT_CODES;
use crate::logging::LogFormat;

/// Where settings come from, for the end of `--help`.
const SETTINGS: &str = "\
Every option can also be set by an environment variable (--amqp-url is SKI_AMQP_URL) or in a configuration file \
(amqp_url = \"...\"). Flags take precedence over the environment, and the environment over the configuration file: \
the one given by --config, else ./skilift.toml, else \
/etc/skilift/skilift.toml. SKI_LOG sets the log filter (default: info).";

/// Records ski lift rides and serves queries about them.
#[derive(Debug, Parser)]
#[command(
    name = "skictl",
    version = env!("SKICTL_VERSION"),
    about,
    after_help = format!("{EXIT_CODES}\n\n{SETTINGS}")
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Parses the command line; exits the process on a usage error and after printing help.
    pub(crate) fn read() -> Self {
        let words = client::behind_the_command(std::env::args_os());
        let read = Self::documented()
            .try_get_matches_from(&words)
            .and_then(|matches| Self::from_arg_matches(&matches));
        read.unwrap_or_else(|error| client::with_watch_hint(error, &words).exit())
    }

    /// The command line with its examples.
    pub(crate) fn documented() -> clap::Command {
        let mut command = examples::documented(Self::command(), "");
        // Passes the options of a group on to the commands below it, where they need not be explained again.
        command.build();
        command.mut_subcommands(|group| {
            let name = group.get_name().to_owned();
            group.mut_subcommands(|below| client::refer_to_group(below, &name))
        })
    }

    /// The examples of a command, by its path after `skictl`.
    pub(crate) fn examples(path: &str) -> &'static [&'static str] {
        examples::of(path)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on one host: on a data directory, or on RabbitMQ and Redis
    #[command(after_help = SETTINGS)]
    Up(Box<UpArgs>),
    /// Run one role of a fleet, on RabbitMQ and Redis
    #[command(subcommand)]
    Serve(Box<Role>),
    /// Run a load test against a server of this API, and verify every accepted ride
    #[command(after_help = load::EXIT_CODES)]
    Load(Box<load::LoadArgs>),
    #[command(flatten)]
    Operator(OperatorCommand),
    /// Check broker, Redis, clocks, versions, ports and disk, and suggest fixes
    #[command(after_help = doctor::DOCTOR_EXIT_CODES)]
    Doctor(Box<doctor::DoctorArgs>),
    /// Make the directory of a console from an export
    Import(operator::ImportArgs),
    /// Show the configuration of this host
    #[command(subcommand, after_help = SETTINGS)]
    Config(config::ConfigCommand),
    /// Rehearse scaling and its failures without an AWS account
    #[command(subcommand)]
    Rehearse(rehearse::RehearseCommand),
    /// Print a completion script for a shell
    Completions {
        /// Shell to generate the script for
        shell: Shell,
    },
    /// Print the man page of skictl, or write the man pages of all commands to a directory
    Man {
        /// Directory to write one page per command to
        #[arg(value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
}

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Show statistics of skiers and resorts
    #[command(after_help = operator::CONSOLE)]
    Stats(stats::StatsArgs),
    /// Show alarms and key figures; the exit code is the severity
    #[command(after_help = format!("{}\n\n{}", operator::STATUS_EXIT_CODES, operator::CONSOLE))]
    Status(operator::StatusArgs),
    /// Watch the overview and the nodes on the whole terminal
    #[command(after_help = format!("{}\n\n{}", top::KEYS, operator::CONSOLE))]
    Top(top::TopArgs),
    /// Show the backlog and how late rides are stored; pause, resume, dead letters
    #[command(after_help = operator::CONSOLE)]
    Queue(queue::QueueArgs),
    /// Show and drain nodes
    #[command(after_help = operator::CONSOLE)]
    Nodes(operator::NodesArgs),
    /// Show and change the settings of running nodes
    #[command(after_help = operator::CONSOLE)]
    Settings(settings::SettingsArgs),
    /// Change the number of running instances and the settings of their nodes
    #[command(after_help = operator::CONSOLE)]
    Scale(Box<scale::ScaleArgs>),
    /// Show, start and stop instances: EC2 instances, or the child processes of `skictl up`
    #[command(after_help = operator::CONSOLE)]
    Ec2(Box<ec2::Ec2Args>),
    /// Show the hourly cost of the instances, and the cost per million stored rides
    #[command(after_help = operator::CONSOLE)]
    Cost(ec2::CostArgs),
    /// Find the cheapest node and thread counts that meet an objective, by measuring them under load
    #[command(after_help = operator::CONSOLE)]
    Tune(Box<tune::TuneArgs>),
    /// Compute how many nodes a load needs, by what a sweep measured
    #[command(after_help = operator::CONSOLE)]
    Capacity(tune::CapacityArgs),
    /// Show, apply and cancel plans of changes
    #[command(after_help = operator::CONSOLE)]
    Plans(Box<plans::PlansArgs>),
    /// Show the audit log: who did what, and the result
    #[command(after_help = operator::CONSOLE)]
    Audit(operator::AuditArgs),
    /// Write the state of the console to a file, as a backup or for another console
    #[command(after_help = operator::CONSOLE)]
    Export(operator::ExportArgs),
    /// Show and manage the users who may log in
    #[command(after_help = operator::CONSOLE)]
    Users(access::UsersArgs),
    /// Show, create and revoke access tokens for scripts
    #[command(after_help = operator::CONSOLE)]
    Tokens(access::TokensArgs),
    /// Show, create and revoke ingest keys for gates
    #[command(after_help = operator::CONSOLE)]
    Keys(access::KeysArgs),
    /// Log in to a console
    #[command(after_help = format!("{}\n\n{}", access::LOGIN_TOKEN, operator::CONSOLE))]
    Login(access::LoginArgs),
    /// End the login of the context in use, and delete its token
    #[command(after_help = operator::CONSOLE)]
    Logout(access::WhoArgs),
    /// Show who you are at the console: user or token, and role
    #[command(after_help = operator::CONSOLE)]
    Whoami(access::WhoArgs),
    /// Manage contexts (named consoles) and select the current one
    #[command(after_help = access::CONTEXTS_FILE)]
    Context(access::ContextArgs),
    /// Move days of a season from Redis to files, and back
    #[command(after_help = operator::CONSOLE)]
    Archive(archive::ArchiveArgs),
    /// Rebuild a day's counters and indexes from the ledger
    #[command(after_help = operator::CONSOLE)]
    Repair(operator::RepairArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Serve the public REST API: accept rides and serve queries
    #[command(after_help = SETTINGS)]
    Api(ApiArgs),
    /// Consume rides from the queue and store them
    #[command(after_help = SETTINGS)]
    Worker(WorkerArgs),
    /// Serve the admin API for operators
    #[command(after_help = SETTINGS)]
    Console(ConsoleArgs),
}

/// Options of every role.
#[derive(Debug, Args, Serialize)]
pub(crate) struct CommonArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Name of the deployment; prefix of every Redis key and of the queue names [default: skilift]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<String>,
    #[arg(
        long,
        value_name = "URL",
        help = "URL of RabbitMQ, for example amqp://USER:PASSWORD@HOST:5672/VHOST (other users can see flags: prefer --amqp-url-file)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    amqp_url: Option<String>,
    /// File with the URL of RabbitMQ
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    amqp_url_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "URL",
        help = "URL of Redis, for example redis://USER:PASSWORD@HOST:6379/DB (other users can see flags: prefer --redis-url-file)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_url: Option<String>,
    /// File with the URL of Redis
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_url_file: Option<PathBuf>,
    /// Listen address for health and metrics; port 0 picks a free port [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR", value_parser = listen::parse)]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<SocketAddr>,
    /// Maximum time to finish outstanding work after the first signal, up to 1h [default: 30s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::time(Duration::ZERO..=ranges::DRAIN))]
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "humantime_serde::option"
    )]
    drain_deadline: Option<Duration>,
}

/// Hidden option that ties a node to its parent process.
#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    /// Run as a child of `skictl up`: exit when stdin closes, report readiness on stdout, and log in this format
    #[arg(long, hide = true, value_name = "FORMAT")]
    pub(crate) child: Option<LogFormat>,
}

impl CommonArgs {
    fn names_servers(&self) -> bool {
        let urls = [&self.amqp_url, &self.redis_url];
        let files = [&self.amqp_url_file, &self.redis_url_file];
        urls.into_iter().any(Option::is_some) || files.into_iter().any(Option::is_some)
    }
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(flatten)]
    public: PublicArgs,
    #[command(flatten)]
    #[serde(flatten)]
    console: ConsoleExposureArgs,
    #[command(flatten)]
    #[serde(flatten)]
    node: NodeArgs,
    /// Data directory; takes precedence over servers set only by environment or config file [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    #[serde(flatten)]
    archive: ArchiveArgs,
    /// Simulated rides per second from skiers at three resorts, up to 2000 [default: 0]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = ranges::number(0.0..=Rate::MAX, "rides per second"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    simulate: Option<f64>,
}

impl UpArgs {
    /// Whether the command line sets a data directory and no servers.
    pub(crate) fn wants_data_folder(&self) -> bool {
        self.data.is_some() && !self.common.names_servers()
    }
}

/// Options of every node.
#[derive(Debug, Args, Serialize)]
pub(crate) struct NodeArgs {
    /// Instance ID of this host, which the console uses to find its nodes [default: on EC2 the instance ID, else none]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
}

/// Options of the public API.
#[derive(Debug, Args, Serialize)]
pub(crate) struct PublicArgs {
    /// Listen address of the public API; port 0 picks a free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = listen::parse)]
    #[serde(skip_serializing_if = "Option::is_none")]
    api_listen: Option<SocketAddr>,
    /// Resorts with their names, lifts, verticals and open days; rides of other resorts are rejected [default: every resort exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsArgs,
    /// Who may post rides until the console sets a policy: anyone, or only clients with an ingest key [default: open]
    #[arg(long, value_name = "WHO", value_parser = ["open", "keys"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest: Option<String>,
    /// Require an ingest key for reads as well
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    read_keys: bool,
    /// Allow any client that can reach the API to post any valid ride, even beyond loopback without a catalogue or ingest keys
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    open: bool,
}

/// Options of TLS.
#[derive(Debug, Args, Serialize)]
pub(crate) struct TlsArgs {
    /// Serve TLS with this certificate chain, in PEM format [default: plain HTTP]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM format
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
}

/// Options of RabbitMQ's management API.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ManagementArgs {
    #[arg(
        long,
        value_name = "URL",
        help = "URL of RabbitMQ's management API, for metrics that AMQP does not expose, for example http://USER:PASSWORD@HOST:15672 (other users can see flags: prefer --management-url-file)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    management_url: Option<String>,
    /// File with the URL of RabbitMQ's management API
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    management_url_file: Option<PathBuf>,
}

/// Options of the admin API: exposure, read-only mode, management API and prices.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ConsoleExposureArgs {
    /// Listen address of the console's admin API; port 0 picks a free port [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR", value_parser = listen::parse)]
    #[serde(skip_serializing_if = "Option::is_none")]
    console_listen: Option<SocketAddr>,
    /// Reject all changes through this console
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    read_only: bool,
    /// The console is behind a TLS-terminating proxy that sets X-Forwarded-For; make sure that only the proxy can reach it
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    behind_proxy: bool,
    #[command(flatten)]
    #[serde(flatten)]
    management: ManagementArgs,
    /// Instance prices, in the format of infra/aws/prices.toml in the source tree [default: the prices built into skictl]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    price_file: Option<PathBuf>,
    /// Host that sends the load of sweeps: `skictl` runs there, by ssh without a password [default: this host]
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname)]
    #[serde(skip_serializing_if = "Option::is_none")]
    load_host: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    #[serde(flatten)]
    archive: ArchiveArgs,
    #[command(flatten)]
    #[serde(flatten)]
    console: ConsoleExposureArgs,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsArgs,
    /// Resorts with their names and the verticals of their lifts, same file as for the API [default: every resort exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<PathBuf>,
    /// Directory for the console's state [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[arg(long, help = "Endpoint of the EC2 API, for example http://127.0.0.1:5000 for a local emulator [default: the endpoint of the region]", value_name = "URL", value_hint = ValueHint::Url)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ec2_endpoint_url: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct ApiArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) tie: ChildArgs,
    #[command(flatten)]
    #[serde(flatten)]
    public: PublicArgs,
    #[command(flatten)]
    #[serde(flatten)]
    archive: ArchiveArgs,
    #[command(flatten)]
    #[serde(flatten)]
    node: NodeArgs,
    /// Directory for the cached desired state [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Publisher channels, each one AMQP channel, 1 to 64 [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u64>(&setting::CHANNELS))]
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<u64>,
    /// Maximum rides in one message, 1 to 10000 [default: 256]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u64>(&setting::MESSAGE_RIDES))]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_rides: Option<u64>,
    /// Maximum unconfirmed rides, 1 to 1000000; further rides are rejected with 503 [default: 20000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::setting::<u64>(&setting::MAX_IN_FLIGHT))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u64>,
    /// Queue depth above which new rides are rejected, in rides, 1 to 1000000000 [default: 1000000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::HIGH_WATER, "rides"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    high_water: Option<u64>,
}

/// Skips a switch that is off on the command line, so that the file can still turn it on.
fn is_false(switch: &bool) -> bool {
    !switch
}
