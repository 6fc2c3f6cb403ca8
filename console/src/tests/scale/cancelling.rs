//! Plans that are cancelled: before they are applied, while machines start, while nodes drain; and work that panics.

use skilift_fleet::outcome::Verb;

use super::*;
use crate::tests::harness::Answer;
use crate::view::plan::StepCode;

async fn cancel(console: &TestConsole, token: &str, plan: &Value) -> Answer {
    let path = format!("/plans/{}/cancel", plan["id"].as_str().unwrap());
    console.ask("POST", &path, Some(token), None).await
}

fn step<'a>(plan: &'a Value, target: &str) -> &'a Value {
    let mut steps = plan["outcome"]["steps"].as_array().unwrap().iter();
    steps
        .find(|step| step["action"]["target"] == target)
        .unwrap_or_else(|| panic!("{target} in {plan}"))
}

#[tokio::test]
async fn a_plan_that_was_not_applied_can_no_longer_be() {
    let (console, machines, admin) = with(3, 2).await;
    let viewer = console.token(&admin, UserRole::Viewer).await;
    let plan = console.plan(&admin, scale(json!({"to": 3}))).await;
    let denied = cancel(&console, &viewer, &plan).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let cancelled = cancel(&console, &admin, &plan).await;
    assert_eq!(cancelled.body["state"], "cancelled", "{cancelled:?}");
    let applied = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(applied.status, StatusCode::CONFLICT, "{applied:?}");
    assert!(applied.message().contains("was cancelled"), "{applied:?}");
    let again = cancel(&console, &admin, &plan).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
    assert_eq!(machines.calls.lock().unwrap().len(), 0);
    let audit = console.get("/audit?action=cancel", &admin).await;
    let outcomes: Vec<&str> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["refused", "succeeded"], "{audit}");
}

#[tokio::test]
async fn a_cancelled_drain_stops_nothing_and_the_node_works_on() {
    let (console, machines, admin) = with(3, 3).await;
    machines
        .stubborn
        .lock()
        .unwrap()
        .insert("i-00000003".to_owned());
    let mut change = scale(json!({"to": 2}));
    change["stop"] = json!(["i-00000003"]);
    let plan = console.plan(&admin, change).await;
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.body["result"], "running", "{answer:?}");
    assert_eq!(console.console.desired.document().drains.len(), 1);
    let cancelled = cancel(&console, &admin, &plan).await.body;
    assert_eq!(cancelled["state"], "cancelled", "{cancelled}");
    let stop = step(&cancelled, "i-00000003");
    assert_eq!(
        (&stop["done"], &stop["code"]),
        (&json!(false), &json!("cancelled")),
        "{stop}"
    );
    assert!(
        stop["message"].as_str().unwrap().contains("keeps working"),
        "{stop}"
    );
    let audit = console.get("/audit?action=cancel", &admin).await;
    let outcome = |place: usize| audit["entries"][place]["outcome"].clone();
    assert_eq!(
        (outcome(0), outcome(1)),
        (json!("succeeded"), json!("started")),
        "{audit}"
    );
    assert!(console.console.desired.document().drains.is_empty());
    assert_eq!(machines.calls.lock().unwrap().len(), 0);
    // Another plan can follow at once.
    let next = console.plan(&admin, scale(json!({"by": -1}))).await;
    assert_eq!(refusals(&next), "[]", "{next}");
}

#[tokio::test]
async fn a_start_that_was_sent_is_ended_and_the_stops_after_it_are_not_begun() {
    let (console, machines, admin) = with(4, 2).await;
    let held = machines.gate.acquire_many(1_000).await.unwrap();
    let change = json!({"change": "scale", "start": ["i-00000003"], "stop": ["i-00000001"]});
    let plan = console.plan(&admin, change).await;
    let answer = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(answer.body["result"], "running", "{answer:?}");
    let cancelled = cancel(&console, &admin, &plan).await.body;
    // The call to EC2 is still waited for, but what has not begun is already ended, also in the journal.
    assert_eq!(cancelled["state"], "applying", "{cancelled}");
    let stop = step(&cancelled, "i-00000001");
    assert_eq!(stop["code"], "cancelled", "{stop}");
    let stored = console
        .console
        .state
        .plan(plan["id"].as_str().unwrap())
        .unwrap()
        .unwrap();
    let codes: Vec<_> = stored
        .outcome
        .unwrap()
        .steps
        .iter()
        .map(|step| step.code)
        .collect();
    assert!(codes.contains(&Some(StepCode::Cancelled)), "{codes:?}");
    drop(held);
    let done = ended(&console, &admin, &plan).await;
    assert_eq!(done["state"], "cancelled", "{done}");
    assert_eq!(machines.state("i-00000001"), InstanceState::Running);
    assert_eq!(machines.state("i-00000003"), InstanceState::Running);
    assert_eq!(
        *machines.calls.lock().unwrap(),
        [(Verb::Start, vec!["i-00000003".to_owned()])]
    );
    // A console that starts again has nothing to go on with.
    assert!(console.console.state.plans_under_way().unwrap().is_empty());
    let listed = console.get("/plans?limit=1", &admin).await;
    assert_eq!(listed["plans"][0]["id"], plan["id"]);
    assert_eq!(listed["plans"][0]["state"], "cancelled", "{listed}");
}

#[tokio::test]
async fn work_that_panics_has_failed_and_another_plan_can_follow() {
    let (console, machines, admin) = with(3, 1).await;
    machines.panics.store(true, Ordering::Relaxed);
    let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["state"], "failed", "{done}");
    let start = &done["outcome"]["steps"][0];
    let message = start["message"].as_str().unwrap();
    assert!(message.starts_with("internal error (pending)"), "{start}");
    machines.panics.store(false, Ordering::Relaxed);
    let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
    let done = carry_out(&console, &admin, &plan, json!({})).await;
    assert_eq!(done["state"], "applied", "{done}");
}

#[tokio::test]
async fn a_restarted_console_does_not_go_on_with_a_cancelled_plan() {
    let (console, machines, admin) = with(4, 2).await;
    let held = machines.gate.acquire_many(1_000).await.unwrap();
    let change = json!({"change": "scale", "start": ["i-00000003"], "stop": ["i-00000001"]});
    let plan = console.plan(&admin, change).await;
    console.apply(&admin, &plan, json!({})).await;
    let cancelled = cancel(&console, &admin, &plan).await.body;
    assert_eq!(
        (&cancelled["state"], &cancelled["is_cancelling"]),
        (&json!("applying"), &json!(true)),
        "{cancelled}"
    );
    let fleet = Arc::clone(&machines) as Arc<dyn Fleet>;
    let (folder, control_channel) = console.stop().await;
    drop(held);
    let console = TestConsole::with_fleet(folder, control_channel, fleet).await;
    let admin = console.local();
    let done = ended(&console, &admin, &plan).await;
    assert_eq!(done["state"], "cancelled", "{done}");
    let start = step(&done, "i-00000003");
    assert!(
        start["message"].as_str().unwrap().contains("see its state"),
        "{start}"
    );
    assert_eq!(step(&done, "i-00000001")["code"], "cancelled");
    // Only the call of the first console was made.
    assert_eq!(machines.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn cancelling_too_late_is_refused() {
    let (console, _machines, admin) = with(3, 1).await;
    let plan = console.plan(&admin, scale(json!({"to": 2}))).await;
    carry_out(&console, &admin, &plan, json!({})).await;
    let late = cancel(&console, &admin, &plan).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{late:?}");
    assert!(late.message().contains("already applied"), "{late:?}");
    let unknown = console
        .ask("POST", "/plans/p99/cancel", Some(&admin), None)
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
