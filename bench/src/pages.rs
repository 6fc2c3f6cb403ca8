//! The web console: how fast its pages are, what a first visit weighs, and what open pages cost.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use skilift_servers::{ChromeDriver, http};
use tokio::task::JoinSet;

use crate::operator::Operator;
use crate::setup::Setup;
use crate::table::Table;
use crate::usage::{cpu_seconds, resident_mib};
use crate::wrk;

/// Requests of each page, and visits of a browser.
const RUNS: usize = 21;
/// Pages that are open at once while their cost is measured.
const OPEN: usize = 500;
/// Pages that are open while rides are posted.
const WATCHING: usize = 20;
/// Rounds with and without open pages.
const ROUNDS: usize = 3;
/// How long the cost of open pages is watched.
const WATCH: Duration = Duration::from_secs(20);

/// Pages beside many nodes, and the browser's view of them.
pub(crate) async fn measure(
    operator: &Operator,
    nodes: usize,
    table: &mut Table,
) -> anyhow::Result<()> {
    for page in [
        "/",
        "/queue",
        "/queue?range=7d",
        "/nodes",
        "/settings",
        "/audit",
        "/access",
    ] {
        let mut took_ms = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let began = Instant::now();
            operator.browse(page).await?;
            took_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        let name = format!("Page {page} beside {nodes} nodes");
        table.rounds(&name, "ms", &took_ms, "<= 10");
    }
    let kib = first_visit(operator).await? / 1024.0;
    table.once(
        "First visit of the overview, everything it loads",
        "KiB",
        kib,
        "<= 150",
    );
    let interactive_ms = interactive(operator).await?;
    table.rounds(
        "Overview interactive in Chromium",
        "ms",
        &interactive_ms,
        "<= 300",
    );
    open_pages(operator, table).await
}

/// Bytes on the wire: the page, what it loads, and the first message of its stream.
async fn first_visit(operator: &Operator) -> anyhow::Result<f64> {
    let page = operator.browse("/").await?;
    let text = operator.text("/").await?;
    let mut bytes = page;
    for url in text.split('"').filter(|part| part.starts_with("/static/")) {
        bytes += operator.browse(url).await?;
    }
    bytes += operator.open_page("/").await?.next().await?;
    Ok(bytes as f64)
}

/// Time until the page can be used, by the browser's own clock.
async fn interactive(operator: &Operator) -> anyhow::Result<Vec<f64>> {
    let driver = ChromeDriver::start().await?;
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
    ];
    let options = json!({ "binary": driver.browser(), "args": arguments });
    let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
    let session = post(&format!("{}/session", driver.url()), &wanted).await?;
    let session = session["sessionId"].as_str().context("no session")?;
    let session = format!("{}/session/{session}", driver.url());
    let goto = |url: String| {
        let at = format!("{session}/url");
        async move { post(&at, &json!({ "url": url })).await }
    };
    goto(operator.page_url("/login")).await?;
    let (name, value) = operator.cookie();
    let cookie = json!({ "cookie": { "name": name, "value": value, "path": "/" } });
    post(&format!("{session}/cookie"), &cookie).await?;
    let mut took_ms = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        goto(operator.page_url("/")).await?;
        let script =
            "return performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd";
        let run = json!({ "script": script, "args": [] });
        let ms = post(&format!("{session}/execute/sync"), &run).await?;
        took_ms.push(ms.as_f64().context("no time")?);
    }
    Ok(took_ms)
}

async fn post(url: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = http().post(url).json(body).send().await?;
    let mut answer: Value = answer.error_for_status()?.json().await?;
    Ok(answer["value"].take())
}

/// What many open pages cost the console.
async fn open_pages(operator: &Operator, table: &mut Table) -> anyhow::Result<()> {
    let pid = operator.pid()?;
    let without = (cores(pid).await?, resident_mib(pid)?);
    let pages = open(operator, OPEN).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let with = (cores(pid).await?, resident_mib(pid)?);
    drop(pages);
    let name = format!("{OPEN} open pages, more than none");
    table.once(&name, "cores", with.0 - without.0, "<= 0.05");
    table.once(&format!("{name}, RSS"), "MiB", with.1 - without.1, "<= 64");
    Ok(())
}

async fn cores(pid: u32) -> anyhow::Result<f64> {
    let before = cpu_seconds(&[pid])?;
    tokio::time::sleep(WATCH).await;
    Ok((cpu_seconds(&[pid])? - before) / WATCH.as_secs_f64())
}

/// Open pages, until this is dropped.
struct Pages(#[expect(dead_code, reason = "dropping it closes the pages")] JoinSet<()>);

async fn open(operator: &Operator, pages: usize) -> anyhow::Result<Pages> {
    let mut tasks = JoinSet::new();
    for _ in 0..pages {
        let mut page = operator.open_page("/").await?;
        tasks.spawn(async move { while page.next().await.is_ok() {} });
    }
    Ok(Pages(tasks))
}

/// Whether open pages slow down POST, in pairs of rounds.
pub(crate) async fn beside_posts(
    setup: &Setup,
    operator: &Operator,
    table: &mut Table,
) -> anyhow::Result<()> {
    let mut shares = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let alone = wrk::run("post.lua", &setup.api.url).await?;
        setup.wait_until_settled(setup.accepted().await?).await?;
        let pages = open(operator, WATCHING).await?;
        let watched = wrk::run("post.lua", &setup.api.url).await?;
        drop(pages);
        setup.wait_until_settled(setup.accepted().await?).await?;
        shares.push(watched.per_second / alone.per_second);
    }
    let name = format!("POST with {WATCHING} open pages, share of POST without");
    table.rounds(&name, "x", &shares, ">= 0.98");
    Ok(())
}
