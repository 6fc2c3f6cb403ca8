//! Our own client, `skictl load`, against the ceiling: how its rate compares with wrk's, and how punctually it sends.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::setup::Programs;
use crate::table::Table;
use crate::wrk;

/// Requests a second at which punctuality is measured.
const RATE: &str = "20000";

/// What the rounds have measured so far.
#[derive(Default)]
pub(crate) struct Client {
    share: Vec<f64>,
    lateness_p99_ms: Vec<f64>,
}

impl Client {
    /// Loads the ceiling right after wrk has, whose rate was `wrk_per_second`.
    pub(crate) async fn measure(
        &mut self,
        programs: &Programs,
        url: &str,
        wrk_per_second: f64,
    ) -> anyhow::Result<()> {
        let closed = run(programs, url, &["--threads", "128"]).await?;
        self.share
            .push(number(&closed, "/throughput_per_s")? / wrk_per_second);
        let open = run(programs, url, &["--rate", RATE]).await?;
        self.lateness_p99_ms
            .push(number(&open, "/send_lateness/p99_ms")?);
        Ok(())
    }

    pub(crate) fn put(&self, table: &mut Table) {
        table.rounds(
            "skictl load, closed loop, share of wrk's rate",
            "x",
            &self.share,
            ">= 0.8",
        );
        table.rounds(
            "skictl load at 20,000/s, lateness of a send, p99",
            "ms",
            &self.lateness_p99_ms,
            // What is not more is no latency.
            "<= 2",
        );
    }
}

async fn run(programs: &Programs, url: &str, pace: &[&str]) -> anyhow::Result<serde_json::Value> {
    let output = Command::new(programs.path("skictl")?)
        .args(["load", "--target", url, "--output", "json", "--duration"])
        .arg(format!("{}s", wrk::SECONDS))
        .args(pace)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot start skictl load")?;
    ensure!(
        output.status.success(),
        "skictl load failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary = serde_json::from_slice(&output.stdout)?;
    ensure!(
        number(&summary, "/requests/failed")? == 0.0
            && number(&summary, "/requests/unsent")? == 0.0,
        "the ceiling did not answer everything: {summary}"
    );
    Ok(summary)
}

fn number(summary: &serde_json::Value, field: &str) -> anyhow::Result<f64> {
    let value = summary.pointer(field).and_then(serde_json::Value::as_f64);
    value.with_context(|| format!("no {field} in {summary}"))
}
