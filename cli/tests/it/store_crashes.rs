//! What happens to Redis and to the way to it.

use std::time::Duration;

use serde_json::json;
use skilift_core::store::Reader;
use skilift_servers::{RabbitOptions, RedisOptions};

use crate::system::System;

#[tokio::test]
async fn redis_killed_under_load_loses_and_doubles_nothing() {
    let mut system = System::start().await;
    let load = system.load();
    for _ in 0..3 {
        load.accept(2000).await;
        system.redis.kill().await.unwrap();
        load.accept(500).await;
        system.redis.start_again().await.unwrap();
    }
    load.accept(2000).await;
    let sent = load.stop().await;
    assert_eq!(
        sent.refused + sent.unanswered,
        0,
        "a dead Redis is no reason to refuse rides: {:?}",
        sent.messages
    );
    system
        .prove("kill -9 of redis-server, 3 times", &sent)
        .await;
}

#[tokio::test]
async fn the_network_cut_between_apply_and_ack_loses_and_doubles_nothing() {
    let (system, proxy) = System::start_behind_proxy().await;
    let load = system.load();
    for round in 0..10 {
        load.accept(500).await;
        if round % 2 == 0 {
            // What is under way is applied, and nobody learns of it.
            proxy.cut().await;
        } else {
            proxy.stall();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.heal().await.unwrap();
    }
    load.accept(1000).await;
    let sent = load.stop().await;
    assert!(
        system.worker.log().contains("is not stored yet"),
        "no cut hit a batch"
    );
    system
        .prove("network to Redis cut 5 times and stalled 5 times", &sent)
        .await;
}

#[tokio::test]
async fn a_full_redis_sheds_says_why_and_recovers() {
    let system = System::start().await;
    let load = system.load();
    load.accept(1000).await;
    let used = system.reader().capacity().await.unwrap().used_bytes;
    // Less than is used: nothing more can be written, and the worker holds what it has.
    set_maxmemory(&system, used * 9 / 10).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let ready = skilift_servers::http()
        .get(format!("{}/readyz", system.url))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 503);
    set_maxmemory(&system, 0).await;
    load.accept(1000).await;
    let sent = load.stop().await;
    let log = system.worker.log();
    assert!(log.contains("OOM"), "{log}");
    assert!(
        sent.messages
            .keys()
            .any(|message| message.contains("maxmemory")),
        "{:?}",
        sent.messages
    );
    system
        .prove("Redis full (maxmemory), then given more", &sent)
        .await;
}

async fn set_maxmemory(system: &System, bytes: u64) {
    let client = redis::Client::open(system.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("CONFIG");
    command
        .arg("SET")
        .arg("maxmemory")
        .arg(bytes)
        .exec_async(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn while_redis_hangs_a_message_is_not_handed_from_thread_to_thread() {
    let mut system = System::start().await;
    system.worker.drain().await;
    system.start_worker_again_with(&[("SKI_THREADS", "8")]);
    let load = system.load();
    load.accept(100).await;
    let sent = load.stop().await;
    system.prove("before redis-server hangs", &sent).await;
    system.redis.pause().unwrap();
    let ride = format!("{}/skiers/4/seasons/2025/days/24/skiers/9", system.url);
    let http = skilift_servers::http_builder().build().unwrap();
    let posted = http.post(ride).json(&json!({ "time": 5, "liftID": 1 }));
    assert_eq!(posted.send().await.unwrap().status(), 201);
    // The thread that holds it gives up after 30 s; no other one takes what is returned.
    tokio::time::sleep(Duration::from_secs(75)).await;
    let log = system.worker.log();
    assert_eq!(log.matches("stopped consuming").count(), 1, "{log}");
    system.redis.resume().unwrap();
    system.wait_until_stored().await;
    system.worker.drain().await;
}

#[tokio::test]
async fn a_redis_that_hangs_returns_messages_once_before_the_consumer_timeout() {
    let rabbit = RabbitOptions {
        // RabbitMQ looks for consumers that overstay once a minute unless it is told otherwise.
        config: vec!["consumer_timeout = 50000".to_owned()],
        erl_args: ["-rabbit", "channel_tick_interval", "1000"]
            .map(String::from)
            .to_vec(),
    };
    let mut system = System::start_on(rabbit, RedisOptions::default()).await;
    let load = system.load();
    load.accept(1000).await;
    system.redis.pause().unwrap();
    load.accept(500).await;
    let sent = load.stop().await;
    // A batch is held for 30 s.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let log = system.worker.log();
    assert!(log.contains("stopped consuming"), "{log}");
    assert!(
        !log.contains("PRECONDITION"),
        "RabbitMQ's consumer_timeout fired: {log}"
    );
    system.redis.resume().unwrap();
    system
        .prove(
            "redis-server hanging for 60 s, consumer_timeout 50 s",
            &sent,
        )
        .await;
    system.worker.drain().await;
}
