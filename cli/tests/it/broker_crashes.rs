//! What happens to RabbitMQ.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::proof::report;
use crate::system::System;

#[tokio::test]
async fn rabbitmq_stopped_and_started_loses_and_doubles_nothing() {
    let mut system = System::start().await;
    let load = system.load();
    load.accept(2000).await;
    system.rabbit.stop().await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    system.rabbit.start_again().await.unwrap();
    load.accept(2000).await;
    let sent = load.stop().await;
    assert!(sent.refused > 0, "the crash was not under load");
    system.prove("RabbitMQ stopped and started", &sent).await;
}

#[tokio::test]
async fn rabbitmq_killed_under_load_loses_and_doubles_nothing() {
    let mut system = System::start().await;
    let load = system.load();
    for _ in 0..2 {
        load.accept(2000).await;
        system.rabbit.kill().await.unwrap();
        system.rabbit.start_again().await.unwrap();
    }
    load.accept(2000).await;
    let sent = load.stop().await;
    assert!(sent.refused > 0, "the crash was not under load");
    system.prove("kill -9 of RabbitMQ, 2 times", &sent).await;
}

#[tokio::test]
async fn a_deleted_queue_loses_only_what_was_in_it() {
    let system = System::start().await;
    let load = system.load();
    load.accept(2000).await;
    let queue = system.stack.ride_queue();
    system.rabbit.ctl(&["delete_queue", &queue]).await.unwrap();
    load.accept(2000).await;
    let sent = load.stop().await;
    system.wait_until_stored().await;
    let figures = system.compare(&sent).await;
    report("the queue deleted", &sent, &figures);
    // Deleting a queue deletes the rides that are in it, and no one can keep that promise; with a worker that keeps up,
    // those are the messages of a moment.
    assert_eq!((figures.foreign, figures.doubled), (0, 0));
    assert!(figures.lost < 1000, "{figures:?}");
    // The books count what was stored, whatever was lost.
    assert_eq!(figures.books.applied, figures.stored as u64);
    assert!(sent.refused > 0, "nobody noticed that the queue was gone");
    let refusals: BTreeSet<&str> = sent.messages.keys().map(String::as_str).collect();
    assert!(
        refusals.iter().any(|message| message.contains("RabbitMQ")),
        "{refusals:?}"
    );
}

#[tokio::test]
async fn a_full_queue_refuses_rides_and_recovers() {
    let mut system = System::start().await;
    system.worker.drain().await;
    let queue = system.stack.ride_queue();
    let pattern = format!("^{}$", queue.replace('.', "\\."));
    let limit = [
        "set_policy",
        "small",
        &pattern,
        r#"{"max-length":20}"#,
        "--apply-to",
        "queues",
    ];
    system.rabbit.ctl(&limit).await.unwrap();
    let load = system.load();
    tokio::time::sleep(Duration::from_secs(3)).await;
    system.start_worker_again();
    system.rabbit.ctl(&["clear_policy", "small"]).await.unwrap();
    load.accept(1000).await;
    let sent = load.stop().await;
    assert!(
        sent.messages
            .keys()
            .any(|message| message.contains("the queue of rides is full")),
        "{:?}",
        sent.messages
    );
    system.prove("the queue full (reject-publish)", &sent).await;
}

#[tokio::test]
async fn a_broker_short_of_memory_is_not_pressed_and_gets_rides_again_when_it_recovers() {
    let system = System::start().await;
    let load = system.load();
    load.accept(1000).await;
    system
        .rabbit
        .ctl(&["set_vm_memory_high_watermark", "0.00001"])
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(25)).await;
    let ready = skilift_servers::http()
        .get(format!("{}/readyz", system.url))
        .send()
        .await
        .unwrap();
    assert_eq!(ready.status(), 503);
    system
        .rabbit
        .ctl(&["set_vm_memory_high_watermark", "0.4"])
        .await
        .unwrap();
    load.accept(1000).await;
    let sent = load.stop().await;
    let log = system.api.log();
    assert!(
        sent.messages
            .keys()
            .any(|message| message.contains("short of memory")),
        "{:?}",
        sent.messages
    );
    assert_eq!(
        log.matches("refusing rides: RabbitMQ is short of memory")
            .count(),
        1,
        "it flapped: {log}"
    );
    system
        .prove("RabbitMQ short of memory for 25 s", &sent)
        .await;
}
