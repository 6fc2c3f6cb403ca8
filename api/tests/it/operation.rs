//! What an operator sees: statistics, documentation, health, and a drain.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use skilift_core::health::Readiness;
use skilift_core::lifecycle::Signals;
use tokio::io::AsyncReadExt;

use crate::harness::{TestApi, ride, send};
use crate::outside::{On, on_both_engines};
use crate::raw::Connection;

on_both_engines![
    statistics_tell_what_was_asked_in_either_spelling,
    statistics_tell_how_many_rides_wait,
    the_documentation_is_served,
    a_ready_api_says_so_without_words,
    a_drain_finishes_what_has_begun_and_closes_what_is_idle,
    a_body_that_does_not_come_is_not_waited_for_for_ever,
];

async fn statistics_tell_what_was_asked_in_either_spelling(on: On) {
    let api = TestApi::start(on).await;
    assert_eq!(api.ask("/statistics").await["endpointStats"], json!([]));
    for path in [
        "/skiers/1/seasons/2025/days/12/skiers/7",
        "/skiers/1/seasons/2025/day/13/skiers/8",
    ] {
        assert_eq!(api.get(path).await.status, 404);
    }
    let path = "/skiers/1/seasons/2025/days/12/skiers/7";
    api.post(path, &json!({"time": 1, "liftID": 1})).await;
    api.post("/resorts", &json!({})).await;
    api.get("/nowhere").await;

    let stats = api.ask("/statistics").await;
    let rows = stats["endpointStats"].as_array().unwrap();
    let names: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| {
            (
                row["operation"].as_str().unwrap(),
                row["URL"].as_str().unwrap(),
            )
        })
        .collect();
    let day = "/skiers/{resortID}/seasons/{seasonID}/days/{dayID}/skiers/{skierID}";
    assert_eq!(names, [("GET", day), ("POST", day), ("GET", "/statistics")]);
    for row in rows {
        let ms = |name: &str| row[name].as_f64().unwrap();
        assert!(
            0.0 < ms("mean_ms") && ms("mean_ms") <= ms("max_ms") && ms("max_ms") < 10_000.0,
            "{row}"
        );
        assert!(row["mean"].is_u64() && row["max"].is_u64(), "{row}");
    }
}

async fn statistics_tell_how_many_rides_wait(on: On) {
    let api = TestApi::start(on).await;
    let path = "/skiers/1/seasons/2025/days/12/skiers/7";
    for minute in 1..=3 {
        let ride = json!({"time": minute, "liftID": 21});
        assert_eq!(api.post(path, &ride).await.status, 201);
    }
    let until = async |expected: u64| {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while api.ask("/statistics").await["backlogRides"] != json!(expected) {
            assert!(
                tokio::time::Instant::now() < deadline,
                "the backlog never is {expected}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    until(3).await;
    api.queued(3).await;
    until(0).await;
}

async fn the_documentation_is_served(on: On) {
    let api = TestApi::start(on).await;
    let answer = send(api.request("GET", "/openapi.json").body("")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let document = answer.json;
    let served: Value = serde_json::from_str(skilift_api::openapi::json()).unwrap();
    assert_eq!(document, served);
    assert_eq!(document["openapi"], "3.1.0");
}

async fn a_ready_api_says_so_without_words(on: On) {
    let api = TestApi::start(on).await;
    let answer = api.get("/readyz").await;
    assert_eq!((answer.status.as_u16(), answer.json), (200, Value::Null));
    assert_eq!(api.health().message, None);
    let head = api.request("HEAD", "/statistics").send().await.unwrap();
    assert_eq!(head.status(), 200);
    assert!(head.headers().contains_key("content-length"));
}

async fn a_drain_finishes_what_has_begun_and_closes_what_is_idle(on: On) {
    let api = TestApi::start(on).await;
    api.store(vec![ride(1, 12, 7, 217, 21)]).await;
    let mut silent = Connection::open(&api).await;
    let mut idle = Connection::open(&api).await;
    let (head, _) = idle
        .exchange("GET /resorts HTTP/1.1\r\nhost: x\r\n\r\n")
        .await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut begun = Connection::open(&api).await;
    let body = r#"{"time":1,"liftID":1}"#;
    let head = format!(
        "POST /skiers/1/seasons/2025/days/12/skiers/7 HTTP/1.1\r\nhost: x\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    begun.send(&format!("{head}{}", &body[..9])).await;
    tokio::time::sleep(Duration::from_millis(100)).await;

    api.lifecycle.drain();
    assert_eq!(api.health().status, Readiness::Draining);
    for connection in [&mut silent, &mut idle] {
        let read = tokio::time::timeout(Duration::from_secs(5), connection.0.read_u8()).await;
        assert!(read.expect("closed at once").is_err());
    }
    assert!(tokio::net::TcpStream::connect(api.addr).await.is_err());

    let (head, _) = begun.exchange(&body[9..]).await;
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    assert_eq!(api.queued(1).await, [ride(1, 12, 7, 1, 1)].into());
    let lifecycle = api.lifecycle.clone();
    let signals = Signals::install().unwrap();
    let code = lifecycle
        .run_until_drained(signals, Duration::from_secs(10))
        .await;
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

async fn a_body_that_does_not_come_is_not_waited_for_for_ever(on: On) {
    let api = TestApi::start(on).await;
    let mut post = Connection::open(&api).await;
    let (head, body) = post
        .exchange(
            "POST /resorts/1/seasons HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: 20\r\n\r\n{\"year\"",
        )
        .await;
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    assert_eq!(
        body,
        r#"{"message":"the request body did not arrive in time"}"#
    );
}
