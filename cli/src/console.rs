//! The console, alone (`skictl serve console`) or within `skictl up`, and local access to it: a token in the data directory,
//! and a login code.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use futures_util::FutureExt;
use futures_util::TryFutureExt;
use skilift_console::{
    Checks, Console, ConsoleConfig, EngineKind, LoadCommand, ManagementSource, Prices, Seeds,
    Sources,
};
use skilift_core::control::ControlChannel;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_core::queue::DeadLetterQueue;
use skilift_core::queue::depth::DepthGauge;
use skilift_core::queue::rabbit::{Broker, RabbitDeadLetterQueue, RabbitDepth};
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::redis::Store;
use skilift_ec2::Ec2Fleet;
use skilift_fleet::Fleet;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;

use crate::args::ConsoleArgs;
use crate::children::this_program;
use crate::client::tls;
use crate::config::{Config, ConfigError, TlsFiles};
use crate::doctor;
use crate::process::{self, Port, Process, raise_file_limit, unless_signalled};

/// The console's directory within the data directory.
const SUBFOLDER: &str = "console";
/// The file in the data directory with the token that is valid while the process runs.
const TOKEN_FILE: &str = "token";

/// A running console.
pub(crate) struct RunningConsole {
    /// Base URL.
    pub(crate) url: String,
    /// Login code, valid once and for ten minutes, if the console listens on loopback.
    pub(crate) login_code: Option<String>,
    /// Link that logs a browser in, valid as a login code of its own.
    pub(crate) login_link: Option<String>,
    /// Deletes the token file when the process ends.
    _token: Option<LocalToken>,
}

/// Dependencies of the console.
pub(crate) struct ConsoleDeps {
    pub(crate) engine: EngineKind,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) control_channel: Arc<dyn ControlChannel>,
    pub(crate) depth: Arc<dyn DepthGauge>,
    pub(crate) dead_letter_queue: Arc<dyn DeadLetterQueue>,
    pub(crate) management: Option<ManagementSource>,
    pub(crate) seeds: Seeds,
    pub(crate) fleet: Option<Arc<dyn Fleet>>,
    /// URL of the API, if it is served by this process.
    pub(crate) api: Option<String>,
}

/// Runs a console until shutdown.
pub(crate) async fn serve(args: &ConsoleArgs) -> anyhow::Result<ExitCode> {
    let (process, mut signals) =
        Process::begin(args, args.common.config.as_deref(), &[Port::Console]).await?;
    let servers = process.config.servers()?;
    raise_file_limit();
    let listener = process.open_console(process.config.tls.as_ref()).await?;
    let store = Store::for_reading(servers.redis_url.clone(), &process.config.stack)?;
    let broker = process.broker(servers, "console")?;
    let deps = ConsoleDeps {
        engine: EngineKind::Servers,
        depth: fleet_depth(&process.config, &broker),
        dead_letter_queue: fleet_dead_letter_queue(&process.config, &broker),
        management: management(&process.config, &broker)?,
        reader: Arc::new(store.reader()?.with_archive(process.config.archive())),
        control_channel: process.fleet_control_channel(servers)?,
        seeds: Seeds::default(),
        fleet: Some(Arc::new(Ec2Fleet::new(
            process.config.stack.to_string(),
            process.config.ec2_endpoint_url.clone(),
        ))),
        api: None,
    };
    let starting = start(&process, listener, deps);
    let Some(started) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let console = started?;
    print_banner(&console);
    let draining = process.lifecycle.draining();
    let check: HealthCheck = Arc::new(move || {
        Health::plain(if draining.is_cancelled() {
            Readiness::Draining
        } else {
            Readiness::Ready
        })
    });
    let no_heartbeats = async |end: CancellationToken| end.cancelled().await;
    process
        .run(signals, check, no_heartbeats, broker.close())
        .await
}

/// Starts a console and serves it.
pub(crate) async fn start(
    process: &Process,
    listener: Listener,
    deps: ConsoleDeps,
) -> anyhow::Result<RunningConsole> {
    let Process {
        config, lifecycle, ..
    } = process;
    let data = config.data()?;
    let url = listener.url()?;
    let token_file = data.join(of_stack(TOKEN_FILE, deps.engine, &config.stack));
    let settings = ConsoleConfig {
        stack: config.stack.clone(),
        engine: deps.engine,
        store_durability: config.store_durability,
        folder: folder_in(&data, deps.engine, &config.stack),
        archive: config.archive_directory().map(Path::to_owned),
        read_only: config.read_only,
        behind_proxy: config.behind_proxy,
        is_encrypted: config.behind_proxy || url.starts_with("https:"),
        management: deps.management,
        seeds: deps.seeds,
        prices: match &config.price_file {
            Some(file) => Prices::read(file).map_err(ConfigError::Prices)?,
            None => Prices::built_in()?,
        },
        load: Some(LoadCommand {
            program: this_program(),
            host: config.load_host.clone(),
            target: deps.api,
        }),
    };
    let sources = Sources {
        reader: deps.reader,
        catalogue: process.catalogue()?,
        control_channel: deps.control_channel,
        depth: deps.depth,
        dead_letter_queue: deps.dead_letter_queue,
        fleet: deps.fleet,
        checks: checks(config),
    };
    let console = skilift_console::start(settings, sources, lifecycle).await?;
    let address = listener.address()?;
    let is_local = address.ip().is_loopback();
    if !is_local && !console.has_users()? {
        return Err(ConfigError::ConsoleWithoutUsers(address).into());
    }
    let token = is_local.then(|| LocalToken::write(&console, &token_file, address));
    skilift_console::serve(&console, listener, lifecycle);
    tracing::info!(stack = %config.stack, "admin API on {url}");
    Ok(RunningConsole {
        login_code: is_local.then(|| console.make_login_code()),
        login_link: is_local.then(|| format!("{url}/login/{}", console.make_login_code())),
        _token: token.transpose()?,
        url,
    })
}

/// The checks of the doctor, on the configuration of this process.
fn checks(config: &Arc<Config>) -> Checks {
    let config = Arc::clone(config);
    Arc::new(move || {
        let config = Arc::clone(&config);
        let checking = async move { doctor::run_checks(&config).await };
        checking.map_err(|error| format!("{error:#}")).boxed()
    })
}

/// The directory of a console within a data directory.
pub(crate) fn folder_in(data: &Path, engine: EngineKind, stack: &StackName) -> PathBuf {
    data.join(of_stack(SUBFOLDER, engine, stack))
}

/// The name of a file or directory of a console: consoles of several stacks on servers may share a data directory.
fn of_stack(name: &str, engine: EngineKind, stack: &StackName) -> String {
    match engine {
        EngineKind::DataFolder => name.to_owned(),
        EngineKind::Servers => format!("{name}-{stack}"),
    }
}

/// Depth of the queues of a fleet.
pub(crate) fn fleet_depth(config: &Config, broker: &Broker) -> Arc<dyn DepthGauge> {
    // A separate connection, because RabbitMQ does not read from a connection that it has blocked.
    let broker = broker.another("depth");
    Arc::new(RabbitDepth::new(broker, config.stack.clone()))
}

/// The dead letters of a fleet.
pub(crate) fn fleet_dead_letter_queue(
    config: &Config,
    broker: &Broker,
) -> Arc<dyn DeadLetterQueue> {
    Arc::new(RabbitDeadLetterQueue::new(broker, config.stack.clone()))
}

/// Client of RabbitMQ's management API, if configured.
pub(crate) fn management(
    config: &Config,
    broker: &Broker,
) -> anyhow::Result<Option<ManagementSource>> {
    let Some(url) = &config.management_url else {
        return Ok(None);
    };
    let is_encrypted = url.reveal().starts_with("https:");
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(is_encrypted, None)?)
        // The password must not be sent to any other server, so redirects are not followed.
        .redirect(reqwest::redirect::Policy::none());
    Ok(Some(ManagementSource {
        url: url.clone(),
        vhost: broker.vhost().to_owned(),
        client: client.build()?,
    }))
}

/// TLS of the console within `up`: used if other hosts can reach it.
pub(crate) fn tls_of_up(config: &Config) -> Option<&TlsFiles> {
    let is_local = config.console_listen.ip().is_loopback();
    config.tls.as_ref().filter(|_| !is_local)
}

/// Prints the URL of the console and how to log in.
fn print_banner(console: &RunningConsole) {
    let way_in = match (&console.login_link, &console.login_code) {
        (Some(link), Some(code)) => format!(
            "web console (logs in once, within 10 minutes)  {link}\n\
             login code (valid once, for 10 minutes)  {code}"
        ),
        _ => "log in with name and password, in a browser or with `skictl login USER`".to_owned(),
    };
    let text = format!("\nThe console listens on {}\n{way_in}\n\n", console.url);
    process::print(&text);
}

/// The token of this process, in a file that only its user can read, and a link through which `skictl` finds it by address.
struct LocalToken {
    files: Vec<PathBuf>,
}

impl LocalToken {
    fn write(console: &Console, file: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let file = std::path::absolute(file)?;
        let text = console.make_local_token();
        write_secret(&file, &text)
            .with_context(|| format!("cannot write the token to {}", file.display()))?;
        let mut files = vec![file.clone()];
        match link(&file, address) {
            Ok(link) => files.push(link),
            // Then `--token-file` is needed.
            Err(error) => tracing::warn!(
                "skictl cannot find the token automatically, use --token-file: {error:#}"
            ),
        }
        Ok(Self { files })
    }
}

impl Drop for LocalToken {
    fn drop(&mut self) {
        for file in &self.files {
            // It is no longer valid.
            let _ = fs::remove_file(file);
        }
    }
}

/// Creates a new file, so that no other process has it open or can read it.
fn write_secret(file: &Path, text: &str) -> io::Result<()> {
    remove(file)?;
    let mut options = File::options();
    let options = options.write(true).create_new(true).mode(0o600);
    writeln!(options.open(file)?, "{text}")
}

/// `skilift/consoles/ADDRESS_PORT.token` in the user's state directory.
fn link(file: &Path, address: SocketAddr) -> anyhow::Result<PathBuf> {
    let folder = Config::state_home()?.join("consoles");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&folder)?;
    let link = folder.join(format!("{}_{}.token", address.ip(), address.port()));
    remove(&link)?;
    symlink(file, &link)?;
    Ok(link)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
