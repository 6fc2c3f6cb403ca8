//! What happens to a process that does everything on a data folder.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use skilift_servers::{shared_amqp_url, shared_redis_url};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::bad_start::fails_by;
use crate::embedded_disk::up_arguments;
use crate::service::Service;
use crate::up::Up;

#[tokio::test]
async fn up_killed_under_load_loses_and_doubles_nothing() {
    let mut up = Up::start().await;
    let load = up.load();
    for round in 0..20 {
        load.accept(200 + 150 * (round % 5)).await;
        up.service.kill_9().await;
        up.start_again().await;
    }
    load.accept(1000).await;
    let sent = load.stop().await;
    assert!(sent.unanswered > 0, "the crash was not under load");
    up.prove("kill -9 of up on a data folder, 20 times", &sent)
        .await;
}

#[tokio::test]
async fn up_killed_while_it_makes_its_folder_starts_again() {
    let folder = TempDir::new().unwrap();
    for milliseconds in 0..30 {
        let data = folder.path().join(milliseconds.to_string());
        let arguments = up_arguments(&data);
        let mut first = Service::start(folder.path(), "first", &arguments, &[]);
        // There is nothing to wait for: the moment of the crash is what varies.
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        first.kill_9().await;
        let mut second = Service::start(folder.path(), "second", &arguments, &[]);
        second.logged_after("health and metrics on ").await;
        second.drain().await;
    }
}

#[tokio::test]
async fn up_drains_under_load_and_goes_on_where_it_was() {
    let mut up = Up::start().await;
    let load = up.load();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        load.accept(2000).await;
        up.service.signal(signal);
        let status = up.service.wait().await;
        assert!(status.success(), "{status:?}: {}", up.service.log());
        let log = up.service.log();
        assert!(log.contains(&format!("{signal}: draining")), "{log}");
        up.start_again().await;
    }
    load.accept(500).await;
    let sent = load.stop().await;
    up.prove("SIGTERM and SIGINT of up on a data folder", &sent)
        .await;
}

#[tokio::test]
async fn a_second_signal_ends_up_at_once() {
    let mut up = Up::start().await;
    let load = up.load();
    load.accept(1000).await;
    // A body that does not come keeps the process from draining.
    let mut slow = TcpStream::connect(up.url.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let head = "POST /resorts/1/seasons HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                content-length: 20\r\n\r\n{\"year\"";
    slow.write_all(head.as_bytes()).await.unwrap();
    load.accept(500).await;
    up.service.signal(Signal::SIGTERM);
    up.service
        .logged_after("draining; a second signal ends")
        .await;
    // Within half a second it would be the same request.
    tokio::time::sleep(Duration::from_millis(700)).await;
    up.service.signal(Signal::SIGTERM);
    let status = up.service.wait().await;
    assert_eq!(status.code(), Some(1), "{}", up.service.log());
    assert!(up.service.log().contains("SIGTERM again: ending now"));
    up.start_again().await;
    load.accept(500).await;
    let sent = load.stop().await;
    up.prove("two SIGTERMs of up on a data folder", &sent).await;
}

#[tokio::test]
async fn a_folder_belongs_to_one_process() {
    let mut up = Up::start().await;
    let load = up.load();
    load.accept(500).await;
    let says = [
        &*format!(
            "the data directory {} is in use by another process",
            up.data.display()
        ),
        "choose another directory with --data",
    ];
    fails_by(&[], &up_arguments(&up.data), 1, &says).await;
    load.accept(500).await;
    let sent = load.stop().await;
    assert_eq!(sent.refused + sent.unanswered, 0, "{:?}", sent.messages);
    up.prove("a second process on the same folder", &sent).await;
}

/// Posts a ride of a fresh day and asks until its vertical is told.
async fn ride_and_ask(url: &str) {
    let http = skilift_servers::http();
    let ride = format!("{url}/skiers/1/seasons/2026/days/1/skiers/123");
    let body = serde_json::json!({"time": 217, "liftID": 21});
    let posted = http.post(&ride).json(&body).send().await.unwrap();
    assert_eq!(posted.status(), 201);
    until_told(&ride, "210").await;
}

async fn until_told(url: &str, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let told = skilift_servers::http()
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        if told == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{url}: {told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn up_says_where_it_is_and_keeps_its_data() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("a/new/folder");
    let arguments = up_arguments(&data);
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    let url = up.logged_after("public API on ").await;
    let private = up.logged_after("health and metrics on ").await;
    assert!(!url.ends_with(":0") && url.starts_with("http://127.0.0.1:"));
    let said = up.output();
    for words in [
        &format!("API              {url}\n"),
        &format!("health, metrics  {private}/readyz"),
    ] {
        assert!(said.contains(words), "{said}");
    }
    ride_and_ask(&url).await;
    let health = skilift_servers::http()
        .get(format!("{private}/readyz"))
        .send()
        .await
        .unwrap();
    let health: serde_json::Value = health.json().await.unwrap();
    assert_eq!(health["status"], "ready");
    // As Ctrl-C does.
    up.signal(Signal::SIGINT);
    assert!(up.wait().await.success());

    let mut again = Service::start(folder.path(), "up", &arguments, &[]);
    let url = again.logged_after("public API on ").await;
    let ride = format!("{url}/skiers/1/seasons/2026/days/1/skiers/123");
    assert_eq!(
        skilift_servers::http()
            .get(&ride)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "210"
    );
    again.drain().await;
}

#[tokio::test]
async fn up_runs_on_rabbitmq_and_redis_too() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("unused");
    let stack = format!("up-{}", std::process::id());
    let (amqp_url, redis_url) = (shared_amqp_url(), shared_redis_url());
    let servers = ["--amqp-url", &amqp_url, "--redis-url", &redis_url];
    let arguments = [&up_arguments(&data)[..], &servers, &["--stack", &stack]].concat();
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    let url = up.logged_after("public API on ").await;
    crate::system::wait_until_ready(&url, &up).await;
    ride_and_ask(&url).await;
    up.drain().await;
    // The console alone keeps something there.
    assert!(data.join(format!("console-{stack}")).exists() && !data.join("rides").exists());

    for (half, says) in [
        (&servers[..2], "amqp_url is set but redis_url is not"),
        (&servers[2..], "redis_url is set but amqp_url is not"),
    ] {
        let arguments = [&up_arguments(&data)[..], half].concat();
        let says = [says, "RabbitMQ and Redis are used together"];
        fails_by(&[], &arguments, 2, &says).await;
    }
}
