//! Nodes that are gone: the alarm that names them, acknowledged and across a restart, and how they are forgotten.

use serde_json::{Value, json};
use skilift_core::control::Role;

use super::harness::TestConsole;

async fn lost(console: &TestConsole, admin: &str) -> Option<Value> {
    let queue = console.ask("GET", "/queue", Some(admin), None).await.body;
    // A console that has just started has no alarms yet.
    let mut alarms = queue["alarms"].as_array()?.iter();
    alarms.find(|alarm| alarm["code"] == "nodes_lost").cloned()
}

async fn until_lost(console: &TestConsole, admin: &str, count: u64) -> Value {
    console
        .until("lost", async || {
            let alarm = lost(console, admin).await;
            alarm.is_some_and(|alarm| alarm["count"] == count)
        })
        .await;
    lost(console, admin).await.unwrap()
}

#[tokio::test]
async fn a_lost_node_is_acknowledged_until_another_is_lost_and_forgotten_for_good() {
    let console = TestConsole::new().await;
    let admin = console.local();
    let api = console.start_heartbeats(Role::Api, 1).await;
    let worker = console.start_heartbeats(Role::Worker, 2).await;
    let forget = |node: &str| json!({"change": "forget", "node": node});
    let plan = console.plan(&admin, forget(api.as_str())).await;
    let refused = plan["refusals"][0]["reason"].as_str().unwrap();
    assert!(refused.contains("sends heartbeats"), "{refused}");

    console.silence().await;
    let first = until_lost(&console, &admin, 2).await;
    let reason = "the hosts were replaced";
    let acknowledge =
        json!({"change": "acknowledge", "alarm": "nodes_lost", "reason": format!(" {reason} ")});
    console.change(&admin, acknowledge.clone()).await;
    let is_acknowledged = async |console: &TestConsole| {
        let alarm = lost(console, &admin).await;
        alarm.is_some_and(|alarm| !alarm["acknowledged"].is_null())
    };
    console
        .until("acknowledged", async || is_acknowledged(&console).await)
        .await;

    // A restarted console knows since when, and that it was acknowledged.
    let console = console.restart().await;
    let admin = console.local();
    let again = until_lost(&console, &admin, 2).await;
    assert_eq!(again["since_at_ms"], first["since_at_ms"]);
    assert_eq!(again["acknowledged"]["reason"], reason, "{again}");

    // One more is another matter.
    console.start_heartbeats(Role::Worker, 3).await;
    console.silence().await;
    let more = until_lost(&console, &admin, 3).await;
    assert_eq!(more["acknowledged"], Value::Null, "{more}");
    assert_eq!(more["since_at_ms"], first["since_at_ms"]);
    for node in [&api, &worker] {
        console.change(&admin, forget(node.as_str())).await;
    }
    until_lost(&console, &admin, 1).await;
    let nodes = console.get("/nodes", &admin).await;
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1, "{nodes}");
    let long = json!({"change": "acknowledge", "alarm": "nodes_lost", "reason": "x".repeat(501)});
    let answer = console
        .ask("POST", "/plans", Some(&admin), Some(long))
        .await;
    assert_eq!(answer.code(), "invalid");
    // It stays forgotten.
    let console = console.restart().await;
    let admin = console.local();
    until_lost(&console, &admin, 1).await;
}
