//! What nodes are told, while the way to them comes and goes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use skilift_core::control::{ControlChannel, Document, IngestKeys, Versioned};

use super::harness::{TestConsole, TestControlChannel, WORKER};
use crate::config::Seeds;

#[tokio::test]
async fn what_redis_forgot_stands_there_again() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console
        .change(&admin, json!({"change": "add_key", "name": "gate"}))
        .await;
    console
        .change(&admin, json!({"change": "set_ingest", "keys": true}))
        .await;
    let before = console.until_published().await;
    console.control_channel.flush();
    assert_eq!(console.until_published().await, before);
    let keys = console
        .control_channel
        .ingest_keys()
        .await
        .unwrap()
        .unwrap();
    assert_eq!((keys.serial, keys.keys.len()), (before.keys_serial, 1));
}

#[tokio::test]
async fn without_redis_the_console_works_and_says_so() {
    let control_channel = Arc::new(TestControlChannel::default());
    control_channel.is_away.store(true, Ordering::Relaxed);
    let console = TestConsole::on(tempfile::tempdir().unwrap(), control_channel, false).await;
    let admin = console.local();
    // Nothing was seeded, for it is not known what others published.
    let full =
        json!({"change": "set_worker", "threads": 3, "prefetch": 10, "batch": 10, "linger_ms": 1});
    let partial = console
        .ask(
            "POST",
            "/plans",
            Some(&admin),
            Some(json!({"change": "set_worker", "threads": 3})),
        )
        .await;
    assert_eq!(partial.code(), "refused");
    let plan = console.plan(&admin, full.clone()).await;
    assert!(
        plan["effects"]
            .to_string()
            .contains("cannot be reached now"),
        "{plan}"
    );
    console.change(&admin, full).await;
    let settings = console.get("/settings", &admin).await;
    assert!(
        settings["sections"][0]["note"]
            .as_str()
            .unwrap()
            .contains("cannot be distributed"),
        "{settings}"
    );
    console
        .control_channel
        .is_away
        .store(false, Ordering::Relaxed);
    let document = console.until_published().await;
    assert_eq!(document.worker.unwrap().value.threads, 3);
    console
        .until("no note", async || {
            console.get("/settings", &admin).await["sections"][0]["note"].is_null()
        })
        .await;
}

#[tokio::test]
async fn a_new_folder_takes_over_what_is_published() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console
        .change(&admin, json!({"change": "add_key", "name": "gate"}))
        .await;
    console
        .change(&admin, json!({"change": "set_worker", "threads": 9}))
        .await;
    let before = console.until_published().await;
    let (_, control_channel) = console.stop().await;
    let console = TestConsole::on(tempfile::tempdir().unwrap(), control_channel, false).await;
    console
        .until("taken over", async || {
            console
                .console
                .desired
                .document()
                .worker
                .is_some_and(|set| set.value.threads == 9)
        })
        .await;
    let admin = console.local();
    let now = console.until_published().await;
    assert_eq!(
        (now.worker, now.keys_serial),
        (before.worker, before.keys_serial)
    );
    assert_eq!(
        console.get("/keys", &admin).await["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let history = console.get("/settings/worker/history", &admin).await;
    assert_eq!(history["versions"][0]["updated_by"], "another console");
}

#[tokio::test]
async fn old_keys_are_never_published_under_the_serial_of_newer_ones() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let key = json!({"change": "add_key", "name": "stolen"});
    console.change(&admin, key).await;
    let ours = console.until_published().await;
    // Another console revokes it, and its keys cannot be read.
    let theirs = Document {
        serial: ours.next_serial(),
        keys_serial: ours.next_keys_serial(),
        ..ours.clone()
    };
    console.control_channel.flush();
    console.control_channel.publish(&theirs).await.unwrap();
    console
        .until("imported", async || {
            console.console.desired.document().serial >= theirs.serial
        })
        .await;
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let published = console.control_channel.ingest_keys().await.unwrap();
    assert!(published.is_none_or(|keys| keys.serial < theirs.keys_serial));
    // Once they can be read, they are taken over.
    let keys = IngestKeys {
        serial: theirs.keys_serial,
        keys: Vec::new(),
    };
    console
        .control_channel
        .publish_ingest_keys(&keys)
        .await
        .unwrap();
    console
        .until("no keys", async || {
            console.get("/keys", &admin).await["keys"] == json!([])
        })
        .await;
}

#[tokio::test]
async fn two_consoles_under_one_number_come_to_one_document() {
    let console = TestConsole::new().await;
    let ours = console.until_published().await;
    let theirs = Document {
        worker: Some(Versioned::new(2, WORKER)),
        ..ours.clone()
    };
    console.control_channel.flush();
    console.control_channel.publish(&theirs).await.unwrap();
    console
        .until("numbered anew", async || {
            let published = console.control_channel.document().await.unwrap().unwrap();
            published.serial > ours.serial && published.worker == ours.worker
        })
        .await;
}

#[tokio::test]
async fn what_nobody_says_is_left_to_the_flags() {
    let none = Seeds::default();
    let console =
        TestConsole::with(tempfile::tempdir().unwrap(), Arc::default(), false, none).await;
    let admin = console.local();
    let settings = console.get("/settings", &admin).await;
    for section in settings["sections"].as_array().unwrap() {
        assert!(
            section["generation"].is_null() && section["values"] == json!({}),
            "{section}"
        );
    }
    // A stored setting rules over other flags after a restart.
    console
        .change(&admin, json!({"change": "set_ingest", "keys": true}))
        .await;
    let console = console.restart().await;
    let document = console.until_published().await;
    assert_eq!(
        document.ingest.unwrap().value,
        skilift_core::control::Ingest::Keys
    );
}
