//! The page of the nodes: by role, with totals, and filtered.

use axum::http::StatusCode;
use skilift_core::control::Role;

use super::{page, session_of, texts};
use crate::tests::harness::TestConsole;
use crate::view::access::UserRole;

#[tokio::test]
async fn nodes_are_grouped_by_role_and_filtered() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    console.start_heartbeats(Role::Api, 1).await;
    for port in [2, 3] {
        console.start_heartbeats(Role::Worker, port).await;
    }
    console
        .until("three nodes", async || {
            let latest = console.console.monitor.latest();
            latest.is_some_and(|seen| seen.nodes.nodes.len() == 3)
        })
        .await;
    let shown = page(&console, "/nodes", &viewer).await;
    assert_eq!(
        texts(&shown, "#nodes tr.group th"),
        ["API nodes", "Workers", "Console"]
    );
    for (role, rows) in [("api", 1), ("worker", 2), ("console", 1)] {
        let names = texts(&shown, &format!("#nodes-{role} th.name"));
        assert_eq!(names.len(), rows, "{role}: {names:?}");
    }
    assert_eq!(texts(&shown, "#total-worker-outstanding"), ["6 unacked"]);
    assert_eq!(texts(&shown, "#total-worker-threads"), ["2 threads"]);
    assert_eq!(texts(&shown, "#total-api-threads"), ["1 channel"]);
    let nodes = texts(&shown, "#total-worker-nodes").concat();
    assert!(nodes.starts_with("2 nodes, "), "{nodes}");
    let current = texts(&shown, "#nodes-filter [aria-current=true]");
    assert_eq!(current[0], "All roles 4");
    assert_eq!(current[1], "All states 4");

    let filtered = "/nodes?role=worker";
    let workers = page(&console, filtered, &viewer).await;
    assert_eq!(texts(&workers, "#nodes tr.group th"), ["Workers"]);
    assert_eq!(texts(&workers, "#nodes th.name").len(), 2);
    let current = texts(&workers, "#nodes-filter [aria-current=true]");
    assert_eq!(current, ["Workers 2", "All states 2"]);
    // The stream asks with the same filter.
    let headers = [("cookie", viewer.as_str())];
    let (_, _, text) = console.browse("GET", filtered, &headers, "").await;
    assert!(
        text.contains("hx-sse:connect=\"/live?page=/nodes%3Frole%3Dworker\""),
        "{text}"
    );

    let lost = page(&console, "/nodes?role=worker&state=lost", &viewer).await;
    assert_eq!(texts(&lost, "#nodes tr"), [""; 0]);
    assert_eq!(
        texts(&lost, "#nodes .empty strong"),
        ["No node matches the filter."]
    );
    for query in ["role=gate", "state=gone", "page=0"] {
        let path = format!("/nodes?{query}");
        let (status, ..) = console.browse("GET", &path, &headers, "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn without_nodes_the_page_says_how_to_start_one() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let shown = page(&console, "/nodes", &viewer).await;
    assert!(texts(&shown, "#nodes .empty")[0].starts_with("No node has sent a heartbeat yet."));
    assert_eq!(texts(&shown, "#total-api-nodes"), ["0 nodes"]);
    assert_eq!(texts(&shown, "#nodes th.name").len(), 1);
}

#[tokio::test]
async fn a_node_shows_what_happened_to_it() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let worker = console.start_heartbeats(Role::Worker, 1).await.to_string();
    let path = format!("/nodes/{worker}");
    console
        .until("known", async || {
            console.console.monitor.node(&worker).is_some()
        })
        .await;
    let shown = page(&console, &path, &viewer).await;
    let events = texts(&shown, "#n-events li .what");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("ready; first heartbeat received, boot id "),
        "{events:?}"
    );
    console.silence().await;
    let shown = page(&console, &path, &viewer).await;
    let events = texts(&shown, "#n-events li .what");
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        events[0].starts_with("lost: no heartbeat for "),
        "{events:?}"
    );
}
