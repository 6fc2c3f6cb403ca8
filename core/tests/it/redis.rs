//! What only Redis can do to a batch, and what a ride costs there.

use std::collections::BTreeSet;

use skilift_core::service_url::ServiceUrl;
use skilift_core::store::Reader;
use skilift_core::store::batch::Batch;
use skilift_core::store::redis::Store;
use skilift_servers::{RedisOptions, RedisServer};

use crate::apply::check_against;
use crate::shared::{fresh_stack, ride};

#[tokio::test]
async fn a_key_of_another_type_spoils_only_its_own_day() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let stack = fresh_stack("wrongtype");
    let store = Store::new(ServiceUrl::redis(&server.url()).unwrap(), &stack, 1, false).unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{stack}:counts:{{1:2025:2}}");
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
async fn memory_for_a_ride_stays_below_24_bytes() {
    let server = RedisServer::start(RedisOptions::default()).await.unwrap();
    let url = ServiceUrl::redis(&server.url()).unwrap();
    let store = Store::new(url, &fresh_stack("memory"), 1, false).unwrap();
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
