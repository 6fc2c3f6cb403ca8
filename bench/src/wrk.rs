//! The client: wrk, with 128 keep-alive connections.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, bail};
use tokio::process::Command;

use crate::table::Table;

/// Seconds of one run.
pub(crate) const SECONDS: u64 = 6;

/// What one run of wrk saw.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
    pub(crate) p99_ms: f64,
    /// Answers other than 2xx, and broken connections.
    pub(crate) failed: f64,
}

/// What several rounds saw of one kind of request.
#[derive(Default)]
pub(crate) struct Rates {
    per_second: Vec<f64>,
    share: Vec<f64>,
    p99_ms: Vec<f64>,
}

impl Rates {
    pub(crate) fn add(&mut self, run: &Run, ceiling: f64) {
        self.per_second.push(run.per_second);
        self.share.push(run.per_second / ceiling);
        self.p99_ms.push(run.p99_ms);
    }

    pub(crate) fn put(&self, table: &mut Table, name: &str, share_bar: &str, p99_bar: &str) {
        table.rounds(name, "/s", &self.per_second, "");
        table.rounds(
            &format!("{name}, share of the ceiling"),
            "x",
            &self.share,
            share_bar,
        );
        table.rounds(&format!("{name}, p99"), "ms", &self.p99_ms, p99_bar);
    }

    /// The rate as a multiple of an earlier version's, which was measured in the same rounds.
    pub(crate) fn compare(&self, earlier: &Self, table: &mut Table, name: &str) {
        let ratios: Vec<f64> = self
            .per_second
            .iter()
            .zip(&earlier.per_second)
            .map(|(this, earlier)| this / earlier)
            .collect();
        table.rounds(
            &format!("{name}, beside the earlier version"),
            "x",
            &ratios,
            "",
        );
    }
}

/// Runs a script of `bench/wrk` against a server.
pub(crate) async fn run(script: &str, url: &str) -> anyhow::Result<Run> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("wrk")
        .join(script);
    let duration = format!("-d{SECONDS}s");
    let output = Command::new("wrk")
        .args(["-t2", "-c128", &duration, "--latency", "-s"])
        .arg(&script)
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("wrk is not installed: run make test, which installs it")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "wrk failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    parse(&text).with_context(|| format!("wrk said something else: {text}"))
}

fn parse(text: &str) -> Option<Run> {
    let words: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let line = |first: &str| words.iter().find(|line| line.first() == Some(&first));
    let requests = words
        .iter()
        .find(|line| line.get(1) == Some(&"requests"))?
        .first()?
        .parse()
        .ok()?;
    // "Non-2xx or 3xx responses: N" and "Socket errors: connect N, read N, write N, timeout N".
    let refused: f64 = line("Non-2xx")
        .and_then(|line| line.last()?.parse().ok())
        .unwrap_or(0.0);
    let numbers = |word: &&str| word.trim_end_matches(',').parse::<f64>().ok();
    let broken: f64 = line("Socket").map_or(0.0, |line| line.iter().filter_map(numbers).sum());
    Some(Run {
        requests,
        per_second: line("Requests/sec:")?.get(1)?.parse().ok()?,
        p99_ms: milliseconds(line("99%")?.get(1)?)?,
        failed: refused + broken,
    })
}

fn milliseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1000.0)] {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(number.parse::<f64>().ok()? * factor);
        }
    }
    None
}
