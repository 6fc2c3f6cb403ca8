//! What is seen of the nodes and of other consoles, over silence, restarts and failures.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use skilift_core::control::Role;

use super::harness::TestConsole;

fn state(nodes: &Value, id: &str) -> String {
    let rows = nodes["nodes"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == id);
    row.map_or_else(String::new, |row| row["state"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_restarted_console_still_misses_who_was_lost() {
    let console = TestConsole::new().await;
    let worker = console.start_heartbeats(Role::Worker, 1).await.to_string();
    console.silence().await;
    let console = console.restart().await;
    let admin = console.local();
    console
        .until("looked", async || {
            console.console.monitor.latest().is_some()
        })
        .await;
    assert_eq!(state(&console.get("/nodes", &admin).await, &worker), "lost");
    let queue = console.get("/queue", &admin).await;
    let alarms = queue["alarms"].to_string();
    assert!(
        alarms.contains(&format!("no heartbeat from {worker}")),
        "{alarms}"
    );
    // Right after the subscription the console does not know yet that no worker sends heartbeats.
    assert!(!alarms.contains("no worker is up"), "{alarms}");
}

#[tokio::test]
async fn a_way_that_does_not_answer_makes_nobody_lost() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let worker = console.start_heartbeats(Role::Worker, 1).await.to_string();
    console
        .control_channel
        .is_away
        .store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(7)).await;
    let nodes = console.get("/nodes", &admin).await;
    assert_eq!(state(&nodes, &worker), "ready", "{nodes}");
    let alarms = console.get("/queue", &admin).await["alarms"].to_string();
    assert!(alarms.contains("no heartbeats received"), "{alarms}");
    assert!(!alarms.contains("no heartbeat from"), "{alarms}");
    console
        .control_channel
        .is_away
        .store(false, Ordering::Relaxed);
    console
        .until("heard again", async || {
            let alarms = console.get("/queue", &admin).await["alarms"].to_string();
            !alarms.contains("no heartbeats received")
        })
        .await;
}

#[tokio::test]
async fn a_console_that_takes_no_dead_letters_does_not_count_them() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let dead = async |console: &TestConsole, admin: &str| {
        console.get("/queue", admin).await["dead_letters"].clone()
    };
    console
        .until("0 dead letters", async || {
            console.console.monitor.latest().is_some() && dead(&console, &admin).await["value"] == 0
        })
        .await;
    let (folder, control_channel) = console.stop().await;
    let console = TestConsole::on(folder, control_channel, true).await;
    let admin = console.local();
    console
        .until("asked", async || {
            console.console.monitor.latest().is_some()
                && dead(&console, &admin).await["age_ms"].is_null()
        })
        .await;
    let letters = dead(&console, &admin).await;
    assert!(letters["value"].is_null(), "{letters}");
    let why = letters["error"].as_str().unwrap();
    assert!(why.contains("another one stores the dead letters"), "{why}");
}
