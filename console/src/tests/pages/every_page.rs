//! Every page with no data, with usual data, with unknown data, with a lot of it, and with text that is markup.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use scraper::{Html, Selector};
use serde_json::json;
use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::{Activity, MAX_FIGURE, Report};
use skilift_core::control::{BootId, ControlChannel, Heartbeat, Role};
use skilift_core::health::{Health, Readiness};
use skilift_core::queue::DeadLetter;

use super::{page, session_of, texts};
use crate::registry;
use crate::tests::harness::TestConsole;
use crate::tests::machines::TestMachines;
use crate::view::access::UserRole;

/// Elements of their own if a page does not escape it, an attribute if it stands in one, and the end of a part of a live page.
const HOSTILE: &str = r#"</title></textarea><script>alert(1)</script><img src=x onerror=alert(1)>'" onfocus=x data-live><!--/part-->"#;

const PAGES: [&str; 21] = [
    "/",
    "/queue",
    "/dead-letters",
    "/nodes",
    "/nodes/worker-host-9",
    "/fleet",
    "/settings",
    "/tuning",
    "/tuning/t1",
    "/capacity?rate=100&peak=2",
    "/plans",
    "/plans/p1",
    "/audit",
    "/audit/1",
    "/access",
    "/doctor",
    "/rides",
    "/rides/skiers/4294967295",
    "/rides/resorts/1/seasons/2025/days/366",
    "/login",
    "/setup",
];

/// Asks for every page. One that does not exist is an error page that says so.
async fn every_page(console: &TestConsole, cookie: &str) -> Vec<(&'static str, Html)> {
    let mut pages = Vec::new();
    for path in PAGES {
        let (status, _, text) = console.browse("GET", path, &[("cookie", cookie)], "").await;
        let shown = match status {
            StatusCode::OK => page(console, path, cookie).await,
            status => {
                assert!(
                    [
                        StatusCode::NOT_FOUND,
                        StatusCode::UNPROCESSABLE_ENTITY,
                        StatusCode::SEE_OTHER,
                        StatusCode::SERVICE_UNAVAILABLE
                    ]
                    .contains(&status),
                    "{path}: {status} {text}"
                );
                Html::parse_document(&text)
            }
        };
        assert_sound(path, &shown);
        pages.push((path, shown));
    }
    pages
}

/// No markup of foreign text, and no figure that is none.
fn assert_sound(path: &str, shown: &Html) {
    for selector in [
        "img",
        "body script:not([src])",
        "[onerror]",
        "[onfocus]",
        "title *",
    ] {
        assert_eq!(texts(shown, selector), [""; 0], "{path}: {selector}");
    }
    let mut text = String::new();
    for part in shown.root_element().text() {
        write!(text, "{part} ").unwrap();
    }
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        assert!(
            !["NaN", "inf", "None", "Some"].contains(&word),
            "{path}: {word}"
        );
    }
    // Every label names a field, and every id is given once.
    let ids = Selector::parse("[id]").unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for element in shown.select(&ids) {
        assert!(
            seen.insert(element.attr("id").unwrap()),
            "{path}: {element:?}"
        );
    }
    let labels = Selector::parse("label[for]").unwrap();
    for label in shown.select(&labels) {
        assert!(
            seen.contains(label.attr("for").unwrap()),
            "{path}: {label:?}"
        );
    }
}

#[tokio::test]
async fn without_data() {
    let console = TestConsole::new().await;
    let cookie = session_of(&console, UserRole::Admin).await;
    every_page(&console, &cookie).await;
}

#[tokio::test]
async fn with_usual_data_and_then_with_none_that_is_known() {
    let console = TestConsole::new().await;
    let cookie = session_of(&console, UserRole::Admin).await;
    console.start_heartbeats(Role::Worker, 9).await;
    console.start_heartbeats(Role::Api, 2).await;
    console.until_rates_are_known().await;
    console
        .plan(&console.local(), json!({"change": "pause"}))
        .await;
    for (path, shown) in every_page(&console, &cookie).await {
        assert_eq!(texts(&shown, "h1").len(), 1, "{path}");
    }
    console.silence().await;
    console
        .control_channel
        .is_away
        .store(true, Ordering::Relaxed);
    every_page(&console, &cookie).await;
}

fn heartbeat_of(role: Role, port: u16) -> Heartbeat {
    let now = epoch_ms();
    match role {
        Role::Api => registry::tests::api(port, BootId::random(), now - 9_000, now, 7),
        Role::Worker => registry::tests::worker(port, BootId::random(), now - 9_000, now, 7),
    }
}

/// A node with the largest figures, or with markup in everything that is text.
fn extreme(role: Role, port: u16) -> Heartbeat {
    let mut heartbeat = heartbeat_of(role, port);
    heartbeat.host = HOSTILE.to_owned();
    heartbeat.instance_id = Some(HOSTILE.to_owned());
    heartbeat.version = HOSTILE.to_owned();
    heartbeat.health = Health::because(Readiness::Degraded, HOSTILE);
    heartbeat.activity = Activity::Draining {
        plan: Some(HOSTILE.to_owned()),
    };
    heartbeat.cpu_ms = MAX_FIGURE;
    heartbeat.rss_bytes = MAX_FIGURE;
    match &mut heartbeat.report {
        Report::Api(api) => {
            api.accepted_rides = MAX_FIGURE;
            api.reads = MAX_FIGURE;
            api.in_flight_rides = MAX_FIGURE;
            api.refused_requests = MAX_FIGURE;
            api.denied_requests = MAX_FIGURE;
            api.unkeyed_requests = MAX_FIGURE;
            api.backlog_rides = Some(MAX_FIGURE as f64);
            api.shedding = vec![HOSTILE.to_owned()];
            api.post_us = Some(HOSTILE.to_owned());
        }
        Report::Worker(worker) => {
            worker.acked_rides = MAX_FIGURE;
            worker.applied_rides = MAX_FIGURE;
            worker.busy_ms = MAX_FIGURE;
            worker.accept_to_stored_ms = Some(HOSTILE.to_owned());
            worker.consumers[0].blocked_reason = Some(HOSTILE.to_owned());
            worker.consumers[0].acked_rides = MAX_FIGURE;
            worker.consumers[0].unacked_messages = u32::MAX;
        }
    }
    heartbeat
}

async fn until_nodes(console: &TestConsole, count: usize) {
    console
        .until("nodes are collected", async || {
            let latest = console.console.monitor.latest();
            latest.is_some_and(|seen| seen.nodes.nodes.len() == count)
        })
        .await;
}

#[tokio::test]
async fn with_text_that_is_markup() {
    let control_channel = std::sync::Arc::default();
    let machines = TestMachines::with_pace(&control_channel, 2, 1, (10, 0.5));
    let folder = tempfile::tempdir().unwrap();
    let console = TestConsole::with_fleet(folder, control_channel, machines).await;
    let cookie = session_of(&console, UserRole::Admin).await;
    let admin = console.local();
    for (role, port) in [(Role::Worker, 9), (Role::Api, 2)] {
        let heartbeat = extreme(role, port);
        console
            .control_channel
            .send_heartbeat(&heartbeat)
            .await
            .unwrap();
    }
    let letter = DeadLetter {
        id: HOSTILE.to_owned(),
        line: HOSTILE.as_bytes().to_vec(),
        reason: HOSTILE.to_owned(),
        message: None,
        line_number: 1,
    };
    let parts = &console.console;
    parts
        .dead_letters
        .store(&parts.state, vec![letter])
        .await
        .unwrap();
    // Names are refused or written as they are; a reason and a client's name can be any text.
    let plan = console.plan(&admin, json!({"change": "pause"})).await;
    let applied = console
        .apply(
            &admin,
            &plan,
            json!({"confirm": HOSTILE, "override_reason": HOSTILE}),
        )
        .await;
    assert!(
        applied.status.is_client_error() || applied.status.is_success(),
        "{applied:?}"
    );
    let login = json!({"name": HOSTILE, "password": HOSTILE});
    console.ask("POST", "/login", None, Some(login)).await;
    let name = json!({"change": "add_user", "name": HOSTILE, "role": "viewer", "password": "long enough for one"});
    console
        .ask("POST", "/plans", Some(&admin), Some(name))
        .await;
    let unknown = json!({"change": "replay", "dead_letters": {"ids": [HOSTILE]}});
    console
        .ask("POST", "/plans", Some(&admin), Some(unknown))
        .await;

    let pages = every_page(&console, &cookie).await;
    let shown = |path: &str| {
        let (_, page) = pages.iter().find(|(of, _)| *of == path).unwrap();
        page.root_element().text().collect::<String>()
    };
    for path in ["/dead-letters", "/nodes", "/nodes/worker-host-9"] {
        assert!(shown(path).contains("<script>alert(1)</script>"), "{path}");
    }
    let query: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for path in [
        format!("/queue?range={query}"),
        format!("/dead-letters?reason={query}&newest={query}"),
        format!("/audit?actor={query}&action={query}&before={query}"),
        format!("/rides?resort={query}&season={query}&day={query}&skier={query}"),
        format!("/nodes/{query}"),
        format!("/plans/{query}"),
        format!("/login?next={query}"),
        format!("/nope/{query}"),
    ] {
        let (status, _, text) = console
            .browse("GET", &path, &[("cookie", &cookie)], "")
            .await;
        assert!(!status.is_server_error(), "{path}: {status} {text}");
        assert_sound(&path, &Html::parse_document(&text));
    }
}

#[tokio::test]
async fn with_a_lot_of_data() {
    let console = TestConsole::new().await;
    let cookie = session_of(&console, UserRole::Admin).await;
    for port in 1..=200 {
        let heartbeat = match port {
            1..=100 => extreme(Role::Worker, port),
            _ => extreme(Role::Api, port),
        };
        console
            .control_channel
            .send_heartbeat(&heartbeat)
            .await
            .unwrap();
    }
    let mut impossible = extreme(Role::Worker, 201);
    impossible.rss_bytes = u64::MAX;
    let channel = &console.control_channel;
    channel.send_heartbeat(&impossible).await.unwrap();
    until_nodes(&console, 200).await;
    let parts = &console.console;
    let letters = (0..2_000).map(|number| DeadLetter {
        id: format!("{number}"),
        line: vec![b'w'; 20_000],
        reason: "w".repeat(2_000),
        message: None,
        line_number: number,
    });
    parts
        .dead_letters
        .store(&parts.state, letters.collect())
        .await
        .unwrap();
    let many = json!({"change": "replay", "dead_letters": {"ids": (0..500).map(|id| id.to_string()).collect::<Vec<_>>()}});
    console.plan(&console.local(), many).await;
    for (path, shown) in every_page(&console, &cookie).await {
        // Lists are cut, and say so.
        let size = shown.html().len();
        assert!(size < 1_500_000, "{path}: {size} bytes");
    }
}
