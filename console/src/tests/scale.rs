//! Plans of machines: chosen, priced and guarded. [`applying`]: what comes of them. [`cancelling`]: cut short. [`pages`]: in a browser.

mod applying;
mod cancelling;
mod pages;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use skilift_fleet::Fleet;
use skilift_fleet::instance::{InstanceState, Obstacle};
use skilift_fleet::outcome::OutcomeCode;

use super::harness::{TestConsole, TestControlChannel};
use super::machines::TestMachines;
use crate::fleet::machines::Machines;
use crate::view::access::UserRole;

/// A console with `workers` machines of which `up` run, and all their nodes heard.
async fn with(workers: u16, up: u16) -> (TestConsole, Arc<TestMachines>, String) {
    with_pace(workers, up, (0, 0.5)).await
}

async fn with_pace(
    workers: u16,
    up: u16,
    pace: (u64, f64),
) -> (TestConsole, Arc<TestMachines>, String) {
    let control_channel: Arc<TestControlChannel> = Arc::default();
    let machines = TestMachines::with_pace(&control_channel, workers, up, pace);
    let fleet = Arc::clone(&machines) as Arc<dyn Fleet>;
    let console =
        TestConsole::with_fleet(tempfile::tempdir().unwrap(), control_channel, fleet).await;
    console.until_published().await;
    let heard = async || {
        let nodes = console.console.roster.nodes();
        nodes.iter().filter(|node| node.works).count() == usize::from(up) + 1
    };
    console.until("all nodes are heard", heard).await;
    let admin = console.local();
    (console, machines, admin)
}

fn scale(count: Value) -> Value {
    json!({"change": "scale", "roles": [{"role": "worker", "count": count}]})
}

/// Which machines a plan does something to.
fn of(plan: &Value, does: &str) -> Vec<String> {
    let actions = plan["actions"].as_array().unwrap().iter();
    let these = actions.filter(|action| action["action"] == does);
    these
        .map(|action| action["target"].as_str().unwrap().to_owned())
        .collect()
}

/// Applies a plan and waits for its end.
async fn carry_out(console: &TestConsole, admin: &str, plan: &Value, request: Value) -> Value {
    let answer = console.apply(admin, plan, request).await;
    assert_eq!(answer.status, StatusCode::OK, "{plan} {answer:?}");
    ended(console, admin, plan).await
}

/// The plan as it is when it has come to its end.
async fn ended(console: &TestConsole, admin: &str, plan: &Value) -> Value {
    let path = format!("/plans/{}", plan["id"].as_str().unwrap());
    let is_over = async || console.get(&path, admin).await["state"] != "applying";
    console.until("the plan ends", is_over).await;
    console.get(&path, admin).await
}

fn refusals(plan: &Value) -> String {
    plan["refusals"].to_string()
}

#[tokio::test]
async fn bounds_and_the_last_machine_and_more_than_half_are_guarded() {
    let (console, machines, admin) = with(6, 5).await;
    let operator = console.token(&admin, UserRole::Operator).await;
    let plan = console.plan(&admin, scale(json!({"to": 9}))).await;
    assert!(refusals(&plan).contains("maximum of 8"), "{plan}");
    assert!(refusals(&plan).contains("only 6 instances"), "{plan}");
    let answer = console
        .apply(&admin, &plan, json!({"override_reason": "please"}))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);

    console
        .change(&admin, json!({"change": "set_fleet", "worker_min": 3}))
        .await;
    let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
    assert!(refusals(&plan).contains("minimum of 3"), "{plan}");
    let bad = json!({"change": "set_fleet", "worker_min": 3, "worker_max": 2});
    let answer = console.ask("POST", "/plans", Some(&admin), Some(bad)).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    console
        .change(&admin, json!({"change": "set_fleet", "worker_min": 1}))
        .await;

    let mut none = scale(json!({"to": 0}));
    let plan = console.plan(&admin, none.clone()).await;
    assert!(refusals(&plan).contains("--allow-zero"), "{plan}");
    none["allow_zero"] = json!(true);
    let plan = console.plan(&operator, none).await;
    assert_eq!(
        (&plan["danger"], &plan["confirm"]),
        (&json!("severe"), &json!("test"))
    );
    assert_eq!(plan["refusals"], json!([]), "{plan}");
    let answer = console
        .apply(&operator, &plan, json!({"confirm": "test"}))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Five to two, also where somebody only names machines.
    let three = json!({"change": "scale", "stop": ["i-00000001", "i-00000002", "i-00000003"]});
    for change in [scale(json!({"to": 2})), three] {
        assert_eq!(console.plan(&admin, change).await["danger"], "severe");
    }
    assert_eq!(
        console.plan(&admin, scale(json!({"to": 4}))).await["danger"],
        "moderate"
    );
    assert_eq!(machines.calls.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn an_api_node_is_given_the_time_that_its_balancer_needs() {
    let (console, _machines, admin) = with(1, 1).await;
    let mut change = json!({"change": "scale", "stop": ["i-00000064"], "drain_timeout_s": 14});
    let plan = console.plan(&admin, change.clone()).await;
    assert!(refusals(&plan).contains("too short"), "{plan}");
    change["stop_anyway"] = json!(true);
    let plan = console.plan(&admin, change.clone()).await;
    assert!(!refusals(&plan).contains("too short"), "{plan}");
    change["stop_anyway"] = json!(false);
    change["drain_timeout_s"] = json!(15);
    let plan = console.plan(&admin, change).await;
    assert!(!refusals(&plan).contains("too short"), "{plan}");
}

#[tokio::test]
async fn what_was_never_listed_is_unknown_and_not_none() {
    let control_channel: Arc<TestControlChannel> = Arc::default();
    let machines = TestMachines::with_pace(&control_channel, 1, 1, (0, 0.5));
    *machines.away.lock().unwrap() = Some(OutcomeCode::Unreachable);
    let fleet = Arc::clone(&machines) as Arc<dyn Fleet>;
    let console =
        TestConsole::with_fleet(tempfile::tempdir().unwrap(), control_channel, fleet).await;
    let admin = console.local();
    let fleet = console.get("/fleet", &admin).await;
    let worker = &fleet["roles"][1];
    assert_eq!(
        (&worker["running"], &worker["stopped"]),
        (&Value::Null, &Value::Null),
        "{fleet}"
    );
    let cost = console.get("/cost", &admin).await;
    assert_eq!(cost["has_redis"], Value::Null, "{cost}");
}

#[tokio::test]
async fn a_number_and_names_that_do_not_agree_are_refused() {
    let (console, _machines, admin) = with(3, 2).await;
    let mut change = scale(json!({"to": 2}));
    change["stop"] = json!(["i-00000001", "i-00000002"]);
    let plan = console.plan(&admin, change).await;
    assert!(refusals(&plan).contains("0 would be up"), "{plan}");
    let answer = console
        .apply(&admin, &plan, json!({"override_reason": "please"}))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_plan_stands_on_the_machines_as_they_were() {
    let (console, machines, admin) = with(4, 2).await;
    let mut expecting = scale(json!({"by": 1}));
    expecting["expect_running"] = json!(3);
    let answer = console
        .ask("POST", "/plans", Some(&admin), Some(expecting))
        .await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
    let plan = console.plan(&admin, scale(json!({"by": 1}))).await;
    machines.change("i-00000002", |instance| {
        instance.state = InstanceState::Stopping
    });
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:?}");
    assert!(answer.message().contains("stale"), "{answer:?}");
    for bad in [
        scale(json!({"by": -7})),
        json!({"change": "scale"}),
        json!({"change": "scale", "start": ["i-1"], "stop": ["i-1"]}),
        json!({"change": "scale", "stop": ["i-1"], "drain_timeout_s": 0}),
        json!({"change": "scale", "roles": [
            {"role": "worker", "count": {"to": 1}}, {"role": "worker", "count": {"to": 2}}]}),
        json!({"change": "scale", "roles": [{"role": "broker", "count": {"to": 1}}]}),
    ] {
        let answer = console
            .ask("POST", "/plans", Some(&admin), Some(bad.clone()))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad} {answer:?}");
    }
}

#[tokio::test]
async fn who_may_not_is_told_before_anything_is_done() {
    let (console, machines, admin) = with(2, 1).await;
    machines.is_denied.store(true, Ordering::Relaxed);
    let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
    assert_eq!(plan["refusals"][0]["code"], "denied", "{plan}");
    assert_eq!(plan["refusals"][0]["can_override"], false);
    // Nor is it tried.
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{answer:?}"
    );
    assert_eq!(machines.calls.lock().unwrap().len(), 0);
    *machines.away.lock().unwrap() = Some(OutcomeCode::Unreachable);
    let answer = console
        .ask(
            "POST",
            "/plans",
            Some(&admin),
            Some(scale(json!({"to": 2}))),
        )
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let fleet = console.get("/fleet", &admin).await;
    assert!(fleet["error"].as_str().unwrap().contains("away"), "{fleet}");
    assert_eq!(
        fleet["instances"].as_array().unwrap().len(),
        3,
        "what was listed last stays"
    );
}

#[tokio::test]
async fn what_cannot_be_stopped_is_not_chosen_and_says_why() {
    let (console, machines, admin) = with(2, 2).await;
    machines.change("i-00000002", |instance| {
        instance.obstacle = Some(Obstacle::AutoScaling {
            group: "gates".to_owned(),
        });
    });
    let plan = console.plan(&admin, scale(json!({"to": 1}))).await;
    assert_eq!(of(&plan, "stop"), ["i-00000001"]);
    let named = console
        .plan(&admin, json!({"change": "scale", "stop": ["i-00000002"]}))
        .await;
    assert!(
        refusals(&named).contains("Auto Scaling group gates"),
        "{named}"
    );
    let mut none = scale(json!({"to": 0}));
    none["allow_zero"] = json!(true);
    let none = console.plan(&admin, none).await;
    assert!(refusals(&none).contains("cannot be stopped"), "{none}");
}

#[tokio::test]
async fn less_than_what_arrives_is_refused_with_the_margin() {
    // Each of three stores 1,000 rides a second and is busy for 80 % of its time; the API node accepts as many as one stores.
    let (console, machines, admin) = with_pace(3, 3, (1_000, 0.8)).await;
    let measured = async || {
        let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
        plan["effects"]
            .to_string()
            .contains("2 can store about 2,5")
    };
    console.until("the rates are measured", measured).await;
    // One could store 1,250: enough for the 1,000 that arrive.
    let one = console.plan(&admin, scale(json!({"to": 1}))).await;
    assert_eq!(one["refusals"], json!([]), "{one}");
    let mut fewer_threads = scale(json!({"to": 1}));
    fewer_threads["threads"] = json!(1);
    let plan = console.plan(&admin, fewer_threads).await;
    assert_eq!(plan["refusals"][0]["can_override"], true, "{plan}");
    assert!(refusals(&plan).contains("rides/s short"), "{plan}");
    let confirm = json!({"confirm": plan["confirm"]});
    let answer = console.apply(&admin, &plan, confirm).await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{answer:?}"
    );
    let request = json!({"confirm": plan["confirm"], "override_reason": "the season is over"});
    let done = carry_out(&console, &admin, &plan, request).await;
    assert_eq!(done["state"], "applied", "{done}");
    assert_eq!(machines.calls.lock().unwrap().len(), 1);
    let audit = console.get("/audit?action=apply&limit=1", &admin).await;
    let said = audit["entries"][0]["reason"].as_str().unwrap();
    assert!(said.contains("the season is over"), "{audit}");
}

#[tokio::test]
async fn without_machines_it_says_why_and_settings_still_change() {
    let console = TestConsole::new().await;
    console.until_published().await;
    let admin = console.local();
    let answer = console
        .ask(
            "POST",
            "/plans",
            Some(&admin),
            Some(scale(json!({"to": 2}))),
        )
        .await;
    assert_eq!(
        answer.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{answer:?}"
    );
    assert!(answer.message().contains("data directory"), "{answer:?}");
    let fleet = console.get("/fleet", &admin).await;
    assert_eq!(fleet["kind"], "none");
    let cost = console.get("/cost", &admin).await;
    assert!(
        cost["usd_per_h"]["error"]
            .as_str()
            .unwrap()
            .contains("data directory"),
        "{cost}"
    );
    let outcome = console
        .change(
            &admin,
            json!({"change": "scale", "threads": 7, "channels": 2}),
        )
        .await;
    assert_eq!(outcome["result"], "succeeded", "{outcome}");
    let document = console.until_published().await;
    assert_eq!(document.worker.unwrap().value.threads, 7);
    assert_eq!(document.api.unwrap().value.channels, 2);
}

#[tokio::test(start_paused = true)]
async fn failing_listings_count_from_the_first_to_the_next_success() {
    let fleet = TestMachines::with_pace(&Arc::default(), 1, 0, (0, 0.5));
    let machines = Machines::new(Some(Arc::clone(&fleet) as Arc<dyn Fleet>));
    machines.refresh().await.unwrap();
    assert_eq!(machines.failing(), None);
    *fleet.away.lock().unwrap() = Some(OutcomeCode::Unreachable);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(30)).await;
        machines.refresh().await.unwrap_err();
    }
    let failing = ("away, for a test".to_owned(), Duration::from_secs(60));
    assert_eq!(machines.failing(), Some(failing));
    *fleet.away.lock().unwrap() = None;
    machines.refresh().await.unwrap();
    assert_eq!(machines.failing(), None);
}
