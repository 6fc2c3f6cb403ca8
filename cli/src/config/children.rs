//! The configuration file for child processes of `skictl up`: the same keys, without secrets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use skilift_core::control::Ingest;
use skilift_core::store::redis::durability::StoreDurability;

use super::{Config, ConfigError};

/// The keys of a child's file; without listen addresses, and without the URLs, which may hold passwords.
#[derive(Serialize)]
struct ChildKeys<'a> {
    stack: String,
    data: PathBuf,
    #[serde(with = "humantime_serde")]
    drain_deadline: Duration,
    log: &'a str,

    channels: u16,
    message_rides: usize,
    max_in_flight: usize,
    high_water: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<&'a Path>,
    ingest: Ingest,
    read_keys: bool,
    open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<&'a Path>,

    threads: u32,
    prefetch: u32,
    batch: u32,
    #[serde(with = "humantime_serde")]
    linger: Duration,
    store_durability: StoreDurability,
    #[serde(skip_serializing_if = "Option::is_none")]
    archive: Option<&'a Path>,
}

impl Config {
    /// The configuration file that gives a child process the settings of this process.
    pub(crate) fn child_file(&self) -> Result<String, ConfigError> {
        let tls = self.tls.as_ref();
        let is_local = self.api_listen.ip().is_loopback();
        let keys = ChildKeys {
            stack: self.stack.to_string(),
            data: self.data()?,
            drain_deadline: self.drain_deadline,
            log: &self.log,
            channels: self.channels,
            message_rides: self.message_rides,
            max_in_flight: self.max_in_flight,
            high_water: self.high_water_rides,
            catalogue: self.catalogue.as_deref(),
            ingest: self.ingest_policy.ingest,
            read_keys: self.ingest_policy.read_keys,
            open: !is_local && !self.ingest_policy.is_exposed,
            tls_cert: tls.map(|tls| tls.certificate.as_path()),
            tls_key: tls.map(|tls| tls.key.as_path()),
            threads: self.threads,
            prefetch: self.prefetch_rides,
            batch: self.batch_rides,
            linger: self.linger,
            store_durability: self.store_durability,
            archive: self.archive_directory(),
        };
        toml::to_string(&keys).map_err(ConfigError::Children)
    }
}

#[cfg(test)]
mod tests {
    use figment::Jail;

    use super::super::tests::{NoFlags, in_jail};
    use super::*;

    /// The configurations of a parent that reads `file`, and of its child.
    fn both(jail: &mut Jail, file: &str) -> (Config, Config) {
        jail.create_file("parent.toml", file).unwrap();
        let parent = Config::load(&NoFlags {}, Some(Path::new("parent.toml"))).unwrap();
        jail.create_file("child.toml", &parent.child_file().unwrap())
            .unwrap();
        let child = Config::load(&NoFlags {}, Some(Path::new("child.toml"))).unwrap();
        (parent, child)
    }

    #[test]
    fn a_child_is_set_as_its_parent_is_but_for_secrets_and_addresses() {
        in_jail(|jail| {
            let file = "stack = \"demo\"\ndata = \"/d\"\ndrain_deadline = \"7s\"\nlog = \"debug\"\nchannels = 3\n\
                message_rides = 4\nmax_in_flight = 5\nhigh_water = 6\ncatalogue = \"c.toml\"\ningest = \"keys\"\nread_keys = true\n\
                tls_cert = \"a.pem\"\ntls_key = \"k.pem\"\nthreads = 9\nprefetch = 10\nbatch = 11\nlinger = \"12ms\"\n\
                store_durability = \"managed\"\namqp_url = \"amqp://u:s3cret@mq\"\nredis_url = \"redis://store\"\nsimulate = 0.0\n";
            let (parent, child) = both(jail, file);
            let text = parent.child_file().unwrap();
            assert!(!text.contains("s3cret"), "{text}");
            let without_servers = Config {
                servers: None,
                ..parent
            };
            assert_eq!(format!("{child:?}"), format!("{without_servers:?}"));
        });
    }

    #[test]
    fn a_child_opens_no_door_that_its_parent_keeps_closed() {
        for (file, is_exposed) in [
            ("api_listen = \"0.0.0.0:1\"\nopen = true", false),
            ("api_listen = \"0.0.0.0:1\"\ningest = \"keys\"", true),
        ] {
            in_jail(|jail| {
                let (parent, _) = both(jail, &format!("data = \"/d\"\n{file}"));
                assert_eq!(parent.ingest_policy.is_exposed, is_exposed);
                let listen = [
                    "api_listen = \"0.0.0.0:1\"\n",
                    &parent.child_file().unwrap(),
                ];
                jail.create_file("child.toml", &listen.concat()).unwrap();
                let child = Config::load(&NoFlags {}, Some(Path::new("child.toml"))).unwrap();
                assert_eq!(
                    format!("{:?}", child.ingest_policy),
                    format!("{:?}", parent.ingest_policy)
                );
            });
        }
    }
}
