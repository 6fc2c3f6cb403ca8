//! The desired state of an API node survives its restart, the absence of Redis, and its loss of everything.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skilift_core::control::heartbeat::{Activity, Report, WorkerReport};
use skilift_core::control::{
    Agent, ControlChannel, DesiredState, Document, Identity, Ingest, IngestKey, IngestKeys,
    RedisControlChannel, Role, StateCache, Status, Versioned, WorkerSettings,
};
use skilift_core::health::{Health, Readiness};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_servers::{RedisOptions, RedisServer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

fn document(serial: u64) -> Document {
    Document {
        serial,
        ingest: Some(Versioned::new(serial, Ingest::Keys)),
        keys_serial: serial,
        ..Document::default()
    }
}

fn keys(serial: u64, ids: &[&str]) -> IngestKeys {
    let key = |id: &&str| IngestKey {
        id: (*id).to_owned(),
        sha256: "0".repeat(64),
        resorts: None,
    };
    IngestKeys {
        serial,
        keys: ids.iter().map(key).collect(),
    }
}

/// What a node says of itself is no matter here.
fn status() -> Status {
    let settings = WorkerSettings {
        threads: 1,
        prefetch: 1,
        batch: 1,
        linger_ms: 0,
    };
    Status {
        generation: None,
        activity: Activity::Active,
        health: Health::plain(Readiness::Ready),
        report: Report::Worker(WorkerReport {
            settings,
            busy_ms: 0,
            applied_rides: 0,
            duplicate_rides: 0,
            dead_lines: 0,
            delivered_messages: 0,
            delivered_rides: 0,
            acked_messages: 0,
            acked_rides: 0,
            redelivered_messages: 0,
            oldest_unacked_accepted_at_ms: None,
            accept_to_stored_ms: None,
            consumers: Vec::new(),
        }),
    }
}

/// One process of an API node.
struct NodeProcess {
    desired_state: watch::Receiver<DesiredState>,
    _running: JoinSet<()>,
}

impl NodeProcess {
    async fn begin(redis_url: &str, folder: &Path) -> Self {
        let stack = StackName::default();
        let control_channel =
            RedisControlChannel::new(&ServiceUrl::redis(redis_url).unwrap(), &stack).unwrap();
        let state_cache = StateCache::new(folder, &stack);
        let identity = Identity::new(Role::Api, 9464);
        let agent = Agent::begin(identity, Arc::new(control_channel), Some(state_cache)).await;
        let agent = agent.unwrap();
        let desired_state = agent.desired_state();
        let mut running = JoinSet::new();
        running.spawn(agent.run(CancellationToken::new(), status));
        Self {
            desired_state,
            _running: running,
        }
    }

    fn keys(&self) -> Vec<String> {
        let desired_state = self.desired_state.borrow();
        let keys = desired_state.keys.iter().flat_map(|keys| &keys.keys);
        keys.map(|key| key.id.clone()).collect()
    }

    fn is_closed(&self) -> bool {
        let desired_state = self.desired_state.borrow();
        let document = desired_state.document.as_deref();
        document
            .and_then(|document| document.ingest)
            .map(|said| said.value)
            == Some(Ingest::Keys)
            && document.is_some_and(|document| document.keys_serial == desired_state.keys_serial())
    }
}

async fn say(control_channel: &RedisControlChannel, serial: u64, ids: &[&str]) {
    control_channel
        .publish_ingest_keys(&keys(serial, ids))
        .await
        .unwrap();
    control_channel.publish(&document(serial)).await.unwrap();
}

async fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_door_that_was_closed_stays_closed() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let (url, stack) = (redis.url(), StackName::default());
    let console = RedisControlChannel::new(&ServiceUrl::redis(&url).unwrap(), &stack).unwrap();

    say(&console, 1, &["a", "b"]).await;
    let process = NodeProcess::begin(&url, folder.path()).await;
    assert!(process.is_closed(), "it knows before it serves");
    assert_eq!(process.keys(), ["a", "b"]);
    // Revoked within 2 s, and on the disk.
    say(&console, 2, &["b"]).await;
    until(|| process.keys() == ["b"]).await;
    let state_cache = StateCache::new(folder.path(), &stack);
    until(|| {
        state_cache
            .load()
            .unwrap()
            .and_then(|state| state.keys)
            .is_some_and(|keys| keys.serial == 2)
    })
    .await;

    // Redis forgets everything: neither this process nor the next opens ingest.
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(process.is_closed());
    drop(process);
    let process = NodeProcess::begin(&url, folder.path()).await;
    assert!(process.is_closed());
    assert_eq!(process.keys(), ["b"]);
    // The last key goes.
    say(&console, 3, &[]).await;
    until(|| process.keys().is_empty() && process.is_closed()).await;
    until(|| {
        state_cache
            .load()
            .unwrap()
            .and_then(|state| state.keys)
            .is_some_and(|keys| keys.serial == 3)
    })
    .await;
    drop(process);

    // Redis is away.
    drop((connection, redis));
    let process = NodeProcess::begin(&url, folder.path()).await;
    assert!(process.is_closed() && process.keys().is_empty());
}

#[tokio::test]
async fn a_document_whose_keys_are_missing_counts_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let (url, stack) = (redis.url(), StackName::default());
    let console = RedisControlChannel::new(&ServiceUrl::redis(&url).unwrap(), &stack).unwrap();
    say(&console, 1, &["a"]).await;
    console.publish(&document(2)).await.unwrap();
    let process = NodeProcess::begin(&url, folder.path()).await;
    assert_eq!(
        process
            .desired_state
            .borrow()
            .document
            .as_ref()
            .unwrap()
            .serial,
        2
    );
    assert!(
        !process.is_closed(),
        "what it knows is older than what counts"
    );
    console.publish_ingest_keys(&keys(2, &[])).await.unwrap();
    until(|| process.is_closed()).await;
}

#[tokio::test]
async fn that_nobody_could_be_asked_is_not_taken_for_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = redis.url();
    redis.stop().await.unwrap();
    let process = NodeProcess::begin(&url, folder.path()).await;
    assert!(!process.desired_state.borrow().is_known);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!process.desired_state.borrow().is_known);
    let state_cache = StateCache::new(folder.path(), &StackName::default());
    assert_eq!(
        state_cache.load().unwrap(),
        None,
        "it has nothing to remember"
    );

    // Asked once, it knows that nothing was said, and still knows it after a restart.
    redis.start_again().await.unwrap();
    let began = Instant::now();
    while !process.desired_state.borrow().is_known {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until(|| state_cache.load().unwrap().is_some()).await;
    drop(process);
    redis.stop().await.unwrap();
    let process = NodeProcess::begin(&url, folder.path()).await;
    assert!(process.desired_state.borrow().is_known);
}
