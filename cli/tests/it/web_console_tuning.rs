//! A sweep in the browser: started by the form, watched, its report, and the report as a file where nothing is allowed.

use std::time::Duration;

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;
use serde_json::json;
use skilift_servers::http;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::browser::{Browser, Kind, WebConsole};

/// Longer than a short sweep takes on a busy machine.
const SWEEP: Duration = Duration::from_secs(240);
/// A policy that allows nothing, as build servers send with the files of a build.
const NOTHING: &str = "default-src 'none'; sandbox allow-scripts";

#[tokio::test]
async fn a_sweep_is_started_watched_and_reported() {
    let mut console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    console.goto("/tuning").await;
    browser.shows("main", "No sweep has ended yet").await;
    // A mistake stays in the form.
    browser.fill("#tf-batch", "100, many").await;
    browser.press("Start").await;
    browser.shows("main [role='alert']", "many").await;
    let kept = "return document.querySelector('#tf-batch').value";
    assert_eq!(browser.run(kept).await, json!("100, many"));
    // The browser reports its status.
    let messages = browser.messages().await;
    assert!(
        messages.len() == 1 && messages[0].contains("400"),
        "{messages:?}"
    );
    for (field, text) in [
        ("#tf-batch", "100, 1000"),
        ("#tf-rate", "200"),
        ("#tf-p99", "30000"),
        ("#tf-repeats", "1"),
        ("#tf-warm", "1"),
        ("#tf-measure", "5"),
    ] {
        browser
            .run(&format!("document.querySelector('{field}').value = ''"))
            .await;
        browser.fill(field, text).await;
    }
    browser.press("Start").await;
    browser
        .shows_within(SWEEP, "main", "Sweep t1 is running")
        .await;
    browser.shows_within(SWEEP, "main", "measuring").await;
    assert_eq!(browser.axe().await, [""; 0]);
    // Without a reload.
    browser.shows_within(SWEEP, "#tu-earlier", "finished").await;
    browser.click("#tu-earlier tbody a").await;
    browser.shows("h1", "Sweep t1").await;
    browser.shows("main", "meet").await;
    assert_eq!(browser.axe().await, [""; 0]);
    assert_eq!(browser.messages().await, [""; 0]);

    let cookie = browser
        .client
        .get_named_cookie("skilift_session")
        .await
        .unwrap();
    let file = http()
        .get(format!("{}/tuning/t1.html", console.url))
        .header("cookie", format!("skilift_session={}", cookie.value()));
    let file = file.send().await.unwrap().text().await.unwrap();
    let (served, _serving) = serve(file).await;
    for path in ["/plain", "/strict"] {
        browser
            .client
            .goto(&format!("{served}{path}"))
            .await
            .unwrap();
        browser.shows("h1", "Report of sweep t1").await;
        assert_looks(browser, path).await;
        let requests = "return performance.getEntriesByType('resource').length";
        assert_eq!(browser.run(requests).await, json!(0), "{path}");
    }
    browser
        .client
        .goto(&format!("{served}/plain"))
        .await
        .unwrap();
    assert_eq!(browser.axe().await, [""; 0]);
    // Its own policy allows its style sheet.
    let font = "return getComputedStyle(document.querySelector('.panel')).borderTopWidth";
    assert_ne!(browser.run(font).await, json!("0px"));
    console.up.drain().await;
}

/// Charts have their width, symbols are small, and nothing lies beside the page.
async fn assert_looks(browser: &Browser, path: &str) {
    let charts = "return [...document.querySelectorAll('svg.plot')].map((svg) => Math.round(svg.getBoundingClientRect().width))";
    let charts = browser.run(charts).await;
    let widths: Vec<u64> = charts
        .as_array()
        .unwrap()
        .iter()
        .map(|width| width.as_u64().unwrap())
        .collect();
    assert!(
        !widths.is_empty() && widths.iter().all(|width| *width > 300),
        "{path}: {widths:?}"
    );
    let symbols = "return [...document.querySelectorAll('svg.i, svg.key, svg.sw')].filter((svg) => svg.getBoundingClientRect().width > 32).length";
    assert_eq!(browser.run(symbols).await, json!(0), "{path}");
}

/// Serves a file, with and without the policy that allows nothing.
async fn serve(file: String) -> (String, JoinSet<()>) {
    let html = || (CONTENT_TYPE, "text/html; charset=utf-8");
    let strict = file.clone();
    let router = Router::new()
        .route("/plain", get(async move || ([html()], file)))
        .route(
            "/strict",
            get(async move || ([html(), (CONTENT_SECURITY_POLICY, NOTHING)], strict)),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (format!("http://{address}"), serving)
}
