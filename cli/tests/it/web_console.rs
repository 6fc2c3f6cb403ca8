//! The web console in a real browser.

use serde_json::json;

use crate::browser::{Kind, WebConsole};

/// Every page of the navigation, and its title.
const PAGES: [(&str, &str); 12] = [
    ("/", "Overview"),
    ("/queue", "Queue"),
    ("/dead-letters", "Dead letters"),
    ("/rides", "Rides"),
    ("/nodes", "Nodes"),
    ("/fleet", "Fleet"),
    ("/settings", "Settings"),
    ("/tuning", "Tuning"),
    ("/plans", "Plans"),
    ("/audit", "Audit"),
    ("/access", "Access"),
    ("/doctor", "Doctor"),
];

fn number(text: &str) -> f64 {
    let digits: String = text
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    digits.parse().unwrap_or(0.0)
}

#[tokio::test]
async fn the_link_of_up_opens_an_overview_that_stays_up_to_date() {
    let console = WebConsole::open(Kind::default(), 200).await;
    let browser = &console.browser;
    browser
        .until("#k-pub", |text| number(text) > 10.0, "more than 10 rides/s")
        .await;
    browser.run("window.isSamePage = true").await;
    let first = browser
        .until("#live-state", |text| text.starts_with("Live"), "Live")
        .await;
    browser
        .until(
            "#live-state",
            |text| text.starts_with("Live") && text != first,
            "a later time",
        )
        .await;
    // Reloading is not what keeps it up to date.
    assert_eq!(browser.run("return window.isSamePage").await, json!(true));
    assert_eq!(browser.messages().await, [""; 0]);
}

#[tokio::test]
async fn every_page_is_shown_without_messages_and_fits_a_phone() {
    let kind = Kind {
        width: 500,
        ..Kind::default()
    };
    let console = WebConsole::open(kind, 50).await;
    let browser = &console.browser;
    browser.client.set_window_size(390, 844).await.unwrap();
    for (path, title) in PAGES {
        console.goto(path).await;
        browser.shows("h1", title).await;
        let controls = "return document.querySelectorAll('[data-live] :is(a,button,input,select,textarea,summary)').length";
        assert_eq!(browser.run(controls).await, json!(0), "{path}");
        let overflow =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(overflow).await, json!(0), "{path}");
        let elsewhere = "return performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin)).length";
        assert_eq!(browser.run(elsewhere).await, json!(0), "{path}");
        assert_eq!(browser.messages().await, [""; 0], "{path}");
    }
}

#[tokio::test]
async fn settings_change_through_a_plan() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    console.goto("/settings").await;
    browser.fill("#worker-batch", "500").await;
    browser.click("form:has(#worker-batch) button").await;
    browser.shows("h1", "Set worker batch").await;
    browser.shows("main", "skictl settings set worker").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto("/settings").await;
    browser.shows("#sv-worker", "version 2").await;
    browser.shows("#sf-worker", "up to date").await;
    console.goto("/audit").await;
    browser.shows("tbody", "apply").await;
}

#[tokio::test]
async fn a_pause_is_planned_applied_and_resumed() {
    let console = WebConsole::open(Kind::default(), 100).await;
    let browser = &console.browser;
    console.goto("/queue").await;
    browser.press("Pause consumption").await;
    browser.shows("#verdict", "Pause consumption").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto("/").await;
    browser
        .until(
            "#k-backlog",
            |text| number(text) > 100.0,
            "a growing backlog",
        )
        .await;
    browser.shows("#verdict", "paused").await;
    console.goto("/queue").await;
    browser.press("Resume consumption").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto("/").await;
    browser
        .until(
            "#k-backlog",
            |text| number(text) < 100.0,
            "a drained backlog",
        )
        .await;
}

#[tokio::test]
async fn a_severe_plan_needs_its_name() {
    let console = WebConsole::open(Kind::default(), 100).await;
    let browser = &console.browser;
    console.goto("/settings").await;
    browser.click("input[name=ingest][value=keys]").await;
    browser.click("form:has(input[name=ingest]) button").await;
    browser.shows("#verdict", "Severe").await;
    browser.fill("#confirm", "something else").await;
    browser.click("#apply button").await;
    let is_wrong = "return document.querySelector('#confirm').validity.patternMismatch";
    assert_eq!(browser.run(is_wrong).await, json!(true));
    browser.fill("#confirm", "skilift").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    // No gate has a key.
    console.goto("/").await;
    browser
        .shows("#verdict", "they have no valid ingest key")
        .await;
    browser.shows("#verdict", "no ride is accepted").await;
}

#[tokio::test]
async fn a_stale_plan_is_refused_and_planned_again() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    let mut plans = Vec::new();
    for batch in ["500", "600"] {
        console.goto("/settings").await;
        browser.fill("#worker-batch", batch).await;
        browser.click("form:has(#worker-batch) button").await;
        browser.shows("#verdict", "Set worker batch").await;
        plans.push(browser.client.current_url().await.unwrap());
    }
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    browser.client.goto(plans[0].as_str()).await.unwrap();
    browser.shows("#verdict", "stale").await;
    browser.shows("#verdict", "Nothing was changed").await;
    browser.click("#apply button").await;
    browser
        .shows("h1", "Set worker batch (all workers): 600 → 500")
        .await;
}

#[tokio::test]
async fn it_works_without_scripts() {
    let kind = Kind {
        has_scripts: false,
        ..Kind::default()
    };
    let console = WebConsole::open(kind, 50).await;
    let browser = &console.browser;
    browser.shows("#live-state", "As of").await;
    console.goto("/settings").await;
    browser.fill("#worker-batch", "500").await;
    browser.click("form:has(#worker-batch) button").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    console.goto("/rides").await;
    browser.shows("h1", "Rides").await;
}

#[tokio::test]
async fn an_open_page_survives_a_crash_of_the_console() {
    let mut console = WebConsole::open(Kind::default(), 50).await;
    console.browser.shows("#live-state", "Live").await;
    console.up.kill_9().await;
    console.browser.shows("#live-state", "Reconnecting").await;
    console.start_again(50).await;
    console.browser.shows("#live-state", "Live").await;
    console
        .browser
        .until("#k-pub", |text| number(text) > 10.0, "rides")
        .await;
}
