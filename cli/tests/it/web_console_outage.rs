//! The web console while RabbitMQ or Redis is down, and when a line cannot be stored.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::json;
use skilift_core::stack::StackName;
use skilift_servers::{RabbitOptions, RabbitServer, RedisOptions, RedisServer};

use crate::browser::WebConsole;
use crate::system::counting_at_once;

/// Within this time an outage is shown.
const SHOWN: Duration = Duration::from_secs(20);
/// Within this time everything works again.
const RECOVERED: Duration = Duration::from_secs(60);

async fn servers() -> (RabbitServer, RedisServer) {
    let (rabbit, redis) = tokio::join!(
        RabbitServer::start(counting_at_once(RabbitOptions::default())),
        RedisServer::start(RedisOptions::default())
    );
    (rabbit.unwrap(), redis.unwrap())
}

/// Waits until everything works and is known.
async fn all_is_well(console: &WebConsole) {
    let browser = &console.browser;
    let message = "All is well";
    browser.shows_within(RECOVERED, "#verdict", message).await;
    for figure in ["#k-backlog", "#k-dead", "#k-lost"] {
        let has_digit = |text: &str| text.contains(|of: char| of.is_ascii_digit());
        browser.until(figure, has_digit, "a number").await;
    }
}

/// The page that is open says that a server is down, and shows no figures that it does not know.
async fn shows_outage(console: &WebConsole, of: &str, unknown: &[&str]) {
    let browser = &console.browser;
    let message = format!("CRITICAL: {of} is unreachable");
    browser.shows_within(SHOWN, "#verdict", &message).await;
    browser
        .shows("#verdict .verdict-message", &format!("{of} is unreachable"))
        .await;
    for figure in unknown {
        let is_unknown = |text: &str| text == "unknown";
        browser.until(figure, is_unknown, "unknown").await;
    }
    let title = browser.client.title().await.unwrap();
    assert!(title.starts_with("CRITICAL: Overview"), "{title}");
    browser.shows("#live-state", "Live").await;
    assert_eq!(browser.axe().await, [""; 0], "{of} is down");
}

#[tokio::test]
async fn an_open_overview_shows_outages_of_rabbitmq_and_redis_and_their_end() {
    let (mut rabbit, mut redis) = servers().await;
    let console = WebConsole::open_on(&rabbit, &redis, 50).await;
    all_is_well(&console).await;
    // A reload would lose it.
    console.browser.run("window.isSamePage = true").await;
    rabbit.stop().await.unwrap();
    shows_outage(&console, "RabbitMQ", &["#k-backlog", "#k-dead"]).await;
    rabbit.start_again().await.unwrap();
    all_is_well(&console).await;
    redis.stop().await.unwrap();
    let unknown = ["#k-pub", "#k-ack", "#k-backlog", "#k-lost"];
    shows_outage(&console, "Redis", &unknown).await;
    redis.start_again().await.unwrap();
    all_is_well(&console).await;
    let is_same = console.browser.run("return window.isSamePage").await;
    assert_eq!(is_same, json!(true), "the page was reloaded");
}

/// Sends a line into the queue of rides, as RabbitMQ's own tools would.
async fn publish(rabbit: &RabbitServer, line: &str) {
    let url = rabbit.amqp_url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = StackName::default().ride_queue();
    channel
        .basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            line.as_bytes(),
            BasicProperties::default().with_delivery_mode(2),
        )
        .await
        .unwrap();
    // What was sent before is received before the channel is closed.
    channel.close(200, "done".into()).await.unwrap();
}

#[tokio::test]
async fn a_line_that_cannot_be_stored_is_shown_with_its_reason_and_replayed() {
    let (rabbit, redis) = servers().await;
    let console = WebConsole::open_on(&rabbit, &redis, 0).await;
    let browser = &console.browser;
    all_is_well(&console).await;
    console.goto("/dead-letters").await;
    browser.shows("main", "No dead letters").await;
    publish(&rabbit, "poison").await;
    browser.shows("#dl-h", "1 dead letter").await;
    browser.shows("#dl-none", "1 new").await;
    browser.shows("#nav-dead", "1").await;
    console.goto("/dead-letters").await;
    browser.shows("main tbody", "the line is not JSON").await;
    browser.shows("main tbody", "poison").await;
    browser.click("main tbody a").await;
    browser.shows("aside", "poison").await;
    browser.shows("aside", "never").await;
    assert_eq!(browser.axe().await, [""; 0]);
    browser.click("aside button[value=replay]").await;
    browser.shows("#verdict", "dead → replayed").await;
    browser.click("#apply button").await;
    let outcome = "Sent 1: 0 stored, 1 dead-lettered again";
    browser.shows("#verdict", outcome).await;
    browser.shows("#steps", outcome).await;
    // It still cannot be stored, and comes back under its id.
    console.goto("/dead-letters").await;
    browser.shows("main tbody td[data-live]", "1 replay").await;
    browser.shows("main tbody td[data-live]", "dead").await;
    browser.shows("#dl-h", "1 dead letter").await;
    console.goto("/").await;
    browser
        .shows("#verdict", "1 dead letter needs attention")
        .await;
}
