//! How busy this machine is, besides what is measured.

use std::fmt;
use std::time::Duration;

use anyhow::Context;

/// How long CPU time is observed.
const OBSERVED: Duration = Duration::from_secs(2);

/// How busy the machine is.
pub(crate) struct Busy {
    cores: usize,
    /// Mean number of runnable tasks over the last minute.
    load: String,
    /// Share of CPU time in use.
    used: f64,
    /// Share of CPU time that the hypervisor gave to others.
    stolen: f64,
}

impl Busy {
    /// Observes for two seconds, from `/proc/loadavg` and `/proc/stat`.
    pub(crate) async fn observe() -> anyhow::Result<Self> {
        let before = ticks()?;
        tokio::time::sleep(OBSERVED).await;
        let after = ticks()?;
        let since: Vec<f64> = after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        let all: f64 = since.iter().sum();
        // user, nice, system, idle, iowait, irq, softirq, steal
        let idle = since[3] + since[4];
        let load = std::fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            used: (all - idle) / all,
            stolen: since[7] / all,
        })
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores, load {}, CPU {:.0} % in use, {:.1} % stolen",
            self.cores,
            self.load,
            self.used * 100.0,
            self.stolen * 100.0
        )
    }
}

/// The first eight fields of the line of all CPUs, in ticks.
fn ticks() -> anyhow::Result<Vec<f64>> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    let ticks: Result<Vec<f64>, _> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(str::parse)
        .collect();
    let ticks = ticks?;
    anyhow::ensure!(ticks.len() == 8, "too few fields in /proc/stat: {line}");
    Ok(ticks)
}
