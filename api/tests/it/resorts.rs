//! The resorts and their seasons.

use serde_json::json;

use crate::harness::{ALPS, TestApi, catalogue, ride, ride_in};
use crate::outside::{On, on_both_engines};

on_both_engines![
    resorts_are_those_with_rides_or_seasons,
    resorts_of_the_catalogue_are_there_from_the_start,
    seasons_come_from_rides_and_from_posts,
    a_season_that_cannot_be_is_refused_by_its_name,
    days_are_those_with_rides,
    what_is_not_stored_yet_says_so,
    the_root_says_what_this_is,
];

async fn resorts_are_those_with_rides_or_seasons(on: On) {
    let api = TestApi::start(on).await;
    assert_eq!(api.ask("/resorts").await, json!({"resorts": []}));
    api.store(vec![ride(9, 12, 7, 1, 1), ride(65_535, 12, 7, 1, 1)])
        .await;
    let added = api
        .post("/resorts/10/seasons", &json!({"year": "2026"}))
        .await;
    assert_eq!((added.status.as_u16(), added.json), (201, json!(null)));
    assert_eq!(
        api.ask("/resorts").await,
        json!({"resorts": [
            {"resortName": "Resort 9", "resortID": 9},
            {"resortName": "Resort 10", "resortID": 10},
            {"resortName": "Resort 65535", "resortID": 65535},
        ]})
    );
}

async fn resorts_of_the_catalogue_are_there_from_the_start(on: On) {
    let api = TestApi::start_with(on, catalogue(ALPS)).await;
    api.store(vec![ride(3, 12, 7, 1, 1)]).await;
    assert_eq!(
        api.ask("/resorts").await,
        json!({"resorts": [
            {"resortName": "Zermatt", "resortID": 1},
            {"resortName": "Saas-Fee & Umgebung", "resortID": 2},
            {"resortName": "Resort 3", "resortID": 3},
        ]})
    );
    assert_eq!(api.ask("/resorts/2/seasons").await, json!({"seasons": []}));
    api.store(vec![ride_in("2024", 1, 12, 7, 1, 21)]).await;
    assert_eq!(
        api.ask("/resorts/1/seasons").await,
        json!({"seasons": ["2024", "2025"]})
    );
}

async fn seasons_come_from_rides_and_from_posts(on: On) {
    let api = TestApi::start(on).await;
    assert_eq!(
        api.get("/resorts/9/seasons").await.message(),
        "Resort 9 has no seasons"
    );
    api.store(vec![ride_in("2024", 9, 12, 7, 1, 1)]).await;
    for year in [json!("2026"), json!("2026"), json!(1999)] {
        let added = api.post("/resorts/9/seasons", &json!({"year": year})).await;
        assert_eq!(added.status, 201);
    }
    assert_eq!(
        api.ask("/resorts/9/seasons").await,
        json!({"seasons": ["1999", "2024", "2026"]})
    );
}

async fn a_season_that_cannot_be_is_refused_by_its_name(on: On) {
    let api = TestApi::start_with(on, catalogue(ALPS)).await;
    for (path, body, says) in [
        (
            "/resorts/1/seasons",
            r#"{"year":"20x6"}"#,
            "year must be a whole number from 1900 to 2999",
        ),
        (
            "/resorts/1/seasons",
            r#"{"year":3000}"#,
            "year must be a whole number from 1900 to 2999, not 3000",
        ),
        ("/resorts/1/seasons", r#"{"year":null}"#, "year must be"),
        (
            "/resorts/1/seasons",
            r#"{"year":"2025","year":"2025"}"#,
            "duplicate field `year`",
        ),
        ("/resorts/1/seasons", r#"{}"#, "missing field `year`"),
        ("/resorts/1/seasons", r#"["2025"]"#, "it is an array"),
        (
            "/resorts/0/seasons",
            r#"{"year":"2025"}"#,
            "resortID must be a whole number from 1 to 65535, not 0",
        ),
        (
            "/resorts/1/seasons",
            r#"{"year":"2026"}"#,
            "2026 is not an open season of Zermatt",
        ),
        (
            "/resorts/3/seasons",
            r#"{"year":"2026"}"#,
            "resortID 3 is not in this server's catalogue",
        ),
    ] {
        let answer = api.post_text(path, body).await;
        assert_eq!(answer.status, 400, "{path} {body}");
        assert!(answer.message().contains(says), "{path} {body}: {answer:?}");
    }
    assert_eq!(
        api.post("/resorts/2/seasons", &json!({"year": "2026"}))
            .await
            .status,
        201
    );
}

async fn days_are_those_with_rides(on: On) {
    let api = TestApi::start(on).await;
    api.store(vec![
        ride(9, 366, 7, 1, 1),
        ride(9, 12, 7, 1, 1),
        ride(9, 12, 8, 1, 1),
        ride(10, 1, 7, 1, 1),
        ride_in("2026", 9, 3, 7, 1, 1),
    ])
    .await;
    assert_eq!(
        api.ask("/resorts/9/seasons/2025/days").await,
        json!({"days": [12, 366]})
    );
    let none = api.get("/resorts/9/seasons/2024/days").await;
    assert_eq!(none.status, 404);
    assert_eq!(none.message(), "Resort 9 has no rides in season 2024");
}

async fn what_is_not_stored_yet_says_so(on: On) {
    let api = TestApi::start(on).await;
    let path = "/skiers/9/seasons/2025/days/12/skiers/7";
    let before = api.get(path).await;
    assert!(
        !before.message().contains("still being stored"),
        "{before:?}"
    );
    let posted = api.post(path, &json!({"time": 217, "liftID": 21})).await;
    assert_eq!(posted.status, 201);
    // No worker stores it here.
    let after = api.get(path).await;
    assert_eq!(after.status, 404);
    assert!(
        after
            .message()
            .ends_with("; accepted rides are still being stored, retry in a moment"),
        "{after:?}"
    );
}

async fn the_root_says_what_this_is(on: On) {
    let api = TestApi::start(on).await;
    let root = api.ask("/").await;
    assert_eq!(root["service"], "Skilift");
    let document = api.ask(root["openapi"].as_str().unwrap()).await;
    assert_eq!(document["info"]["version"], root["version"]);
    assert_eq!(api.get(root["ready"].as_str().unwrap()).await.status, 200);
}
