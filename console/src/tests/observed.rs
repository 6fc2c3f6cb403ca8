//! What is seen of the nodes and of other consoles, over silence, restarts and failures.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::Value;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::{Activity, Report};
use skilift_core::control::{BootId, ControlChannel, Role};

use super::harness::TestConsole;
use crate::registry::tests::api;
use crate::view::aging::Aging;
use crate::view::nodes::NodesView;
use crate::view::queue::QueueView;

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
    let node = console.get(&format!("/nodes/{worker}"), &admin).await;
    let states = node["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["state"]);
    assert_eq!(states.collect::<Vec<_>>(), ["lost", "ready"], "{node:#}");
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

/// All ages and times of an answer, by their place.
fn ages(value: &Value, place: &str, found: &mut Vec<(String, u64)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = format!("{place}/{name}");
                match value.as_u64() {
                    Some(ms) if name == "at_ms" || name.ends_with("age_ms") => {
                        found.push((place, ms));
                    }
                    _ => ages(value, &place, found),
                }
            }
        }
        Value::Array(values) => {
            for (at, value) in values.iter().enumerate() {
                ages(value, &format!("{place}/{at}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_age_grows_between_collection_and_answer() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.start_heartbeats(Role::Api, 1).await;
    console.start_heartbeats(Role::Worker, 2).await;
    console.until_rates_are_known().await;
    let queue = console.get("/queue", &admin).await;
    let nodes = console.get("/nodes", &admin).await;
    let mut later_queue: QueueView = serde_json::from_value(queue.clone()).unwrap();
    let mut later_nodes: NodesView = serde_json::from_value(nodes.clone()).unwrap();
    later_queue.age_by(10_000);
    later_nodes.age_by(10_000);
    for (now, later) in [
        (queue, serde_json::to_value(later_queue).unwrap()),
        (nodes, serde_json::to_value(later_nodes).unwrap()),
    ] {
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        ages(&now, "", &mut expected);
        ages(&later, "", &mut found);
        expected.iter_mut().for_each(|(_, ms)| *ms += 10_000);
        assert!(expected.len() > 5, "{now}");
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_disk_that_does_not_answer_stops_no_snapshot() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.start_heartbeats(Role::Worker, 1).await;
    let _disk = console.console.state.stall().await;
    // Longer than the interval of writes.
    let at_ms = async || console.get("/queue", &admin).await["ready_messages"]["age_ms"].as_u64();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let age = at_ms().await.unwrap();
        assert!(age < 4_000, "{age}");
    }
}

fn alarm(queue: &Value, code: &str) -> Option<Value> {
    let alarms = queue["alarms"].as_array().unwrap().iter();
    let mut of_code = alarms.filter(|alarm| alarm["code"] == code);
    let alarm = of_code.next().cloned();
    assert!(of_code.next().is_none(), "{queue}");
    alarm
}

#[tokio::test]
async fn an_alarm_has_a_severity_a_time_and_a_remedy() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.start_heartbeats(Role::Api, 1).await;
    console.start_heartbeats(Role::Worker, 2).await;
    let plan = console
        .plan(&admin, serde_json::json!({"change": "pause"}))
        .await;
    console.apply(&admin, &plan, serde_json::json!({})).await;
    let queue = console.get("/queue", &admin).await;
    let paused = alarm(&queue, "paused").expect("an alarm");
    assert_eq!(paused["severity"], "info", "{paused}");
    assert_eq!(paused["since_at_ms"], queue["paused"]["paused_at_ms"]);
    assert_eq!(paused["remedy"], "Resume it with `skictl queue resume`.");

    console.silence().await;
    let since = async || {
        let queue = console.get("/queue", &admin).await;
        alarm(&queue, "nodes_lost").map(|alarm| alarm["since_at_ms"].clone())
    };
    console
        .until("lost", async || since().await.is_some())
        .await;
    let first = since().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(since().await, first, "it keeps its time");
}

#[tokio::test]
async fn a_drained_api_node_rejects_nothing_until_rides_arrive_at_it() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let boot = BootId::random();
    let started = epoch_ms();
    let beat = async |refused: u64, activity: Activity| {
        let mut api = api(1, boot, started, epoch_ms(), 5);
        if let Report::Api(report) = &mut api.report {
            report.shedding = vec!["this node is drained and accepts no rides".to_owned()];
            report.refused_requests = refused;
        }
        api.activity = activity;
        console.control_channel.send_heartbeat(&api).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        alarm(&console.get("/queue", &admin).await, "rides_rejected")
    };
    let drained = || Activity::Drained {
        plan: "p1".to_owned(),
    };
    for _ in 0..10 {
        assert_eq!(beat(0, drained()).await, None);
    }
    let began = Instant::now();
    let mut refused = 0;
    while beat(refused, drained()).await.is_none() {
        refused += 5;
        assert!(began.elapsed() < Duration::from_secs(20), "no alarm");
    }
    let active = beat(refused, Activity::Active).await;
    assert_eq!(active.expect("an alarm")["severity"], "critical");
}
