//! The configuration: flags, `SKI_*` environment and file, merged and checked.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use skilift_core::service_url::{InvalidServiceUrl, ServiceUrl};
use skilift_core::stack::StackName;

/// Where a configuration file is looked for when none is named.
const FILES: [&str; 2] = ["skilift.toml", "/etc/skilift/skilift.toml"];

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{0}")]
    Layers(Box<figment::Error>),
    #[error("there is no configuration file {}", .0.display())]
    NoFile(PathBuf),
    #[error("{0}")]
    Stack(#[from] skilift_core::stack::InvalidStackName),
    #[error("say where {service} is: --{key} URL, --{key}-file FILE, SKI_{}, or {} in a configuration file",
        .key.to_uppercase().replace('-', "_"), .key.replace('-', "_"))]
    Missing {
        service: &'static str,
        key: &'static str,
    },
    #[error("both {0} and {0}_file are set; keep one")]
    Twice(&'static str),
    #[error("{key}")]
    Url {
        key: &'static str,
        source: InvalidServiceUrl,
    },
    #[error("cannot read {key} {}", path.display())]
    Secret {
        key: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{key} must be from {} to {}, not {got}", range.start(), range.end())]
    Range {
        key: &'static str,
        range: RangeInclusive<u64>,
        got: u64,
    },
    #[error(
        "message_rides ({message_rides}) must not be more than max_in_flight ({max_in_flight}): no full message could ever leave"
    )]
    MessageTooLarge {
        message_rides: u64,
        max_in_flight: u64,
    },
    #[error("{} is not TOML: line {line}: {message}", path.display())]
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
    #[error(
        "{0} can be reached from other machines: list the resorts with --catalogue, or say --open to let anybody there \
         write rides for any resort"
    )]
    OpenToStrangers(SocketAddr),
}

/// The keys of the file, the variables and the flags.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    stack: String,
    amqp_url: Option<String>,
    amqp_url_file: Option<PathBuf>,
    redis_url: Option<String>,
    redis_url_file: Option<PathBuf>,
    metrics_listen: SocketAddr,
    #[serde(with = "humantime_serde")]
    drain_deadline: Duration,
    log: String,

    api_listen: SocketAddr,
    lanes: u64,
    message_rides: u64,
    max_in_flight: u64,
    high_water: u64,
    catalogue: Option<PathBuf>,
    open: bool,

    threads: u64,
    prefetch: u64,
    batch: u64,
    #[serde(with = "humantime_serde")]
    linger: Duration,
    accept_loss_window: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            stack: StackName::default().to_string(),
            amqp_url: None,
            amqp_url_file: None,
            redis_url: None,
            redis_url_file: None,
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            drain_deadline: Duration::from_secs(30),
            log: "info".to_owned(),
            api_listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            lanes: 1,
            message_rides: 256,
            max_in_flight: 20_000,
            high_water: 1_000_000,
            catalogue: None,
            open: false,
            threads: 2,
            prefetch: 4_000,
            batch: 1_000,
            linger: Duration::from_millis(25),
            accept_loss_window: false,
        }
    }
}

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) stack: StackName,
    pub(crate) amqp_url: ServiceUrl,
    pub(crate) redis_url: ServiceUrl,
    pub(crate) metrics_listen: SocketAddr,
    pub(crate) drain_deadline: Duration,
    pub(crate) log: String,

    pub(crate) api_listen: SocketAddr,
    pub(crate) lanes: u16,
    pub(crate) message_rides: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) high_water_rides: u64,
    pub(crate) catalogue: Option<PathBuf>,

    pub(crate) threads: usize,
    pub(crate) prefetch_rides: usize,
    pub(crate) batch_rides: usize,
    pub(crate) linger: Duration,
    pub(crate) accept_loss_window: bool,
    open: bool,
}

impl Config {
    /// Merges flags over environment over file over defaults, and checks every value.
    pub(crate) fn load(flags: &impl Serialize, file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut layers = Figment::from(Serialized::defaults(Keys::default()));
        if let Some(file) = find_file(file)? {
            check_syntax(&file)?;
            layers = layers.merge(Toml::file_exact(file));
        }
        let layers = layers
            // SKI_CONFIG names the file itself.
            .merge(Env::prefixed("SKI_").ignore(&["config"]))
            .merge(Serialized::defaults(flags));
        let keys: Keys = layers
            .extract()
            .map_err(|error| ConfigError::Layers(Box::new(error)))?;
        keys.check()
    }

    /// Refuses to serve strangers who could write anything.
    pub(crate) fn check_exposure(&self) -> Result<(), ConfigError> {
        let is_exposed = !self.api_listen.ip().is_loopback();
        if is_exposed && self.catalogue.is_none() && !self.open {
            return Err(ConfigError::OpenToStrangers(self.api_listen));
        }
        Ok(())
    }
}

fn find_file(named: Option<&Path>) -> Result<Option<PathBuf>, ConfigError> {
    let named = named
        .map(Path::to_owned)
        .or_else(|| Env::var("SKI_CONFIG").map(PathBuf::from));
    match named {
        Some(file) if file.is_file() => Ok(Some(file)),
        Some(file) => Err(ConfigError::NoFile(file)),
        None => Ok(FILES.iter().map(PathBuf::from).find(|file| file.is_file())),
    }
}

/// Finds mistakes in the file's syntax before the layers do: their error would show the line, and a password in it.
fn check_syntax(path: &Path) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Secret {
        key: "the configuration file",
        path: path.to_owned(),
        source,
    })?;
    let Err(error) = toml::from_str::<toml::Table>(&text) else {
        return Ok(());
    };
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    Err(ConfigError::Syntax {
        path: path.to_owned(),
        line: before.lines().count().max(1),
        message: error.message().to_owned(),
    })
}

impl Keys {
    fn check(self) -> Result<Config, ConfigError> {
        let amqp_url =
            one_of("amqp_url", self.amqp_url, self.amqp_url_file)?.ok_or(ConfigError::Missing {
                service: "RabbitMQ",
                key: "amqp-url",
            })?;
        let redis_url = one_of("redis_url", self.redis_url, self.redis_url_file)?.ok_or(
            ConfigError::Missing {
                service: "Redis",
                key: "redis-url",
            },
        )?;
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
        Ok(Config {
            stack: self.stack.parse()?,
            amqp_url: ServiceUrl::amqp(&amqp_url).map_err(|source| ConfigError::Url {
                key: "amqp_url",
                source,
            })?,
            redis_url: ServiceUrl::redis(&redis_url).map_err(|source| ConfigError::Url {
                key: "redis_url",
                source,
            })?,
            metrics_listen: self.metrics_listen,
            drain_deadline: at_most(
                "drain_deadline",
                self.drain_deadline,
                Duration::from_secs(3600),
            )?,
            log: self.log,
            api_listen: self.api_listen,
            lanes: within("lanes", self.lanes, 1..=64)?,
            message_rides: within("message_rides", self.message_rides, 1..=10_000)?,
            max_in_flight: within("max_in_flight", self.max_in_flight, 1..=1_000_000)?,
            high_water_rides: within("high_water", self.high_water, 1..=1_000_000_000)?,
            catalogue: self.catalogue,
            threads: within("threads", self.threads, 1..=256)?,
            prefetch_rides: within("prefetch", self.prefetch, 1..=1_000_000)?,
            batch_rides: within("batch", self.batch, 1..=100_000)?,
            linger: at_most("linger", self.linger, Duration::from_secs(10))?,
            accept_loss_window: self.accept_loss_window,
            open: self.open,
        })
    }
}

/// A secret, given as itself or as a file that holds it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use figment::Jail;

    const URLS: &str = "amqp_url = \"amqp://mq\"\nredis_url = \"redis://store\"\n";

    #[derive(Serialize)]
    struct Flags {
        threads: u64,
    }

    #[derive(Serialize)]
    struct NoFlags {}

    /// Runs with an empty folder and environment; a failure in it fails the test.
    #[expect(
        clippy::result_large_err,
        reason = "the closure's error is figment's own"
    )]
    fn in_jail(test: impl FnOnce(&mut Jail)) {
        Jail::expect_with(|jail| {
            jail.clear_env();
            test(jail);
            Ok(())
        });
    }

    fn error_of(jail: &mut Jail, extra: &str) -> String {
        jail.create_file("skilift.toml", &format!("{URLS}{extra}"))
            .unwrap();
        format!(
            "{:#}",
            anyhow::Error::from(Config::load(&NoFlags {}, None).unwrap_err())
        )
    }

    #[test]
    fn flags_come_before_environment_before_file_before_defaults() {
        in_jail(|jail| {
            let file = format!("{URLS}threads = 3\nbatch = 50\nprefetch = 70\nlinger = \"5ms\"");
            jail.create_file("skilift.toml", &file).unwrap();
            jail.set_env("SKI_THREADS", "4");
            jail.set_env("SKI_BATCH", "60");
            let config = Config::load(&Flags { threads: 5 }, None).unwrap();
            assert_eq!(
                (config.threads, config.batch_rides, config.prefetch_rides),
                (5, 60, 70)
            );
            assert_eq!((config.linger, config.lanes), (Duration::from_millis(5), 1));
        });
    }

    #[test]
    fn a_url_can_come_from_a_file_but_not_from_two_places() {
        in_jail(|jail| {
            jail.create_file("mq.url", "amqp://u:p@mq\n").unwrap();
            jail.set_env("SKI_AMQP_URL_FILE", "mq.url");
            jail.set_env("SKI_REDIS_URL", "redis://store");
            assert_eq!(
                Config::load(&NoFlags {}, None).unwrap().amqp_url.reveal(),
                "amqp://u:p@mq"
            );
            jail.set_env("SKI_AMQP_URL", "amqp://mq");
            assert!(
                Config::load(&NoFlags {}, None)
                    .unwrap_err()
                    .to_string()
                    .contains("keep one")
            );
        });
    }

    #[test]
    fn every_mistake_is_named() {
        in_jail(|jail| {
            for (extra, says) in [
                ("colour = \"red\"", "unknown field"),
                ("threads = 0", "threads must be from 1 to 256, not 0"),
                ("threads = \"many\"", "threads"),
                ("threads = -1", "threads"),
                ("linger = \"1h\"", "linger must be at most 10s, not 1h"),
                ("linger = \"soon\"", "linger"),
                ("stack = \"Big One\"", "lower-case letters"),
                ("api_listen = \"nowhere\"", "api_listen"),
                (
                    "max_in_flight = 100",
                    "must not be more than max_in_flight (100)",
                ),
                ("\nthreads = = 4", "line 4"),
            ] {
                let error = error_of(jail, extra);
                assert!(error.contains(says), "{extra}: {error}");
            }
            assert!(error_of(jail, "colour = 1").contains("skilift.toml"));
        });
    }

    #[test]
    fn a_wrong_url_is_not_repeated_for_it_may_hold_a_password() {
        in_jail(|jail| {
            jail.set_env("SKI_AMQP_URL", "http://u:s3cret@mq");
            let error = error_of(jail, "");
            assert!(
                error.contains("amqp_url: a URL of this kind begins with amqp://"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
            let error = error_of(jail, "redis_url = redis://:s3cret@store");
            assert!(
                error.contains("skilift.toml is not TOML: line 3"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        });
    }

    #[test]
    fn strangers_need_a_catalogue_or_an_open_door() {
        in_jail(|jail| {
            jail.create_file(
                "skilift.toml",
                &format!("{URLS}api_listen = \"0.0.0.0:8080\""),
            )
            .unwrap();
            assert!(
                Config::load(&NoFlags {}, None)
                    .unwrap()
                    .check_exposure()
                    .is_err()
            );
            jail.set_env("SKI_OPEN", "true");
            assert!(
                Config::load(&NoFlags {}, None)
                    .unwrap()
                    .check_exposure()
                    .is_ok()
            );
        });
    }

    #[test]
    fn without_urls_it_says_how_to_give_them() {
        in_jail(|_| {
            let error = Config::load(&NoFlags {}, None).unwrap_err().to_string();
            assert!(
                error.contains("--amqp-url URL") && error.contains("SKI_AMQP_URL"),
                "{error}"
            );
            assert!(
                Config::load(&NoFlags {}, Some(Path::new("none.toml")))
                    .unwrap_err()
                    .to_string()
                    .contains("none.toml")
            );
        });
    }
}
