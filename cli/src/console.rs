//! The console, alone (`skictl serve console`) or within `skictl up`, and the ways in for who is on this machine: a token in
//! the data folder, and a login code.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use skilift_console::{
    Console, ConsoleConfig, EngineKind, ManagementSource, Prices, Seeds, Sources,
};
use skilift_core::control::ControlPlane;
use skilift_core::health::{Health, HealthCheck, Readiness};
use skilift_core::queue::DeadLetterOffice;
use skilift_core::queue::depth::DepthGauge;
use skilift_core::queue::rabbit::{Broker, RabbitDepth, RabbitOffice};
use skilift_core::stack::StackName;
use skilift_core::store::Reader;
use skilift_core::store::redis::Store;
use skilift_ec2::Ec2Fleet;
use skilift_fleet::Fleet;
use skilift_http::Listener;
use tokio_util::sync::CancellationToken;

use crate::args::ConsoleArgs;
use crate::client::tls;
use crate::config::{Config, ConfigError, TlsFiles};
use crate::process::{self, Process, raise_file_limit, unless_signalled};

/// The console's folder within the data folder.
const SUBFOLDER: &str = "console";
/// The file of the token that counts while the process lives, in the data folder.
const TOKEN_FILE: &str = "token";

/// A console that is served.
pub(crate) struct RunningConsole {
    /// The beginning of its URLs.
    pub(crate) url: String,
    /// Lets somebody in once, within ten minutes, where the console is on loopback.
    pub(crate) login_code: Option<String>,
    /// Removes the token's file when the process ends.
    _token: Option<LocalToken>,
}

/// What the console looks at.
pub(crate) struct Ground {
    pub(crate) engine: EngineKind,
    pub(crate) reader: Arc<dyn Reader>,
    pub(crate) plane: Arc<dyn ControlPlane>,
    pub(crate) depth: Arc<dyn DepthGauge>,
    pub(crate) letters: Arc<dyn DeadLetterOffice>,
    pub(crate) management: Option<ManagementSource>,
    pub(crate) seeds: Seeds,
    pub(crate) fleet: Option<Arc<dyn Fleet>>,
}

/// Runs a console until it is asked to end.
pub(crate) async fn serve(args: &ConsoleArgs) -> anyhow::Result<ExitCode> {
    let (process, mut signals) = Process::begin(args, args.common.config.as_deref()).await?;
    let servers = process.config.servers()?;
    raise_file_limit();
    let listener = process.open_console(process.config.tls.as_ref()).await?;
    let store = Store::new(servers.redis_url.clone(), &process.config.stack, 1, true)?;
    let broker = process.broker(servers, "console")?;
    let ground = Ground {
        engine: EngineKind::Servers,
        depth: fleet_depth(&process.config, &broker),
        letters: fleet_letters(&process.config, &broker),
        management: management(&process.config, &broker)?,
        reader: Arc::new(store.reader()?),
        plane: process.fleet_plane(servers)?,
        seeds: Seeds::default(),
        fleet: Some(Arc::new(Ec2Fleet::new(
            process.config.stack.to_string(),
            process.config.ec2_endpoint_url.clone(),
        ))),
    };
    let starting = start(&process, listener, ground);
    let Some(started) = unless_signalled(&mut signals, starting).await else {
        return Ok(ExitCode::SUCCESS);
    };
    let console = started?;
    greet(&console);
    let draining = process.life.draining();
    let check: HealthCheck = Arc::new(move || {
        Health::plain(if draining.is_cancelled() {
            Readiness::Draining
        } else {
            Readiness::Ready
        })
    });
    let nobody = async |end: CancellationToken| end.cancelled().await;
    process.run(signals, check, nobody, broker.close()).await
}

/// Starts a console and serves it.
pub(crate) async fn start(
    process: &Process,
    listener: Listener,
    ground: Ground,
) -> anyhow::Result<RunningConsole> {
    let Process { config, life, .. } = process;
    let data = config.data()?;
    let settings = ConsoleConfig {
        stack: config.stack.clone(),
        engine: ground.engine,
        folder: data.join(subfolder(ground.engine, &config.stack)),
        read_only: config.read_only,
        behind_proxy: config.behind_proxy,
        management: ground.management,
        seeds: ground.seeds,
        prices: match &config.price_file {
            Some(file) => Prices::read(file).map_err(ConfigError::Prices)?,
            None => Prices::built_in()?,
        },
    };
    let sources = Sources {
        reader: ground.reader,
        catalogue: process.catalogue()?,
        plane: ground.plane,
        depth: ground.depth,
        letters: ground.letters,
        fleet: ground.fleet,
    };
    let console = skilift_console::start(settings, sources, life).await?;
    let address = listener.address()?;
    let is_local = address.ip().is_loopback();
    if !is_local && !console.has_users()? {
        return Err(ConfigError::ConsoleWithoutUsers(address).into());
    }
    let url = listener.url()?;
    let token = is_local.then(|| LocalToken::write(&console, &data, address));
    skilift_console::serve(&console, listener, life);
    tracing::info!(stack = %config.stack, "admin API on {url}");
    Ok(RunningConsole {
        login_code: is_local.then(|| console.make_login_code()),
        _token: token.transpose()?,
        url,
    })
}

/// What the console keeps is of one stack: the books of another one say nothing of its lanes.
fn subfolder(engine: EngineKind, stack: &StackName) -> String {
    match engine {
        EngineKind::DataFolder => SUBFOLDER.to_owned(),
        EngineKind::Servers => format!("{SUBFOLDER}-{stack}"),
    }
}

/// How much waits in a fleet's queues.
pub(crate) fn fleet_depth(config: &Config, broker: &Broker) -> Arc<dyn DepthGauge> {
    // A connection of its own: RabbitMQ does not listen to one that it has blocked.
    let broker = broker.another("depth");
    Arc::new(RabbitDepth::new(broker, config.stack.clone()))
}

/// The dead letters of a fleet.
pub(crate) fn fleet_letters(config: &Config, broker: &Broker) -> Arc<dyn DeadLetterOffice> {
    Arc::new(RabbitOffice::new(broker, config.stack.clone()))
}

/// RabbitMQ's management API, where it is to be asked.
pub(crate) fn management(
    config: &Config,
    broker: &Broker,
) -> anyhow::Result<Option<ManagementSource>> {
    let Some(url) = &config.management_url else {
        return Ok(None);
    };
    let is_encrypted = url.reveal().starts_with("https:");
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(is_encrypted)?)
        // The password is for the server that was named, and for no other.
        .redirect(reqwest::redirect::Policy::none());
    Ok(Some(ManagementSource {
        url: url.clone(),
        vhost: broker.vhost().to_owned(),
        client: client.build()?,
    }))
}

/// What the console within `up` speaks: TLS where others can reach it.
pub(crate) fn tls_of_up(config: &Config) -> Option<&TlsFiles> {
    let is_local = config.console_listen.ip().is_loopback();
    config.tls.as_ref().filter(|_| !is_local)
}

/// Prints where the console is and how to get in.
fn greet(console: &RunningConsole) {
    let way_in = match &console.login_code {
        Some(code) => format!("login code (10 minutes, once)  {code}"),
        None => "log in by name and password: skictl login".to_owned(),
    };
    let text = format!("\nThe console is on {}\n{way_in}\n\n", console.url);
    process::print(&text);
}

/// The token of this process, in a file that its user alone can read, and a link by which `skictl` finds it from the address.
struct LocalToken {
    files: Vec<PathBuf>,
}

impl LocalToken {
    fn write(console: &Console, data: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let file = std::path::absolute(data.join(TOKEN_FILE))?;
        let text = console.make_local_token();
        write_secret(&file, &text)
            .with_context(|| format!("cannot write the token to {}", file.display()))?;
        let mut files = vec![file.clone()];
        match link(&file, address) {
            Ok(link) => files.push(link),
            // Then `--token-file` names it.
            Err(error) => tracing::warn!("skictl finds the token only by its name: {error:#}"),
        }
        Ok(Self { files })
    }
}

impl Drop for LocalToken {
    fn drop(&mut self) {
        for file in &self.files {
            // It counts for nothing any more.
            let _ = fs::remove_file(file);
        }
    }
}

/// Writes a file that is new, so that nobody else has it open or may read it.
fn write_secret(file: &Path, text: &str) -> io::Result<()> {
    remove(file)?;
    let mut options = File::options();
    let options = options.write(true).create_new(true).mode(0o600);
    writeln!(options.open(file)?, "{text}")
}

/// `skilift/consoles/ADDRESS_PORT.token` in the folder for this user's state.
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
