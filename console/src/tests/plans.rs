//! Plans: two operators at once, guards, crashes, history.

use axum::http::StatusCode;
use serde_json::json;
use skilift_core::control::Role;
use skilift_core::embedded::records::WriteBatch;

use super::harness::TestConsole;
use crate::view::plan::{PlanState, PlanView};

#[tokio::test]
async fn of_two_operators_at_once_one_is_told_that_his_plan_is_stale() {
    let console = TestConsole::new().await;
    console.until_published().await;
    let admin = console.local();
    let set = |threads: u32| json!({"change": "set_worker", "threads": threads});
    let (one, other) = (
        console.plan(&admin, set(8)).await,
        console.plan(&admin, set(16)).await,
    );
    let (first, second) = tokio::join!(
        console.apply(&admin, &one, json!({})),
        console.apply(&admin, &other, json!({}))
    );
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
    let (won, lost, refusal) = if first.status == StatusCode::OK {
        (8, other, second)
    } else {
        (16, one, first)
    };
    assert_eq!(refusal.code(), "conflict");
    assert!(refusal.message().contains("stale"), "{refusal:?}");
    let lost = console
        .get(&format!("/plans/{}", lost["id"].as_str().unwrap()), &admin)
        .await;
    assert_eq!(lost["state"], "stale");
    let settings = console.get("/settings", &admin).await;
    assert_eq!(settings["sections"][0]["values"]["threads"], won);
    assert_eq!(settings["sections"][0]["generation"]["version"], 2);
    // A plan is applied once.
    let again = console.plan(&admin, set(9)).await;
    let (first, second) = tokio::join!(
        console.apply(&admin, &again, json!({})),
        console.apply(&admin, &again, json!({}))
    );
    assert!(first.status != second.status, "{first:?} {second:?}");
    // Compare and set, for who has no plan in between.
    let stale = json!({"change": "set_worker", "threads": 4, "if_version": 2});
    let answer = console
        .ask("POST", "/plans", Some(&admin), Some(stale))
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn settings_have_history_and_go_back() {
    let console = TestConsole::new().await;
    console.until_published().await;
    let admin = console.local();
    let published = |document: &skilift_core::control::Document| {
        let worker = document.worker.unwrap();
        (
            worker.generation.version,
            worker.value.threads,
            worker.value.batch,
        )
    };
    console
        .change(&admin, json!({"change": "set_worker", "threads": 8}))
        .await;
    console
        .change(&admin, json!({"change": "set_worker", "batch": 500}))
        .await;
    assert_eq!(published(&console.until_published().await), (3, 8, 500));
    let back = json!({"change": "rollback", "section": "worker", "version": 1});
    console.change(&admin, back).await;
    assert_eq!(published(&console.until_published().await), (4, 2, 1000));
    console
        .change(&admin, json!({"change": "rollback", "section": "worker"}))
        .await;
    assert_eq!(published(&console.until_published().await), (5, 8, 500));
    let console = console.restart().await;
    let admin = console.local();
    let history = console.get("/settings/worker/history", &admin).await;
    let versions = history["versions"].as_array().unwrap();
    let threads: Vec<_> = versions
        .iter()
        .map(|version| version["values"]["threads"].clone())
        .collect();
    assert_eq!(threads, [8, 2, 8, 8, 2]);
    assert_eq!(versions[4]["updated_by"], "flags");
    assert_eq!(versions[0]["updated_by"], "local");
    assert!(versions[0]["plan"].is_string());
    // The same setting has the same hash, whatever its number.
    assert_eq!(
        versions[4]["generation"]["hash"],
        versions[1]["generation"]["hash"]
    );
    // What is so already changes nothing.
    let outcome = console
        .change(&admin, json!({"change": "set_worker", "threads": 8}))
        .await;
    assert_eq!(outcome["result"], "unchanged");
    assert_eq!(published(&console.until_published().await).0, 5);
    for (bad, status) in [
        (json!({"change": "set_worker", "threads": 0}), 400),
        (json!({"change": "set_worker", "threds": 3}), 400),
        (
            json!({"change": "set_api", "message_rides": 300, "max_in_flight": 200}),
            400,
        ),
        (
            json!({"change": "rollback", "section": "worker", "version": 77}),
            404,
        ),
        (json!({"change": "rollback", "section": "api"}), 404),
    ] {
        let answer = console
            .ask("POST", "/plans", Some(&admin), Some(bad.clone()))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{bad} {answer:?}");
    }
}

#[tokio::test]
async fn severe_plans_want_their_name_typed() {
    let console = TestConsole::new().await;
    let (admin, node) = (
        console.local(),
        console.start_heartbeats(Role::Worker, 1).await,
    );
    console.until_published().await;
    let drain = json!({"change": "drain", "node": node.as_str()});
    let plan = console.plan(&admin, drain.clone()).await;
    assert_eq!(
        (&plan["danger"], &plan["confirm"]),
        (&json!("severe"), &json!(node.as_str()))
    );
    for wrong in [json!({}), json!({"confirm": "worker"})] {
        let answer = console.apply(&admin, &plan, wrong).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "refused"));
    }
    // A second worker makes it moderate, and the plan another one.
    console.start_heartbeats(Role::Worker, 2).await;
    let answer = console
        .apply(&admin, &plan, json!({"confirm": node.as_str()}))
        .await;
    assert_eq!(answer.code(), "conflict");
    let outcome = console.change(&admin, drain.clone()).await;
    assert_eq!(outcome["result"], "succeeded");
    let document = console.until_published().await;
    let boot = console.console.roster.nodes()[0].boot;
    assert!(
        document
            .drain_of(&node, boot, 0)
            .is_some_and(|mark| mark.expires_at_ms.is_none())
    );
    assert_eq!(console.change(&admin, drain).await["result"], "unchanged");
    let undrain = json!({"change": "undrain", "node": node.as_str()});
    console.change(&admin, undrain.clone()).await;
    assert_eq!(console.change(&admin, undrain).await["result"], "unchanged");
    assert!(console.until_published().await.drains.is_empty());
    // One that is lost cannot be told.
    console.silence().await;
    let plan = console
        .plan(&admin, json!({"change": "drain", "node": node.as_str()}))
        .await;
    assert_eq!(plan["refusals"][0]["can_override"], false);
    let answer = console
        .apply(&admin, &plan, json!({"override_reason": "I want it"}))
        .await;
    assert_eq!(answer.code(), "refused");
}

#[tokio::test]
async fn pause_says_who_and_since_when() {
    let console = TestConsole::new().await;
    let admin = console.local();
    console.until_published().await;
    console.change(&admin, json!({"change": "pause"})).await;
    assert_eq!(
        console.until_published().await.pause.unwrap().paused_by,
        "local"
    );
    assert_eq!(
        console.change(&admin, json!({"change": "pause"})).await["result"],
        "unchanged"
    );
    let console = console.restart().await;
    assert!(console.until_published().await.pause.is_some());
    let admin = console.local();
    console.change(&admin, json!({"change": "resume"})).await;
    assert_eq!(console.until_published().await.pause, None);

    // One that ends by itself is over then, and the audit says so.
    let change = json!({"change": "pause", "for_s": 2});
    assert_eq!(console.change(&admin, change).await["result"], "succeeded");
    let paused = console.until_published().await.pause.unwrap();
    assert_eq!(paused.resumes_at_ms, Some(paused.paused_at_ms + 2_000));
    console
        .until("over", async || {
            console.until_published().await.pause.is_none()
        })
        .await;
    let audit = console.get("/audit?action=end", &admin).await;
    let reason = &audit["entries"][0]["reason"];
    assert_eq!(reason, "the pause by local is over", "{audit}");
    let long = json!({"change": "pause", "for_s": 604_801});
    let answer = console
        .ask("POST", "/plans", Some(&admin), Some(long))
        .await;
    assert_eq!(answer.code(), "invalid");
}

/// Leaves a plan as a crash does that comes after its intent and before its change.
async fn cut_off(console: &TestConsole, change: serde_json::Value) -> String {
    let plan = console.plan(&console.local(), change).await;
    let mut plan: PlanView = serde_json::from_value(plan).unwrap();
    plan.state = PlanState::Applying;
    plan.applied_by = Some("anna".to_owned());
    let mut changes = WriteBatch::default();
    console.console.state.put_plan(&mut changes, &plan).unwrap();
    console
        .console
        .state
        .commit("cut a plan off", changes, vec![])
        .await
        .unwrap();
    plan.id
}

#[tokio::test]
async fn a_plan_that_was_cut_off_is_gone_on_with_or_given_up() {
    let console = TestConsole::new().await;
    console.until_published().await;
    let pause = cut_off(&console, json!({"change": "pause"})).await;
    let key = cut_off(&console, json!({"change": "add_key", "name": "gate"})).await;
    let stale = cut_off(&console, json!({"change": "set_worker", "threads": 5})).await;
    let admin = console.local();
    console
        .change(&admin, json!({"change": "set_worker", "threads": 6}))
        .await;
    // However many plans came later.
    for _ in 0..150 {
        console.plan(&admin, json!({"change": "resume"})).await;
    }
    let console = console.restart().await;
    let admin = console.local();
    let state = async |id: &str| console.get(&format!("/plans/{id}"), &admin).await;
    let paused = state(&pause).await;
    assert_eq!(
        (&paused["state"], &paused["outcome"]["result"]),
        (&json!("applied"), &json!("succeeded"))
    );
    let document = console.until_published().await;
    assert!(document.pause.is_some());
    assert_eq!(document.worker.unwrap().value.threads, 6);
    // Its secret is known to nobody.
    for id in [&key, &stale] {
        let given_up = state(id).await;
        assert_eq!(
            (&given_up["state"], &given_up["outcome"]["result"]),
            (&json!("failed"), &json!("failed")),
            "{given_up}"
        );
        let says = given_up["outcome"]["steps"][0]["message"].as_str().unwrap();
        assert!(says.contains("before anything was changed"), "{says}");
    }
    assert_eq!(console.get("/keys", &admin).await["keys"], json!([]));
    let audit = console.get("/audit?action=apply", &admin).await;
    for (plan, outcome) in [(&pause, "succeeded"), (&key, "failed"), (&stale, "failed")] {
        let mut entries = audit["entries"].as_array().unwrap().iter();
        let entry = entries.find(|entry| entry["plan"] == **plan).unwrap();
        assert_eq!(
            (&entry["actor"], &entry["outcome"]),
            (&json!("anna"), &json!(outcome)),
            "{entry}"
        );
    }
}

#[tokio::test]
async fn a_plan_grows_old() {
    let console = TestConsole::new().await;
    let admin = console.local();
    // An array is no confirmation, whatever its parts are.
    let plan = console.plan(&admin, json!({"change": "pause"})).await;
    let answer = console
        .apply(&admin, &plan, json!([null, null, null]))
        .await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let plan = console.plan(&admin, json!({"change": "pause"})).await;
    let mut old: PlanView = serde_json::from_value(plan.clone()).unwrap();
    old.expires_at_ms = 1;
    let mut changes = WriteBatch::default();
    console.console.state.put_plan(&mut changes, &old).unwrap();
    console
        .console
        .state
        .commit("let a plan grow old", changes, vec![])
        .await
        .unwrap();
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.message().contains("expired"), "{answer:?}");
    assert_eq!(console.console.desired.document().pause, None);
}
