//! The web console without a mouse.

use std::time::Duration;

use fantoccini::key::Key;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::browser::{Browser, Kind, WebConsole};

/// Maximum presses of Tab to anything on a page.
const MAX_TABS: usize = 60;
/// Within this time a page or an element reacts to a key.
const SOON: Duration = Duration::from_secs(20);

/// Waits until a page is shown and its scripts have run.
async fn arrives_at(browser: &Browser, title: &str) {
    browser.shows("h1", title).await;
    let state = "return document.readyState";
    returns(browser, state, vec![], &json!("complete")).await;
}

/// Waits until a script returns a value.
async fn returns(browser: &Browser, script: &str, arguments: Vec<Value>, expected: &Value) {
    let deadline = Instant::now() + SOON;
    loop {
        let value = browser.run_with(script, arguments.clone()).await;
        if value == *expected {
            return;
        }
        assert!(Instant::now() < deadline, "{script} returns {value}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn has_focus(browser: &Browser, selector: &str) -> bool {
    let script = "return document.activeElement.matches(arguments[0])";
    browser.run_with(script, vec![json!(selector)]).await == true
}

/// Waits until a matching element has the focus and shows it: with an outline, and inside of the window.
async fn shows_focus(browser: &Browser, selector: &str) {
    let script = "
        const element = document.activeElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
        const isOutlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
        const isInWindow = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
        return element.matches(arguments[0]) && element.matches(':focus-visible') && isOutlined && isInWindow || element.outerHTML.slice(0, 300)";
    returns(browser, script, vec![json!(selector)], &json!(true)).await;
}

/// Presses Tab until an element has the focus; the focus is visible all the way.
async fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..MAX_TABS {
        browser.press_key(Key::Tab).await;
        // Behind the last element the focus leaves the page.
        if !has_focus(browser, "body").await {
            shows_focus(browser, "*").await;
        }
        if has_focus(browser, selector).await {
            return;
        }
    }
    panic!("Tab does not reach {selector}");
}

async fn go(browser: &Browser, key: char, title: &str) {
    browser.press_key('g').await;
    browser.press_key(key).await;
    arrives_at(browser, title).await;
}

#[tokio::test]
async fn a_setting_is_changed_by_the_keyboard_alone() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    arrives_at(browser, "Overview").await;
    go(browser, 'q', "Queue").await;
    go(browser, 's', "Settings").await;
    browser.press_key('/').await;
    shows_focus(browser, "#worker-threads").await;
    tab_to(browser, "#worker-batch").await;
    // Tab has selected the text of the field. Keys are text in it, and no shortcuts.
    for digit in "500".chars() {
        browser.press_key(digit).await;
    }
    let typed = browser.run("return document.activeElement.value").await;
    assert_eq!(typed, json!("500"));
    tab_to(browser, "form:has(#worker-batch) button").await;
    browser.press_key(Key::Enter).await;
    arrives_at(browser, "Set worker batch").await;
    tab_to(browser, "#apply button").await;
    browser.press_key(Key::Enter).await;
    browser.shows("#verdict", "Succeeded").await;
    arrives_at(browser, "Set worker batch").await;
    go(browser, 's', "Settings").await;
    browser.shows("#sv-worker", "version 2").await;
}

#[tokio::test]
async fn the_first_key_skips_to_the_content() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    arrives_at(browser, "Overview").await;
    browser.press_key(Key::Tab).await;
    shows_focus(browser, ".skip").await;
    browser.press_key(Key::Enter).await;
    browser.shows("main:focus-visible", "Overview").await;
    browser.press_key(Key::Tab).await;
    shows_focus(browser, "main *").await;
}

#[tokio::test]
async fn the_list_of_keys_opens_and_closes() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    arrives_at(browser, "Overview").await;
    browser.press_key('?').await;
    browser.shows("#shortcuts:popover-open", "Keyboard").await;
    browser.press_key(Key::Escape).await;
    let is_open = "return document.querySelector('#shortcuts').matches(':popover-open')";
    assert_eq!(browser.run(is_open).await, json!(false));
    // While a field has the focus, it is a character.
    go(browser, 'r', "Rides").await;
    browser.press_key('/').await;
    shows_focus(browser, "main :is(input, select)").await;
    browser.press_key('?').await;
    assert_eq!(browser.run(is_open).await, json!(false));
}

#[tokio::test]
async fn rows_are_walked_with_j_and_k() {
    let console = WebConsole::open(Kind::default(), 0).await;
    let browser = &console.browser;
    arrives_at(browser, "Overview").await;
    console.goto("/nodes").await;
    // The API node and the worker.
    browser.shows("#nodes-api a", "").await;
    browser.shows("#nodes-worker a", "").await;
    for (key, role) in [
        ('j', "api"),
        ('j', "worker"),
        ('j', "worker"),
        ('k', "api"),
        ('k', "api"),
        ('j', "worker"),
    ] {
        browser.press_key(key).await;
        shows_focus(browser, &format!("#nodes-{role} a")).await;
    }
    let id = browser
        .run("return document.activeElement.textContent")
        .await;
    browser.press_key(Key::Enter).await;
    arrives_at(browser, id.as_str().unwrap()).await;
}
