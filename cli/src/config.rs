//! The configuration, merged from flags, `SKI_*` variables and the file, and validated.

mod archive;
mod children;
mod error;
mod keys;
pub(crate) mod listen;
pub(crate) mod show;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::Serialize;
use skilift_api::IngestPolicy;
use skilift_core::control::Ingest;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_http::Tls;
use skilift_load::simulation::Rate;

pub(crate) use error::ConfigError;
use keys::Keys;

use crate::instance::InstanceId;

/// Paths of the configuration file when none is given.
const FILES: [&str; 2] = ["skilift.toml", "/etc/skilift/skilift.toml"];

/// Prefix of our environment variables.
const PREFIX: &str = "SKI_";

/// Variables that are not service settings: the path of the file, and the console that a command queries.
const NO_KEYS: [&str; 5] = ["config", "server", "context", "token_file", "ca_file"];

/// A valid configuration.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) stack: StackName,
    /// `None` if the data directory holds queue and store.
    pub(crate) servers: Option<Servers>,
    /// URL of RabbitMQ's management API, for metrics that AMQP does not expose.
    pub(crate) management_url: Option<ServiceUrl>,
    /// Rate of the simulated traffic.
    pub(crate) simulate: Option<Rate>,
    /// ID of the instance that the nodes run on, if configured.
    pub(crate) instance_id: Option<InstanceId>,
    pub(crate) metrics_listen: SocketAddr,
    pub(crate) drain_deadline: Duration,
    pub(crate) log: String,

    pub(crate) api_listen: SocketAddr,
    pub(crate) channels: u16,
    pub(crate) message_rides: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) high_water_rides: u64,
    pub(crate) catalogue: Option<PathBuf>,
    pub(crate) tls: Option<TlsFiles>,
    /// Ingest policy until a console sets one.
    pub(crate) ingest_policy: IngestPolicy,

    pub(crate) console_listen: SocketAddr,
    pub(crate) read_only: bool,
    pub(crate) behind_proxy: bool,
    /// Endpoint of the EC2 API; `None` for the default of the SDK.
    pub(crate) ec2_endpoint_url: Option<String>,
    /// File with prices that replace the built-in ones.
    pub(crate) price_file: Option<PathBuf>,
    /// Host that sends the load of sweeps; `None` for this one.
    pub(crate) load_host: Option<String>,

    pub(crate) threads: u32,
    pub(crate) prefetch_rides: u32,
    pub(crate) batch_rides: u32,
    pub(crate) linger: Duration,
    pub(crate) store_durability: StoreDurability,
    /// Directory with archived days, if there is one.
    archive: Option<PathBuf>,
    data: Option<PathBuf>,
}

/// URLs of RabbitMQ and Redis.
#[derive(Debug, Clone)]
pub(crate) struct Servers {
    pub(crate) amqp_url: ServiceUrl,
    pub(crate) redis_url: ServiceUrl,
}

/// Certificate and key for TLS.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl TlsFiles {
    /// Reads both files and checks that certificate and key match.
    pub(crate) fn read(&self) -> Result<Tls, ConfigError> {
        Ok(Tls::read(&self.certificate, &self.key)?)
    }
}

impl Config {
    /// Merges flags over environment over file over defaults, and validates every value.
    pub(crate) fn load(flags: &impl Serialize, file: Option<&Path>) -> Result<Self, ConfigError> {
        let layers = layers(flags, file)?;
        let keys: Keys = layers.extract().map_err(ConfigError::from)?;
        keys.check()
    }

    /// The URLs of RabbitMQ and Redis.
    pub(crate) fn servers(&self) -> Result<&Servers, ConfigError> {
        self.servers.as_ref().ok_or(ConfigError::NoServers)
    }

    /// The data directory: the configured one, else the user's default data directory.
    pub(crate) fn data(&self) -> Result<PathBuf, ConfigError> {
        match &self.data {
            Some(folder) => Ok(folder.clone()),
            None => Self::default_data(),
        }
    }

    /// The data directory if none is named.
    pub(crate) fn default_data() -> Result<PathBuf, ConfigError> {
        // https://specifications.freedesktop.org/basedir-spec/latest/
        let data_home = variable("XDG_DATA_HOME").map(PathBuf::from);
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        let found = data_home.or_else(home).ok_or(ConfigError::NoHome)?;
        Ok(found.join("skilift"))
    }

    /// The user's state directory (`XDG_STATE_HOME`).
    pub(crate) fn state_home() -> Result<PathBuf, ConfigError> {
        let set = |name| Env::var(name).filter(|folder| !folder.is_empty());
        let state_home = set("XDG_STATE_HOME").map(PathBuf::from);
        let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let found = state_home.or_else(home).ok_or(ConfigError::NoHome)?;
        Ok(found.join("skilift"))
    }

    /// Rejects a console that would receive passwords and tokens over unencrypted HTTP.
    pub(crate) fn check_console_exposure(&self) -> Result<(), ConfigError> {
        let is_exposed = !self.console_listen.ip().is_loopback();
        if is_exposed && self.tls.is_none() && !self.behind_proxy {
            return Err(ConfigError::ConsoleInTheClear(self.console_listen));
        }
        Ok(())
    }

    /// Rejects an API that any client on the network could write to without a key.
    pub(crate) fn check_exposure(&self) -> Result<(), ConfigError> {
        // `always_require_keys` also prevents a console from opening ingest later.
        if self.ingest_policy.always_require_keys && self.ingest_policy.ingest == Ingest::Open {
            return Err(ConfigError::OpenToStrangers(self.api_listen));
        }
        Ok(())
    }
}

/// Flags over environment over file over defaults.
fn layers(flags: &impl Serialize, file: Option<&Path>) -> Result<Figment, ConfigError> {
    let mut layers = Figment::from(Serialized::defaults(Keys::default()));
    if let Some(file) = find_file(file)? {
        check_syntax(&file)?;
        layers = layers.merge(Toml::file_exact(file));
    }
    let variables = Env::prefixed(PREFIX)
        .ignore(&NO_KEYS)
        .filter(|key| !is_service_link(key.as_str()));
    Ok(layers.merge(variables).merge(Serialized::defaults(flags)))
}

/// Names of the `SKI_*` variables of this process, to remove them from the environment of child processes.
pub(crate) fn own_variables() -> impl Iterator<Item = OsString> {
    let names = std::env::vars_os().map(|(name, _)| name);
    // Case-insensitive, like the environment layer.
    names.filter(|name| {
        let prefix = name.as_encoded_bytes().get(..PREFIX.len());
        prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX.as_bytes()))
    })
}

/// Whether a variable, without its prefix, is a service link of Kubernetes, which it sets for each service of a namespace:
/// a service "ski-api" becomes `SKI_API_PORT`, `SKI_API_SERVICE_HOST` and others.
fn is_service_link(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let of_port = |(_, rest): (&str, &str)| {
        let mut parts = rest.split('_');
        let is_number = parts
            .next()
            .is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        is_number && matches!(parts.next(), Some("tcp" | "udp" | "sctp"))
    };
    key.ends_with("_port")
        || key.ends_with("_service_host")
        || key.contains("_service_port")
        || key.split_once("_port_").is_some_and(of_port)
}

/// The variables of this process that were ignored because they are service links.
pub(crate) fn service_links() -> Vec<String> {
    let names = own_variables().filter_map(|name| name.into_string().ok());
    let links = names.filter(|name| is_service_link(&name[PREFIX.len()..]));
    let mut links: Vec<String> = links.collect();
    links.sort_unstable();
    links
}

/// An environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    Env::var(name).filter(|value| !value.is_empty())
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

/// Reports syntax errors before figment does, because its message contains the line, which may hold a password.
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
    pub(super) struct NoFlags {}

    /// Runs with an empty directory and environment; a failure in it fails the test.
    #[expect(
        clippy::result_large_err,
        reason = "the closure's error is figment's own"
    )]
    pub(super) fn in_jail(test: impl FnOnce(&mut Jail)) {
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
            assert_eq!(
                (config.linger, config.channels),
                (Duration::from_millis(5), 1)
            );
        });
    }

    #[test]
    fn a_url_can_come_from_a_file_but_not_from_two_places() {
        in_jail(|jail| {
            jail.create_file("mq.url", "amqp://u:p@mq\n").unwrap();
            jail.set_env("SKI_AMQP_URL_FILE", "mq.url");
            jail.set_env("SKI_REDIS_URL", "redis://store");
            assert_eq!(
                Config::load(&NoFlags {}, None)
                    .unwrap()
                    .servers()
                    .unwrap()
                    .amqp_url
                    .reveal(),
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
                ("colour = \"red\"", "unknown key colour in"),
                ("treads = 2", "did you mean threads?"),
                ("threads = 0", "threads must be 1 to 256, not 0"),
                ("threads = \"many\"", "threads"),
                ("threads = -1", "threads"),
                ("linger = \"1h\"", "linger must be at most 10s, not 1h"),
                ("linger = \"soon\"", "linger"),
                ("stack = \"Big One\"", "lower-case letters"),
                ("api_listen = \"nowhere\"", "api_listen"),
                (
                    "instance_id = \"i 1\"",
                    "instance_id: an instance ID has 1 to 64",
                ),
                ("max_in_flight = 100", "must not exceed max_in_flight (100)"),
                ("\nthreads = = 4", "line 4"),
                ("ingest = \"closed\"", "ingest"),
                (
                    "ec2_endpoint_url = \"ftp://ec2\"",
                    "ec2_endpoint_url must begin with http:// or https://",
                ),
                (
                    "ec2_endpoint_url = \"ec2\"",
                    "ec2_endpoint_url must begin with http:// or https://",
                ),
                ("tls_cert = \"x.pem\"", "tls_cert is set but tls_key is not"),
                ("tls_key = \"x.key\"", "tls_key is set but tls_cert is not"),
                (
                    "tls_cert = \"x.pem\"\ntls_key = \"x.key\"\nsimulate = 5.0",
                    "simulated gates use plain HTTP",
                ),
            ] {
                let error = error_of(jail, extra);
                assert!(error.contains(says), "{extra}: {error}");
            }
            assert!(error_of(jail, "colour = 1").contains("skilift.toml"));
        });
    }

    #[test]
    fn what_says_which_console_is_asked_is_none_of_a_service() {
        in_jail(|jail| {
            jail.set_env("SKI_SERVER", "https://console.example.com");
            jail.set_env("SKI_CONTEXT", "summit");
            jail.set_env("SKI_TOKEN_FILE", "summit.token");
            assert!(Config::load(&NoFlags {}, None).is_ok());
            jail.set_env("SKI_TREADS", "4");
            let error = Config::load(&NoFlags {}, None).unwrap_err().to_string();
            assert_eq!(
                error,
                "unknown variable SKI_TREADS in the environment: did you mean SKI_THREADS?"
            );
        });
    }

    #[test]
    fn service_links_of_kubernetes_are_no_settings() {
        in_jail(|jail| {
            for (name, value) in [
                ("SKI_API_PORT", "tcp://10.0.0.1:8080"),
                ("SKI_API_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
                ("SKI_API_PORT_8080_TCP_ADDR", "10.0.0.1"),
                ("SKI_API_SERVICE_HOST", "10.0.0.1"),
                ("SKI_API_SERVICE_PORT", "8080"),
                ("SKI_API_SERVICE_PORT_HTTP", "8080"),
            ] {
                jail.set_env(name, value);
            }
            assert!(Config::load(&NoFlags {}, None).is_ok());
            assert_eq!(service_links().len(), 6);
        });
    }

    #[test]
    fn a_wrong_url_is_not_repeated_for_it_may_hold_a_password() {
        in_jail(|jail| {
            jail.set_env("SKI_AMQP_URL", "http://u:s3cret@mq");
            let error = error_of(jail, "");
            assert!(
                error.contains("amqp_url: the URL must start with amqp://"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
            let error = error_of(jail, "redis_url = redis://:s3cret@store");
            assert!(
                error.contains("skilift.toml is not valid TOML: line 3"),
                "{error}"
            );
            assert!(!error.contains("s3cret"), "{error}");
        });
    }

    #[test]
    fn strangers_need_a_catalogue_keys_or_an_open_door() {
        // Settings beside the URLs; whether it may start, whether a console may open ingest, and whether it waits for the console.
        for (given, may_start, may_be_opened, waits) in [
            ("", true, true, false),
            ("api_listen = \"[::1]:8080\"", true, true, false),
            ("api_listen = \"0.0.0.0:8080\"", false, false, true),
            ("api_listen = \"[::]:8080\"", false, false, true),
            (
                "api_listen = \"0.0.0.0:8080\"\ningest = \"keys\"",
                true,
                false,
                true,
            ),
            (
                "api_listen = \"0.0.0.0:8080\"\ncatalogue = \"resorts.toml\"",
                true,
                true,
                true,
            ),
            (
                "api_listen = \"0.0.0.0:8080\"\nopen = true",
                true,
                true,
                false,
            ),
        ] {
            in_jail(|jail| {
                jail.create_file("skilift.toml", &format!("{URLS}{given}"))
                    .unwrap();
                let config = Config::load(&NoFlags {}, None).unwrap();
                assert_eq!(config.check_exposure().is_ok(), may_start, "{given}");
                assert_eq!(
                    !config.ingest_policy.always_require_keys, may_be_opened,
                    "{given}"
                );
                assert_eq!(config.ingest_policy.is_exposed, waits, "{given}");
            });
        }
    }

    #[test]
    fn without_urls_it_says_how_to_give_them() {
        in_jail(|_| {
            let config = Config::load(&NoFlags {}, None).unwrap();
            let error = config.servers().unwrap_err().to_string();
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
