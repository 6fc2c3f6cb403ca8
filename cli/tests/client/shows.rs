//! Every command that shows something, in every form.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::console::{Console, ScriptedResponse, problem};
use crate::sample;
use crate::skictl::Home;

async fn session(lines: &[&str]) -> String {
    let console = Console::start().await;
    Home::new().session(&console.url, lines).await
}

#[tokio::test]
async fn stats() {
    let day = "1 --season 2025 --day 12";
    let lists = ["resorts", "seasons 1", "days 1 2025", "skier 4711"];
    let mut lines: Vec<String> = lists.map(|what| format!("stats {what}")).to_vec();
    for what in ["resort", "lifts", "hours", "top"] {
        lines.push(format!("stats {what} {day}"));
    }
    let mut all = Vec::new();
    for line in &lines {
        all.extend(["table", "json", "csv"].map(|form| format!("{line} --output {form}")));
    }
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    insta::assert_snapshot!(session(&all).await);
}

#[tokio::test]
async fn queue() {
    insta::assert_snapshot!(
        session(&[
            "queue",
            "status",
            "queue status --output json",
            "queue status --output csv",
            "queue history --since 3s",
            "queue history --step 1m --since 2days --output json",
            "queue history --since 2h --output csv",
            "queue dead list",
            "queue dead list --limit 1 --before m-9 --reason unreadable --output json",
            "queue dead show 0000000000000001-0-7-3",
            "queue dead show 0000000000000001-0-7-3 --output json",
        ])
        .await
    );
}

#[tokio::test]
async fn nodes() {
    insta::assert_snapshot!(
        session(&[
            "nodes",
            "nodes list --output json",
            "nodes list --output csv",
            "nodes show worker-gate7-9464",
            "nodes show worker-gate7-9464 --output json",
        ])
        .await
    );
}

#[tokio::test]
async fn settings() {
    insta::assert_snapshot!(
        session(&[
            "settings",
            "settings show --output json",
            "settings history worker",
            "settings history worker --output json",
            "settings history worker --output csv",
        ])
        .await
    );
}

#[tokio::test]
async fn audit() {
    insta::assert_snapshot!(
        session(&[
            "audit",
            "audit --limit 2 --before 9 --who anna --action apply --output json",
            "audit --output csv",
        ])
        .await
    );
}

#[tokio::test]
async fn access() {
    insta::assert_snapshot!(
        session(&[
            "users",
            "users list --output json",
            "tokens",
            "tokens list --output json",
            "keys",
            "keys list --output json",
            "keys list --output csv",
        ])
        .await
    );
}

#[tokio::test]
async fn json_is_what_the_console_said_with_fields_that_we_do_not_know() {
    let said = "{\"zebra\":1,\"ant\":[2,1]}";
    let console = Console::with(|_| Some(ScriptedResponse::With(200, said.to_owned()))).await;
    let run = Home::new()
        .run(&["queue", "--output=json", "--server", &console.url])
        .await;
    assert_eq!((run.code, run.stdout), (Some(0), format!("{said}\n")));
    let table = Home::new().run(&["queue", "--server", &console.url]).await;
    assert_eq!(table.code, Some(1));
    assert!(
        table.stderr.contains("is its version different"),
        "{}",
        table.stderr
    );
}

#[tokio::test]
async fn questions_go_where_they_should() {
    let console = Console::start().await;
    let home = Home::new();
    for (line, question) in [
        ("queue", "/queue"),
        ("nodes show worker-gate7-9464", "/nodes/worker-gate7-9464"),
        ("nodes show a/../b?c", "/nodes/a%2F..%2Fb%3Fc"),
        ("settings history api", "/settings/api/history"),
        (
            "audit --who anna --before 7",
            "/audit?limit=50&before=7&who=anna",
        ),
        ("audit --outcome planned", "/audit?limit=50&outcome=planned"),
        ("whoami", "/whoami"),
        ("stats resorts", "/stats/resorts"),
        ("stats seasons 7", "/stats/resorts/7/seasons"),
        ("stats days 7 2025", "/stats/resorts/7/seasons/2025/days"),
        ("stats skier 4711", "/stats/skiers/4711"),
        (
            "stats top 1 --season 2025 --day 12 --limit 3",
            "/stats/resorts/1/seasons/2025/days/12/top?limit=3",
        ),
        (
            "queue dead list --reason unreadable",
            "/dead-letters?limit=50&reason=unreadable",
        ),
    ] {
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["--server", &console.url]);
        home.run(&arguments).await;
        let asked = console.asked().pop().unwrap().line;
        assert_eq!(asked, format!("GET /admin/v1{question}"), "{line}");
    }
    for (line, question) in [
        ("queue history --since=2h", "/queue/history?step=60"),
        (
            "audit --since=2h --outcome refused",
            "/audit?limit=50&outcome=refused",
        ),
    ] {
        let mut arguments: Vec<&str> = line.split(' ').collect();
        arguments.extend(["--server", &console.url]);
        let before = skilift_core::clock::epoch_ms();
        home.run(&arguments).await;
        let asked = console.asked().pop().unwrap().line;
        let (path, since) = asked.split_once("&since_ms=").unwrap();
        assert_eq!(path, format!("GET /admin/v1{question}"));
        let since: u64 = since.parse().unwrap();
        assert!((before..before + 10_000).contains(&(since + 7_200_000)));
    }
}

#[tokio::test]
async fn settings_are_not_set_to_nothing() {
    let console = Console::start().await;
    for section in ["worker", "api", "fleet"] {
        let arguments = ["settings", "set", section, "--yes", "--server"];
        let run = Home::new()
            .run(&[&arguments[..], &[&console.url]].concat())
            .await;
        assert_eq!(run.code, Some(2), "{section}: {}", run.stderr);
        assert!(run.stderr.contains("nothing to set"), "{}", run.stderr);
    }
    assert!(console.asked().is_empty());
}

#[tokio::test]
async fn watching_appends_where_nobody_can_be_repainted() {
    let console = Console::start().await;
    let arguments = ["queue", "--watch=100ms", "--output=json", "--server"];
    let mut child = Home::new()
        .command(&[&arguments[..], &[&console.url]].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        let line = lines.next_line().await.unwrap().unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["stack"], "skilift");
    }
    // A reader that has seen enough is no failure.
    drop(lines);
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn watching_goes_on_through_an_absence_but_not_through_a_refusal() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let count = AtomicU32::new(0);
    let console = Console::with(move |asked| match count.fetch_add(1, Ordering::Relaxed) {
        1 => Some(problem(503, "unavailable", "the store cannot be reached")),
        3.. => Some(problem(403, "forbidden", "not any more")),
        _ => Some(sample::answer(asked)),
    })
    .await;
    let arguments = ["nodes", "--watch=100ms", "--server", &console.url];
    let mut child = Home::new()
        .command(&arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    stdout.read_to_string(&mut out).await.unwrap();
    stderr.read_to_string(&mut err).await.unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(5));
    assert_eq!(out.matches("worker-gate7-9464  ").count(), 2, "{out}");
    assert!(
        err.contains("cannot be reached") && err.contains("not any more"),
        "{err}"
    );
}
