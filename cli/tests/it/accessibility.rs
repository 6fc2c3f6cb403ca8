//! Every page of the web console against the rules of axe-core: in both themes, on a desktop and on a phone.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::{Kind, WebConsole};

/// SHA-256 of `axe.min.js`, as in `tests/axe/ORIGIN.md`.
const AXE_SHA_256: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";
const THEMES: [&str; 2] = ["light", "dark"];
/// A desktop and a phone.
const WIDTHS: [u32; 2] = [1440, 390];

/// The path of the first link that matches, on a page that may not have it yet.
async fn link(console: &WebConsole, page: &str, selector: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    let script = "return document.querySelector(arguments[0])?.getAttribute('href')";
    loop {
        console.goto(page).await;
        let found = console
            .browser
            .run_with(script, vec![json!(selector)])
            .await;
        if let Some(path) = found.as_str() {
            return path.to_owned();
        }
        assert!(Instant::now() < deadline, "no {selector} on {page}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Plans another batch of the workers, and returns the path of the plan.
async fn planned(console: &WebConsole) -> String {
    let browser = &console.browser;
    console.goto("/settings").await;
    browser.fill("#worker-batch", "500").await;
    browser.click("form:has(#worker-batch) button").await;
    browser.shows("#verdict", "Set worker batch").await;
    browser
        .client
        .current_url()
        .await
        .unwrap()
        .path()
        .to_owned()
}

/// Plans a severe change, and returns the path of the plan.
async fn severe(console: &WebConsole) -> String {
    let browser = &console.browser;
    console.goto("/settings").await;
    browser.click("input[name=ingest][value=keys]").await;
    browser.click("form:has(input[name=ingest]) button").await;
    browser.shows("#verdict", "Severe").await;
    browser
        .client
        .current_url()
        .await
        .unwrap()
        .path()
        .to_owned()
}

/// Pauses consumption, of which every page then tells, and returns the path of the plan.
async fn applied(console: &WebConsole) -> String {
    let browser = &console.browser;
    console.goto("/queue").await;
    browser.press("Pause consumption").await;
    browser.shows("#verdict", "Pause consumption").await;
    browser.click("#apply button").await;
    browser.shows("#verdict", "Succeeded").await;
    browser
        .client
        .current_url()
        .await
        .unwrap()
        .path()
        .to_owned()
}

/// Shows pages in a theme from now on.
async fn set_theme(console: &WebConsole, theme: &str) {
    let script = "document.cookie = `skilift_theme=${arguments[0]}; path=/`";
    console.browser.run_with(script, vec![json!(theme)]).await;
}

#[tokio::test]
async fn no_page_violates_a_rule_of_accessibility() {
    let console = WebConsole::open(Kind::default(), 50).await;
    let browser = &console.browser;
    let links = "return [...document.querySelectorAll('.nav-link')].map((link) => link.getAttribute('href'))";
    let mut pages: Vec<String> = serde_json::from_value(browser.run(links).await).unwrap();
    assert!(pages.len() >= 9, "{pages:?}");
    let resort = link(&console, "/rides", "main tbody a").await;
    let day = link(&console, &resort, "main a[href*='/days/']").await;
    let node = link(&console, "/nodes", "#nodes tbody a").await;
    console.goto("/doctor").await;
    browser.press("Run checks").await;
    browser.shows("main table", "ok").await;
    pages.extend([planned(&console).await, severe(&console).await]);
    pages.push(applied(&console).await);
    let entry = link(&console, "/audit", "main tbody a").await;
    pages.extend([resort, day, node, entry]);
    pages.extend(["/rides/skiers/1", "/nodes/unknown", "/capacity", "/login"].map(str::to_owned));
    let mut violations = Vec::new();
    for theme in THEMES {
        set_theme(&console, theme).await;
        for page in &pages {
            console.goto(page).await;
            let shown = browser
                .run("return document.documentElement.dataset.theme")
                .await;
            assert_eq!(shown, json!(theme), "{page}");
            for width in WIDTHS {
                browser.set_width(width).await;
                let of_page = browser.axe().await.into_iter();
                violations.extend(of_page.map(|of| format!("{page}, {theme}, {width} px: {of}")));
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[tokio::test]
async fn neither_does_the_menu_of_a_phone_nor_the_list_of_keys() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    browser.set_width(390).await;
    for theme in THEMES {
        set_theme(&console, theme).await;
        console.goto("/settings").await;
        browser.click(".menu-open").await;
        browser.shows("#menu:popover-open", "Dead letters").await;
        assert_eq!(browser.axe().await, [""; 0], "the menu, {theme}");
        console.goto("/settings").await;
        browser.press_key('?').await;
        browser.shows("#shortcuts:popover-open", "Next").await;
        assert_eq!(browser.axe().await, [""; 0], "the list, {theme}");
    }
}

#[tokio::test]
async fn a_violation_is_found() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    let add = "document.querySelector('main').append(document.createElement('button'))";
    browser.run(add).await;
    let found = browser.axe().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("button-name (critical) at "),
        "{found:?}"
    );
}

#[test]
fn axe_is_the_file_that_its_origin_names() {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let file = Path::new(&root).join("tests/axe/axe.min.js");
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.split_whitespace().next(), Some(AXE_SHA_256));
    let origin = include_str!("../axe/ORIGIN.md");
    assert!(origin.contains(AXE_SHA_256), "{origin}");
}
