//! A console in a temporary folder, and who asks it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use skilift_core::catalogue::Catalogue;
use skilift_core::clock::epoch_ms;
use skilift_core::control::local::LocalControlChannel;
use skilift_core::control::{
    ApiSettings, BootId, ControlChannel, ControlError, Document, Heartbeat, Ingest, IngestKeys,
    NodeId, Role, WorkerSettings,
};
use skilift_core::embedded::{Database, DiskError};
use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::queue::depth::{Depth, DepthGauge};
use skilift_core::queue::embedded::{EmbeddedDeadLetterQueue, EmbeddedQueue};
use skilift_core::queue::{DeadLetterQueue, QueueError};
use skilift_core::store::Reader;
use skilift_core::store::embedded::EmbeddedReader;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_fleet::Fleet;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::boot;
use crate::config::{ConsoleConfig, EngineKind, Seeds};
use crate::console::{Console, Sources};
use crate::fleet::prices::Prices;
use crate::registry;
use crate::view::access::UserRole;
use crate::view::doctor::Findings;

pub(super) const WORKER: WorkerSettings = WorkerSettings {
    threads: 2,
    prefetch: 4000,
    batch: 1000,
    linger_ms: 25,
};
pub(super) const API: ApiSettings = ApiSettings {
    channels: 1,
    message_rides: 256,
    max_in_flight: 20_000,
};

/// A way to the nodes that can be away, and forget.
#[derive(Default)]
pub(super) struct TestControlChannel {
    kept: std::sync::Mutex<Arc<LocalControlChannel>>,
    pub(super) is_away: AtomicBool,
}

impl TestControlChannel {
    /// Forgets everything, as a flushed Redis does.
    pub(super) fn flush(&self) {
        *self.kept.lock().unwrap() = Arc::default();
    }

    fn reach(&self) -> Result<Arc<LocalControlChannel>, ControlError> {
        if self.is_away.load(Ordering::Relaxed) {
            return Err(ControlError::Redis {
                doing: "be reached",
                source: std::io::Error::other("away, for a test").into(),
            });
        }
        Ok(Arc::clone(&self.kept.lock().unwrap()))
    }
}

#[async_trait]
impl ControlChannel for TestControlChannel {
    async fn send_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), ControlError> {
        self.reach()?.send_heartbeat(heartbeat).await
    }

    async fn document(&self) -> Result<Option<Document>, ControlError> {
        self.reach()?.document().await
    }

    async fn ingest_keys(&self) -> Result<Option<IngestKeys>, ControlError> {
        self.reach()?.ingest_keys().await
    }

    async fn publish(&self, document: &Document) -> Result<u64, ControlError> {
        self.reach()?.publish(document).await
    }

    async fn publish_ingest_keys(&self, keys: &IngestKeys) -> Result<u64, ControlError> {
        self.reach()?.publish_ingest_keys(keys).await
    }

    async fn heartbeats(&self) -> Result<mpsc::Receiver<Heartbeat>, ControlError> {
        self.reach()?.heartbeats().await
    }
}

/// A console that runs.
pub(super) struct TestConsole {
    pub(super) console: Arc<Console>,
    pub(super) control_channel: Arc<TestControlChannel>,
    pub(super) router: Router,
    lifecycle: Lifecycle,
    beating: std::sync::Mutex<JoinSet<()>>,
    pub(super) folder: TempDir,
}

/// What a console answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// The kind of the problem.
    pub(super) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(super) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// A queue in which nothing waits: these tests do not look at it.
struct NothingWaits;

#[async_trait]
impl DepthGauge for NothingWaits {
    async fn depth(&self) -> Result<Depth, QueueError> {
        Ok(Depth {
            ready_messages: 0,
            consumers: None,
            dead_messages: 0,
        })
    }
}

impl TestConsole {
    /// A new console whose flags said [`WORKER`], [`API`] and open ingest.
    pub(super) async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), Arc::default(), false).await
    }

    pub(super) async fn on(
        folder: TempDir,
        control_channel: Arc<TestControlChannel>,
        read_only: bool,
    ) -> Self {
        let seeds = Seeds {
            worker: Some(WORKER),
            api: Some(API),
            ingest: Some(Ingest::Open),
        };
        Self::with(folder, control_channel, read_only, seeds).await
    }

    pub(super) async fn with(
        folder: TempDir,
        control_channel: Arc<TestControlChannel>,
        read_only: bool,
        seeds: Seeds,
    ) -> Self {
        let config = config(folder.path(), read_only, seeds);
        let store = store(folder.path()).await;
        Self::over(folder, control_channel, config, store).await
    }

    /// A console with machines to start and stop.
    pub(super) async fn with_fleet(
        folder: TempDir,
        control_channel: Arc<TestControlChannel>,
        fleet: Arc<dyn Fleet>,
    ) -> Self {
        let seeds = Seeds {
            worker: Some(WORKER),
            api: Some(API),
            ingest: Some(Ingest::Open),
        };
        let config = config(folder.path(), false, seeds);
        let store = store(folder.path()).await;
        Self::over_with(folder, control_channel, config, store, Some(fleet)).await
    }

    /// A console over another store.
    pub(super) async fn over(
        folder: TempDir,
        control_channel: Arc<TestControlChannel>,
        config: ConsoleConfig,
        store: (Arc<dyn Reader>, Arc<dyn DeadLetterQueue>),
    ) -> Self {
        Self::over_with(folder, control_channel, config, store, None).await
    }

    pub(super) async fn over_with(
        folder: TempDir,
        control_channel: Arc<TestControlChannel>,
        config: ConsoleConfig,
        (reader, letters): (Arc<dyn Reader>, Arc<dyn DeadLetterQueue>),
        fleet: Option<Arc<dyn Fleet>>,
    ) -> Self {
        let lifecycle = Lifecycle::new();
        let sources = Sources {
            reader,
            depth: Arc::new(NothingWaits),
            dead_letter_queue: letters,
            catalogue: Catalogue::default(),
            control_channel: Arc::clone(&control_channel) as Arc<dyn ControlChannel>,
            fleet,
            checks: Arc::new(|| Box::pin(async { Ok(Findings::default()) })),
        };
        let console = boot::start(config, sources, &lifecycle).await.unwrap();
        Self {
            router: crate::boot::router(&console, lifecycle.draining()),
            console,
            control_channel,
            lifecycle,
            beating: std::sync::Mutex::default(),
            folder,
        }
    }

    /// Ends it in order, and starts it again on the same folder.
    pub(super) async fn restart(self) -> Self {
        let (folder, control_channel) = self.stop().await;
        Self::on(folder, control_channel, false).await
    }

    /// Ends it in order.
    pub(super) async fn stop(self) -> (TempDir, Arc<TestControlChannel>) {
        let Self {
            console,
            control_channel,
            router,
            lifecycle,
            folder,
            beating: _,
        } = self;
        lifecycle.drain();
        let signals = Signals::install().unwrap();
        let ended = lifecycle
            .run_until_drained(signals, Duration::from_secs(60))
            .await;
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::SUCCESS));
        drop((router, console));
        (folder, control_channel)
    }

    /// Asks with a token, from an address of its own.
    pub(super) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/admin/v1{path}"))
            .header("user-agent", "tests")
            .extension(ConnectInfo(SocketAddr::from(([10, 1, 2, 3], 4567))));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.router.clone().oneshot(request.body(body).unwrap());
        let (parts, body) = answer.await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// What a browser gets: status, headers and text.
    pub(super) async fn browse(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        form: &str,
    ) -> (StatusCode, axum::http::HeaderMap, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(ConnectInfo(SocketAddr::from(([10, 1, 2, 3], 4567))));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        (parts.status, parts.headers, text)
    }

    pub(super) async fn get(&self, path: &str, token: &str) -> Value {
        let answer = self.ask("GET", path, Some(token), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.body
    }

    /// Plans a change.
    pub(super) async fn plan(&self, token: &str, change: Value) -> Value {
        let answer = self.ask("POST", "/plans", Some(token), Some(change)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    }

    /// Applies a plan.
    pub(super) async fn apply(&self, token: &str, plan: &Value, request: Value) -> Answer {
        let path = format!("/plans/{}/apply", plan["id"].as_str().unwrap());
        self.ask("POST", &path, Some(token), Some(request)).await
    }

    /// Plans a change and applies it, confirmed.
    pub(super) async fn change(&self, token: &str, change: Value) -> Value {
        self.change_with(token, change, None).await
    }

    pub(super) async fn change_with(
        &self,
        token: &str,
        change: Value,
        password: Option<&str>,
    ) -> Value {
        let plan = self.plan(token, change).await;
        let request = json!({ "confirm": plan["confirm"], "password": password });
        let answer = self.apply(token, &plan, request).await;
        assert_eq!(answer.status, StatusCode::OK, "{plan} {answer:?}");
        answer.body
    }

    /// The token of the process, which is an admin's.
    pub(super) fn local(&self) -> String {
        self.console.make_local_token()
    }

    /// A token of this role.
    pub(super) async fn token(&self, admin: &str, role: UserRole) -> String {
        let change = json!({"change": "add_token", "name": format!("a {role}"), "role": role.to_string(), "expires_in_s": 3600});
        let made = self.change(admin, change).await;
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Waits until something holds.
    pub(super) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the rates of workers are known.
    pub(super) async fn until_rates_are_known(&self) {
        self.until("rates", async || {
            let latest = self.console.monitor.latest();
            latest.is_some_and(|seen| seen.queue.rates.ack_per_s.value.is_some())
        })
        .await;
    }

    /// Waits until the nodes can read what the console wants.
    pub(super) async fn until_published(&self) -> Document {
        self.until("published", async || {
            let published = self.control_channel.document().await.ok().flatten();
            let wanted = self.console.desired.document();
            wanted.serial > 0 && published.is_some_and(|document| document == *wanted)
        })
        .await;
        self.control_channel.document().await.unwrap().unwrap()
    }

    /// Sends heartbeats of a node, until [`Self::silence`].
    pub(super) async fn start_heartbeats(&self, role: Role, port: u16) -> NodeId {
        let (control_channel, boot) = (Arc::clone(&self.control_channel), BootId::random());
        let began = epoch_ms();
        let beat = move || match role {
            Role::Api => registry::tests::api(port, boot, began, epoch_ms(), 0),
            Role::Worker => registry::tests::worker(port, boot, began, epoch_ms(), 0),
        };
        let node = beat().node;
        self.beating.lock().unwrap().spawn(async move {
            loop {
                let _ = control_channel.send_heartbeat(&beat()).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        self.until("heard", async || {
            let nodes = self.console.roster.nodes();
            nodes
                .iter()
                .any(|known| known.node == node && !known.is_gone)
        })
        .await;
        node
    }

    /// Stops the heartbeats of all nodes.
    pub(super) async fn silence(&self) {
        self.beating.lock().unwrap().abort_all();
        self.until("lost", async || {
            self.console.roster.nodes().iter().all(|node| node.is_gone)
        })
        .await;
    }
}

/// The database in a folder. A console that was stopped may still be closing it.
pub(super) async fn database(folder: &Path) -> Database {
    let began = Instant::now();
    loop {
        match Database::open(&folder.join("data")) {
            Err(DiskError::InUse(_)) if began.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            opened => return opened.unwrap(),
        }
    }
}

/// A store and a dead-letter queue in a folder.
pub(super) async fn store(folder: &Path) -> (Arc<dyn Reader>, Arc<dyn DeadLetterQueue>) {
    let database = Arc::new(database(folder).await);
    let queue = EmbeddedQueue::open(Arc::clone(&database)).unwrap();
    let reader = Arc::new(EmbeddedReader::new(database));
    (reader, Arc::new(EmbeddedDeadLetterQueue::new(queue)))
}

pub(super) fn config(folder: &Path, read_only: bool, seeds: Seeds) -> ConsoleConfig {
    ConsoleConfig {
        stack: "test".parse().unwrap(),
        engine: EngineKind::Servers,
        store_durability: StoreDurability::Checked,
        folder: folder.join("console"),
        archive: None,
        read_only,
        behind_proxy: false,
        is_encrypted: false,
        management: None,
        seeds,
        prices: Prices::built_in().unwrap(),
        load: None,
    }
}
