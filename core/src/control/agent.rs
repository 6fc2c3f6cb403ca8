//! A node's side of the control channel: it sends a heartbeat each second, and follows the console's desired state.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::unistd::gethostname;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::control_channel::{ControlChannel, ControlError};
use super::document::Document;
use super::heartbeat::{Activity, Heartbeat, Report};
use super::identity::{BootId, NodeId, Role};
use super::ingest_key::IngestKeys;
use super::settings::Generation;
use super::state_cache::{CachedState, StateCache, StateCacheError};
use super::usage::Usage;
use crate::clock::{epoch_ms, full_second};
use crate::health::Health;
use crate::lifecycle::chain;

/// Heartbeat interval.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Polling interval of the desired state.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// The desired state of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DesiredState {
    /// Whether the desired state is known, even if it is empty: it was read since the start, or a cached one was loaded. If
    /// not, empty fields below mean nothing.
    pub is_known: bool,
    /// The document for all nodes; `None` if no console has published one.
    pub document: Option<Arc<Document>>,
    /// The ingest keys; `None` if no console has published any, and in a worker. If the document refers to newer keys
    /// ([`Document::keys_serial`]), those could not be read.
    pub keys: Option<Arc<IngestKeys>>,
    /// The plan that drains this node, if any.
    pub drain: Option<String>,
    /// Whether consumption is paused now.
    pub is_paused: bool,
}

impl DesiredState {
    /// The desired state of a node without a console.
    #[must_use]
    pub fn none() -> watch::Receiver<Self> {
        let nothing = Self {
            is_known: true,
            ..Self::default()
        };
        watch::channel(nothing).1
    }

    /// The serial of the known ingest keys; 0 if there are none.
    #[must_use]
    pub fn keys_serial(&self) -> u64 {
        self.keys.as_ref().map_or(0, |keys| keys.serial)
    }

    /// The state to cache; `None` while the desired state is unknown.
    fn to_cached(&self) -> Option<CachedState> {
        self.is_known.then(|| CachedState {
            document: self.document.as_deref().cloned(),
            keys: self.keys.as_deref().cloned(),
        })
    }
}

/// Identity of a node process.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its role.
    pub role: Role,
    /// The node.
    pub node: NodeId,
    /// Its process instance.
    pub boot: BootId,
    /// The host that it runs on.
    pub host: String,
    /// The instance that it runs on: its id may be found after the start, and is then sent with each heartbeat.
    pub instance: Arc<OnceLock<String>>,
    /// When it started, in milliseconds since 1970.
    pub started_at_ms: u64,
}

impl Identity {
    /// A new process of the node with this role and private port on this host, with an unknown instance.
    #[must_use]
    pub fn new(role: Role, private_port: u16) -> Self {
        let host = gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.unwrap_or_else(|| "unnamed".to_owned());
        Self {
            role,
            node: NodeId::new(role, &host, private_port),
            boot: BootId::random(),
            host,
            instance: Arc::default(),
            started_at_ms: epoch_ms(),
        }
    }
}

/// Status of a node for its heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The generation that it runs; `None` while its command-line flags apply.
    pub generation: Option<Generation>,
    /// Its activity.
    pub activity: Activity,
    /// Its health.
    pub health: Health,
    /// The report of its role; some counters are since the last call.
    pub report: Report,
}

/// The control agent of one node.
pub struct Agent {
    identity: Identity,
    control_channel: Arc<dyn ControlChannel>,
    desired_state: watch::Sender<DesiredState>,
    state_cache: Option<StateCache>,
    /// Heartbeats so far.
    heartbeats: AtomicU64,
}

impl Agent {
    /// An agent that has polled the desired state once, so that the node starts with it. If it cannot be read, the cached
    /// state in `state_cache` applies until it can.
    ///
    /// # Errors
    /// If the cached state in `state_cache` cannot be read.
    pub async fn begin(
        identity: Identity,
        control_channel: Arc<dyn ControlChannel>,
        state_cache: Option<StateCache>,
    ) -> Result<Self, StateCacheError> {
        let cached = match &state_cache {
            Some(state_cache) => state_cache.load()?,
            None => None,
        };
        let agent = Self {
            identity,
            control_channel,
            desired_state: watch::Sender::default(),
            state_cache,
            heartbeats: AtomicU64::new(1),
        };
        if let Some(cached) = cached {
            agent.apply(cached);
        }
        if let Err(error) = agent.poll().await {
            agent.lost("read the settings", &error);
        }
        Ok(agent)
    }

    /// The desired state of the node.
    #[must_use]
    pub fn desired_state(&self) -> watch::Receiver<DesiredState> {
        self.desired_state.subscribe()
    }

    /// Sends heartbeats and polls until `end`, then sends a final heartbeat that the node has stopped. `end` is the very end
    /// of the process, so that its drain is visible.
    pub async fn run(self, end: CancellationToken, status: impl Fn() -> Status + Send + Sync) {
        let living = async {
            tokio::join!(
                self.send_heartbeats(&status),
                self.keep_polling(),
                self.save()
            )
        };
        end.run_until_cancelled(living).await;
        let ended = Status {
            activity: Activity::Stopped,
            ..status()
        };
        if let Err(error) = self
            .control_channel
            .send_heartbeat(&self.heartbeat(ended))
            .await
        {
            tracing::debug!("{}", chain(&error));
        }
    }

    async fn send_heartbeats(&self, status: &(impl Fn() -> Status + Send + Sync)) {
        let send = || async move {
            self.control_channel
                .send_heartbeat(&self.heartbeat(status()))
                .await
        };
        // At full seconds: the console compares the counters of all nodes.
        self.repeat("send heartbeats", send, full_second).await;
    }

    async fn keep_polling(&self) {
        let wait = || tokio::time::sleep(POLL_INTERVAL);
        self.repeat("read the settings", || self.poll(), wait).await;
    }

    /// Polls the desired state. Newer keys are read before the document that refers to them is applied; if they cannot be
    /// read, it is applied without them, so that revoked keys are not accepted.
    async fn poll(&self) -> Result<(), ControlError> {
        let document = self.control_channel.document().await?;
        let named = document.as_ref().map_or(0, |document| document.keys_serial);
        let known = self.desired_state.borrow().keys_serial();
        let keys = if self.identity.role == Role::Api && named > known {
            self.control_channel.ingest_keys().await
        } else {
            Ok(None)
        };
        let (keys, outcome) = match keys {
            Ok(keys) => (keys, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.apply(CachedState { document, keys });
        outcome
    }

    /// Caches the desired state on every change, for the next start; also that it is empty.
    async fn save(&self) {
        let Some(state_cache) = &self.state_cache else {
            return;
        };
        let mut desired_state = self.desired_state.subscribe();
        let mut stored = state_cache.load().ok().flatten();
        let mut is_failing = false;
        loop {
            let state = desired_state.borrow_and_update().to_cached();
            let mut is_stored = true;
            if let Some(writing) = state.clone().filter(|_| state != stored) {
                let file = state_cache.clone();
                let written = tokio::task::spawn_blocking(move || file.store(&writing)).await;
                match written.map_err(std::io::Error::other).flatten() {
                    Ok(()) => (stored, is_failing) = (state, false),
                    Err(error) => {
                        is_stored = false;
                        if !std::mem::replace(&mut is_failing, true) {
                            tracing::warn!(
                                node = %self.identity.node,
                                "cannot cache the console settings in {}: a restart while Redis is unavailable would use older settings: {error}",
                                state_cache.path().display()
                            );
                        }
                    }
                }
            }
            let again = async {
                if is_stored {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(HEARTBEAT_INTERVAL).await;
            };
            tokio::select! {
                // The agent itself holds the sender.
                _ = desired_state.changed() => {}
                () = again => {}
            }
        }
    }

    /// Repeats a call after each wait, and logs when it starts to fail or to succeed.
    async fn repeat<F: Future<Output = Result<(), ControlError>>, W: Future<Output = ()>>(
        &self,
        doing: &'static str,
        call: impl Fn() -> F,
        wait: impl Fn() -> W,
    ) {
        let mut is_lost = false;
        loop {
            match call().await {
                Ok(()) => {
                    if std::mem::take(&mut is_lost) {
                        tracing::info!(node = %self.identity.node, "can {doing} again");
                    }
                }
                Err(error) if is_lost => tracing::debug!("{}", chain(&error)),
                Err(error) => {
                    self.lost(doing, &error);
                    is_lost = true;
                }
            }
            wait().await;
        }
    }

    fn lost(&self, doing: &'static str, error: &ControlError) {
        let why = chain(error);
        tracing::warn!(node = %self.identity.node, "cannot {doing}, continuing with last known settings: {why}");
    }

    /// Applies the state that was read. A missing or older state changes nothing; a drain may expire.
    fn apply(&self, found: CachedState) {
        self.desired_state.send_if_modified(|desired_state| {
            let known = desired_state.document.as_deref();
            let newer = found.document;
            let newer = newer.filter(|found| known.is_none_or(|known| found.serial > known.serial));
            let newer = newer.map(|found| Arc::new(found.after(known)));
            let document = newer.or_else(|| desired_state.document.clone());
            let Identity { node, boot, .. } = &self.identity;
            let mark = document
                .as_ref()
                .and_then(|document| document.drain_of(node, *boot, epoch_ms()));
            let drain = mark.map(|mark| mark.plan.clone());
            let paused = document
                .as_ref()
                .and_then(|document| document.pause_at(epoch_ms()));
            let is_paused = paused.is_some();
            let known = desired_state.keys.as_ref().map(|keys| keys.serial);
            let newer = found.keys;
            let newer = newer.filter(|found| known.is_none_or(|known| found.serial > known));
            let keys = newer.map(Arc::new).or_else(|| desired_state.keys.clone());
            let state = DesiredState {
                is_known: true,
                document,
                keys,
                drain,
                is_paused,
            };
            let is_news = *desired_state != state;
            *desired_state = state;
            is_news
        });
    }

    fn heartbeat(&self, status: Status) -> Heartbeat {
        let usage = Usage::now();
        let identity = self.identity.clone();
        Heartbeat {
            node: identity.node,
            boot_id: identity.boot,
            host: identity.host,
            instance_id: identity.instance.get().cloned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            number: self.heartbeats.fetch_add(1, Ordering::Relaxed),
            started_at_ms: identity.started_at_ms,
            sent_at_ms: epoch_ms(),
            generation: status.generation,
            activity: status.activity,
            health: status.health,
            cpu_ms: usage.cpu_ms,
            cores: usage.cores,
            rss_bytes: usage.rss_bytes,
            memory_bytes: usage.memory_bytes,
            report: status.report,
        }
    }
}
