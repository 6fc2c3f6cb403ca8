//! The fleet in a browser.

use axum::http::StatusCode;
use skilift_fleet::instance::InstanceState;

use super::{ended, with};
use crate::tests::pages::{page, plan, post, session_of, texts};
use crate::view::access::UserRole;

#[tokio::test]
async fn the_fleet_is_shown_scaled_and_priced() {
    let (console, machines, _) = with(4, 2).await;
    let operator = session_of(&console, UserRole::Operator).await;
    let shown = page(&console, "/fleet", &operator).await;
    assert_eq!(
        texts(&shown, ".verdict-message"),
        ["1 API node and 2 workers run."]
    );
    assert_eq!(texts(&shown, "#s-worker-r"), ["2"]);
    assert_eq!(texts(&shown, "#s-worker-s"), ["2"]);
    assert_eq!(texts(&shown, "input[name=id]").len(), 5);
    let viewer = session_of(&console, UserRole::Viewer).await;
    let seen = page(&console, "/fleet", &viewer).await;
    assert_eq!(
        texts(&seen, "main :is(input, button[type=submit])"),
        [""; 0]
    );

    // Empty fields are left unchanged.
    let form = "change=scale&worker=3&api=&threads=&channels=&drain_timeout_s=";
    let at = plan(&console, &operator, form).await;
    let planned = page(&console, &at, &operator).await;
    let main = &texts(&planned, "main")[0];
    assert!(main.contains("skictl scale worker=3"), "{main}");
    assert!(main.contains("Cost, $ per hour"), "{main}");
    let (status, location, _) = post(&console, &format!("{at}/apply"), &operator, "").await;
    assert_eq!((status, &location), (StatusCode::SEE_OTHER, &at));
    let id = at.trim_start_matches("/plans/");
    ended(&console, &console.local(), &serde_json::json!({ "id": id })).await;
    let applied = page(&console, &at, &operator).await;
    assert_eq!(texts(&applied, ".verdict-message"), ["Succeeded."]);
    let started = texts(&planned, "#steps td.any");
    let id = started
        .iter()
        .find(|target| target.starts_with("i-"))
        .unwrap();
    assert_eq!(machines.state(id), InstanceState::Running);
}

#[tokio::test]
async fn a_chosen_instance_is_stopped_and_none_is_an_error() {
    let (console, _, _) = with(4, 2).await;
    let operator = session_of(&console, UserRole::Operator).await;
    let (status, _, shown) = post(&console, "/plans", &operator, "change=stop").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(texts(&shown, "h1"), ["No instance is selected."]);
    let fleet = console.get("/fleet", &console.local()).await;
    let running = fleet["instances"].as_array().unwrap().iter();
    let running = running.filter(|of| of["role"] == "worker" && of["state"] == "running");
    let id = running
        .map(|of| of["id"].as_str().unwrap())
        .next()
        .unwrap()
        .to_owned();
    let at = plan(&console, &operator, &format!("change=stop&id={id}")).await;
    let planned = page(&console, &at, &operator).await;
    let main = &texts(&planned, "main")[0];
    assert!(main.contains(&format!("skictl ec2 stop {id}")), "{main}");
}
