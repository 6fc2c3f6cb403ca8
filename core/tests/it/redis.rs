//! What only Redis can do to a batch, and what a ride costs there.

use std::collections::BTreeSet;

use skilift_core::lifecycle::chain;
use skilift_core::reconciliation::{Reconciliation, Settlement};
use skilift_core::service_url::ServiceUrl;
use skilift_core::store::Reader;
use skilift_core::store::batch::Batch;
use skilift_core::store::redis::Store;
use skilift_core::store::redis::durability::StoreDurability;
use skilift_core::store::redis::writer::ToIndex;
use skilift_servers::{RedisOptions, RedisServer};

use crate::apply::check_against;
use crate::shared::{fresh_stack, ride};

#[tokio::test]
async fn a_key_of_another_type_spoils_only_its_own_day() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let stack = fresh_stack("wrongtype");
    let store = Store::new(
        ServiceUrl::redis(&server.url()).unwrap(),
        &stack,
        1,
        StoreDurability::Checked,
    )
    .unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{{{stack}}}:counts:1:2025:2");
    redis::cmd("SADD")
        .arg(&key)
        .arg(1)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let rides = [
        ride(1, 1, 7, 1, 1),
        ride(1, 2, 7, 1, 1),
        ride(1, 3, 7, 1, 1),
    ];
    let mut writer = store.writer().await.unwrap();
    let applied = writer.apply(&Batch::new(rides.to_vec())).await.unwrap();
    assert_eq!(applied.new, 2);
    let [(refused, reason)] = &applied.refused[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(*refused, rides[1]);
    assert!(
        reason.contains(&key) && reason.contains("set instead of a string"),
        "{reason}"
    );
    check_against(
        &store.reader().unwrap(),
        &BTreeSet::from([rides[0], rides[2]]),
    )
    .await;
}

#[tokio::test]
async fn books_of_another_type_stop_the_worker_and_blame_no_ride() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let stack = fresh_stack("bookstype");
    let store = Store::new(
        ServiceUrl::redis(&server.url()).unwrap(),
        &stack,
        1,
        StoreDurability::Checked,
    )
    .unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let rides = Batch::new(vec![ride(1, 1, 7, 1, 1)]);
    let message = Settlement {
        message: "00000000000000ff-1-1".parse().ok(),
        is_replay: false,
        rides: 1,
        dead: 0,
    };
    for key in ["books", "settled"] {
        let key = format!("{{{stack}}}:{key}");
        let mut set = redis::cmd("SET");
        let set = set.arg(&key).arg("x").exec_async(&mut connection).await;
        set.unwrap();
        let mut writer = store.writer().await.unwrap();
        let settled = writer.settle(&ToIndex::default(), &[message]).await;
        let text = chain(&settled.unwrap_err());
        assert!(
            text.contains(&key) && text.contains("instead of a hash"),
            "{text}"
        );
        if key.ends_with("books") {
            let error = writer.apply(&rides).await.unwrap_err();
            assert_eq!(error.refusal(), Some("BOOKS"));
            let reader = store.reader().unwrap();
            let day = ride(1, 1, 7, 1, 1).resort_day();
            assert_eq!(reader.skiers_on(day).await.unwrap(), 0);
        }
        let mut delete = redis::cmd("DEL");
        delete.arg(&key).exec_async(&mut connection).await.unwrap();
    }
    // Nothing of it was written half-way.
    let reader = store.reader().unwrap();
    assert_eq!(
        reader.reconciliation().await.unwrap(),
        Reconciliation::default()
    );
}

#[tokio::test]
async fn a_full_redis_refuses_every_batch_and_says_so_in_its_own_words() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = ServiceUrl::redis(&server.url()).unwrap();
    let store = Store::new(url, &fresh_stack("full"), 1, StoreDurability::Checked).unwrap();
    let mut writer = store.writer().await.unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("1mb");
    limit.exec_async(&mut connection).await.unwrap();
    let error = writer
        .apply(&Batch::new(vec![ride(1, 1, 1, 1, 1)]))
        .await
        .unwrap_err();
    // Not that the transaction was aborted, but why.
    assert_eq!(
        chain(&error),
        "Redis did not store a batch: OOM command not allowed when used memory > 'maxmemory'."
    );
    assert_eq!(error.refusal(), Some("OOM"));
    assert!(error.concerns_all());
}

#[tokio::test]
async fn memory_for_a_ride_stays_below_24_bytes() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = ServiceUrl::redis(&server.url()).unwrap();
    let store = Store::new(url, &fresh_stack("memory"), 1, StoreDurability::Checked).unwrap();
    let reader = store.reader().unwrap();
    let before = reader.capacity().await.unwrap();
    let mut writer = store.writer().await.unwrap();
    let mut rides = 0;
    for day in 1..=3 {
        for first in (1..=20_000).step_by(1000) {
            let batch = (first..first + 1000)
                .flat_map(|skier| (0..12).map(move |n| ride(1, day, skier, 10 + n * 30, 1 + n)));
            rides += writer
                .apply(&Batch::new(batch.collect()))
                .await
                .unwrap()
                .new;
        }
    }
    let used = reader.capacity().await.unwrap().used_bytes - before.used_bytes;
    assert_eq!((rides, before.limit_bytes), (720_000, None));
    let bytes_per_ride = used as f64 / rides as f64;
    assert!(bytes_per_ride < 24.0, "{bytes_per_ride:.1} bytes a ride");
}
