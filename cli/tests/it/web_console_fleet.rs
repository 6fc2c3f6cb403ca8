//! The fleet in a real browser: scaled out and in, refused, failed and cancelled, on a rehearsed EC2 with real nodes.

use std::time::Duration;

use serde_json::{Value, json};
use skilift_servers::http;

use crate::browser::{Browser, Kind};
use crate::rehearse::{DENIED, NO_CAPACITY, Rehearsal};

const FIRST: &str = "i-00000000000000001";
const SECOND: &str = "i-00000000000000002";
/// How long a plan may take here.
const LIMIT: Duration = Duration::from_secs(60);

/// Plans so many workers.
async fn plan(browser: &Browser, url: &str, workers: &str) {
    browser.client.goto(&format!("{url}/fleet")).await.unwrap();
    browser.fill("input[name=worker]", workers).await;
    browser.press("Plan").await;
    browser.shows("main", "In the terminal").await;
}

#[tokio::test]
async fn the_fleet_is_scaled_and_says_what_fails() {
    let (mut rehearsal, browser) = tokio::join!(
        Rehearsal::start(NO_CAPACITY),
        Browser::start(Kind::default())
    );
    let url = rehearsal.operator.url.clone();
    browser.client.goto(&format!("{url}/login")).await.unwrap();
    let log_in = "document.cookie = `skilift_session=${arguments[0]}; path=/`";
    let token = json!(rehearsal.operator.token());
    browser.run_with(log_in, vec![token]).await;
    browser.client.goto(&format!("{url}/fleet")).await.unwrap();
    browser.shows("#verdict", "1 worker").await;
    assert_eq!(browser.axe().await, [""; 0]);

    // Out: the plan has a price; the zone without room is said, and another one is used.
    plan(&browser, &url, "2").await;
    browser.shows("main", "Cost, $ per hour").await;
    browser.shows("main", "skictl scale worker=2").await;
    assert_eq!(browser.axe().await, [""; 0]);
    browser.click("#apply button").await;
    browser.shows_within(LIMIT, "#verdict", "Succeeded").await;
    browser
        .shows("#steps", "i-00000000000000003 was started in its place")
        .await;
    assert_eq!(browser.axe().await, [""; 0]);
    browser.client.goto(&format!("{url}/fleet")).await.unwrap();
    browser.shows("#verdict", "2 workers").await;
    browser.shows("#recent", "scale worker=2").await;

    // A permission that the console lacks is a guard, with its name; nothing can be applied.
    rehearsal.set_faults(DENIED).await;
    plan(&browser, &url, "3").await;
    browser.shows("#verdict", "A guard refuses this plan").await;
    browser.shows("main", "ec2:StartInstances").await;

    // An instance that falls back after EC2 has accepted it has failed, and the page says why.
    let falls_back =
        "faults = [{ action = \"StartInstances\", falls_back = \"Server.InternalError\" }]";
    rehearsal.set_faults(falls_back).await;
    plan(&browser, &url, "3").await;
    browser.click("#apply button").await;
    browser.shows_within(LIMIT, "#verdict", "Failed").await;
    browser.shows("#steps", "Server.InternalError").await;

    // Cancelled while EC2 has not answered the start yet: it is waited for, and the stop is not begun.
    let late = "faults = [{ action = \"StartInstances\", delay = \"6s\", always = true }]";
    rehearsal.set_faults(late).await;
    let change = json!({ "change": "scale", "start": [SECOND], "stop": [FIRST] });
    let made = http()
        .post(format!("{url}/admin/v1/plans"))
        .bearer_auth(rehearsal.operator.token())
        .json(&change);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let page = format!("{url}/plans/{}", made["id"].as_str().unwrap());
    browser.client.goto(&page).await.unwrap();
    browser.click("#apply button").await;
    browser.shows("#verdict", "being applied").await;
    browser.press("Cancel the plan").await;
    browser.shows("#verdict", "Cancelling").await;
    browser.shows_within(LIMIT, "#verdict", "Cancelled").await;
    browser.shows("#steps", "Cancelled before it began").await;

    // In: drained first. Two of three are more than half, which takes the name of the stack.
    rehearsal.set_faults("").await;
    plan(&browser, &url, "1").await;
    browser.shows("#verdict", "Severe").await;
    browser.fill("#confirm", "rehearsal").await;
    browser.click("#apply button").await;
    browser.shows_within(LIMIT, "#verdict", "Succeeded").await;
    browser.client.goto(&format!("{url}/plans")).await.unwrap();
    browser.shows("tbody", "cancelled").await;
    assert_eq!(browser.messages().await, [""; 0]);
}
