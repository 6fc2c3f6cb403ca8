//! Sweeps, over nodes that are simulated: what they store depends on their threads, while a load runs.

mod capacity;
mod pages;
mod refused;
mod unlisted;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{BootId, ControlChannel, Durations, Ingest};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::harness::{API, TestConsole, TestControlChannel, WORKER, config, store};
use crate::config::{ConsoleConfig, Seeds};
use crate::registry;
use crate::tuning::LoadCommand;
use crate::view::access::UserRole;

/// Rides per second of the load.
const OFFERED: f64 = 2_500.0;
/// Rides per second that a thread stores.
const PER_THREAD: f64 = 1_500.0;
const BEAT: Duration = Duration::from_millis(250);

/// A load that does nothing but be there: the simulated nodes see its file.
const LOAD: &str = r#"#!/bin/sh
flag="$(dirname "$0")/load.pid"
echo $$ > "$flag"
cat > /dev/null
rm -f "$flag"
echo '{"requests":{"failed":0,"unsent":0},"latency":null,"send_lateness":{"p99_ms":0.5}}'
"#;

/// An API node and a worker, which store rides while there is a load.
struct Simulated {
    folder: PathBuf,
    /// Dropped, they end.
    _nodes: JoinSet<()>,
}

/// The counters of the simulated nodes.
struct Counters {
    at: Instant,
    accepted: f64,
    stored: f64,
    busy_ms: f64,
}

impl Simulated {
    /// Starts the nodes; the worker follows the settings that the console publishes.
    fn start(control_channel: &Arc<TestControlChannel>, folder: &Path) -> Self {
        let boots = [BootId::random(), BootId::random()];
        let (control_channel, flag) = (Arc::clone(control_channel), folder.join("load.pid"));
        let counters = Mutex::new(Counters {
            at: Instant::now(),
            accepted: 0.0,
            stored: 0.0,
            busy_ms: 0.0,
        });
        let mut nodes = JoinSet::new();
        nodes.spawn(async move {
            loop {
                tokio::time::sleep(BEAT).await;
                let published = control_channel.document().await;
                let set = published
                    .ok()
                    .flatten()
                    .and_then(|document| document.worker);
                let settings = set.map_or(WORKER, |set| set.value);
                let capacity = PER_THREAD * f64::from(settings.threads);
                let (accepted, stored, busy_ms) = {
                    let mut now = counters.lock().unwrap();
                    let passed = now.at.elapsed().as_secs_f64();
                    now.at = Instant::now();
                    let arrives = if flag.exists() { OFFERED * passed } else { 0.0 };
                    now.accepted += arrives;
                    let can = (capacity * passed).min(now.accepted - now.stored);
                    now.stored += can;
                    now.busy_ms += can / capacity * 1_000.0 * f64::from(settings.threads);
                    (now.accepted as u64, now.stored as u64, now.busy_ms as u64)
                };
                let sent = epoch_ms();
                let api = registry::tests::api(1, boots[0], 1, sent, accepted);
                let mut worker = registry::tests::worker(2, boots[1], 1, sent, 0);
                worker.generation = set.map(|set| set.generation);
                if let Report::Worker(report) = &mut worker.report {
                    report.settings = settings;
                    (report.acked_rides, report.busy_ms) = (stored, busy_ms);
                    let durations = Durations::up_to(100_000);
                    durations.record(20 + u64::from(60 / settings.threads), 100);
                    report.accept_to_stored_ms = durations.take();
                    let mut of_thread = report.consumers[0].clone();
                    of_thread.unacked_messages = 0;
                    report.consumers = vec![of_thread; settings.threads as usize];
                    report.consumers[0].unacked_messages = (accepted - stored) as u32;
                }
                for heartbeat in [api, worker] {
                    let _ = control_channel.send_heartbeat(&heartbeat).await;
                }
            }
        });
        Self {
            folder: folder.to_owned(),
            _nodes: nodes,
        }
    }

    /// Kills the load process, when there is one.
    async fn kill_load(&self) {
        let began = Instant::now();
        let pid = loop {
            let pid = fs::read_to_string(self.folder.join("load.pid")).unwrap_or_default();
            if !pid.trim().is_empty() {
                break pid.trim().to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no load runs");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let killed = tokio::process::Command::new("kill")
            .args(["-9", &pid])
            .status();
        assert!(killed.await.unwrap().success());
        // It could not do this itself.
        let _ = fs::remove_file(self.folder.join("load.pid"));
    }
}

fn with_load(folder: &Path) -> ConsoleConfig {
    let program = folder.join("load");
    fs::write(&program, LOAD).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let seeds = Seeds {
        worker: Some(WORKER),
        api: Some(API),
        ingest: Some(Ingest::Open),
    };
    ConsoleConfig {
        load: Some(LoadCommand {
            program,
            host: None,
            target: Some("http://127.0.0.1:8080".to_owned()),
        }),
        ..config(folder, false, seeds)
    }
}

/// A console over simulated nodes.
async fn console() -> (TestConsole, Simulated, String) {
    let control_channel = Arc::default();
    on(tempfile::tempdir().unwrap(), &control_channel).await
}

async fn on(
    folder: TempDir,
    control_channel: &Arc<TestControlChannel>,
) -> (TestConsole, Simulated, String) {
    let config = with_load(folder.path());
    let nodes = Simulated::start(control_channel, folder.path());
    let store = store(folder.path()).await;
    let console = TestConsole::over(folder, Arc::clone(control_channel), config, store).await;
    console
        .until("the nodes are known", async || {
            let known = console.console.roster.known();
            known.is_complete && known.nodes.iter().filter(|node| node.works).count() == 2
        })
        .await;
    let admin = console.local();
    (console, nodes, admin)
}

fn spec(threads: &[u32]) -> Value {
    json!({
        "space": {"threads": threads}, "load": {"rate": OFFERED}, "objective": {"p99_ms": 60.0},
        "repeats": 1, "warm_up_s": 1, "measure_s": 5, "drain_timeout_s": 30, "seed": 7,
    })
}

async fn start(console: &TestConsole, token: &str, spec: Value) -> String {
    let answer = console
        .ask("POST", "/tuning", Some(token), Some(spec))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body["id"].as_str().unwrap().to_owned()
}

/// Waits until something holds for a sweep, and returns it.
async fn until(
    console: &TestConsole,
    admin: &str,
    id: &str,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    let (path, began) = (format!("/tuning/{id}"), Instant::now());
    loop {
        let sweep = console.get(&path, admin).await;
        if holds(&sweep) {
            return sweep;
        }
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "never {what}: {sweep:#}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn has_ended(sweep: &Value) -> bool {
    sweep["state"] != "running"
}

fn is_measuring(sweep: &Value) -> bool {
    sweep["progress"]["phase"] == "measuring"
}

async fn threads(console: &TestConsole) -> u32 {
    let document = console.until_published().await;
    document.worker.unwrap().value.threads
}

fn point(sweep: &Value, threads: u32) -> Value {
    let points = sweep["points"].as_array().unwrap();
    let found = points
        .iter()
        .find(|point| point["config"]["threads"] == threads);
    found
        .unwrap_or_else(|| panic!("no point: {sweep:#}"))
        .clone()
}

#[tokio::test]
async fn a_sweep_measures_recommends_and_restores_what_was_set() {
    let (console, _nodes, admin) = console().await;
    let operator = console.token(&admin, UserRole::Operator).await;
    let id = start(&console, &operator, spec(&[1, 4])).await;
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(sweep["state"], "finished", "{sweep:#}");
    // One thread stores less than arrives; two, which were set before, store it in 50 ms, and four in 35 ms. Without prices the
    // faster one of equally many nodes wins.
    let (one, two, four) = (point(&sweep, 1), point(&sweep, 2), point(&sweep, 4));
    assert_eq!(one["standing"], "unknown");
    let why = one["failed"].as_str().unwrap();
    assert!(why.contains("the backlog grew"), "{one:#}");
    let saturation = one["saturation_per_s"]["mean"].as_f64().unwrap();
    assert!((1_400.0..=1_600.0).contains(&saturation), "{one:#}");
    assert_eq!(
        (&two["is_current"], &two["standing"]),
        (&json!(true), &json!("runner_up"))
    );
    assert_eq!(
        (&two["p99_ms"]["mean"], &four["p99_ms"]["mean"]),
        (&json!(50.0), &json!(35.0))
    );
    let stored = four["stored_per_s"]["mean"].as_f64().unwrap();
    assert!(
        (OFFERED * 0.95..=OFFERED * 1.05).contains(&stored),
        "{four:#}"
    );
    // They were busy for 42 % of the time.
    let saturation = four["saturation_per_s"]["mean"].as_f64().unwrap();
    assert!((5_700.0..=6_300.0).contains(&saturation), "{four:#}");
    assert_eq!(sweep["recommendation"]["point"]["threads"], 4);
    assert_eq!(sweep["settings_message"], "what was set before is restored");
    assert_eq!(threads(&console).await, 2);
    let document = console.console.desired.document();
    assert_eq!(document.worker.unwrap().value, WORKER);
    // Every change is in the audit log, in the name of who started it.
    let audit = console.get("/audit?limit=100", &admin).await.to_string();
    assert!(
        audit.contains("start t1") && audit.contains("end t1"),
        "{audit}"
    );
    assert!(audit.contains("a operator (sweep t1)"), "{audit}");
}

#[tokio::test]
async fn other_changes_wait_or_break_the_lease_and_stay() {
    let (console, _nodes, admin) = console().await;
    let id = start(&console, &admin, spec(&[4])).await;
    until(&console, &admin, &id, "measuring", is_measuring).await;
    let second = console
        .ask("POST", "/tuning", Some(&admin), Some(spec(&[4])))
        .await;
    assert_eq!(second.status, StatusCode::CONFLICT, "{second:?}");
    let change = json!({"change": "set_worker", "threads": 9});
    let plan = console.plan(&admin, change).await;
    assert!(
        plan["refusals"].to_string().contains("sweep t1"),
        "{plan:#}"
    );
    let refused = console.apply(&admin, &plan, json!({})).await;
    assert_eq!(
        refused.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{refused:?}"
    );
    // What does not disturb it goes on.
    console.token(&admin, UserRole::Viewer).await;
    let broken = console
        .apply(&admin, &plan, json!({"override_reason": "an incident"}))
        .await;
    assert_eq!(broken.status, StatusCode::OK, "{broken:?}");
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(sweep["state"], "failed", "{sweep:#}");
    let why = sweep["message"].as_str().unwrap();
    assert!(
        why.contains("changed what it measures") && why.contains("(p"),
        "{why}"
    );
    assert_eq!(threads(&console).await, 9, "what the admin set stays");
}

#[tokio::test]
async fn a_sweep_that_is_stopped_restores_and_can_be_resumed() {
    let (console, _nodes, admin) = console().await;
    let id = start(&console, &admin, spec(&[3, 4])).await;
    let measured = |sweep: &Value| sweep["progress"]["runs_done"] == 1 && is_measuring(sweep);
    until(
        &console,
        &admin,
        &id,
        "measuring the second point",
        measured,
    )
    .await;
    let viewer = console.token(&admin, UserRole::Viewer).await;
    let path = format!("/tuning/{id}/stop");
    let denied = console.ask("POST", &path, Some(&viewer), None).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let stopped = console.ask("POST", &path, Some(&admin), None).await;
    assert_eq!(stopped.status, StatusCode::OK, "{stopped:?}");
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(sweep["state"], "stopped", "{sweep:#}");
    assert!(
        sweep["message"]
            .as_str()
            .unwrap()
            .starts_with("stopped by "),
        "{sweep:#}"
    );
    assert_eq!(threads(&console).await, 2);
    assert!(
        sweep["pending"]
            .as_array()
            .is_some_and(|left| !left.is_empty()),
        "{sweep:#}"
    );

    let path = format!("/tuning/{id}/resume");
    let resumed = console.ask("POST", &path, Some(&admin), None).await;
    assert_eq!(resumed.status, StatusCode::OK, "{resumed:?}");
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(sweep["state"], "finished", "{sweep:#}");
    // Nothing is measured twice.
    for point in sweep["points"].as_array().unwrap() {
        let runs = point["runs"].as_array().unwrap().iter();
        let repeats: Vec<u64> = runs.map(|run| run["repeat"].as_u64().unwrap()).collect();
        let expected: Vec<u64> = (1..).take(repeats.len()).collect();
        assert_eq!(repeats, expected, "{point:#}");
    }
    assert_eq!(threads(&console).await, 2);
    let again = console.ask("POST", &path, Some(&admin), None).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:?}");
}

#[tokio::test]
async fn a_load_that_is_killed_is_started_again() {
    let (console, nodes, admin) = console().await;
    let mut spec = spec(&[4]);
    spec["apply"] = json!(true);
    let id = start(&console, &admin, spec).await;
    until(&console, &admin, &id, "measuring", is_measuring).await;
    nodes.kill_load().await;
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(sweep["state"], "finished", "{sweep:#}");
    assert_eq!(point(&sweep, 4)["failed"], Value::Null, "{sweep:#}");
    // This one applies what it recommends.
    assert_eq!(threads(&console).await, 4, "{sweep:#}");
    let said = sweep["settings_message"].as_str().unwrap();
    assert!(said.starts_with("applied the recommendation"), "{said}");
}

#[tokio::test]
async fn a_console_that_ends_in_the_middle_restores_at_its_next_start() {
    let (console, nodes, admin) = console().await;
    let id = start(&console, &admin, spec(&[4])).await;
    let of_four = |sweep: &Value| is_measuring(sweep) && sweep["progress"]["point"]["threads"] == 4;
    until(&console, &admin, &id, "measuring", of_four).await;
    assert_eq!(threads(&console).await, 4);
    let (folder, control_channel) = console.stop().await;
    drop(nodes);
    let (console, _nodes, admin) = on(folder, &control_channel).await;
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(
        (&sweep["state"], &sweep["message"]),
        (
            &json!("stopped"),
            &json!("the console stopped in the middle")
        )
    );
    assert_eq!(
        sweep["settings_message"], "what was set before is restored",
        "{sweep:#}"
    );
    assert_eq!(threads(&console).await, 2);
    let path = format!("/tuning/{id}/resume");
    let resumed = console.ask("POST", &path, Some(&admin), None).await;
    assert_eq!(resumed.status, StatusCode::OK, "{resumed:?}");
    let sweep = until(&console, &admin, &id, "ended", has_ended).await;
    assert_eq!(sweep["state"], "finished", "{sweep:#}");
}

#[tokio::test]
async fn a_specification_that_cannot_be_measured_is_refused() {
    let (console, _nodes, admin) = console().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut spec = spec(&[4]);
        change(&mut spec);
        spec
    };
    let bad = [
        (
            with(&|spec| spec["objective"] = json!({})),
            "the objective requires",
        ),
        (
            with(&|spec| spec["space"]["threads"] = json!([0])),
            "threads must be from 1 to 256",
        ),
        (
            with(&|spec| spec["space"]["workers"] = json!([2])),
            "no instances to start or stop",
        ),
        (
            with(&|spec| spec["measure_s"] = json!(1)),
            "measure_s must be from 5",
        ),
        (
            with(&|spec| spec["load"]["target"] = json!("file:///etc/passwd")),
            "must be a URL",
        ),
        (
            with(&|spec| spec["load"]["skiers"] = json!("1;reboot")),
            "load.skiers must be N or A-B",
        ),
        (
            with(&|spec| spec["load"]["breaker_open"] = json!(3)),
            "require each other",
        ),
        (with(&|spec| spec["max_usd"] = json!(1.0)), "one is unknown"),
        (
            with(&|spec| spec["space"]["threads"] = json!((1..=256).collect::<Vec<u32>>())),
            "ok",
        ),
        (with(&|spec| spec["nonsense"] = json!(1)), "nonsense"),
    ];
    for (spec, expected) in bad {
        let answer = console
            .ask("POST", "/tuning", Some(&admin), Some(spec))
            .await;
        if expected == "ok" {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            let path = format!("/tuning/{}/stop", answer.body["id"].as_str().unwrap());
            console.ask("POST", &path, Some(&admin), None).await;
            until(
                &console,
                &admin,
                answer.body["id"].as_str().unwrap(),
                "ended",
                has_ended,
            )
            .await;
            continue;
        }
        assert!(answer.status.is_client_error(), "{answer:?}");
        assert!(
            answer.message().contains(expected),
            "{expected}: {answer:?}"
        );
    }
    let viewer = console.token(&admin, UserRole::Viewer).await;
    let denied = console
        .ask("POST", "/tuning", Some(&viewer), Some(spec(&[4])))
        .await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let missing = console.ask("GET", "/tuning/t99", Some(&viewer), None).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}
