//! The configuration keys of file, variables and flags, with their defaults and ranges.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skilift_api::IngestPolicy;
use skilift_core::control::Ingest;
use skilift_core::control::setting::{self, Setting};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_load::simulation::Rate;
use url::Url;

use super::{Config, ConfigError, Servers, TlsFiles, listen};

/// The configuration keys of file, variables and flags.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    stack: String,
    data: Option<PathBuf>,
    simulate: f64,
    amqp_url: Option<String>,
    amqp_url_file: Option<PathBuf>,
    redis_url: Option<String>,
    redis_url_file: Option<PathBuf>,
    management_url: Option<String>,
    management_url_file: Option<PathBuf>,
    instance_id: Option<String>,
    #[serde(deserialize_with = "listen::deserialize")]
    metrics_listen: SocketAddr,
    #[serde(with = "humantime_serde")]
    drain_deadline: Duration,
    log: String,

    #[serde(deserialize_with = "listen::deserialize")]
    api_listen: SocketAddr,
    channels: u64,
    message_rides: u64,
    max_in_flight: u64,
    high_water: u64,
    catalogue: Option<PathBuf>,
    ingest: Ingest,
    read_keys: bool,
    open: bool,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,

    #[serde(deserialize_with = "listen::deserialize")]
    console_listen: SocketAddr,
    read_only: bool,
    behind_proxy: bool,
    ec2_endpoint_url: Option<String>,
    price_file: Option<PathBuf>,
    load_host: Option<String>,

    threads: u64,
    prefetch: u64,
    batch: u64,
    #[serde(with = "humantime_serde")]
    linger: Duration,
    store_durability: StoreDurability,
    archive: Option<PathBuf>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            stack: StackName::default().to_string(),
            data: None,
            simulate: 0.0,
            amqp_url: None,
            amqp_url_file: None,
            redis_url: None,
            redis_url_file: None,
            management_url: None,
            management_url_file: None,
            instance_id: None,
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            drain_deadline: Duration::from_secs(30),
            log: "info".to_owned(),
            api_listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            channels: 1,
            message_rides: 256,
            max_in_flight: 20_000,
            high_water: 1_000_000,
            catalogue: None,
            ingest: Ingest::Open,
            read_keys: false,
            open: false,
            tls_cert: None,
            tls_key: None,
            console_listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            read_only: false,
            behind_proxy: false,
            ec2_endpoint_url: None,
            price_file: None,
            load_host: None,
            threads: 2,
            prefetch: 4_000,
            batch: 1_000,
            linger: Duration::from_millis(25),
            store_durability: StoreDurability::Checked,
            archive: None,
        }
    }
}

impl Keys {
    /// Validates every value.
    pub(super) fn check(self) -> Result<Config, ConfigError> {
        if self.message_rides > self.max_in_flight {
            let Self {
                message_rides,
                max_in_flight,
                ..
            } = self;
            return Err(ConfigError::MessageTooLarge {
                message_rides,
                max_in_flight,
            });
        }
        let tls = tls_files(self.tls_cert, self.tls_key)?;
        if tls.is_some() && self.simulate != 0.0 {
            return Err(ConfigError::SimulateInTls);
        }
        let is_exposed = !self.api_listen.ip().is_loopback() && !self.open;
        Ok(Config {
            stack: self.stack.parse()?,
            servers: servers(
                one_of("amqp_url", self.amqp_url, self.amqp_url_file)?,
                one_of("redis_url", self.redis_url, self.redis_url_file)?,
            )?,
            data: self.data,
            simulate: (self.simulate != 0.0)
                .then(|| Rate::new(self.simulate))
                .transpose()?,
            instance_id: self.instance_id.map(|id| id.parse()).transpose()?,
            metrics_listen: self.metrics_listen,
            drain_deadline: at_most(
                "drain_deadline",
                self.drain_deadline,
                Duration::from_secs(3600),
            )?,
            log: self.log,
            api_listen: self.api_listen,
            channels: within_range(&setting::CHANNELS, self.channels)?,
            message_rides: within_range(&setting::MESSAGE_RIDES, self.message_rides)?,
            max_in_flight: within_range(&setting::MAX_IN_FLIGHT, self.max_in_flight)?,
            high_water_rides: within("high_water", self.high_water, 1..=1_000_000_000)?,
            threads: within_range(&setting::THREADS, self.threads)?,
            prefetch_rides: within_range(&setting::PREFETCH, self.prefetch)?,
            batch_rides: within_range(&setting::BATCH, self.batch)?,
            linger: at_most("linger", self.linger, Duration::from_secs(10))?,
            store_durability: self.store_durability,
            archive: self.archive,
            ingest_policy: IngestPolicy {
                ingest: self.ingest,
                read_keys: self.read_keys,
                always_require_keys: is_exposed && self.catalogue.is_none(),
                is_exposed,
            },
            catalogue: self.catalogue,
            tls,
            console_listen: self.console_listen,
            read_only: self.read_only,
            behind_proxy: self.behind_proxy,
            ec2_endpoint_url: ec2_endpoint_url(self.ec2_endpoint_url)?,
            price_file: self.price_file,
            load_host: self.load_host,
            management_url: management_url(one_of(
                "management_url",
                self.management_url,
                self.management_url_file,
            )?)?,
        })
    }
}

/// The URLs of RabbitMQ and Redis; `None` if neither is set.
fn servers(
    amqp_url: Option<String>,
    redis_url: Option<String>,
) -> Result<Option<Servers>, ConfigError> {
    let half = |given, missing| ConfigError::Half { given, missing };
    let (amqp_url, redis_url) = match (amqp_url, redis_url) {
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(half("amqp_url", "redis_url")),
        (None, Some(_)) => return Err(half("redis_url", "amqp_url")),
        (Some(amqp_url), Some(redis_url)) => (amqp_url, redis_url),
    };
    let wrong = |key| move |source| ConfigError::Url { key, source };
    Ok(Some(Servers {
        amqp_url: ServiceUrl::amqp(&amqp_url).map_err(wrong("amqp_url"))?,
        redis_url: ServiceUrl::redis(&redis_url).map_err(wrong("redis_url"))?,
    }))
}

/// The URL of RabbitMQ's management API.
fn management_url(text: Option<String>) -> Result<Option<ServiceUrl>, ConfigError> {
    let wrong = |source| ConfigError::Url {
        key: "management_url",
        source,
    };
    let url = text.as_deref().map(ServiceUrl::management);
    url.transpose().map_err(wrong)
}

/// The endpoint of the EC2 API; `None` for the default of the SDK.
fn ec2_endpoint_url(text: Option<String>) -> Result<Option<String>, ConfigError> {
    let Some(text) = text else {
        return Ok(None);
    };
    let url = Url::parse(&text).map_err(|_| ConfigError::Ec2EndpointUrl)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ConfigError::Ec2EndpointUrl);
    }
    Ok(Some(text))
}

/// Certificate and key for TLS; `None` if neither file is set.
fn tls_files(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    let half = |given, missing| ConfigError::HalfTls { given, missing };
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(half("tls_cert", "tls_key")),
        (None, Some(_)) => Err(half("tls_key", "tls_cert")),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
    }
}

/// A secret, given as a value or as a file that contains it.
fn one_of(
    key: &'static str,
    value: Option<String>,
    file: Option<PathBuf>,
) -> Result<Option<String>, ConfigError> {
    match (value, file) {
        (Some(_), Some(_)) => Err(ConfigError::Twice(key)),
        (value, None) => Ok(value),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(source) => Err(ConfigError::Secret { key, path, source }),
        },
    }
}

/// Checks a setting that can also be changed at runtime.
fn within_range<T: TryFrom<u64>>(setting: &'static Setting, got: u64) -> Result<T, ConfigError> {
    let (least, most) = (*setting.range.start(), *setting.range.end());
    within(setting.name, got, least.into()..=most.into())
}

fn within<T: TryFrom<u64>>(
    key: &'static str,
    got: u64,
    range: RangeInclusive<u64>,
) -> Result<T, ConfigError> {
    match T::try_from(got) {
        Ok(value) if range.contains(&got) => Ok(value),
        _ => Err(ConfigError::Range { key, range, got }),
    }
}

fn at_most(key: &'static str, got: Duration, most: Duration) -> Result<Duration, ConfigError> {
    if got <= most {
        Ok(got)
    } else {
        Err(ConfigError::TooLong { key, most, got })
    }
}
