//! What a store must promise before anything is written to it.

use skilift_core::lifecycle::chain;
use skilift_core::service_url::ServiceUrl;
use skilift_core::store::StoreError;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_servers::{AppendFsync, RedisOptions, RedisServer};

use crate::shared::fresh_stack;

fn store(url: &str, durability: StoreDurability) -> Store {
    Store::new(
        ServiceUrl::redis(url).unwrap(),
        &fresh_stack("durable"),
        1,
        durability,
    )
    .unwrap()
}

/// The error of taking a writer, with its whole chain.
async fn refusal(store: &Store) -> (StoreError, String) {
    let Err(error) = store.writer().await else {
        panic!("a writer was given")
    };
    let text = chain(&error);
    (error, text)
}

#[tokio::test]
async fn a_redis_that_may_forget_is_refused_unless_that_is_accepted() {
    let options = RedisOptions {
        appendfsync: AppendFsync::Everysec,
        ..RedisOptions::default()
    };
    let server = RedisServer::start(options).await.unwrap();
    let (error, text) = refusal(&store(&server.url(), StoreDurability::Checked)).await;
    assert!(error.is_permanent());
    assert!(
        text.contains("appendfsync is everysec, not always") && text.contains("--store-durability"),
        "{text}"
    );
    for said in [StoreDurability::Managed, StoreDurability::Lossy] {
        assert!(store(&server.url(), said).writer().await.is_ok());
    }
}

#[tokio::test]
async fn every_weak_setting_is_named() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for (setting, weak) in [
        ("appendonly", "no"),
        ("appendfsync", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ] {
        let set = |value: &str| {
            redis::cmd("CONFIG")
                .arg("SET")
                .arg(setting)
                .arg(value)
                .to_owned()
        };
        let get = redis::cmd("CONFIG").arg("GET").arg(setting).to_owned();
        let (_, good): (String, String) = get.query_async(&mut connection).await.unwrap();
        assert!(
            store(&server.url(), StoreDurability::Checked)
                .writer()
                .await
                .is_ok()
        );
        set(weak).exec_async(&mut connection).await.unwrap();
        let (_, text) = refusal(&store(&server.url(), StoreDurability::Checked)).await;
        assert!(
            text.contains(&format!("{setting} is {weak}, not")),
            "{text}"
        );
        set(&good).exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn data_of_a_newer_version_is_refused() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let stack = fresh_stack("newer");
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SET")
        .arg(format!("{{{stack}}}:format"))
        .arg(2)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let store = Store::new(
        ServiceUrl::redis(&server.url()).unwrap(),
        &stack,
        1,
        StoreDurability::Checked,
    )
    .unwrap();
    let (error, text) = refusal(&store).await;
    assert!(
        error.is_permanent() && text.contains("format 2, which is newer"),
        "{text}"
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_absent_server_are_told_apart() {
    let mut server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let wrong = format!("redis://:wrong@{}/", server.addr());
    let (error, text) = refusal(&store(&wrong, StoreDurability::Checked)).await;
    assert!(error.is_permanent() && !text.contains("wrong@"), "{text}");
    let url = server.url();
    server.stop().await.unwrap();
    let (error, text) = refusal(&store(&url, StoreDurability::Checked)).await;
    assert!(
        !error.is_permanent() && text.contains("cannot reach Redis at redis://:***@"),
        "{text}"
    );
}

#[tokio::test]
async fn a_service_that_reports_no_settings_needs_a_promise() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    // As managed services do: CONFIG is denied.
    redis::cmd("ACL")
        .arg("SETUSER")
        .arg(&["tenant", "on", ">pass", "~*", "&*", "+@all", "-config"])
        .exec_async(&mut connection)
        .await
        .unwrap();
    let url = format!("redis://tenant:pass@{}/", server.addr());
    let (error, text) = refusal(&store(&url, StoreDurability::Checked)).await;
    assert!(error.is_permanent(), "{text}");
    assert!(
        text.contains("appendfsync is not reported")
            && text.contains("promises to keep them (managed)"),
        "{text}"
    );
    assert!(store(&url, StoreDurability::Managed).writer().await.is_ok());
}
