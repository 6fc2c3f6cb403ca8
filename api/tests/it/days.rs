//! One day of a resort.

use serde_json::{Value, json};

use crate::harness::{ALPS, TestApi, catalogue, ride};
use crate::outside::{On, on_both_engines};

on_both_engines![
    a_day_counts_its_skiers_lifts_and_hours,
    a_day_without_rides_is_not_there,
    numbers_out_of_range_are_named,
    leaders_of_a_large_day_are_in_order_and_kept_for_seconds,
];

/// Both spellings of a day's URL.
fn spellings(rest: &str) -> [String; 2] {
    ["day", "days"].map(|day| format!("/resorts/1/seasons/2025/{day}/{rest}"))
}

async fn with_a_day(api: &TestApi) {
    api.store(vec![
        ride(1, 12, 7, 1, 21),
        ride(1, 12, 7, 60, 21),
        ride(1, 12, 7, 61, 1000),
        ride(1, 12, 8, 1440, 1),
        ride(1, 12, 9, 1440, 1),
        ride(1, 13, 1, 1, 1),
    ])
    .await;
    // The same ride twice is one ride.
    api.store(vec![ride(1, 12, 7, 1, 21)]).await;
}

async fn a_day_counts_its_skiers_lifts_and_hours(on: On) {
    let api = TestApi::start_with(on, catalogue(ALPS)).await;
    with_a_day(&api).await;
    let mut hours: Vec<Value> = (0..24)
        .map(|hour| json!({"hour": hour, "rides": 0}))
        .collect();
    hours[0]["rides"] = json!(2);
    hours[1]["rides"] = json!(1);
    hours[23]["rides"] = json!(2);
    for (rest, expected) in [
        ("12/skiers", json!({"time": "Zermatt", "numSkiers": 3})),
        (
            "12/lifts",
            json!({"lifts": [
                {"liftID": 1, "rides": 2}, {"liftID": 21, "rides": 2}, {"liftID": 1000, "rides": 1}
            ]}),
        ),
        ("12/lifts/21", json!({"liftID": 21, "rides": 2})),
        ("12/hours", json!({"hours": hours})),
        (
            "12/top",
            json!({"skiers": [
                {"skierID": 7, "vertical": 10_840, "rides": 3},
                {"skierID": 8, "vertical": 10, "rides": 1},
                {"skierID": 9, "vertical": 10, "rides": 1},
            ]}),
        ),
        (
            "12/top?limit=1",
            json!({"skiers": [{"skierID": 7, "vertical": 10_840, "rides": 3}]}),
        ),
    ] {
        for path in spellings(rest) {
            assert_eq!(api.ask(&path).await, expected, "{path}");
        }
    }
}

async fn a_day_without_rides_is_not_there(on: On) {
    let api = TestApi::start(on).await;
    with_a_day(&api).await;
    for rest in [
        "14/skiers",
        "14/lifts",
        "14/lifts/21",
        "14/hours",
        "14/top",
        "12/lifts/22",
    ] {
        for path in spellings(rest) {
            let answer = api.get(&path).await;
            assert_eq!(answer.status, 404, "{path}");
            assert!(answer.message().contains("no rides on day"), "{answer:?}");
        }
    }
}

async fn numbers_out_of_range_are_named(on: On) {
    let api = TestApi::start(on).await;
    for (path, says) in [
        (
            "/resorts/65536/seasons/2025/day/12/skiers",
            "resortID must be a whole number from 1 to 65535, not 65536",
        ),
        (
            "/resorts/1/seasons/1899/day/12/hours",
            "seasonID must be a whole number from 1900 to 2999, not 1899",
        ),
        (
            "/resorts/1/seasons/2025/day/367/lifts",
            "dayID must be a whole number from 1 to 366, not 367",
        ),
        (
            "/resorts/1/seasons/2025/day/12/lifts/1001",
            "liftID must be a whole number from 1 to 1000, not 1001",
        ),
        (
            "/resorts/1/seasons/2025/day/12/top?limit=0",
            "limit must be a whole number from 1 to 100, not \"0\"",
        ),
        (
            "/resorts/1/seasons/2025/day/12/top?limit=101",
            "limit must be",
        ),
        (
            "/resorts/1/seasons/2025/day/12/top?limit=ten",
            "limit must be",
        ),
        (
            "/resorts/1/seasons/2025/day/12/top?limit=1&limit=2",
            "limit must be given only once",
        ),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.message().contains(says), "{path}: {answer:?}");
    }
}

async fn leaders_of_a_large_day_are_in_order_and_kept_for_seconds(on: On) {
    let api = TestApi::start(on).await;
    let day = (1..=5000).map(|skier| ride(1, 12, skier, 1, 1 + skier * 37 % 1000));
    api.store(day.collect()).await;
    // Same vertical as the leader's, in more rides.
    api.store(vec![ride(1, 12, 6000, 1, 400), ride(1, 12, 6000, 2, 600)])
        .await;
    let path = "/resorts/1/seasons/2025/day/12/top?limit=100";
    let top = api.ask(path).await;
    let rows: Vec<(u64, u64, u64)> = top["skiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let number = |name: &str| row[name].as_u64().unwrap();
            (number("vertical"), number("rides"), number("skierID"))
        })
        .collect();
    assert_eq!(rows.len(), 100);
    assert_eq!(rows[0], (10_000, 2, 6000));
    assert_eq!(rows[1].0, 10_000);
    assert!(rows.is_sorted_by_key(|&(vertical, rides, skier)| {
        (std::cmp::Reverse(vertical), std::cmp::Reverse(rides), skier)
    }));

    api.store(vec![ride(1, 12, 1, 3, 1000), ride(1, 12, 1, 4, 1000)])
        .await;
    assert_eq!(api.ask(path).await, top, "kept");
    assert_eq!(
        api.ask("/resorts/1/seasons/2025/days/12/top").await["skiers"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(15);
    while api.ask(path).await["skiers"][0]["skierID"] != json!(1) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "never computed anew"
        );
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}
