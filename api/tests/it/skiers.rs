//! A skier over many days.

use serde_json::json;

use crate::harness::{ALPS, TestApi, catalogue, ride, ride_in};
use crate::outside::{On, on_both_engines};

on_both_engines![
    vertical_is_summed_by_season_over_the_resorts_asked_for,
    vertical_says_what_is_missing_or_wrong,
    the_catalogue_names_resorts_and_their_verticals,
    a_season_is_its_days_in_order,
    a_skier_of_very_many_days_is_read_in_parts,
];

async fn with_three_resorts(api: &TestApi) {
    api.store(vec![
        ride(1, 12, 7, 1, 21),
        ride(1, 12, 7, 2, 22),
        ride(1, 3, 7, 1, 1),
        ride(2, 3, 7, 9, 4),
        ride(3, 40, 7, 1, 100),
        ride_in("2024", 1, 5, 7, 1, 21),
        ride_in("2023", 3, 5, 7, 1, 21),
        ride(1, 12, 8, 1, 1000),
    ])
    .await;
}

async fn vertical_is_summed_by_season_over_the_resorts_asked_for(on: On) {
    let api = TestApi::start(on).await;
    with_three_resorts(&api).await;
    let vertical = async |query: &str| api.ask(&format!("/skiers/7/vertical?{query}")).await;
    assert_eq!(
        vertical("resort=1").await,
        json!({"resorts": [
            {"seasonID": "2024", "totalVert": 210}, {"seasonID": "2025", "totalVert": 440}
        ]})
    );
    assert_eq!(
        vertical("resort=1&resort=Resort+2&resort=3&resort=1").await,
        json!({"resorts": [
            {"seasonID": "2023", "totalVert": 210}, {"seasonID": "2024", "totalVert": 210},
            {"seasonID": "2025", "totalVert": 1480}
        ]})
    );
    assert_eq!(
        vertical("resort=1&season=2025&season=1999&colour=red").await,
        json!({"resorts": [{"seasonID": "2025", "totalVert": 440}]})
    );
}

async fn vertical_says_what_is_missing_or_wrong(on: On) {
    let api = TestApi::start(on).await;
    with_three_resorts(&api).await;
    for (query, status, says) in [
        ("", 400, "missing query parameter resort"),
        ("?season=2025", 400, "missing query parameter resort"),
        (
            "?resort=0",
            400,
            "resortID must be a whole number from 1 to 65535, not 0",
        ),
        (
            "?resort=1&season=99",
            400,
            "seasonID must be a whole number from 1900 to 2999, not 99",
        ),
        ("?resort=Zermatt", 404, "no resort is named \"Zermatt\""),
        ("?resort=%FF", 404, "no resort is named"),
        ("?resort=9", 404, "skier 7 has no rides at these resorts"),
        (
            "?resort=1&season=2000",
            404,
            "skier 7 has no rides at these resorts",
        ),
    ] {
        let answer = api.get(&format!("/skiers/7/vertical{query}")).await;
        assert_eq!(answer.status, status, "{query}");
        assert!(answer.message().contains(says), "{query}: {answer:?}");
    }
    let many = "resort=1&".repeat(101);
    let answer = api.get(&format!("/skiers/7/vertical?{many}")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("at most 100 times"));
    assert_eq!(api.get("/skiers/9/vertical?resort=1").await.status, 404);
}

async fn the_catalogue_names_resorts_and_their_verticals(on: On) {
    let api = TestApi::start_with(on, catalogue(ALPS)).await;
    with_three_resorts(&api).await;
    assert_eq!(
        api.ask("/skiers/7/vertical?resort=Saas-Fee+%26+Umgebung&resort=Zermatt&season=2025")
            .await,
        json!({"resorts": [{"seasonID": "2025", "totalVert": 420 + 380 + 10 + 40}]})
    );
    let answer = api.get("/skiers/7/vertical?resort=zermatt").await;
    assert_eq!(answer.status, 404, "names are exact");
}

async fn a_season_is_its_days_in_order(on: On) {
    let api = TestApi::start(on).await;
    with_three_resorts(&api).await;
    for days in ["days", "day"] {
        let path = format!("/skiers/7/seasons/2025/{days}");
        assert_eq!(
            api.ask(&path).await,
            json!({"daysSkied": 4, "days": [
                {"resortID": 1, "dayID": 3, "vertical": 10, "rides": 1},
                {"resortID": 2, "dayID": 3, "vertical": 40, "rides": 1},
                {"resortID": 1, "dayID": 12, "vertical": 430, "rides": 2},
                {"resortID": 3, "dayID": 40, "vertical": 1000, "rides": 1},
            ]})
        );
        assert_eq!(
            api.ask(&format!("{path}?resort=Resort+2&resort=3")).await["daysSkied"],
            json!(2)
        );
        for (query, status) in [
            ("?resort=9", 404),
            ("?resort=Nowhere", 404),
            ("?resort=0", 400),
        ] {
            let answer = api.get(&format!("{path}{query}")).await;
            assert_eq!(answer.status, status, "{query}");
            answer.message();
        }
    }
    assert_eq!(api.get("/skiers/7/seasons/1999/days").await.status, 404);
}

async fn a_skier_of_very_many_days_is_read_in_parts(on: On) {
    let api = TestApi::start(on).await;
    let rides = (1..=8).flat_map(|resort| (1..=366).map(move |day| ride(resort, day, 7, 1, 1)));
    api.store(rides.collect()).await;
    let season = api.ask("/skiers/7/seasons/2025/days").await;
    assert_eq!(season["daysSkied"], json!(8 * 366));
    let all = "resort=1&resort=2&resort=3&resort=4&resort=5&resort=6&resort=7&resort=8";
    assert_eq!(
        api.ask(&format!("/skiers/7/vertical?{all}")).await,
        json!({"resorts": [{"seasonID": "2025", "totalVert": 8 * 366 * 10}]})
    );
}
