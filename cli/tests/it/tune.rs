//! `skictl tune` on RabbitMQ and Redis, with real load: a sweep to its end, and one whose client, load and console are killed.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Child;

use crate::children::UpOnServers;
use crate::operator::Operator;
use crate::rehearse::Rehearsal;
use crate::service::Service;

/// A sweep that takes a few seconds for each measurement.
pub(crate) const SHORT: &str =
    "--rate 200 --p99 30s --repeats 1 --warm-up 1s --measure 5s --seed 3 --yes";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

async fn started() -> (UpOnServers, Operator) {
    let mut on = UpOnServers::start().await;
    let operator = on.operator().await;
    let two = |seen: &Value| seen["nodes"].as_array().unwrap().len() == 2;
    operator.waits_for(&["nodes"], two).await;
    (on, operator)
}

/// A client that runs until it is killed or its sweep has ended.
fn started_by(operator: &Operator, line: &str) -> Child {
    let mut client = operator.command(&words(line));
    client.stdout(Stdio::null()).stderr(Stdio::piped());
    client.spawn().unwrap()
}

/// Threads of the workers, as set.
async fn threads(operator: &Operator) -> u64 {
    let settings = operator.sees(&["settings"]).await;
    let sections = settings["sections"].as_array().unwrap().iter();
    let mut workers = sections.filter(|section| section["section"] == "worker");
    workers.next().unwrap()["values"]["threads"]
        .as_u64()
        .unwrap()
}

async fn is_measuring(operator: &Operator, id: &str, threads: u64) {
    let is_listed = |seen: &Value| {
        let sweeps = seen["sweeps"].as_array().unwrap();
        sweeps.iter().any(|sweep| sweep["id"] == id)
    };
    operator.waits_for(&["tune", "list"], is_listed).await;
    let phase = |seen: &Value| {
        assert!(seen["ended_at_ms"].is_null(), "{seen:#}");
        let progress = &seen["progress"];
        progress["phase"] == "measuring" && progress["point"]["threads"] == threads
    };
    operator.waits_for(&["tune", "show", id], phase).await;
}

/// Waits until a sweep has ended, which it must do in this state.
async fn ends_as(operator: &Operator, id: &str, state: &str) -> Value {
    let has_ended = |seen: &Value| seen["ended_at_ms"].is_u64();
    let (sweep, _) = operator.waits_for(&["tune", "show", id], has_ended).await;
    assert_eq!(sweep["state"], state, "{sweep:#}");
    sweep
}

/// The processes of the loads of this test, by the program's data directory in their parents.
async fn loads(target: &str) -> Vec<String> {
    let pattern = format!("load --stop-at-eof.*{target}");
    let found = tokio::process::Command::new("pgrep")
        .args(["-f", &pattern])
        .output();
    let found = found.await.unwrap();
    String::from_utf8(found.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_sweep_over_threads_and_workers_recommends_and_applies() {
    let (mut on, operator) = started().await;
    let line = format!("tune run --workers 1,2 --threads 1,3 {SHORT} --apply --output json");
    let said = operator.does(&words(&line)).await;
    let sweep = said.json();
    assert_eq!(sweep["state"], "finished", "{said:?}");
    // Two by two, and what ran before.
    let points = sweep["points"].as_array().unwrap();
    assert!(points.len() >= 4, "{sweep:#}");
    for point in points {
        assert_eq!(point["failed"], Value::Null, "{point:#}");
        let stored = point["stored_per_s"]["mean"].as_f64().unwrap();
        assert!((150.0..=250.0).contains(&stored), "{point:#}");
        assert!(point["p99_ms"]["mean"].as_f64().unwrap() > 0.0, "{point:#}");
        let run = &point["runs"][0];
        assert_eq!(
            (&run["lost_messages"], &run["failed_requests"]),
            (&0.into(), &0.into()),
            "{run:#}"
        );
    }
    // Without prices the fewest nodes win.
    let best = &sweep["recommendation"]["point"];
    assert_eq!(best["workers"], 1, "{sweep:#}");
    assert_eq!(threads(&operator).await, best["threads"].as_u64().unwrap());
    let fleet = operator.sees(&["ec2", "list", "--role", "worker"]).await;
    assert_eq!(fleet["roles"][0]["running"], 1, "{fleet:#}");
    let shown = operator.does(&["tune", "show", "t1"]).await.output;
    assert!(
        shown.contains("recommended") && shown.contains("stored/s"),
        "{shown}"
    );
    let csv = operator
        .does(&["tune", "show", "t1", "--output", "csv"])
        .await
        .output;
    let runs = points
        .iter()
        .map(|point| point["runs"].as_array().unwrap().len());
    assert_eq!(csv.lines().count(), runs.sum::<usize>() + 1, "{csv}");
    let list = operator.does(&["tune", "list"]).await;
    assert!(list.output.contains("t1"), "{list:?}");
    operator.closes_the_books().await;
    on.up.drain().await;
}

#[tokio::test]
async fn client_load_and_console_are_killed_and_the_settings_are_restored_each_time() {
    let (mut on, operator) = started().await;
    let before = threads(&operator).await;
    let line = format!("tune run --threads 5 {SHORT} --output json");

    // The client: the sweep goes on without it, and restores.
    let mut client = started_by(&operator, &line);
    is_measuring(&operator, "t1", 5).await;
    assert_eq!(threads(&operator).await, 5);
    client.kill().await.unwrap();
    ends_as(&operator, "t1", "finished").await;
    assert_eq!(threads(&operator).await, before);

    // The load: it is started again.
    let target = on.url.trim_start_matches("http://").to_owned();
    let killing = async {
        is_measuring(&operator, "t2", 5).await;
        let running = loads(&target).await;
        assert_eq!(running.len(), 1, "{running:?}");
        let killed = tokio::process::Command::new("kill")
            .args(["-9", &running[0]])
            .status();
        assert!(killed.await.unwrap().success());
    };
    let all = words(&line);
    let (said, ()) = tokio::join!(operator.skictl(&all), killing);
    assert_eq!(
        (said.code, &said.json()["state"]),
        (0, &"finished".into()),
        "{said:?}"
    );
    assert_eq!(threads(&operator).await, before);

    // The console: its load ends with it, and it restores at its next start.
    let mut client = started_by(&operator, &line);
    is_measuring(&operator, "t3", 5).await;
    on.up.kill_9().await;
    client.kill().await.unwrap();
    let began = Instant::now();
    while !loads(&target).await.is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the load goes on"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    on.start_again().await;
    let operator = on.operator().await;
    let sweep = ends_as(&operator, "t3", "stopped").await;
    assert_eq!(
        sweep["settings_message"], "what was set before is restored",
        "{sweep:#}"
    );
    assert_eq!(threads(&operator).await, before);
    let said = operator
        .does(&["tune", "resume", "t3", "--output", "json"])
        .await;
    assert_eq!(said.json()["state"], "finished", "{said:?}");
    operator.closes_the_books().await;
    on.up.drain().await;
}

#[tokio::test]
async fn ctrl_c_stops_a_sweep_and_restores() {
    let (mut on, operator) = started().await;
    let before = threads(&operator).await;
    let line = format!("tune run --threads 5,6,7 {SHORT}");
    let client = started_by(&operator, &line);
    let pid = client.id().unwrap().to_string();
    let first = |seen: &Value| {
        let sweeps = seen["sweeps"].as_array().unwrap();
        sweeps
            .iter()
            .any(|sweep| sweep["runs_done"].as_u64() > Some(0))
    };
    operator.waits_for(&["tune", "list"], first).await;
    let sent = tokio::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .await;
    assert!(sent.unwrap().success());
    let said = client.wait_with_output().await.unwrap();
    let messages = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(130), "{messages}");
    assert!(messages.contains("skictl tune resume t1"), "{messages}");
    assert_eq!(threads(&operator).await, before);
    let sweep = operator.sees(&["tune", "show", "t1"]).await;
    assert_eq!(sweep["state"], "stopped", "{sweep:#}");
    on.up.drain().await;
}

/// An API node and a large worker run; an extra large worker can be started.
const INSTANCES: &str = r#"
timings = { pending = "200ms", stopping = "200ms", initializing = "200ms", lag = "50ms" }
instances = [
    { role = "api", type = "c7g.large", count = 1, running = 1, zones = ["us-east-1a"] },
    { role = "worker", type = "c7g.large", count = 1, running = 1, zones = ["us-east-1a"] },
    { role = "worker", type = "c7g.xlarge", count = 1, running = 0, zones = ["us-east-1b"] },
]
"#;

#[tokio::test]
async fn workers_of_each_type_are_measured_and_the_cheaper_one_runs_again() {
    let mut rehearsal = Rehearsal::of("us-east-1", INSTANCES, 2, "").await;
    let operator = &rehearsal.operator;
    let target = rehearsal.ec2.logged_after("public API on ").await;
    let types = "--worker-types c7g.large,c7g.xlarge";
    let line = format!("tune run {types} --target {target} {SHORT} --output json");
    let sweep = operator.does(&words(&line)).await.json();
    assert_eq!(sweep["state"], "finished", "{sweep:#}");
    let points = sweep["points"].as_array().unwrap();
    let usd = |of: &str| {
        let found = points
            .iter()
            .find(|point| point["config"]["worker_type"] == of);
        found.unwrap()["usd_per_h"].as_f64().unwrap()
    };
    // The API node and a worker; see infra/aws/prices.toml.
    assert!((usd("c7g.large") - 2.0 * 0.0725).abs() < 1e-9, "{sweep:#}");
    assert!(
        (usd("c7g.xlarge") - 0.0725 - 0.145).abs() < 1e-9,
        "{sweep:#}"
    );
    let best = &sweep["recommendation"]["point"];
    assert_eq!(best["worker_type"], "c7g.large", "{sweep:#}");
    assert_eq!(sweep["before"]["worker_type"], "c7g.large", "{sweep:#}");
    let fleet = operator.sees(&["ec2", "list", "--role", "worker"]).await;
    for instance in fleet["instances"].as_array().unwrap() {
        let expected = match instance["instance_type"].as_str() {
            Some("c7g.large") => "running",
            _ => "stopped",
        };
        assert_eq!(instance["state"], expected, "{fleet:#}");
    }
    let refused = operator
        .skictl(&words(&format!(
            "tune run --worker-types m7g.large --target {target} {SHORT}"
        )))
        .await;
    assert_eq!(refused.code, 2, "{refused:?}");
    let why = "1 worker of the type \"m7g.large\" cannot run: the stack has 0";
    assert!(refused.messages.contains(why), "{refused:?}");
    rehearsal.ec2.drain().await;
}

/// Stands for ssh: checks how it is called, and runs the command here.
const SSH: &str = r#"#!/bin/sh
[ "$1 $2 $3 $4" = "-o BatchMode=yes -- load-1" ] || exit 9
echo "$4" >> "$(dirname "$0")/hosts"
exec sh -c "$5"
"#;

#[tokio::test]
async fn a_load_is_sent_from_another_host_to_a_data_directory() {
    let folder = TempDir::new().unwrap();
    let bin = folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("ssh"), SSH).unwrap();
    let executable = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(bin.join("ssh"), executable).unwrap();
    symlink(env!("CARGO_BIN_EXE_skictl"), bin.join("skictl")).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = format!("{}:{}", bin.display(), path.to_str().unwrap());
    let data = folder.path().join("data");
    let line = format!(
        "up --data {} --api-listen 127.0.0.1:0 --console-listen 127.0.0.1:0 --metrics-listen 127.0.0.1:0 --load-host load-1",
        data.display()
    );
    let mut up = Service::start(folder.path(), "up", &words(&line), &[("PATH", &path)]);
    let url = up.logged_after("admin API on ").await;
    let operator = Operator::of_up(url, &data);
    let two = |seen: &Value| seen["nodes"].as_array().unwrap().len() == 2;
    operator.waits_for(&["nodes"], two).await;
    let line = format!("tune run --batch 50,500 {SHORT} --output json");
    let sweep = operator.does(&words(&line)).await.json();
    assert_eq!(sweep["state"], "finished", "{sweep:#}");
    for point in sweep["points"].as_array().unwrap() {
        assert_eq!(point["failed"], Value::Null, "{point:#}");
    }
    let hosts = std::fs::read_to_string(bin.join("hosts")).unwrap();
    assert!(hosts.lines().count() >= 3, "{hosts}");
    // One thread stores on a data directory.
    let refused = operator
        .skictl(&words(&format!("tune run --threads 1,9 {SHORT}")))
        .await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.messages.contains("one thread stores at a time"),
        "{refused:?}"
    );
    up.drain().await;
}
