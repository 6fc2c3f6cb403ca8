//! A process whose log cannot be written any more goes on, and drains.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use skilift_servers::{RabbitOptions, RabbitServer, RedisOptions, RedisServer};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::embedded_disk::up_arguments;
use crate::operator::Operator;
use crate::service::{after, aside};

/// The status line of the response to a ride without a key.
async fn posted(api: &str) -> String {
    let mut client = TcpStream::connect(api.trim_start_matches("http://"))
        .await
        .unwrap();
    let body = r#"{"resortID":1,"seasonID":"2025","dayID":1,"skierID":7,"time":3,"liftID":2}"#;
    let head =
        "POST /skiers/1/seasons/2025/days/1/skiers/7 HTTP/1.1\r\nhost: x\r\nconnection: close";
    let length = body.len();
    let request = format!(
        "{head}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    response.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_process_whose_log_is_on_a_full_disk_serves_and_drains() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let port = skilift_servers::free_port().unwrap();
    let api = format!("127.0.0.1:{port}");
    let mut arguments = up_arguments(&data);
    let at = arguments
        .iter()
        .position(|argument| *argument == "--api-listen");
    arguments[at.unwrap() + 1] = &api;
    let mut child = Command::new(env!("CARGO_BIN_EXE_skictl"))
        .args(arguments)
        .envs(aside(folder.path()))
        .env_remove("SKI_AMQP_URL")
        .env_remove("SKI_REDIS_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(full))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    loop {
        let is_served = TcpStream::connect(&api).await.is_ok();
        if is_served && posted(&api).await == "HTTP/1.1 201 Created" {
            break;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(begun.elapsed() < Duration::from_secs(60), "no 201");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{status:?}");
}

#[tokio::test]
async fn a_process_whose_log_is_read_no_more_goes_on() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let mut child = Command::new(env!("CARGO_BIN_EXE_skictl"))
        .args(up_arguments(&data))
        .envs(aside(folder.path()))
        .env_remove("SKI_AMQP_URL")
        .env_remove("SKI_REDIS_URL")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut api, mut admin) = (None, None);
    while api.is_none() || admin.is_none() {
        let line = log.next_line().await.unwrap().expect("it starts");
        api = api.or_else(|| after(&line, "public API on "));
        admin = admin.or_else(|| after(&line, "admin API on "));
    }
    drop(log);
    let (api, operator) = (api.unwrap(), Operator::of_up(admin.unwrap(), &data));
    // Each change is logged.
    for ingest in ["keys", "open", "keys"] {
        let line = [
            "settings",
            "set",
            "ingest",
            ingest,
            "--yes",
            "--confirm",
            "skilift",
        ];
        operator.does(&line).await;
    }
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(posted(&api).await, "HTTP/1.1 401 Unauthorized");
    let nodes = operator.sees(&["nodes"]).await;
    for node in nodes["nodes"].as_array().unwrap() {
        assert_eq!(node["state"], "ready", "{node:#}");
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{status:?}");
}

/// Starts a node whose log is on a full disk.
fn without_log(folder: &TempDir, arguments: &[&str], servers: &[(&str, String); 2]) -> Child {
    let full = std::fs::File::options().write(true).open("/dev/full");
    let private = ["--metrics-listen", "127.0.0.1:0"];
    Command::new(env!("CARGO_BIN_EXE_skictl"))
        .args([&["serve"][..], arguments, &private].concat())
        .envs(aside(folder.path()))
        .envs(servers.iter().map(|(name, url)| (name, url)))
        .env("SKI_LOG", "debug")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(full.unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn nodes_whose_log_cannot_be_written_outlive_the_loss_of_all_their_connections() {
    let (rabbit, redis) = tokio::join!(
        RabbitServer::start(RabbitOptions::default()),
        RedisServer::start(RedisOptions::default())
    );
    let (rabbit, redis) = (rabbit.unwrap(), redis.unwrap());
    let folder = TempDir::new().unwrap();
    let servers = [
        ("SKI_AMQP_URL", rabbit.amqp_url()),
        ("SKI_REDIS_URL", redis.url()),
    ];
    let api = format!("127.0.0.1:{}", skilift_servers::free_port().unwrap());
    let mut nodes = [
        without_log(&folder, &["api", "--api-listen", &api], &servers),
        without_log(&folder, &["worker"], &servers),
    ];
    let http = skilift_servers::http();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for skier in 1..=3 {
        let url = format!("http://{api}/skiers/1/seasons/2025/days/1/skiers/{skier}");
        let begun = std::time::Instant::now();
        // Posted until it is accepted, and read until it is stored.
        let is_created = async || {
            let post = http
                .post(&url)
                .json(&serde_json::json!({"time": 1, "liftID": 1}));
            post.send().await.is_ok_and(|answer| answer.status() == 201)
        };
        while !is_created().await {
            assert!(begun.elapsed() < Duration::from_secs(60), "not accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let is_stored = async || {
            let asked = http.get(format!("{url}/rides")).send().await;
            asked.is_ok_and(|answer| answer.status() == 200)
        };
        while !is_stored().await {
            assert!(begun.elapsed() < Duration::from_secs(60), "not stored");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for kind in ["normal", "pubsub"] {
            let mut cut = redis::cmd("CLIENT");
            cut.arg("KILL").arg("TYPE").arg(kind);
            cut.exec_async(&mut connection).await.unwrap();
        }
    }
    for node in &mut nodes {
        assert!(node.try_wait().unwrap().is_none(), "it ended");
        let pid = Pid::from_raw(node.id().unwrap().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        assert!(node.wait().await.unwrap().success());
    }
}
