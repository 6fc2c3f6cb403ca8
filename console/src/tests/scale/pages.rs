//! The fleet in a browser.

use axum::http::StatusCode;
use skilift_fleet::instance::InstanceState;

use super::{ended, with};
use crate::tests::pages::{page, plan, post, session_of, texts, value};
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
    let started = texts(&planned, "#steps td.id");
    let of_instance = started
        .iter()
        .find_map(|target| target.split_once("worker, "));
    let (id, place) = of_instance.unwrap();
    assert_eq!(place, "c7g.large, us-east-1c");
    assert_eq!(machines.state(id), InstanceState::Running);
}

#[tokio::test]
async fn the_overview_has_the_fleet_in_short() {
    let (console, machines, _) = with(3, 2).await;
    let cookie = session_of(&console, UserRole::Viewer).await;
    let admin = console.local();
    let overview = page(&console, "/", &cookie).await;
    assert_eq!(texts(&overview, "#f-worker-r"), ["2"]);
    assert_eq!(texts(&overview, "#f-worker-s"), ["1"]);
    // An API node and two workers run.
    let usd = |selector: &str| texts(&overview, selector)[0].parse::<f64>().unwrap();
    assert!((usd("#f-usd") - 3.0 * usd("#f-api-usd")).abs() < 0.001);
    assert_eq!(texts(&overview, "#f-plan a"), [""; 0]);
    machines
        .stubborn
        .lock()
        .unwrap()
        .insert("i-00000002".to_owned());
    let plan = console
        .plan(
            &admin,
            serde_json::json!({"change": "scale", "stop": ["i-00000002"]}),
        )
        .await;
    console.apply(&admin, &plan, serde_json::json!({})).await;
    let overview = page(&console, "/", &cookie).await;
    assert!(texts(&overview, "#f-plan a")[0].contains("is scaling the fleet"));
}

#[tokio::test]
async fn a_chosen_instance_is_stopped_and_none_is_an_error() {
    let (console, _, _) = with(4, 2).await;
    let operator = session_of(&console, UserRole::Operator).await;
    let (status, _, shown) = post(&console, "/plans", &operator, "change=stop").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(texts(&shown, "#err-h"), ["No instance is selected."]);
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

#[tokio::test]
async fn a_refused_number_and_a_refused_choice_stay_in_their_forms() {
    let (console, _, _) = with(4, 2).await;
    let operator = session_of(&console, UserRole::Operator).await;
    for (fields, expected) in [
        (
            "worker=many&threads=8&allow_zero=true",
            "New desired worker instances must be a number, not \"many\". Nothing was changed.",
        ),
        (
            "worker=&threads=300&allow_zero=true",
            "Worker threads must be from 1 to 256, not 300. Nothing was changed.",
        ),
        (
            "worker=3&drain_timeout_s=0&allow_zero=true",
            "Drain timeout must be from 1 to 3600, not 0. Nothing was changed.",
        ),
    ] {
        let form = format!("change=scale&form=scale&page=%2Ffleet&{fields}");
        let (status, _, shown) = post(&console, "/plans", &operator, &form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{fields}");
        assert_eq!(texts(&shown, ".notice[role=alert]"), [expected]);
        let typed = fields.split(['=', '&']).nth(1).unwrap();
        assert_eq!(value(&shown, "input[name=worker]"), typed);
        assert_eq!(texts(&shown, "input[name=allow_zero][checked]").len(), 1);
    }
    let form = "change=stop&form=instances&page=%2Ffleet";
    let (_, _, shown) = post(&console, "/plans", &operator, form).await;
    assert_eq!(
        texts(&shown, ".notice[role=alert]"),
        ["No instance is selected. Nothing was changed."]
    );
}
