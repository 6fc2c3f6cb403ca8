//! Days are archived and restored while their rides arrive.

use std::collections::BTreeSet;

use serde_json::Value;
use skilift_core::archive::Archive;
use skilift_core::ride::{ResortDay, Ride};
use skilift_servers::{RabbitOptions, RabbitServer, RedisOptions, RedisServer};

use crate::browser::WebConsole;
use crate::doctor::ask_of;
use crate::load::{Sent, post};
use crate::operator::Operator;
use crate::proof::all_days;
use crate::system::System;

/// Days of a season, and skiers with a ride on each.
const DAYS: u64 = 60;
const SKIERS: u64 = 1_500;

/// Moves the days of a resort, as an operator does.
async fn archive(operator: &Operator, command: &str, on: ResortDay, days: &str) {
    let (resort, season) = (on.resort.to_string(), on.season.to_string());
    let line = ["archive", command, "--resort", &resort, "--season", &season];
    operator
        .does(&[&line[..], &["--days", days, "--yes"]].concat())
        .await;
}

/// One day of each resort.
fn resorts() -> Vec<ResortDay> {
    let mut days: Vec<ResortDay> = all_days().collect();
    days.dedup_by_key(|day| day.resort);
    days
}

/// What the console says of every resort day.
async fn statistics(operator: &Operator) -> Vec<Value> {
    let mut found = Vec::new();
    for on in all_days() {
        let (resort, season, day) = (on.resort, on.season, on.day);
        let [resort, season, day] = [resort.to_string(), season.to_string(), day.to_string()];
        for of in ["resort", "top", "lifts", "hours"] {
            let line = ["stats", of, &resort, "--season", &season, "--day", &day];
            let mut seen = operator.sees(&line).await;
            seen.as_object_mut().unwrap().remove("oldest_ride_age_ms");
            found.push(seen);
        }
    }
    found
}

#[tokio::test]
async fn days_move_under_load_and_every_ride_is_there_once() {
    let system = System::start().await;
    let operator = Operator::beside(&system).await;
    let load = system.load();
    load.accept(1_000).await;
    for on in resorts() {
        archive(&operator, "run", on, "1-366").await;
    }
    // All of these are of days that are archived.
    load.accept(1_000).await;
    let listed = operator.sees(&["archive", "list"]).await;
    let days = listed["days"].as_array().unwrap();
    assert_eq!(days.len(), all_days().count(), "{listed:#}");
    assert!(days.iter().all(|day| day["fault"].is_null()), "{listed:#}");
    let (servers, archive_of) = (
        (system.rabbit.amqp_url(), system.redis.url()),
        system.archive(),
    );
    let stack = system.stack.to_string();
    let doctor = async || {
        let archive = ["--archive", archive_of.to_str().unwrap()];
        ask_of(&servers.0, &servers.1, &stack, &archive).await
    };
    doctor().await.is_ok("archive");
    let one = resorts()[0];
    let file = Archive::new(&archive_of, &system.stack).rides_file(one);
    let elsewhere = file.with_extension("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    let found = format!("1 of {} archived days cannot be read", days.len());
    doctor()
        .await
        .fails("archive", &found, "mount the directory");
    std::fs::rename(&elsewhere, &file).unwrap();

    let is_dead = |letters: &Value| letters["total"].as_u64() > Some(500);
    let dead = ["queue", "dead", "list"];
    let (letters, _) = operator.waits_for(&dead, is_dead).await;
    let reason = letters["dead_letters"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("skictl archive restore"), "{reason}");
    // In both states while rides arrive.
    archive(&operator, "restore", one, "1").await;
    load.accept(500).await;
    archive(&operator, "run", one, "1").await;
    load.accept(500).await;
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    system.wait_until_stored().await;
    let archived = statistics(&operator).await;
    let rides: u64 = days.iter().filter_map(|day| day["rides"].as_u64()).sum();
    assert!(rides >= 1_000, "{rides}");

    for on in resorts() {
        archive(&operator, "restore", on, "1-366").await;
    }
    assert_eq!(
        statistics(&operator).await,
        archived,
        "answers are the same"
    );
    operator
        .does(&[
            "queue", "dead", "replay", "--all", "--rate", "10000", "--yes",
        ])
        .await;
    let is_replayed = |letters: &Value| {
        let mut letters = letters["dead_letters"].as_array().unwrap().iter();
        letters.all(|letter| letter["state"] == "replayed")
    };
    operator.waits_for(&dead, is_replayed).await;
    system.wait_until_stored().await;
    let figures = system.compare(&sent).await;
    assert_eq!(
        (figures.lost, figures.foreign, figures.doubled),
        (0, 0, 0),
        "{figures:?}"
    );
    // The rides of an archive are what the API takes.
    send_again(&system.url, &sent).await;
    system.wait_until_stored().await;
    assert_eq!(system.compare(&sent).await.doubled, 0);
}

#[tokio::test]
async fn a_console_killed_in_the_middle_goes_on_where_it_was() {
    let system = System::start().await;
    let mut operator = Operator::beside(&system).await;
    let http = skilift_servers::http();
    for day in 1..=DAYS {
        let rides = (1..=SKIERS).map(|skier| {
            let ride = serde_json::json!({
                "resortID": 1, "seasonID": "2025", "dayID": day, "skierID": skier, "time": 1 + skier % 900, "liftID": 1
            });
            format!("{ride}\n")
        });
        let post = http.post(format!("{}/rides", system.url));
        let post = post.header("content-type", "application/x-ndjson");
        let answer = post.body(rides.collect::<String>()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    system.wait_until_stored().await;
    let season = ["stats", "days", "1", "2025"];
    let before = operator.sees(&season).await;
    let line = [
        "archive", "run", "--resort", "1", "--season", "2025", "--days", "1-366",
    ];
    let line = [&line[..], &["--yes"]].concat();
    let list = ["archive", "list"];
    let count = |listed: &Value| listed["days"].as_array().unwrap().len() as u64;
    let running = operator.skictl(&line);
    tokio::select! {
        _ = running => {}
        _ = operator.waits_for(&list, |listed| count(listed) > 2) => {}
    }
    operator.console.as_mut().unwrap().kill_9().await;
    operator.start_console_again().await;
    let (listed, _) = operator
        .waits_for(&list, |listed| count(listed) == DAYS)
        .await;
    let days = listed["days"].as_array().unwrap();
    assert!(
        days.iter()
            .all(|day| day["rides"] == SKIERS && day["fault"].is_null()),
        "{listed:#}"
    );
    assert_eq!(operator.sees(&season).await, before);
    let is_done = |plans: &Value| plans["plans"][0]["state"] == "applied";
    operator.waits_for(&["plans", "list"], is_done).await;
    // Every day is in files, and open to nothing.
    let rides = format!("{}/skiers/1/seasons/2025/days/7/skiers/9/rides", system.url);
    let answer: Value = http.get(rides).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["rides"].as_array().unwrap().len(), 1, "{answer}");
}

#[tokio::test]
async fn a_day_is_archived_and_restored_in_the_browser() {
    let (rabbit, redis) = tokio::join!(
        RabbitServer::start(RabbitOptions::default()),
        RedisServer::start(RedisOptions::default())
    );
    let (rabbit, redis) = (rabbit.unwrap(), redis.unwrap());
    let mut console = WebConsole::open_on(&rabbit, &redis, 0).await;
    let url = console.up.logged_after("public API on ").await;
    let ride = serde_json::json!({
        "resortID": 7, "seasonID": "2025", "dayID": 12, "skierID": 4711, "time": 600, "liftID": 1
    });
    let post = skilift_servers::http().post(format!("{url}/rides"));
    let post = post.header("content-type", "application/x-ndjson");
    let answer = post.body(format!("{ride}\n")).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    let (browser, day) = (&console.browser, "/rides/resorts/7/seasons/2025/days/12");
    let began = std::time::Instant::now();
    let is_stored = "return document.querySelector('#repair-h') !== null";
    loop {
        console.goto(day).await;
        if browser.run(is_stored).await == true {
            break;
        }
        assert!(began.elapsed().as_secs() < 60, "the ride is not stored");
    }
    console.goto("/rides?resort=7&season=2025").await;
    browser.press("Archive days").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto(day).await;
    browser.shows("#archive-h", "Archived").await;
    assert_eq!(browser.run(is_stored).await, false);
    browser.shows("main", "4711").await;
    assert_eq!(browser.axe().await, [""; 0]);
    browser.press("Restore day 12").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto(day).await;
    browser.shows("#repair-h", "Repair").await;
}

async fn send_again(url: &str, sent: &Sent) {
    let http = skilift_servers::http();
    let some: BTreeSet<&Ride> = sent.accepted.iter().take(50).collect();
    for ride in some {
        let answer = post(&http, url, ride).send().await.unwrap();
        assert_eq!(answer.status(), 201);
    }
}
