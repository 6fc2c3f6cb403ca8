//! `skictl scale`, `ec2` and `cost`: lists, plans, outcomes, waiting and following.

use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::console::{Console, ScriptedResponse, problem};
use crate::sample::machines;
use crate::skictl::{Home, Run};

#[tokio::test]
async fn lists() {
    let console = Console::start().await;
    let home = Home::new();
    let all = [
        "ec2",
        "ec2 list --role worker",
        "ec2 --role lift",
        "ec2 list --output json",
        "ec2 --output csv",
        "cost",
        "cost --output json",
    ];
    let mut text = home.session(&console.url, &all).await;
    for fleet in [
        machines::no_machines(
            "none",
            Some("with a data directory everything runs in one process"),
        ),
        machines::no_machines("ec2", Some("EC2 does not answer: connection refused")),
        machines::no_machines("local", None),
    ] {
        let console =
            Console::with(move |_| Some(ScriptedResponse::With(200, fleet.to_string()))).await;
        text += &home.session(&console.url, &["ec2"]).await;
    }
    let console = Console::with(|_| {
        Some(ScriptedResponse::With(
            200,
            machines::unknown_cost().to_string(),
        ))
    })
    .await;
    text += &home.session(&console.url, &["cost"]).await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn plans_and_outcomes() {
    let console = Console::start().await;
    let text = Home::new()
        .session(
            &console.url,
            &[
                "scale worker=4 --threads 32 --dry-run",
                "scale worker=4 --threads 32 --dry-run --output json",
                "scale worker=4 --yes",
                "scale worker=4 --yes --output json",
                "scale worker=4 --yes --wait",
                "plans show goes-on --wait",
                "scale worker=5 --yes --wait",
                "scale worker=0 --allow-zero --yes",
                "ec2 start i-0c00000000000003 i-0c00000000000005 --yes",
                "ec2 stop i-0c00000000000003 --yes",
                "ec2 start i-denied --yes",
                "ec2 start i-denied --dry-run",
                "scale worker=4 --output csv",
            ],
        )
        .await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn plans_are_listed_shown_applied_and_cancelled() {
    let console = Console::start().await;
    let lines = [
        "plans",
        "plans list --limit 4 --output json",
        "plans show severe",
        "plans show goes-on",
        "plans show goes-on --wait",
        "plans apply severe --yes",
        "plans apply severe --confirm open",
        "plans apply moderate --yes",
        "plans apply goes-on --yes",
        "plans cancel goes-on",
        "plans cancel goes-on --output json",
        "plans cancel p99",
        "plans --output csv",
    ];
    let text = Home::new().session(&console.url, &lines).await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn every_change_is_asked_for_as_it_was_meant() {
    let console = Console::start().await;
    let home = Home::new();
    let role = |role: &str, count: Value| json!({ "role": role, "count": count });
    let scale = |fields: Value| {
        let mut change = json!({ "change": "scale", "allow_zero": false, "stop_anyway": false });
        for (name, value) in fields.as_object().unwrap() {
            change[name] = value.clone();
        }
        change
    };
    for (line, change) in [
        (
            "scale worker=4",
            scale(json!({ "roles": [role("worker", json!({ "to": 4 }))] })),
        ),
        (
            "scale api=+1 worker=-2 --threads 32 --prefetch 2 --batch 3 --channels 4",
            scale(json!({
                "roles": [role("api", json!({ "by": 1 })), role("worker", json!({ "by": -2 }))],
                "threads": 32, "prefetch": 2, "batch": 3, "channels": 4,
            })),
        ),
        (
            "scale worker=0 --expect-running 2 --allow-zero --drain-timeout 30s --stop-anyway",
            scale(json!({
                "roles": [role("worker", json!({ "to": 0 }))], "expect_running": 2, "allow_zero": true,
                "drain_timeout_s": 30, "stop_anyway": true,
            })),
        ),
        ("scale --threads 32", scale(json!({ "threads": 32 }))),
        (
            "ec2 start i-1 i-2 i-1",
            scale(json!({ "start": ["i-1", "i-2"] })),
        ),
        (
            "ec2 stop i-1 --drain-timeout 1h --allow-zero",
            scale(json!({ "stop": ["i-1"], "drain_timeout_s": 3600, "allow_zero": true })),
        ),
        (
            "settings set fleet --worker-min 0 --worker-max 8 --api-min 1 --api-max 256 --if-version 7",
            json!({
                "change": "set_fleet", "worker_min": 0, "worker_max": 8, "api_min": 1, "api_max": 256, "if_version": 7,
            }),
        ),
        (
            "settings rollback fleet",
            json!({ "change": "rollback", "section": "fleet" }),
        ),
    ] {
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["--dry-run", "--server", &console.url]);
        let run = home.run(&arguments).await;
        let asked = console.asked().pop().expect(line);
        assert_eq!(asked.line, "POST /admin/v1/plans", "{line}: {}", run.stderr);
        assert_eq!(asked.body, change, "{line}");
    }
    assert!(!console.has_applied());
    home.run(&["settings", "history", "fleet", "--server", &console.url])
        .await;
    let asked = console.asked().pop().unwrap().line;
    assert_eq!(asked, "GET /admin/v1/settings/fleet/history");
}

#[tokio::test]
async fn what_cannot_be_meant_is_a_usage_error() {
    let home = Home::new();
    for (line, says) in [
        ("scale", "no change given"),
        ("scale --dry-run", "no change given"),
        ("scale worker", "expected ROLE=N, ROLE=+N or ROLE=-N"),
        ("scale worker=+0", "+0 changes nothing"),
        ("scale worker=-0", "-0 changes nothing"),
        ("scale worker=four", "expected a number after `=`"),
        ("scale worker=257", "must be 0 to 256 instances"),
        ("scale wroker=4", "did you mean worker?"),
        ("scale broker=2", "broker cannot be scaled"),
        ("scale worker=4 worker=+1", "worker is given twice"),
        ("scale --threads 0", "1 to 256 threads"),
        ("scale --prefetch 1000001", "1 to 1000000 rides"),
        ("scale --batch -1", "1 to 100000 rides"),
        ("scale --channels 65", "1 to 64 channels"),
        (
            "scale worker=4 --expect-running 257",
            "must be 0 to 256 instances",
        ),
        (
            "scale api=2 worker=4 --expect-running 2",
            "--expect-running applies to one role",
        ),
        (
            "scale --threads 4 --expect-running 2",
            "--expect-running applies to one role",
        ),
        ("scale --threads 4 --allow-zero", "name a role"),
        ("scale --threads 4 --drain-timeout 5s", "name a role"),
        ("scale --threads 4 --stop-anyway", "name a role"),
        ("scale worker=1 --drain-timeout 2h", "from 1s to 1h"),
        ("scale worker=1 --drain-timeout 1500ms", "whole seconds"),
        ("scale worker=4 --timeout 5m", "--timeout requires --wait"),
        ("scale worker=4 --wait --timeout 0s", "from 1s to 1day"),
        ("plans show ", "must be "),
        ("plans show p1 --timeout 2s", "--timeout requires --wait"),
        ("plans --limit 5 show p1", "apply only to the list"),
        ("plans --limit 0", "0 is not in 1..=500"),
        ("ec2 start", "<ID>..."),
        ("ec2 start ", "must be "),
        ("ec2 start i-1 --timeout 5m", "--timeout requires --wait"),
        ("ec2 start i-1 --allow-zero", "unexpected argument"),
        (
            "ec2 --role worker stop i-1",
            "--role applies only to the list",
        ),
        (
            "ec2 --watch stop i-1",
            "--watch applies only to commands that show",
        ),
        ("ec2 list --output csv", "csv is not supported"),
        ("ec2 lst", "similar subcommands exist: 'stop', 'list'"),
        ("settings set fleet", "Usage:"),
        (
            "settings set fleet --worker-min 257",
            "must be 0 to 256 instances",
        ),
        ("settings set fleet --worker-max 0", "1 to 256 instances"),
        (
            "serve console --amqp-url amqp://h --redis-url redis://h --ec2-endpoint-url ftp://h",
            "ec2_endpoint_url must begin with http:// or https://",
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let run = home.run(&arguments).await;
        assert_eq!(run.code, Some(2), "{line}: {}", run.stderr);
        assert!(run.stderr.contains(says), "{line}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{line}");
    }
}

/// A console with a plan that goes on; it answers to each question about it in turn, and to all others as to the last.
async fn that_goes_on(
    answers: impl Fn(u32) -> Option<ScriptedResponse> + Send + Sync + 'static,
) -> Console {
    let count = AtomicU32::new(0);
    Console::with(move |asked| {
        if !asked.line.starts_with("GET /admin/v1/plans/") {
            return None;
        }
        answers(count.fetch_add(1, Ordering::Relaxed))
    })
    .await
}

fn still(left: u32) -> ScriptedResponse {
    let message = format!("waits for its node, {left}");
    let came = [("under_way", message.as_str()), ("waiting", "")];
    let later = machines::later(machines::outcome("running", came));
    ScriptedResponse::With(200, later.to_string())
}

async fn run(console: &Console, line: &str) -> Run {
    let mut arguments: Vec<&str> = line.split(' ').collect();
    arguments.extend(["--server", &console.url]);
    Home::new().run(&arguments).await
}

#[tokio::test]
async fn what_is_not_waited_for_any_longer_can_be_followed() {
    for line in [
        "scale worker=4 --yes --wait --timeout 2s",
        "plans show goes-on --wait --timeout 2s",
    ] {
        let console = that_goes_on(|at| Some(still(at))).await;
        let begun = Instant::now();
        let run = run(&console, &format!("{line} --output json")).await;
        assert!(begun.elapsed() >= Duration::from_secs(2));
        assert_eq!(run.code, Some(7), "{}", run.stderr);
        let plan: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(plan["state"], "applying");
        assert_eq!(plan["outcome"]["result"], "running");
        for says in [
            "timed out; plan goes-on is still running",
            "wait for it with `skictl plans show goes-on --wait`",
            "`skictl ec2`",
        ] {
            assert!(run.stderr.contains(says), "{}", run.stderr);
        }
    }
}

#[tokio::test]
async fn a_console_that_starts_anew_meanwhile_is_waited_for() {
    for line in ["scale worker=4 --yes --wait", "plans show goes-on --wait"] {
        let console = that_goes_on(|at| match at {
            0 => Some(still(0)),
            1 => Some(problem(503, "unavailable", "it is only starting")),
            2 => Some(ScriptedResponse::Cut),
            _ => None,
        })
        .await;
        let run = run(&console, line).await;
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let said = run.stderr.matches("the plan continues").count();
        assert_eq!(said, 1, "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_plan_whose_apply_was_not_answered_is_waited_for_and_not_sent_again() {
    let count = AtomicU32::new(0);
    let console = Console::with(move |asked| {
        if asked.line.ends_with("/apply") {
            return Some(ScriptedResponse::Cut);
        }
        let is_first = asked.line.starts_with("GET") && count.fetch_add(1, Ordering::Relaxed) == 0;
        is_first.then(|| ScriptedResponse::With(200, machines::later(Value::Null).to_string()))
    })
    .await;
    let run = run(&console, "scale worker=4 --yes --wait").await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let asked = console.asked();
    let applies = asked.iter().filter(|asked| asked.line.ends_with("/apply"));
    assert_eq!(applies.count(), 1);
}

#[tokio::test]
async fn only_what_was_applied_can_be_followed() {
    for (state, code) in [("planned", 4), ("stale", 4)] {
        let console = that_goes_on(move |_| {
            let mut plan = machines::later(Value::Null);
            plan["state"] = json!(state);
            Some(ScriptedResponse::With(200, plan.to_string()))
        })
        .await;
        let run = run(&console, "plans show goes-on --wait").await;
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(run.stderr.contains("never applied"), "{}", run.stderr);
    }
    let console =
        that_goes_on(|_| Some(problem(404, "not_found", "plan \"p0\" does not exist"))).await;
    let run = run(&console, "plans show p0 --wait").await;
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stderr.contains("plan"), "{}", run.stderr);
}

#[tokio::test]
async fn a_signal_leaves_the_work_going_and_says_how_to_follow_it() {
    for line in ["scale worker=4 --yes --wait", "plans show goes-on --wait"] {
        let console = that_goes_on(|at| Some(still(at))).await;
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["--server", &console.url]);
        let child = Home::new()
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = |asked: &crate::console::ReceivedRequest| {
            asked.line.starts_with("GET /admin/v1/plans/")
        };
        while !console.asked().iter().any(asks) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The first answer has arrived when the second one is asked for, or soon.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
        kill(pid, Signal::SIGINT).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
        let output = ended.expect("skictl ends").unwrap();
        assert_eq!(output.status.code(), Some(130), "{line}");
        let said = String::from_utf8(output.stderr).unwrap();
        let says = "plan goes-on may still be running on the console: wait for it with `skictl plans show goes-on --wait`";
        assert!(said.contains(says), "{said}");
    }
}
