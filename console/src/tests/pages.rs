//! The web console as a browser sees it.

mod changes;
mod durability;
mod every_page;
mod forms;
mod live;
mod nodes;
mod tuning;
mod viewers;

pub(super) use changes::{plan, post};
pub(super) use forms::value;

use axum::http::{HeaderMap, StatusCode};
use scraper::{Html, Selector};
use skilift_core::control::Role;

use super::harness::TestConsole;
use crate::view::access::UserRole;

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// The session cookie that a response sets.
fn session(headers: &HeaderMap) -> String {
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

/// Logs in by a link like that which the console prints.
async fn log_in(console: &TestConsole) -> String {
    console
        .until("collected", async || {
            console.console.monitor.latest().is_some()
        })
        .await;
    let code = console.console.make_login_code();
    let (status, headers, _) = console
        .browse("GET", &format!("/login/{code}"), &[], "")
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "/");
    session(&headers)
}

/// The cookie of a session of a user with this role, once there is something to show.
pub(super) async fn session_of(console: &TestConsole, role: UserRole) -> String {
    console
        .until("collected", async || {
            console.console.monitor.latest().is_some()
        })
        .await;
    let token = console.token(&console.local(), role).await;
    format!("skilift_session={token}")
}

pub(super) fn texts(page: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let found = page.select(&selector);
    found
        .map(|element| element.text().collect::<String>().trim().to_owned())
        .collect()
}

pub(super) async fn page(console: &TestConsole, path: &str, cookie: &str) -> Html {
    let (status, headers, text) = console.browse("GET", path, &[("cookie", cookie)], "").await;
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    let csp = headers["content-security-policy"].to_str().unwrap();
    assert!(
        csp.starts_with("default-src 'none'") && !csp.contains("unsafe"),
        "{csp}"
    );
    assert_eq!(headers["cache-control"], "no-store");
    let page = Html::parse_document(&text);
    // The policy forbids what is inline, and what is elsewhere.
    for selector in [
        "[style]",
        "style",
        "script:not([src])",
        "[onclick]",
        "[src^='http']",
        "[href^='http']",
    ] {
        assert_eq!(texts(&page, selector), [""; 0], "{path}: {selector}");
    }
    assert_eq!(texts(&page, "h1").len(), 1, "{path}");
    page
}

async fn collected(console: &TestConsole) {
    console
        .until("collected", async || {
            let latest = console.console.monitor.latest();
            latest.is_some_and(|seen| seen.nodes.nodes.len() == 2)
        })
        .await;
}

#[tokio::test]
async fn a_link_logs_in_once_and_a_logout_ends_the_session() {
    let console = TestConsole::new().await;
    console
        .until("collected", async || {
            console.console.monitor.latest().is_some()
        })
        .await;
    for (path, login) in [("/", "/login"), ("/nodes", "/login?next=%2Fnodes")] {
        let (status, headers, _) = console.browse("GET", path, &[], "").await;
        assert_eq!(
            (status, &headers["location"]),
            (StatusCode::SEE_OTHER, &login.parse().unwrap())
        );
    }
    let code = console.console.make_login_code();
    let link = format!("/login/{code}");
    let (_, headers, _) = console.browse("GET", &link, &[], "").await;
    let cookie = session(&headers);
    let (status, _, text) = console.browse("GET", &link, &[], "").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let again = Html::parse_document(&text);
    let used = "This link is invalid, expired or already used; a restarted console prints another.";
    assert_eq!(texts(&again, "[role=alert]"), [used]);

    page(&console, "/nodes", &cookie).await;
    let headers = [("cookie", cookie.as_str()), SAME_ORIGIN];
    let (status, _, _) = console.browse("POST", "/logout", &headers, "").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, headers, _) = console.browse("GET", "/nodes", &headers, "").await;
    assert_eq!(
        (status, &headers["location"]),
        (
            StatusCode::SEE_OTHER,
            &"/login?next=%2Fnodes".parse().unwrap()
        )
    );
}

#[tokio::test]
async fn another_site_can_neither_log_in_nor_out() {
    let console = TestConsole::new().await;
    let cookie = log_in(&console).await;
    for headers in [
        &[("cookie", cookie.as_str())][..],
        &[("cookie", &cookie), ("sec-fetch-site", "cross-site")],
        &[
            ("cookie", &cookie),
            ("origin", "http://evil.example"),
            ("host", "ski"),
        ],
    ] {
        for path in ["/logout", "/login", "/theme"] {
            let (status, _, text) = console.browse("POST", path, headers, "theme=dark").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {text}");
        }
    }
    page(&console, "/nodes", &cookie).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_and_the_name_stays() {
    let console = TestConsole::new().await;
    let form = "name=%3Cb%3Eanna&password=wrong";
    let (status, _, text) = console.browse("POST", "/login", &[SAME_ORIGIN], form).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let page = Html::parse_document(&text);
    assert_eq!(texts(&page, "[role=alert]"), ["Wrong name or password."]);
    let name = page.select(&Selector::parse("#name").unwrap()).next();
    assert_eq!(name.unwrap().attr("value"), Some("<b>anna"));
    assert_eq!(texts(&page, "b"), [""; 0]);
}

#[tokio::test]
async fn overview_and_nodes_show_what_was_collected() {
    let console = TestConsole::new().await;
    let cookie = log_in(&console).await;
    let worker = console.start_heartbeats(Role::Worker, 1).await.to_string();
    let api = console.start_heartbeats(Role::Api, 2).await.to_string();
    collected(&console).await;

    let nodes = page(&console, "/nodes", &cookie).await;
    // The console is listed too.
    let names = texts(&nodes, "tbody th.name");
    assert_eq!(names.len(), 3);
    for name in [&api, &worker] {
        assert!(names.iter().any(|cell| cell.starts_with(name)), "{names:?}");
    }
    assert!(texts(&nodes, ".verdict-message")[0].contains("2 nodes"));
    assert_eq!(texts(&nodes, "[aria-current=page]"), ["Nodes"]);

    let overview = page(&console, "/", &cookie).await;
    let labels = texts(&overview, ".fig-label");
    assert_eq!(labels.len(), 7, "{labels:?}");
    assert_eq!(
        texts(&overview, ".nav-list [aria-current=page]"),
        ["Overview"]
    );

    // An alarm changes the verdict and the title, and says what to do.
    console.silence().await;
    let plan = console
        .plan(&console.local(), serde_json::json!({"change": "pause"}))
        .await;
    console
        .apply(&console.local(), &plan, serde_json::json!({}))
        .await;
    console
        .until("lost", async || {
            let (_, _, text) = console.browse("GET", "/", &[("cookie", &cookie)], "").await;
            text.contains("no heartbeat from")
        })
        .await;
    let overview = page(&console, "/", &cookie).await;
    let kinds = Selector::parse(".verdict.is-bad [role=alert]").unwrap();
    assert_eq!(overview.select(&kinds).count(), 1);
    assert!(texts(&overview, "title")[0].starts_with("CRITICAL: "));
    let todo = texts(&overview, ".todo li");
    assert!(
        todo.iter()
            .any(|line| line.starts_with("INFO: consumption paused by local")),
        "{todo:?}"
    );
    assert!(todo[0].starts_with("CRITICAL: "), "{todo:?}");
}

#[tokio::test]
async fn a_theme_stays_and_returns_to_a_page_of_this_site() {
    let console = TestConsole::new().await;
    let cookie = log_in(&console).await;
    for (back, location) in [
        ("%2Fnodes", "/nodes"),
        ("%2F%2Fevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        ("", "/"),
    ] {
        let form = format!("theme=dark&back={back}");
        let (status, headers, _) = console
            .browse("POST", "/theme", &[SAME_ORIGIN], &form)
            .await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        assert_eq!(headers["location"], location);
        let theme = session(&headers);
        let both = format!("{cookie}; {theme}");
        let html = Selector::parse("html[data-theme=dark]").unwrap();
        let login = page(&console, "/login", &both).await;
        assert_eq!(login.select(&html).count(), 1);
    }
}

#[tokio::test]
async fn assets_are_cached_under_their_hash() {
    let console = TestConsole::new().await;
    let (_, _, text) = console.browse("GET", "/login", &[], "").await;
    let login = Html::parse_document(&text);
    let links = Selector::parse("link[href], script[src]").unwrap();
    let urls: Vec<&str> = login
        .select(&links)
        .map(|link| link.attr("href").or(link.attr("src")).unwrap())
        .collect();
    assert_eq!(urls.len(), 3);
    for url in urls {
        let (status, headers, text) = console.browse("GET", url, &[], "").await;
        assert_eq!(status, StatusCode::OK, "{url}");
        assert!(
            headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        assert!(!text.is_empty());
        let (dir, name) = url.rsplit_once('/').unwrap();
        let other = format!("{}0/{name}", &dir[..dir.len() - 1]);
        if other != url {
            let (status, _, _) = console.browse("GET", &other, &[], "").await;
            assert_eq!(status, StatusCode::NOT_FOUND);
        }
    }
}

#[tokio::test]
async fn unknown_urls_are_answered_as_pages_and_in_the_api_as_json() {
    let console = TestConsole::new().await;
    let (status, headers, text) = console.browse("GET", "/%3Cscript%3E", &[], "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(headers.contains_key("content-security-policy"));
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(!text.contains("%3Cscript") && !text.contains("/<script>"));
    let (status, headers, _) = console.browse("GET", "/admin/v1/nothing", &[], "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(headers["content-type"], "application/json");
}
