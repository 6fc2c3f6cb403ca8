//! The streams that keep pages up to date.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use scraper::{Html, Selector};
use skilift_core::control::Role;
use tower::ServiceExt;

use super::{SAME_ORIGIN, collected, page, session_of, texts};
use crate::tests::harness::TestConsole;
use crate::view::access::UserRole;

/// A stream of a page.
struct Stream(Body);

impl Stream {
    async fn open(console: &TestConsole, url: &str, cookie: &str) -> Self {
        let request = Request::get(url).header("cookie", cookie);
        let request = request.body(Body::empty()).unwrap();
        let response = console.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{url}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body())
    }

    /// The next message; `None` at the end of the stream.
    async fn next(&mut self) -> Option<String> {
        let frame = tokio::time::timeout(Duration::from_secs(10), self.0.frame());
        let frame = frame.await.unwrap()?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_stream_sends_the_page_and_then_what_changes() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    console.start_heartbeats(Role::Worker, 1).await;
    console.start_heartbeats(Role::Api, 2).await;
    collected(&console).await;
    let mut stream = Stream::open(&console, "/live?page=%2Fnodes", &viewer).await;
    let first = stream.next().await.unwrap();
    assert!(
        first.contains(r##"hx-target="#nodes" hx-swap="outerMorph""##),
        "{first}"
    );
    let second = stream.next().await.unwrap();
    assert!(second.contains("#live-state"), "{second}");
    assert!(!second.contains("outerMorph"), "{second}");
    // One more node is one more row.
    console.start_heartbeats(Role::Worker, 3).await;
    let mut message = String::new();
    for _ in 0..5 {
        message = stream.next().await.unwrap();
        if message.contains(r##"hx-target="#nodes""##) {
            break;
        }
    }
    assert!(
        message.contains(r##"hx-target="#nodes" hx-swap="outerMorph""##),
        "{message}"
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_with_the_console() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    let other = session_of(&console, UserRole::Viewer).await;
    let mut stream = Stream::open(&console, "/live?page=%2F", &viewer).await;
    let mut others = Stream::open(&console, "/live?page=%2F", &other).await;
    assert!(stream.next().await.is_some() && others.next().await.is_some());
    let headers = [("cookie", viewer.as_str()), SAME_ORIGIN];
    console.browse("POST", "/logout", &headers, "").await;
    assert_eq!(stream.next().await, None);
    let (status, ..) = console.browse("GET", "/live?page=%2F", &headers, "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(others.next().await.is_some());
    console.stop().await;
    while others.next().await.is_some() {}
}

#[tokio::test]
async fn a_stream_is_only_of_a_page() {
    let console = TestConsole::new().await;
    let viewer = session_of(&console, UserRole::Viewer).await;
    for (of, expected) in [
        ("%2Fnodes%2Fnone", StatusCode::NOT_FOUND),
        ("%2Flogout", StatusCode::NOT_FOUND),
        ("http%3A%2F%2F%5B", StatusCode::BAD_REQUEST),
    ] {
        let path = format!("/live?page={of}");
        let (status, ..) = console
            .browse("GET", &path, &[("cookie", &viewer)], "")
            .await;
        assert_eq!(status, expected, "{of}");
    }
}

#[tokio::test]
async fn what_is_live_has_an_id_and_no_control() {
    let console = TestConsole::new().await;
    let admin = session_of(&console, UserRole::Admin).await;
    let worker = console.start_heartbeats(Role::Worker, 1).await.to_string();
    console.start_heartbeats(Role::Api, 2).await;
    collected(&console).await;
    let node = format!("/nodes/{worker}");
    for path in [
        "/",
        "/queue",
        "/dead-letters",
        "/nodes",
        "/fleet",
        &node,
        "/settings",
        "/tuning",
        "/audit",
    ] {
        let shown = page(&console, path, &admin).await;
        let selector = Selector::parse("[data-live], [data-part]").unwrap();
        let live = shown.select(&selector);
        let mut ids: Vec<&str> = live.map(|of| of.attr("id").unwrap_or_default()).collect();
        assert!(ids.len() > 3, "{path}");
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(ids.len() == count && !ids.contains(&""), "{path}: {ids:?}");
        for (selector, what) in [
            (
                "[data-live] :is(a, button, input, select, textarea, summary)",
                "a control",
            ),
            (
                "[data-live] [data-live], [data-part] [data-part]",
                "a nested live element",
            ),
        ] {
            assert_eq!(texts(&shown, selector), [""; 0], "{path}: {what}");
        }
        assert_scanned_as_parsed(&console, path, &admin, &shown).await;
    }
}

/// What a stream would send is what a browser's parser finds.
async fn assert_scanned_as_parsed(console: &TestConsole, path: &str, cookie: &str, shown: &Html) {
    let page: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut stream = Stream::open(console, &format!("/live?page={page}"), cookie).await;
    let first = stream.next().await.unwrap();
    let sent: Vec<&str> = first
        .split("hx-target=\"#")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let expected = Selector::parse("[data-part]").unwrap();
    let expected = shown.select(&expected).map(|of| of.attr("id").unwrap());
    let all = Selector::parse("[data-live]").unwrap();
    let leaves = shown.select(&all).filter(|leaf| {
        let mut above = leaf.ancestors().filter_map(scraper::ElementRef::wrap);
        !above.any(|of| of.attr("data-part").is_some())
    });
    let expected: Vec<&str> = expected
        .chain(leaves.map(|of| of.attr("id").unwrap()))
        .collect();
    assert_eq!(sent, expected, "{path}");
}
