//! Every command that changes something: plans, consent, outcomes.

use serde_json::{Value, json};

use crate::console::{Console, ScriptedResponse};
use crate::sample;
use crate::skictl::Home;

#[tokio::test]
async fn plans_and_outcomes() {
    let console = Console::start().await;
    let text = Home::new()
        .session(
            &console.url,
            &[
                "settings set worker --threads 16 --dry-run",
                "settings set worker --threads 16 --dry-run --output json",
                "settings set worker --threads 16",
                "settings set worker --threads 16 --yes",
                "settings set worker --threads 16 --yes --output json",
                "settings set worker --threads 16 --output csv",
                "queue resume",
                "queue resume --output json",
                "queue dead discard a b --yes",
                "queue dead discard a b --confirm discard",
                "queue pause --confirm pause",
                "queue pause --confirm pause --yes",
                "nodes drain last --yes",
                "nodes drain last --dry-run",
                "nodes drain last --dry-run --override maintenance",
                "nodes undrain worker-gate7-9464 --yes",
                "queue dead replay --all --yes",
                "users remove anna --yes --override because",
                "keys add gate-7 --resort 1,2 --yes",
                "tokens add nightly --role viewer --yes --output json",
            ],
        )
        .await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn every_change_is_asked_for_as_it_was_meant() {
    let console = Console::start().await;
    let home = Home::new();
    for (line, change) in [
        (
            "settings set worker --threads 16 --prefetch 2 --batch 3 --linger 25ms --if-version 7",
            json!({ "change": "set_worker", "threads": 16, "prefetch": 2, "batch": 3, "linger_ms": 25, "if_version": 7 }),
        ),
        (
            "settings set api --channels 2 --message-rides 9 --max-in-flight 99",
            json!({ "change": "set_api", "channels": 2, "message_rides": 9, "max_in_flight": 99 }),
        ),
        (
            "settings set ingest keys",
            json!({ "change": "set_ingest", "keys": true }),
        ),
        (
            "settings set ingest open --if-version 2",
            json!({ "change": "set_ingest", "keys": false, "if_version": 2 }),
        ),
        (
            "settings rollback api --to 2",
            json!({ "change": "rollback", "section": "api", "version": 2 }),
        ),
        ("queue pause", json!({ "change": "pause" })),
        (
            "queue pause --for 10m",
            json!({ "change": "pause", "for_s": 600 }),
        ),
        (
            "queue dead replay --reason unreadable",
            json!({ "change": "replay", "dead_letters": { "reason": { "text": "unreadable" } } }),
        ),
        ("queue resume", json!({ "change": "resume" })),
        (
            "queue dead replay a b --rate 2.5",
            json!({ "change": "replay", "dead_letters": { "ids": ["a", "b"] }, "per_s": 2.5 }),
        ),
        (
            "queue dead discard --all",
            json!({ "change": "discard", "dead_letters": "all" }),
        ),
        ("nodes drain n", json!({ "change": "drain", "node": "n" })),
        (
            "nodes undrain n",
            json!({ "change": "undrain", "node": "n" }),
        ),
        (
            "repair --resort 1 --season 2025 --day 12",
            json!({ "change": "repair", "resort": 1, "season": "2025", "day": 12 }),
        ),
        (
            "users add anna --role operator",
            json!({ "change": "add_user", "name": "anna", "role": "operator" }),
        ),
        (
            "users password anna",
            json!({ "change": "set_password", "name": "anna" }),
        ),
        (
            "users role anna admin",
            json!({ "change": "set_role", "name": "anna", "role": "admin" }),
        ),
        (
            "users remove anna",
            json!({ "change": "remove_user", "name": "anna" }),
        ),
        (
            "tokens add t --role viewer --expires-in 1h",
            json!({ "change": "add_token", "name": "t", "role": "viewer", "expires_in_s": 3600 }),
        ),
        (
            "tokens revoke 3f2a",
            json!({ "change": "revoke_token", "id": "3f2a" }),
        ),
        ("keys add k", json!({ "change": "add_key", "name": "k" })),
        (
            "keys add k --resort 2,1,1,2",
            json!({ "change": "add_key", "name": "k", "resorts": [1, 2] }),
        ),
        (
            "keys revoke 9c01",
            json!({ "change": "revoke_key", "id": "9c01" }),
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
}

#[tokio::test]
async fn nothing_to_send_again_is_said() {
    let console = Console::with(|asked| {
        let change = serde_json::from_value(asked.body.clone()).ok()?;
        let mut plan = sample::plan(&change);
        plan["id"] = json!("already");
        plan["danger"] = json!("none");
        plan["actions"] = json!([]);
        asked
            .line
            .ends_with("/plans")
            .then(|| ScriptedResponse::With(200, plan.to_string()))
    })
    .await;
    let home = Home::new();
    for (word, says) in [
        ("replay", "nothing to replay"),
        ("discard", "nothing to discard"),
    ] {
        let arguments = ["queue", "dead", word, "--all", "--server", &console.url];
        let run = home.run(&arguments).await;
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let says = format!("no dead letters: {says}");
        assert!(run.stdout.contains(&says), "{}", run.stdout);
    }
}

#[tokio::test]
async fn an_output_style_is_no_consent() {
    let console = Console::start().await;
    let home = Home::new();
    for flags in [&["--no-input"][..], &["--output=json"], &[]] {
        let arguments = [&["queue", "pause", "--server", &console.url][..], flags].concat();
        // Somebody who pipes "y" did not see the plan.
        let run = home.run_with(&arguments, &[], "y\n").await;
        assert_eq!(run.code, Some(4), "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    }
    assert!(!console.has_applied());
}

#[tokio::test]
async fn a_drain_waits_until_the_node_is_drained() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let count = AtomicU32::new(0);
    let console = Console::with(move |asked| {
        if !asked.line.starts_with("GET /admin/v1/nodes/") {
            return None;
        }
        let ScriptedResponse::With(200, node) = sample::answer(asked) else {
            return None;
        };
        let mut node: Value = serde_json::from_str(&node).unwrap();
        let (state, unacked) = match count.fetch_add(1, Ordering::Relaxed) {
            0 => ("draining", 2),
            1 => ("draining", 1),
            _ => ("drained", 0),
        };
        node["state"] = json!(state);
        node["unacked_messages"] = json!(unacked);
        Some(ScriptedResponse::With(200, node.to_string()))
    })
    .await;
    let id = "worker-gate7-9464";
    let arguments = ["nodes", "drain", id, "--yes", "--wait", "--server"];
    let run = Home::new()
        .run(&[&arguments[..], &[&console.url]].concat())
        .await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines = run
        .stderr
        .lines()
        .filter(|line| line.starts_with("skictl: "));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            format!("skictl: {id} is draining: 2 unacked messages"),
            format!("skictl: {id} is draining: 1 unacked message"),
            format!("skictl: {id} is drained"),
        ],
        "{}",
        run.stderr
    );
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_left_to_itself() {
    let console = Console::with(|asked| {
        let node = sample::answer(asked);
        let is_node = asked.line.starts_with("GET /admin/v1/nodes/");
        let ScriptedResponse::With(200, node) = node else {
            return None;
        };
        let mut node: Value = serde_json::from_str(&node).unwrap();
        node["state"] = json!("draining");
        is_node.then(|| ScriptedResponse::With(200, node.to_string()))
    })
    .await;
    let drain = ["nodes", "drain", "worker-gate7-9464", "--yes", "--wait"];
    let limit = ["--timeout=1s", "--server", &console.url];
    let run = Home::new().run(&[&drain[..], &limit].concat()).await;
    assert_eq!(run.code, Some(7), "{}", run.stderr);
    assert!(
        run.stderr.contains("is not drained yet; see `skictl nodes"),
        "{}",
        run.stderr
    );
}

/// The body with which a plan was applied.
fn applied(console: &Console) -> Value {
    console.asked().pop().unwrap().body
}

#[tokio::test]
async fn consent_goes_with_the_apply() {
    let console = Console::start().await;
    let home = Home::new();
    let at = ["--server", &console.url];
    let run = async |arguments: &[&str], stdin: &str| {
        let arguments = [arguments, &at].concat();
        let run = home.run_with(&arguments, &[], stdin).await;
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run
    };
    run(
        &[
            "queue",
            "dead",
            "discard",
            "--all",
            "--confirm",
            "discard 2",
        ],
        "",
    )
    .await;
    assert_eq!(applied(&console), json!({ "confirm": "discard 2" }));
    run(
        &[
            "nodes",
            "drain",
            "last",
            "--yes",
            "--override",
            "it is broken",
        ],
        "",
    )
    .await;
    assert_eq!(
        applied(&console),
        json!({ "override_reason": "it is broken" })
    );
    let add = [
        "users",
        "add",
        "ben",
        "--role=viewer",
        "--password-stdin",
        "-y",
    ];
    let said = run(&add, "s3cret pass\r\nmore\n").await;
    assert_eq!(applied(&console), json!({ "password": "s3cret pass" }));
    assert!(!said.stdout.contains("s3cret") && !said.stderr.contains("s3cret"));
    let made = run(&["keys", "add", "gate-7", "--yes"], "").await;
    assert_eq!(
        made.stdout, "ski_ingest_5ec4e7\n",
        "the secret alone is data"
    );
    assert!(made.stderr.contains("9c02"), "{}", made.stderr);
}

#[tokio::test]
async fn without_a_password_nothing_is_planned() {
    let console = Console::start().await;
    let arguments = [
        "users",
        "password",
        "anna",
        "--yes",
        "--server",
        &console.url,
    ];
    let run = Home::new().run(&arguments).await;
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("--password-stdin"), "{}", run.stderr);
    assert!(console.asked().is_empty());
}
