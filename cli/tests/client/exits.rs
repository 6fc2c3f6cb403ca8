//! Exit codes, each where it arises. (8 arises in `skictl load`; its tests are beside the services'.)

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::TcpListener;

use crate::console::{Console, ScriptedResponse, problem};
use crate::sample;
use crate::skictl::{Home, Run};

async fn refused_with(status: u16, code: &'static str) -> Run {
    let console = Console::with(move |_| Some(problem(status, code, "said by the console"))).await;
    let run = Home::new().run(&["queue", "--server", &console.url]).await;
    assert!(run.stderr.contains("said by the console"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
    run
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    for (status, code, exit) in [
        (400, "invalid", 2),
        (401, "unauthenticated", 5),
        (403, "forbidden", 5),
        (404, "not_found", 4),
        (409, "conflict", 4),
        (422, "refused", 4),
        (429, "too_many", 6),
        (500, "internal", 1),
        (503, "unavailable", 1),
    ] {
        let run = refused_with(status, code).await;
        assert_eq!(run.code, Some(exit), "{code}");
        let hints = run.stderr.contains("skictl login");
        assert_eq!(hints, code == "unauthenticated", "{}", run.stderr);
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_a_usage_error() {
    let home = Home::new();
    for (line, says) in [
        ("queu", "similar subcommand exists: 'queue'"),
        ("queue resum", "similar subcommand exists: 'resume'"),
        ("nodes --wach", "similar argument exists: '--watch'"),
        ("queue --output yaml", "possible values: table, json, csv"),
        ("nodes --output csv", "csv is not supported by this command"),
        ("queue pause --output csv", "csv is not supported"),
        (
            "audit --output csv --watch",
            "--watch supports table and json",
        ),
        ("queue --watch=1ms", "from 100ms to 1h"),
        ("queue --watch 5s", "tip: use --watch=5s"),
        ("users list --watch 5s", "tip: use --watch=5s"),
        (
            "queue --watch pause",
            "--watch applies only to commands that show",
        ),
        ("queue dead replay", "required"),
        ("queue dead replay a --all", "cannot be used with"),
        (
            "queue dead replay --all --rate 0",
            "0.1 to 10000 dead letters per second",
        ),
        (
            "settings set worker --threads 0",
            "'0' for '--threads <N>': must be 1 to 256 threads",
        ),
        (
            "settings set worker --threads -1",
            "'-1' for '--threads <N>': must be 1 to 256 threads",
        ),
        (
            "settings set worker --linger 1h",
            "'--linger <TIME>': must be a duration from 0s to 10s",
        ),
        (
            "serve worker --batch abc",
            "'abc' for '--batch <N>': must be 1 to 100000 rides",
        ),
        ("nodes show ", "must be "),
        ("users remove ", "must be the name of a user"),
        ("queue dead list --limit 501", "1..=500"),
        ("stats top 1 --season 2025 --day 1 --limit 101", "1..=100"),
        (
            "queue --server ftp://x",
            "must start with http:// or https://",
        ),
        (
            "queue --server http://example.com",
            "use https, or a tunnel",
        ),
        ("queue --server http://h --context c", "cannot be used with"),
        ("queue --context nowhere", "unknown context nowhere"),
        (
            "queue --token-file nowhere",
            "cannot read the token in nowhere",
        ),
        ("settings set worker", "Usage:"),
        ("settings set worker --linger 1us", "whole milliseconds"),
        ("stats skier 0", "skierID"),
        ("stats resort 1 --season 2025 --day 400", "dayID"),
        ("audit --limit 501", "1..=500"),
        ("login anna", "--password-stdin"),
        ("login", "--code-stdin"),
        ("login --token-file x", "a login creates a new token"),
        (
            "context add ../x --server https://x",
            "invalid context name",
        ),
        ("context use nowhere", "unknown context"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let run = home.run(&arguments).await;
        assert_eq!(run.code, Some(2), "{line}: {}", run.stderr);
        assert!(run.stderr.contains(says), "{line}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{line}");
    }
}

#[tokio::test]
async fn help_is_no_failure() {
    let home = Home::new();
    for (line, says) in [
        ("help", "Usage: skictl <COMMAND>"),
        ("help queue", "skictl queue pause --yes"),
        ("help queue pause", "skictl queue pause --dry-run"),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let run = home.run(&arguments).await;
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
        assert!(run.stdout.contains(says), "{line}: {}", run.stdout);
    }
}

#[tokio::test]
async fn a_console_that_is_asked_too_often_says_for_how_long() {
    let console = Console::with(|_| Some(ScriptedResponse::TooMany(30))).await;
    let arguments = ["login", "--code-stdin", "--server", &console.url];
    let run = Home::new().run_with(&arguments, &[], "abc\n").await;
    assert_eq!(run.code, Some(6));
    assert_eq!(run.stderr, "skictl: too many attempts; try again in 30 s\n");
}

#[tokio::test]
async fn progress_is_told_when_it_changes() {
    let count = AtomicU32::new(0);
    let console = Console::with(move |asked| {
        let running = |message: &str| {
            let mut outcome = sample::running(message);
            if asked.line.starts_with("GET") {
                let mut plan =
                    sample::plan(&skilift_console::view::change::Change::Pause { for_s: None });
                plan["outcome"] = outcome;
                outcome = plan;
            }
            Some(ScriptedResponse::With(200, outcome.to_string()))
        };
        match (
            asked.line.ends_with("/apply"),
            asked.line.starts_with("GET"),
        ) {
            (true, _) => running("sent 0"),
            (_, true) => match count.fetch_add(1, Ordering::Relaxed) {
                0 => running("sent 0"),
                1 => running("sent 3"),
                2 => running("sent 3"),
                _ => {
                    let mut plan =
                        sample::plan(&skilift_console::view::change::Change::Pause { for_s: None });
                    plan["outcome"] = serde_json::json!({ "result": "succeeded", "steps": [] });
                    Some(ScriptedResponse::With(200, plan.to_string()))
                }
            },
            _ => None,
        }
    })
    .await;
    let arguments = ["queue", "pause", "--yes", "--server", &console.url];
    let run = Home::new().run(&arguments).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for told in ["skictl: sent 0\n", "skictl: sent 3\n"] {
        assert_eq!(run.stderr.matches(told).count(), 1, "{}", run.stderr);
    }
}

#[tokio::test]
async fn nobody_there_is_said_with_what_to_start() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let run = Home::new().run(&["queue", "--server", &url]).await;
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("skictl up"), "{}", run.stderr);
    assert!(run.stderr.contains(&url), "{}", run.stderr);
}

#[tokio::test]
async fn who_is_no_console_is_told_apart() {
    for (status, body) in [
        (404, "not here"),
        (200, "<html>"),
        (404, "{\"message\":\"x\"}"),
        (302, ""),
    ] {
        let console =
            Console::with(move |_| Some(ScriptedResponse::With(status, body.to_owned()))).await;
        let run = Home::new().run(&["nodes", "--server", &console.url]).await;
        assert_eq!(run.code, Some(1));
        let says = format!("responded with status {status}, but it is not a Skilift console");
        assert!(run.stderr.contains(&says), "{}", run.stderr);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_and_never_sent_again() {
    // The answer of the apply is cut; the plan then says what came of it, or that it is under way.
    for (state, exit) in [("applied", 0), ("applying", 7)] {
        let console = Console::with(move |asked| {
            if asked.line.ends_with("/apply") {
                return Some(ScriptedResponse::Cut);
            }
            if !asked.line.starts_with("GET") {
                return None;
            }
            let mut plan =
                sample::plan(&skilift_console::view::change::Change::Pause { for_s: None });
            plan["state"] = state.into();
            if state == "applied" {
                plan["outcome"] = serde_json::json!({ "result": "succeeded", "steps": [] });
            }
            Some(ScriptedResponse::With(200, plan.to_string()))
        })
        .await;
        let arguments = ["queue", "pause", "--yes", "--server", &console.url];
        let run = Home::new().run(&arguments).await;
        assert_eq!(run.code, Some(exit), "{}", run.stderr);
        let applies = console.asked();
        let applies = applies
            .iter()
            .filter(|asked| asked.line.ends_with("/apply"));
        assert_eq!(applies.count(), 1);
        let says_so = run.stderr.contains("plan moderate may still be running");
        assert_eq!(says_so, exit == 7, "{}", run.stderr);
        let shows = run.stderr.contains("check with `skictl queue`");
        assert_eq!(shows, exit == 7, "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_signal_ends_at_once_and_says_what_may_go_on() {
    let console = Console::with(|asked| {
        asked
            .line
            .ends_with("/apply")
            .then_some(ScriptedResponse::Never)
    })
    .await;
    let child = Home::new()
        .command(&["queue", "pause", "--yes", "--server", &console.url])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !console.has_applied() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await;
    let output = ended.expect("skictl ends").unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("plan moderate may still be running on the console"),
        "{said}"
    );
}

#[tokio::test]
async fn status_ends_with_the_most_severe_alarm() {
    for (severities, code) in [
        (&[][..], 0),
        (&["info"], 0),
        (&["info", "warning"], 8),
        (&["warning", "critical", "info"], 9),
    ] {
        let alarms: Vec<_> = severities
            .iter()
            .map(|severity| {
                serde_json::json!({
                    "code": "paused", "severity": severity, "since_at_ms": 1, "message": "m", "remedy": "r",
                })
            })
            .collect();
        let console = Console::with(move |asked| {
            asked.line.ends_with("/queue").then(|| {
                let mut queue = sample::queue();
                queue["alarms"] = alarms.clone().into();
                ScriptedResponse::With(200, queue.to_string())
            })
        })
        .await;
        for form in ["table", "json"] {
            let arguments = ["status", "-o", form, "--server", &console.url];
            let run = Home::new().run(&arguments).await;
            assert_eq!(run.code, Some(code), "{severities:?}: {}", run.stderr);
        }
    }
}

#[tokio::test]
async fn a_change_is_made_also_if_stderr_cannot_be_written() {
    let console = Console::start().await;
    let home = Home::new();
    let mut command = home.command(&["queue", "pause", "--yes", "--server", &console.url]);
    let full = std::fs::File::options().write(true).open("/dev/full");
    let status = command
        .stdout(std::process::Stdio::null())
        .stderr(full.unwrap())
        .status()
        .await;
    assert_eq!(status.unwrap().code(), Some(0));
    assert!(console.has_applied());
}
