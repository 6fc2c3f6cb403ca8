//! What makes a private RabbitMQ node: its folder, ports, names and environment.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::Context as _;
use tempfile::TempDir;

use super::RabbitOptions;
use crate::program;

/// Options of every Erlang program here, `rabbitmqctl` included: nodes talk to each other on 127.0.0.1 only, and nobody starts a
/// name server that would outlive us.
const ERL_FLAGS: &str = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false";

/// RabbitMQ's documented tuning for machines on which it shares the cores: schedulers without work sleep at once (`+sbwt none`,
/// the default of its own packages, not of Erlang), and are not bound to cores (`+stbt u`), as two nodes would be bound to the same.
const ERL_ARGS: &str = "+sbwt none +sbwtdcpu none +sbwtdio none +stbt u";

pub(super) struct Node {
    pub(super) folder: TempDir,
    pub(super) script: PathBuf,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) amqp_port: u16,
    pub(super) epmd_port: u16,
    pub(super) distribution_port: u16,
    id: String,
    erl_args: String,
}

impl Node {
    /// Writes a new node's folder; nothing is started.
    ///
    /// # Errors
    /// When RabbitMQ is not installed or the folder cannot be written.
    pub(super) fn create(options: &RabbitOptions, ports: [u16; 3]) -> anyhow::Result<Self> {
        let [amqp_port, epmd_port, distribution_port] = ports;
        let id = format!("{:016x}", rand::random::<u64>());
        let node = Self {
            folder: tempfile::Builder::new()
                .prefix("skilift-rabbitmq-")
                .tempdir()
                .context("cannot create a folder for RabbitMQ")?,
            script: program::rabbitmq_server()?,
            user: format!("ski-{:08x}", rand::random::<u32>()),
            password: format!("{:032x}", rand::random::<u128>()),
            amqp_port,
            epmd_port,
            distribution_port,
            erl_args: [ERL_ARGS, &options.erl_args.join(" ")].join(" "),
            id,
        };

        fs::write(node.path("rabbitmq.conf"), node.config(&options.config))?;
        fs::write(node.path("enabled_plugins"), "[].\n")?;
        fs::write(node.path("rabbitmq-env.conf"), "")?;
        fs::write(node.path("advanced.config"), "[].\n")?;
        let cookie = node.path(".erlang.cookie");
        fs::write(&cookie, format!("{:032X}", rand::random::<u128>()))?;
        // Erlang refuses a cookie that others can read.
        fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400))?;
        Ok(node)
    }

    /// The cluster's name, which is in the first frame of every connection.
    pub(super) fn cluster_name(&self) -> String {
        format!("skilift-{}", self.id)
    }

    pub(super) fn rabbitmqctl(&self) -> PathBuf {
        self.script.with_file_name("rabbitmqctl")
    }

    pub(super) fn notify_socket(&self) -> PathBuf {
        self.path("notify.socket")
    }

    /// What the scripts and a failing boot print, and the server's own log.
    pub(super) fn logs(&self) -> Vec<PathBuf> {
        vec![self.path("output.log"), self.path("rabbitmq.log")]
    }

    /// The environment of the server and of `rabbitmqctl`.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.path(name).display().to_string();
        vec![
            ("HOME", path("")),
            ("ERL_CRASH_DUMP", path("erl_crash.dump")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", self.epmd_port.to_string()),
            ("ERL_FLAGS", ERL_FLAGS.to_owned()),
            ("RABBITMQ_NODENAME", format!("rabbit-{}@localhost", self.id)),
            ("RABBITMQ_DIST_PORT", self.distribution_port.to_string()),
            // Any free port: the default is a range of eleven for everybody on the machine.
            ("RABBITMQ_CTL_DIST_PORT_MIN", "0".to_owned()),
            ("RABBITMQ_CTL_DIST_PORT_MAX", "0".to_owned()),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
            ("RABBITMQ_CONF_ENV_FILE", path("rabbitmq-env.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
            ("RABBITMQ_MNESIA_BASE", path("mnesia")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_LOGS", path("rabbitmq.log")),
            ("RABBITMQ_PID_FILE", path("rabbitmq.pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", self.erl_args.clone()),
            // The script then becomes the Erlang virtual machine instead of waiting beside it: our child is the server itself.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ]
    }

    fn config(&self, more: &[String]) -> String {
        let mut lines = vec![
            format!("listeners.tcp.1 = 127.0.0.1:{}", self.amqp_port),
            format!("cluster_name = {}", self.cluster_name()),
            // The user of the first boot, instead of `guest`.
            format!("default_user = {}", self.user),
            format!("default_pass = {}", self.password),
        ];
        lines.extend_from_slice(more);
        lines.join("\n") + "\n"
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
