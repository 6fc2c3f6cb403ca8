//! Configuration errors.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use figment::Source;
use figment::error::Kind;
use skilift_core::service_url::InvalidServiceUrl;
use skilift_load::simulation::RateError;

use crate::instance::InvalidInstanceId;

/// A configuration error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0}")]
    Layers(Box<figment::Error>),
    #[error("unknown {what}: {}", hint(.similar.as_deref()))]
    Unknown {
        what: String,
        /// The most similar known name.
        similar: Option<String>,
    },
    #[error("configuration file not found: {}", .0.display())]
    NoFile(PathBuf),
    #[error("{0}")]
    Stack(#[from] skilift_core::stack::InvalidStackName),
    #[error("instance_id")]
    InstanceId(#[from] InvalidInstanceId),
    #[error(
        "missing the URLs of RabbitMQ and Redis: set --amqp-url URL and --redis-url URL, or their -file variants, or SKI_AMQP_URL \
        and SKI_REDIS_URL, or amqp_url and redis_url in a configuration file; `skictl up` needs neither"
    )]
    NoServers,
    #[error("{given} is set but {missing} is not: RabbitMQ and Redis are used together")]
    Half {
        given: &'static str,
        missing: &'static str,
    },
    #[error("{given} is set but {missing} is not: TLS needs a certificate and its key")]
    HalfTls {
        given: &'static str,
        missing: &'static str,
    },
    #[error(transparent)]
    Tls(#[from] skilift_http::TlsError),
    #[error(
        "simulate and tls_cert are both set, but simulated gates use plain HTTP; remove one of them"
    )]
    SimulateInTls,
    #[error("cannot determine the data directory: HOME is not set; set --data")]
    NoHome,
    #[error(transparent)]
    Prices(skilift_console::PricesError),
    #[error(transparent)]
    Simulate(#[from] RateError),
    #[error("both {0} and {0}_file are set; keep one")]
    Twice(&'static str),
    #[error("{key}")]
    Url {
        key: &'static str,
        source: InvalidServiceUrl,
    },
    #[error("ec2_endpoint_url must begin with http:// or https:// and name a host")]
    Ec2EndpointUrl,
    #[error("cannot read {key} {}", path.display())]
    Secret {
        key: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{key} must be {} to {}, not {got}", range.start(), range.end())]
    Range {
        key: &'static str,
        range: RangeInclusive<u64>,
        got: u64,
    },
    #[error(
        "message_rides ({message_rides}) must not exceed max_in_flight ({max_in_flight}): a full message could never be sent"
    )]
    MessageTooLarge {
        message_rides: u64,
        max_in_flight: u64,
    },
    #[error("{} is not valid TOML: line {line}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{key} must be at most {}, not {}", humantime::format_duration(*most), humantime::format_duration(*got))]
    TooLong {
        key: &'static str,
        most: Duration,
        got: Duration,
    },
    #[error("cannot write the configuration of the child processes as TOML")]
    Children(#[source] toml::ser::Error),
    #[error(
        "{0} is reachable from other hosts: list the resorts with --catalogue, require ingest keys with --ingest keys, \
        or use --open to allow any client to post rides for any resort"
    )]
    OpenToStrangers(SocketAddr),
    #[error(
        "the console on {0} would be reachable from other hosts without TLS: set --tls-cert and --tls-key, or \
        --behind-proxy if a proxy terminates TLS"
    )]
    ConsoleInTheClear(SocketAddr),
    #[error(
        "the console on {0} would be reachable from other hosts, but it has no users yet: start it on 127.0.0.1 first, \
        log in with the code that it prints, and add an admin with `skictl users add`"
    )]
    ConsoleWithoutUsers(SocketAddr),
}

/// Minimum similarity of a name for a suggestion, as for clap's flags.
const SIMILAR: f64 = 0.7;

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        let Kind::UnknownField(name, known) = &error.kind else {
            return Self::Layers(Box::new(error));
        };
        let source = error.metadata.as_ref().and_then(|of| of.source.as_ref());
        let similar = known
            .iter()
            .map(|key| (strsim::jaro(name, key), *key))
            .filter(|(similarity, _)| *similarity > SIMILAR)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, key)| key);
        let variable = |key: &str| format!("SKI_{}", key.to_uppercase());
        match source {
            Some(Source::File(file)) => Self::Unknown {
                what: format!("key {name} in {}", file.display()),
                similar: similar.map(str::to_owned),
            },
            _ => Self::Unknown {
                what: format!("variable {} in the environment", variable(name)),
                similar: similar.map(variable),
            },
        }
    }
}

fn hint(similar: Option<&str>) -> String {
    match similar {
        Some(name) => format!("did you mean {name}?"),
        None => "see `skictl up --help` and `skictl serve --help` for all names".to_owned(),
    }
}
