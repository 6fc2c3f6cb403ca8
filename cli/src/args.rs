//! The command line. Every option is also a key of the configuration file and a `SKI_*` variable, by the same name.

pub(crate) mod access;
pub(crate) mod client;
pub(crate) mod doctor;
pub(crate) mod ec2;
mod examples;
pub(crate) mod load;
pub(crate) mod operate;
pub(crate) mod queue;
mod ranges;
pub(crate) mod scale;
pub(crate) mod settings;
pub(crate) mod stats;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use serde::Serialize;
use skilift_load::simulation::Rate;

use crate::exit::EXIT_CODES;
use crate::logging::LogFormat;

/// Where settings come from, for the end of `--help`.
const SETTINGS: &str = "\
Every option can also be set by an environment variable (--amqp-url is SKI_AMQP_URL) or in a configuration file \
(amqp_url = \"...\"): flags come first, then the environment, then the file given by --config, else ./skilift.toml, else \
/etc/skilift/skilift.toml. SKI_LOG sets the log filter (default: info).";

/// Records ski lift rides and answers questions about them.
#[derive(Debug, Parser)]
#[command(
    name = "skictl",
    version,
    about,
    after_help = format!("{EXIT_CODES}\n\n{SETTINGS}")
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What was asked for; it ends the process where that cannot be meant, or is help.
    pub(crate) fn read() -> Self {
        let words: Vec<OsString> = std::env::args_os().collect();
        let read = Self::documented()
            .try_get_matches_from(&words)
            .and_then(|matches| Self::from_arg_matches(&matches));
        read.unwrap_or_else(|error| client::with_watch_hint(error, &words).exit())
    }

    /// The command line with its examples.
    pub(crate) fn documented() -> clap::Command {
        examples::documented(Self::command(), "")
    }

    /// The examples of a command, by its words behind `skictl`.
    pub(crate) fn examples(path: &str) -> &'static [&'static str] {
        examples::of(path)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on one machine: on a data folder, or on RabbitMQ and Redis
    #[command(after_help = SETTINGS)]
    Up(Box<UpArgs>),
    /// Run one role of a fleet, on RabbitMQ and Redis
    #[command(subcommand)]
    Serve(Box<Role>),
    /// Load a server that speaks the API, and prove what became of every ride
    #[command(after_help = load::EXIT_CODES)]
    Load(Box<load::LoadArgs>),
    #[command(flatten)]
    Operate(Operate),
    /// Look at broker, Redis, clocks, versions, ports and disk, and say how to mend what is wrong
    #[command(after_help = doctor::DOCTOR_EXIT_CODES)]
    Doctor(Box<doctor::DoctorArgs>),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page of skictl, or write the pages of all commands into a folder
    Man {
        /// Write one page for each command here
        #[arg(value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
}

/// The operator's commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Operate {
    /// Show what is known of skiers and resorts
    #[command(after_help = operate::CONSOLE)]
    Stats(stats::StatsArgs),
    /// Show how many rides wait and how late they are stored; pause, resume, dead letters
    #[command(after_help = operate::CONSOLE)]
    Queue(queue::QueueArgs),
    /// Show the nodes, and drain them
    #[command(after_help = operate::CONSOLE)]
    Nodes(operate::NodesArgs),
    /// Show how nodes work, and change it while rides flow
    #[command(after_help = operate::CONSOLE)]
    Settings(settings::SettingsArgs),
    /// Change how many machines run, and how their nodes work
    #[command(after_help = operate::CONSOLE)]
    Scale(Box<scale::ScaleArgs>),
    /// Show the machines, and start and stop some: EC2 instances, or the child processes of skictl up
    #[command(after_help = operate::CONSOLE)]
    Ec2(Box<ec2::Ec2Args>),
    /// Show what the machines cost an hour, and what a million stored rides cost
    #[command(after_help = operate::CONSOLE)]
    Cost(ec2::CostArgs),
    /// Show who did what, and what came of it
    #[command(after_help = operate::CONSOLE)]
    Audit(operate::AuditArgs),
    /// Show and change who may log in
    #[command(after_help = operate::CONSOLE)]
    Users(access::UsersArgs),
    /// Show, make and revoke tokens for scripts
    #[command(after_help = operate::CONSOLE)]
    Tokens(access::TokensArgs),
    /// Show, make and revoke ingest keys for gates
    #[command(after_help = operate::CONSOLE)]
    Keys(access::KeysArgs),
    /// Log in to a console
    #[command(after_help = format!("{}\n\n{}", access::LOGIN_TOKEN, operate::CONSOLE))]
    Login(access::LoginArgs),
    /// Name consoles, and choose one
    #[command(after_help = access::CONTEXTS_FILE)]
    Context(access::ContextArgs),
    /// Write the counters and indexes of a day anew, from its ledger
    #[command(after_help = operate::CONSOLE)]
    Repair(operate::RepairArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Serve the public REST API: accept rides, answer questions
    #[command(after_help = SETTINGS)]
    Api(ApiArgs),
    /// Take rides from the queue and store them
    #[command(after_help = SETTINGS)]
    Worker(WorkerArgs),
    /// Serve the admin API: what operators see and change
    #[command(after_help = SETTINGS)]
    Console(ConsoleArgs),
}

/// What every role needs.
#[derive(Debug, Args, Serialize)]
pub(crate) struct CommonArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Name of the deployment: prefixes every Redis key and names the queues [default: skilift]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<String>,
    #[arg(
        long,
        value_name = "URL",
        help = "RabbitMQ, as amqp://USER:PASSWORD@HOST:5672/VHOST (others can see flags: prefer --amqp-url-file)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    amqp_url: Option<String>,
    /// File that holds the URL of RabbitMQ
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    amqp_url_file: Option<PathBuf>,
    #[arg(
        long,
        value_name = "URL",
        help = "Redis, as redis://USER:PASSWORD@HOST:6379/DB (others can see flags: prefer --redis-url-file)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_url: Option<String>,
    /// File that holds the URL of Redis
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    redis_url_file: Option<PathBuf>,
    /// Address of health and metrics; port 0 takes a free one [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics_listen: Option<SocketAddr>,
    /// How long finishing the work may take after the first signal, up to 1h [default: 30s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::time(Duration::ZERO..=ranges::DRAIN))]
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "humantime_serde::option"
    )]
    drain_deadline: Option<Duration>,
}

/// How a node is tied to the process that started it.
#[derive(Debug, Args)]
pub(crate) struct ChildArgs {
    /// Be a child of `skictl up`: end when the standard input does, say on stdout when all is up, and log in this format
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
    console: ConsoleDoorArgs,
    #[command(flatten)]
    #[serde(flatten)]
    node: NodeArgs,
    /// Folder for all data; it goes before servers that only the environment or a file names [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Run although Redis may forget the last rides that it acknowledged
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    accept_loss_window: bool,
    /// Post so many simulated rides a second, up to 2000, as skiers at three resorts would take them [default: 0]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = ranges::number(0.0..=Rate::MAX, "rides a second"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    simulate: Option<f64>,
}

impl UpArgs {
    /// Whether the command line asks for a data folder and for nothing else.
    pub(crate) fn wants_data_folder(&self) -> bool {
        self.data.is_some() && !self.common.names_servers()
    }
}

/// What every node needs.
#[derive(Debug, Args, Serialize)]
pub(crate) struct NodeArgs {
    /// Name of the machine, by which the console finds its nodes [default: on EC2 the instance's id, else none]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<String>,
}

/// What serving the public API needs.
#[derive(Debug, Args, Serialize)]
pub(crate) struct PublicArgs {
    /// Address of the public API; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    api_listen: Option<SocketAddr>,
    /// Resorts with their names, lifts, verticals and open days; unlisted ones are refused [default: every resort exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsArgs,
    /// Who may post rides until the console says it: everybody, or who shows an ingest key [default: open]
    #[arg(long, value_name = "WHO", value_parser = ["open", "keys"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest: Option<String>,
    /// Ask for an ingest key whoever asks about rides, too
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    read_keys: bool,
    /// Let anybody who can reach the API write anything in range, also beyond loopback without a catalogue or ingest keys
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    open: bool,
}

/// What serving in TLS needs.
#[derive(Debug, Args, Serialize)]
pub(crate) struct TlsArgs {
    /// Serve in TLS, with this certificate and those that lead to its authority, as PEM [default: plain HTTP]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, as PEM
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
}

/// Where RabbitMQ tells more than AMQP does.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ManagementArgs {
    #[arg(
        long,
        value_name = "URL",
        help = "RabbitMQ's management API, as http://USER:PASSWORD@HOST:15672, for what AMQP does not tell (others can see flags: prefer --management-url-file)"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    management_url: Option<String>,
    /// File that holds the URL of RabbitMQ's management API
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    management_url_file: Option<PathBuf>,
}

/// Who can reach the admin API, and what for; and what it knows of prices.
#[derive(Debug, Args, Serialize)]
pub(crate) struct ConsoleDoorArgs {
    /// Address of the console's admin API; port 0 takes a free one [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    console_listen: Option<SocketAddr>,
    /// Change nothing through this console
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    read_only: bool,
    /// A proxy in front of the console speaks TLS and says in X-Forwarded-For who asks; nobody else may reach its address
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    behind_proxy: bool,
    #[command(flatten)]
    #[serde(flatten)]
    management: ManagementArgs,
    /// Prices of machines, as infra/aws/prices.toml in the source has them [default: those that skictl was built with]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    price_file: Option<PathBuf>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(flatten)]
    console: ConsoleDoorArgs,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsArgs,
    /// Resorts with their names and the verticals of their lifts, as the API has them [default: every resort exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<PathBuf>,
    /// Folder for what the console keeps [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[arg(long, help = "Where EC2's API is, as http://127.0.0.1:5000 for a stand-in [default: that of the region]", value_name = "URL", value_hint = ValueHint::Url)]
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
    node: NodeArgs,
    /// Folder for what the console said last [default: ~/.local/share/skilift]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Publisher lanes, each one AMQP channel, 1 to 64 [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::LANES, "lanes"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    lanes: Option<u64>,
    /// Most rides in one message, 1 to 10000 [default: 256]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::MESSAGE_RIDES, "rides"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_rides: Option<u64>,
    /// Most rides that wait for RabbitMQ's confirm at once, 1 to 1000000; more are refused [default: 20000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::MAX_IN_FLIGHT, "rides"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u64>,
    /// Rides in the queue above which new ones are refused, 1 to 1000000000 [default: 1000000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::HIGH_WATER, "rides"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    high_water: Option<u64>,
}

#[derive(Debug, Args, Serialize)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    #[serde(skip)]
    pub(crate) tie: ChildArgs,
    #[command(flatten)]
    #[serde(flatten)]
    node: NodeArgs,
    /// Threads, each one AMQP channel and one Redis connection, 1 to 256 [default: 2]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::THREADS, "threads"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<u64>,
    /// Rides that a thread may hold unacknowledged, 1 to 1000000 [default: 4000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::PREFETCH, "rides"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch: Option<u64>,
    /// Rides at which a batch is full, 1 to 100000 [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = ranges::count(ranges::BATCH, "rides"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u64>,
    /// How long a batch waits for more rides, up to 10s [default: 25ms]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = ranges::time(Duration::ZERO..=ranges::LINGER))]
    #[serde(
        skip_serializing_if = "Option::is_none",
        with = "humantime_serde::option"
    )]
    linger: Option<Duration>,
    /// Run although Redis may forget the last rides that it acknowledged
    #[arg(long)]
    #[serde(skip_serializing_if = "is_false")]
    accept_loss_window: bool,
}

/// A switch that is off on the command line may be on in the file.
fn is_false(switch: &bool) -> bool {
    !switch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::documented().debug_assert();
    }

    /// Writes the help of a command and of all below it.
    fn write_help(command: &mut clap::Command, text: &mut String) {
        text.push_str(&command.render_long_help().to_string());
        for below in command.get_subcommands_mut() {
            text.push_str("\n----\n");
            write_help(below, text);
        }
    }

    #[test]
    fn help() {
        let mut all = Cli::documented().term_width(120);
        all.build();
        insta::assert_snapshot!("skictl", all.render_long_help().to_string());
        let commands = all.get_subcommands_mut();
        for command in commands.filter(|command| command.get_name() != "help") {
            let name = format!("skictl-{}", command.get_name());
            let mut text = String::new();
            write_help(command, &mut text);
            insta::assert_snapshot!(name, text);
        }
    }
}
