//! One skier's day: posting rides, and asking for them.

use std::time::Duration;

use serde_json::json;
use skilift_core::catalogue::Catalogue;
use skilift_core::health::Readiness;
use skilift_servers::{shared_amqp_url, shared_redis_url};

use crate::harness::{ALPS, TestApi, catalogue, ride};
use crate::outside::{On, Outside, on_both_engines};

on_both_engines![
    an_accepted_ride_is_in_the_queue,
    rides_posted_at_once_are_all_in_the_queue,
    the_largest_and_smallest_numbers_are_rides,
    a_day_is_its_vertical_and_its_rides,
    a_catalogue_refuses_what_it_does_not_list_and_knows_real_verticals,
];

async fn an_accepted_ride_is_in_the_queue(on: On) {
    let api = TestApi::start(on).await;
    for (days, minute) in [("days", 217), ("day", 218)] {
        let path = format!("/skiers/1/seasons/2025/{days}/12/skiers/7");
        let answer = api
            .post(&path, &json!({"time": minute, "liftID": 21}))
            .await;
        assert_eq!((answer.status.as_u16(), &answer.json), (201, &json!(null)));
        assert_eq!(answer.headers["content-length"], "0");
    }
    let expected = [ride(1, 12, 7, 217, 21), ride(1, 12, 7, 218, 21)];
    assert_eq!(api.queued(2).await, expected.into());
}

async fn rides_posted_at_once_are_all_in_the_queue(on: On) {
    let api = TestApi::start(on).await;
    let post = |skier: u64| {
        let request = api.request(
            "POST",
            &format!("/skiers/1/seasons/2025/days/12/skiers/{skier}"),
        );
        async move {
            let body = json!({"time": 1, "liftID": 1});
            request.json(&body).send().await.unwrap().status()
        }
    };
    let statuses = futures_util::future::join_all((1..=500).map(post)).await;
    assert!(statuses.iter().all(|status| *status == 201));
    let expected = (1..=500).map(|skier| ride(1, 12, skier, 1, 1)).collect();
    assert_eq!(api.queued(500).await, expected);
}

async fn the_largest_and_smallest_numbers_are_rides(on: On) {
    let api = TestApi::start(on).await;
    for (path, body) in [
        (
            "/skiers/65535/seasons/2999/days/366/skiers/4294967295",
            json!({"time": 1440, "liftID": 1000}),
        ),
        (
            "/skiers/1/seasons/1900/days/1/skiers/1",
            json!({"time": 1, "liftID": 1, "gate": {"x": []}}),
        ),
    ] {
        assert_eq!(api.post(path, &body).await.status, 201, "{path}");
    }
    api.queued(2).await;
}

async fn a_day_is_its_vertical_and_its_rides(on: On) {
    let api = TestApi::start(on).await;
    api.store(vec![
        ride(1, 12, 7, 300, 5),
        ride(1, 12, 7, 217, 22),
        ride(1, 12, 7, 217, 21),
        ride(1, 12, 8, 1, 1),
        ride(1, 13, 7, 1, 1),
    ])
    .await;
    for days in ["days", "day"] {
        let path = format!("/skiers/1/seasons/2025/{days}/12/skiers/7");
        assert_eq!(api.ask(&path).await, json!(480));
        assert_eq!(
            api.ask(&format!("{path}/rides")).await,
            json!({"rides": [
                {"time": 217, "liftID": 21}, {"time": 217, "liftID": 22}, {"time": 300, "liftID": 5}
            ]})
        );
        let nobody = format!("/skiers/1/seasons/2025/{days}/12/skiers/9");
        for path in [nobody.clone(), format!("{nobody}/rides")] {
            let answer = api.get(&path).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(
                answer.message(),
                "skier 9 has no rides at Resort 1 on day 12 of season 2025"
            );
        }
    }
}

async fn a_catalogue_refuses_what_it_does_not_list_and_knows_real_verticals(on: On) {
    let api = TestApi::start_with(on, catalogue(ALPS)).await;
    let refused = async |path: &str, lift: u64| {
        let answer = api.post(path, &json!({"time": 1, "liftID": lift})).await;
        assert_eq!(answer.status, 400, "{path}");
        answer.message().to_owned()
    };
    let message = refused("/skiers/3/seasons/2025/days/12/skiers/7", 21).await;
    assert!(
        message.contains("resortID 3 is not in this server's catalogue"),
        "{message}"
    );
    let message = refused("/skiers/1/seasons/2024/days/12/skiers/7", 21).await;
    assert!(
        message.contains("not an open season of Zermatt"),
        "{message}"
    );
    let message = refused("/skiers/1/seasons/2025/days/9/skiers/7", 21).await;
    assert!(message.contains("open on days 10 to 180"), "{message}");
    let message = refused("/skiers/1/seasons/2025/days/12/skiers/7", 23).await;
    assert!(
        message.contains("liftID 23 is not a lift of Zermatt"),
        "{message}"
    );

    let path = "/skiers/1/seasons/2025/days/12/skiers/7";
    assert_eq!(
        api.post(path, &json!({"time": 1, "liftID": 21}))
            .await
            .status,
        201
    );
    assert_eq!(api.queued(1).await, [ride(1, 12, 7, 1, 21)].into());
    // Lift 5 was stored before there was a catalogue.
    api.store(vec![ride(1, 12, 7, 1, 21), ride(1, 12, 7, 2, 5)])
        .await;
    assert_eq!(api.ask(path).await, json!(420 + 50));
}

#[tokio::test]
async fn without_redis_rides_are_accepted_and_questions_wait() {
    let outside = Outside::at(&shared_amqp_url(), "redis://127.0.0.1:1");
    let api = TestApi::start_at(outside, Catalogue::default())
        .await
        .unwrap();
    api.until(Readiness::Degraded).await;
    assert_eq!(api.get("/readyz").await.status, 200);
    assert_eq!(
        api.health().message.unwrap(),
        "Redis does not respond: rides are accepted, reads fail"
    );

    let path = "/skiers/1/seasons/2025/days/12/skiers/7";
    assert_eq!(
        api.post(path, &json!({"time": 1, "liftID": 21}))
            .await
            .status,
        201
    );
    for path in [
        path,
        "/skiers/7/vertical?resort=1",
        "/resorts",
        "/resorts/1/seasons/2025/day/12/top",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.message().starts_with("Redis does not respond"));
        assert_eq!(answer.headers["retry-after"], "1");
    }
    let answer = api
        .post("/resorts/1/seasons", &json!({"year": "2026"}))
        .await;
    assert_eq!(answer.status, 503);
}

#[tokio::test]
async fn without_rabbitmq_rides_are_refused_and_questions_are_answered() {
    let outside = Outside::at("amqp://127.0.0.1:1", &shared_redis_url());
    let api = TestApi::start_at(outside, Catalogue::default())
        .await
        .unwrap();
    assert_eq!(api.health().status, Readiness::Starting);
    assert_eq!(api.get("/readyz").await.status, 503);
    api.store(vec![ride(1, 12, 7, 217, 21)]).await;
    let path = "/skiers/1/seasons/2025/days/12/skiers/7";
    assert_eq!(api.ask(path).await, json!(210));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let answer = api.post(path, &json!({"time": 1, "liftID": 21})).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers["retry-after"], "1");
        // Nothing more is known until the first attempt has failed.
        if answer.message() != "the server is still connecting to its queue" {
            // Clients learn nothing of the servers behind the API.
            let unavailable = "RabbitMQ is unavailable: no ride is accepted now; send it again";
            assert_eq!(answer.message(), unavailable, "{answer:?}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_wrong_password_of_rabbitmq_is_said_at_once() {
    let amqp_url = shared_amqp_url();
    let (_, at_host) = amqp_url.rsplit_once('@').unwrap();
    let amqp_url = format!("amqp://nobody:wrong@{at_host}");
    let outside = Outside::at(&amqp_url, &shared_redis_url());
    let error = TestApi::start_at(outside, Catalogue::default())
        .await
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(
        text.contains("denied access for this user or virtual host"),
        "{text}"
    );
    assert!(!text.contains("wrong"), "{text}");
}
