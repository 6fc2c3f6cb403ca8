//! An API node under its console: settings that change while rides come, and a drain that ends again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use skilift_core::control::heartbeat::{Activity, ApiReport, Report};
use skilift_core::control::{ApiSettings, DesiredState, Document, Durations, Status, Versioned};
use skilift_core::health::Readiness;

use crate::harness::{TestApi, ride};
use crate::outside::{On, on_both_engines};

on_both_engines![
    uploads_and_gates_are_not_refused_while_settings_change,
    a_node_that_drains_still_takes_rides_then_refuses_them_and_works_again,
    settings_that_cannot_be_run_change_nothing,
    a_node_says_what_it_did,
];

/// Where a gate posts.
const PATH: &str = "/skiers/1/seasons/2025/days/12/skiers/7";

fn status(api: &TestApi) -> Status {
    api.node.as_ref().unwrap().1.status()
}

fn report(api: &TestApi) -> ApiReport {
    match status(api).report {
        Report::Api(report) => report,
        Report::Worker(_) => panic!("an API says that it is a worker"),
    }
}

fn tell(api: &TestApi, number: u64, settings: ApiSettings) {
    let document = Document {
        serial: number,
        api: Some(Versioned::new(number, settings)),
        ..Document::default()
    };
    let tells = &api.node.as_ref().unwrap().0;
    tells.send_modify(|desired_state| desired_state.document = Some(Arc::new(document)));
}

fn drain(api: &TestApi, plan: Option<&str>) {
    let tells = &api.node.as_ref().unwrap().0;
    tells.send_modify(|desired_state: &mut DesiredState| {
        desired_state.drain = plan.map(str::to_owned)
    });
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn uploads_and_gates_are_not_refused_while_settings_change(on: On) {
    let api = TestApi::start(on).await;
    let lines = |skier: u64| {
        let line = |minute| serde_json::to_string(&ride(1, 12, skier, minute, 3)).unwrap();
        (1..=1440)
            .map(|minute| line(minute) + "\n")
            .collect::<String>()
    };
    let is_over = AtomicBool::new(false);
    let changing = async {
        let generations = [
            (4, 50, 4000),
            (1, 10, 1000),
            (8, 300, 20_000),
            (2, 20, 1000),
            (1, 100, 9000),
        ];
        for (number, (channels, message_rides, max_in_flight)) in (1..).zip(generations) {
            let settings = ApiSettings {
                channels,
                message_rides,
                max_in_flight,
            };
            tell(&api, number, settings);
            let taken_up = || {
                status(&api)
                    .generation
                    .is_some_and(|taken| taken.version == number)
            };
            until("the settings are taken up", taken_up).await;
            assert_eq!(report(&api).settings, settings);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let uploading = async {
        let mut accepted = 0;
        while !is_over.load(Ordering::Relaxed) {
            for answer in futures_util::future::join_all(
                (1..=3).map(|n| api.post_text_lines(lines(accepted + n))),
            )
            .await
            {
                assert_eq!(answer.status, 200, "{answer:?}");
            }
            accepted += 3;
        }
        accepted * 1440
    };
    let gates = async {
        let mut minute = 0;
        while !is_over.load(Ordering::Relaxed) {
            minute += 1;
            let path = format!("/skiers/2/seasons/2025/days/{}/skiers/7", 1 + minute / 1440);
            let body = json!({"time": 1 + minute % 1440, "liftID": 1});
            let answer = api.post(&path, &body).await;
            assert_eq!(answer.status, 201, "{answer:?}");
        }
        minute
    };
    let ((), uploaded, posted) = tokio::join!(changing, uploading, gates);
    assert!(uploaded > 0 && posted > 0);
    assert_eq!(report(&api).accepted_rides, uploaded + posted);
    assert_eq!(report(&api).refused_requests, 0);
}

async fn a_node_that_drains_still_takes_rides_then_refuses_them_and_works_again(on: On) {
    let api = TestApi::start(on).await;
    api.store(vec![ride(1, 12, 7, 217, 21)]).await;
    drain(&api, Some("p1"));
    api.until(Readiness::Draining).await;
    let told = Instant::now();
    assert_eq!(api.get("/readyz").await.status, 503);
    let plan = || "p1".to_owned();
    let draining = Activity::Draining { plan: Some(plan()) };
    assert_eq!(status(&api).activity, draining);
    let answer = api.post(PATH, &json!({"time": 1, "liftID": 1})).await;
    assert_eq!(answer.status, 201, "a balancer may not have seen it yet");

    let drained = Activity::Drained { plan: plan() };
    until("it is drained", || status(&api).activity == drained).await;
    assert!(told.elapsed() > Duration::from_secs(4));
    let answer = api.post(PATH, &json!({"time": 2, "liftID": 1})).await;
    assert_eq!(answer.status, 503);
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.message().contains("drained"), "{answer:?}");
    assert_eq!(report(&api).in_flight_rides, 0);
    assert_eq!(report(&api).shedding.len(), 1);
    let rides = api.ask(&format!("{PATH}/rides")).await;
    assert_eq!(
        rides["rides"][0]["time"], 217,
        "questions are still answered"
    );

    drain(&api, None);
    api.until(Readiness::Ready).await;
    assert_eq!(status(&api).activity, Activity::Active);
    let answer = api.post(PATH, &json!({"time": 3, "liftID": 1})).await;
    assert_eq!(answer.status, 201);
    api.queued(2).await;
}

async fn settings_that_cannot_be_run_change_nothing(on: On) {
    let api = TestApi::start(on).await;
    let before = report(&api).settings;
    tell(
        &api,
        1,
        ApiSettings {
            channels: 1,
            message_rides: 0,
            max_in_flight: 10,
        },
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        (report(&api).settings, status(&api).generation),
        (before, None)
    );
    assert_eq!(
        api.post(PATH, &json!({"time": 3, "liftID": 1}))
            .await
            .status,
        201
    );
}

async fn a_node_says_what_it_did(on: On) {
    let api = TestApi::start(on).await;
    for minute in 1..=3 {
        let body = json!({"time": minute, "liftID": 1});
        assert_eq!(api.post(PATH, &body).await.status, 201);
    }
    api.get("/resorts").await;
    api.get("/readyz").await;
    let report = report(&api);
    assert_eq!((report.accepted_rides, report.reads), (3, 1));
    let expected_lanes = match on {
        On::Servers => 2,
        On::DataFolder => 1,
    };
    assert_eq!(report.channels, expected_lanes);
    let took = Durations::read(&report.post_us.unwrap()).unwrap();
    assert_eq!(took.len(), 3);
    assert!(
        took.max() > 10 && took.max() < 20_000_000,
        "{} us",
        took.max()
    );
    let confirmed: u64 = report.confirmed.iter().map(|epoch| epoch.rides).sum();
    assert_eq!(confirmed, 3);
}
