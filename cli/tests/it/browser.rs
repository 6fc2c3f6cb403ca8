//! A browser on the web console of a `skictl up` of its own.

use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use skilift_servers::{ChromeDriver, RabbitServer, RedisServer, http};
use tempfile::TempDir;

use crate::service::Service;

/// Within this time a page shows what it should.
const SOON: Duration = Duration::from_secs(20);

/// axe-core, which checks a page for accessibility; see `tests/axe/ORIGIN.md`.
const AXE: &str = include_str!("../axe/axe.min.js");
/// Checks the page, and returns a line for each element that violates a rule.
const CHECK: &str = "
    const [tags, done] = arguments;
    const line = (rule, node) => `${rule.id} (${rule.impact}) at ${node.target.join(' ')}: ${node.html.slice(0, 300)}: ${node.failureSummary}`;
    axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] }).then(
        (result) => done(result.violations.flatMap((rule) => rule.nodes.map((node) => line(rule, node)))),
        (error) => done([String(error)]));";
/// Its rules: WCAG 2.2, levels A and AA, and best practices.
const TAGS: [&str; 6] = [
    "wcag2a",
    "wcag2aa",
    "wcag21a",
    "wcag21aa",
    "wcag22aa",
    "best-practice",
];

/// What a browser is like.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) width: u32,
    pub(crate) has_scripts: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            width: 1440,
            has_scripts: true,
        }
    }
}

/// A `skictl up`, and a browser that is logged in to its console.
pub(crate) struct WebConsole {
    pub(crate) up: Service,
    /// Base URL of the console.
    pub(crate) url: String,
    pub(crate) browser: Browser,
    pub(crate) folder: TempDir,
}

impl WebConsole {
    /// Starts both, `skictl up` on a data directory, and opens the link of the banner. `simulate` is in rides/s.
    pub(crate) async fn open(kind: Kind, simulate: u32) -> Self {
        Self::open_in(TempDir::new().unwrap(), kind, simulate, &[]).await
    }

    /// Starts both, `skictl up` on servers, and opens the link of the banner.
    pub(crate) async fn open_on(rabbit: &RabbitServer, redis: &RedisServer, simulate: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (amqp, redis) = (
            file("amqp.url", rabbit.amqp_url()),
            file("redis.url", redis.url()),
        );
        let servers = ["--amqp-url-file", &amqp, "--redis-url-file", &redis];
        Self::open_in(folder, Kind::default(), simulate, &servers).await
    }

    async fn open_in(folder: TempDir, kind: Kind, simulate: u32, servers: &[&str]) -> Self {
        let starting = Browser::start(kind);
        let (up, url, link) = start_up(&folder, "127.0.0.1:0", simulate, servers).await;
        let browser = starting.await;
        browser.client.goto(&link).await.unwrap();
        let mut console = Self {
            up,
            url,
            browser,
            folder,
        };
        assert!(console.up.ended().is_none());
        console.browser.shows("h1", "Overview").await;
        console
    }

    /// Opens a page.
    pub(crate) async fn goto(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.browser.client.goto(&url).await.unwrap();
    }

    /// Ends the browser's session, and logs in by name and password.
    pub(crate) async fn log_in(&self, name: &str, password: &str) {
        self.browser.client.delete_all_cookies().await.unwrap();
        self.goto("/login").await;
        self.browser.fill("#name", name).await;
        self.browser.fill("#password", password).await;
        self.browser.press("Log in").await;
        self.browser.shows("h1", "Overview").await;
        self.browser.shows(".account-who", name).await;
    }

    /// Starts the killed `skictl up` on a data directory again, at the same address.
    pub(crate) async fn start_again(&mut self, simulate: u32) {
        let address = self.url.strip_prefix("http://").unwrap().to_owned();
        (self.up, self.url, _) = start_up(&self.folder, &address, simulate, &[]).await;
    }
}

async fn start_up(
    folder: &TempDir,
    console: &str,
    simulate: u32,
    servers: &[&str],
) -> (Service, String, String) {
    let data = folder.path().join("data");
    let simulate = simulate.to_string();
    let arguments = [
        "up",
        "--data",
        data.to_str().unwrap(),
        "--simulate",
        &simulate,
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--console-listen",
        console,
    ];
    let arguments = [&arguments[..], servers].concat();
    let mut up = Service::start(folder.path(), "up", &arguments, &[]);
    up.logged_after("health and metrics on ").await;
    // On servers, a worker may have logged that before the banner is printed.
    let deadline = tokio::time::Instant::now() + SOON;
    while !up.output().contains("/metrics\n") && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let banner = up.output();
    let mut words = banner.split_ascii_whitespace();
    let link = words.find(|word| word.contains("/login/"));
    let link = link
        .unwrap_or_else(|| panic!("no link in {banner}"))
        .to_owned();
    let (url, _) = link.split_once("/login/").unwrap();
    (up, url.to_owned(), link)
}

/// A Chromium without a window.
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: ChromeDriver,
}

impl Browser {
    pub(crate) async fn start(kind: Kind) -> Self {
        let driver = ChromeDriver::start().await.unwrap();
        let scripts = if kind.has_scripts { 1 } else { 2 };
        let capabilities = json!({
            "browserName": "chrome",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": {
                "binary": driver.browser(),
                "args": [
                    "--headless=new",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    format!("--window-size={},900", kind.width),
                ],
                "prefs": { "profile.managed_default_content_settings.javascript": scripts },
            },
        });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("an object");
        };
        let capabilities: Capabilities = capabilities.into_iter().collect();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let url = driver.url();
        let client = builder.capabilities(capabilities).connect(&url).await;
        Self {
            client: client.unwrap(),
            driver,
        }
    }

    /// Waits until an element has a text that contains `text`.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        self.shows_within(SOON, selector, text).await;
    }

    /// Waits until an element has a text that contains `text`, at most for `limit`.
    pub(crate) async fn shows_within(&self, limit: Duration, selector: &str, text: &str) {
        self.until_within(limit, selector, |shown| shown.contains(text), text)
            .await;
    }

    /// Waits until the text of an element is as wanted, and returns it. Elements may be replaced meanwhile.
    pub(crate) async fn until(
        &self,
        selector: &str,
        is_wanted: impl Fn(&str) -> bool,
        wanted: &str,
    ) -> String {
        self.until_within(SOON, selector, is_wanted, wanted).await
    }

    async fn until_within(
        &self,
        limit: Duration,
        selector: &str,
        is_wanted: impl Fn(&str) -> bool,
        wanted: &str,
    ) -> String {
        let mut last = String::new();
        let deadline = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < deadline {
            if let Ok(element) = self.client.find(Locator::Css(selector)).await
                && let Ok(text) = element.text().await
            {
                if is_wanted(&text) {
                    return text;
                }
                last = text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let page = self.client.source().await.unwrap_or_default();
        panic!("{selector} shows {last:?} and not {wanted:?} in {page}");
    }

    /// The element, which is there.
    pub(crate) async fn find(&self, selector: &str) -> Element {
        let found = self.client.find(Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    /// Clicks an element.
    pub(crate) async fn click(&self, selector: &str) {
        let clicked = self.find(selector).await.click().await;
        clicked.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Replaces the text of a field.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let field = self.find(selector).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks the button with this text.
    pub(crate) async fn press(&self, text: &str) {
        let path = format!("//button[starts-with(normalize-space(.), '{text}')]");
        let found = self.client.find(Locator::XPath(&path)).await;
        let button = found.unwrap_or_else(|error| panic!("{text}: {error}"));
        button.click().await.unwrap();
    }

    /// Presses a key and releases it.
    pub(crate) async fn press_key(&self, key: impl Into<char>) {
        let value = key.into();
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(keys).await.unwrap();
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.run_with(script, vec![]).await
    }

    /// Runs a script with arguments.
    pub(crate) async fn run_with(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }

    /// Sets the width of pages in CSS pixels, also below the 500 of the narrowest window.
    pub(crate) async fn set_width(&self, width: u32) {
        let metrics =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.post("goog/cdp/execute", &command).await;
        assert_eq!(self.run("return innerWidth").await, json!(width));
    }

    /// Checks the page for accessibility, and returns a line for each violation.
    pub(crate) async fn axe(&self) -> Vec<String> {
        if self.run("return typeof axe").await == "undefined" {
            self.run(AXE).await;
        }
        let found = self.client.execute_async(CHECK, vec![json!(TAGS)]).await;
        serde_json::from_value(found.unwrap()).unwrap()
    }

    /// Messages of the browser's console, such as errors of scripts and violations of the policy.
    pub(crate) async fn messages(&self) -> Vec<String> {
        let answer = self.post("se/log", &json!({ "type": "browser" })).await;
        let entries = answer["value"].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        entries.iter().map(text).collect()
    }

    /// Sends a command that only chromedriver has.
    async fn post(&self, command: &str, body: &Value) -> Value {
        let session = self.client.session_id().await.unwrap().unwrap();
        let url = format!("{}/session/{session}/{command}", self.driver.url());
        let request = http().post(url).json(body);
        request.send().await.unwrap().json().await.unwrap()
    }
}
