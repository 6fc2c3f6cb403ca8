//! What an API node was told outlasts its restart, the absence of Redis, and its loss of everything.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use skilift_core::control::heartbeat::{Activity, Report, WorkerReport};
use skilift_core::control::{
    Agent, ControlPlane, Document, Identity, Ingest, IngestKey, IngestKeys, Memory, Orders,
    RedisPlane, Role, Status, Versioned, WorkerSettings,
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
            longest_unacked_ms: None,
            accept_to_stored_ms: None,
            consumers: Vec::new(),
        }),
    }
}

/// A life of an API node.
struct Life {
    orders: watch::Receiver<Orders>,
    _running: JoinSet<()>,
}

impl Life {
    async fn begin(redis_url: &str, folder: &Path) -> Self {
        let stack = StackName::default();
        let plane = RedisPlane::new(&ServiceUrl::redis(redis_url).unwrap(), &stack).unwrap();
        let memory = Memory::new(folder, &stack);
        let identity = Identity::new(Role::Api, 9464);
        let agent = Agent::begin(identity, Arc::new(plane), Some(memory)).await;
        let agent = agent.unwrap();
        let orders = agent.orders();
        let mut running = JoinSet::new();
        running.spawn(agent.run(CancellationToken::new(), status));
        Self {
            orders,
            _running: running,
        }
    }

    fn keys(&self) -> Vec<String> {
        let orders = self.orders.borrow();
        let keys = orders.keys.iter().flat_map(|keys| &keys.keys);
        keys.map(|key| key.id.clone()).collect()
    }

    fn is_closed(&self) -> bool {
        let orders = self.orders.borrow();
        let document = orders.document.as_deref();
        document
            .and_then(|document| document.ingest)
            .map(|said| said.value)
            == Some(Ingest::Keys)
            && document.is_some_and(|document| document.keys_serial == orders.keys_serial())
    }
}

async fn say(plane: &RedisPlane, serial: u64, ids: &[&str]) {
    plane.publish_ingest_keys(&keys(serial, ids)).await.unwrap();
    plane.publish(&document(serial)).await.unwrap();
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
    let console = RedisPlane::new(&ServiceUrl::redis(&url).unwrap(), &stack).unwrap();

    say(&console, 1, &["a", "b"]).await;
    let life = Life::begin(&url, folder.path()).await;
    assert!(life.is_closed(), "it knows before it serves");
    assert_eq!(life.keys(), ["a", "b"]);
    // Revoked within 2 s, and on the disk.
    say(&console, 2, &["b"]).await;
    until(|| life.keys() == ["b"]).await;
    let memory = Memory::new(folder.path(), &stack);
    until(|| {
        memory
            .read()
            .unwrap()
            .and_then(|told| told.keys)
            .is_some_and(|keys| keys.serial == 2)
    })
    .await;

    // Redis forgets everything: neither this life nor the next opens.
    let client = redis::Client::open(url.as_str()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("FLUSHALL")
        .exec_async(&mut connection)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(life.is_closed());
    drop(life);
    let life = Life::begin(&url, folder.path()).await;
    assert!(life.is_closed());
    assert_eq!(life.keys(), ["b"]);
    // The last key goes.
    say(&console, 3, &[]).await;
    until(|| life.keys().is_empty() && life.is_closed()).await;
    until(|| {
        memory
            .read()
            .unwrap()
            .and_then(|told| told.keys)
            .is_some_and(|keys| keys.serial == 3)
    })
    .await;
    drop(life);

    // Redis is away.
    drop((connection, redis));
    let life = Life::begin(&url, folder.path()).await;
    assert!(life.is_closed() && life.keys().is_empty());
}

#[tokio::test]
async fn a_document_whose_keys_are_missing_counts_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let (url, stack) = (redis.url(), StackName::default());
    let console = RedisPlane::new(&ServiceUrl::redis(&url).unwrap(), &stack).unwrap();
    say(&console, 1, &["a"]).await;
    console.publish(&document(2)).await.unwrap();
    let life = Life::begin(&url, folder.path()).await;
    assert_eq!(life.orders.borrow().document.as_ref().unwrap().serial, 2);
    assert!(!life.is_closed(), "what it knows is older than what counts");
    console.publish_ingest_keys(&keys(2, &[])).await.unwrap();
    until(|| life.is_closed()).await;
}

#[tokio::test]
async fn that_nobody_could_be_asked_is_not_taken_for_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = redis.url();
    redis.stop().await.unwrap();
    let life = Life::begin(&url, folder.path()).await;
    assert!(!life.orders.borrow().is_known);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!life.orders.borrow().is_known);
    let memory = Memory::new(folder.path(), &StackName::default());
    assert_eq!(memory.read().unwrap(), None, "it has nothing to remember");

    // Asked once, it knows that nothing was said, and does so in its next life too.
    redis.start_again().await.unwrap();
    let began = Instant::now();
    while !life.orders.borrow().is_known {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    until(|| memory.read().unwrap().is_some()).await;
    drop(life);
    redis.stop().await.unwrap();
    let life = Life::begin(&url, folder.path()).await;
    assert!(life.orders.borrow().is_known);
}
