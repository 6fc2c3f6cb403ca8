//! Rates of POST and GET as shares of the ceiling, in interleaved rounds: this machine's speed drifts by the minute, and
//! only what is measured side by side can be compared. An earlier version is measured in the same rounds, each time after this one.

use anyhow::ensure;

use crate::load::Client;
use crate::setup::Setup;
use crate::table::Table;
use crate::usage::{cpu_seconds, peak_resident_mib};
use crate::wrk;

/// Rounds of interleaved runs.
const ROUNDS: usize = 7;
/// The questions: script, name, bar.
const QUESTIONS: [(&str, &str, &str); 3] = [
    ("get_day_vertical.lua", "GET day vertical", ">= 0.65"),
    ("get_day_skiers.lua", "GET resort-day skiers", ">= 0.65"),
    (
        "get_skier_vertical.lua",
        "GET skier vertical, 3 days",
        ">= 0.45",
    ),
];

/// What the rounds have measured of one version so far.
#[derive(Default)]
struct Measured {
    posts: wrk::Rates,
    gets: [wrk::Rates; QUESTIONS.len()],
    cpu_us: Vec<f64>,
    cpu_by_process_us: [Vec<f64>; 4],
    behind_s: Vec<f64>,
}

pub(crate) async fn measure(
    setup: &Setup,
    base: Option<&Setup>,
    table: &mut Table,
) -> anyhow::Result<()> {
    eprintln!("{ROUNDS} rounds of POST and GET, {} s each", wrk::SECONDS);
    table.once(
        "Redis, bytes a ride (12 a skier day, 3 days a skier)",
        "bytes",
        setup.bytes_per_ride,
        "<= 24",
    );
    let mut ceilings = Vec::new();
    let mut client = Client::default();
    let (mut this, mut earlier) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        let bare = wrk::run("post.lua", &setup.ceiling.url).await?;
        ensure!(
            bare.failed == 0.0,
            "the ceiling did not answer {} requests",
            bare.failed
        );
        let ceiling = bare.per_second;
        ceilings.push(ceiling);
        client
            .measure(&setup.programs, &setup.ceiling.url, ceiling)
            .await?;
        this.round(setup, ceiling).await?;
        if let Some(base) = base {
            earlier.round(base, ceiling).await?;
        }
    }
    table.rounds("Ceiling, bare axum POST", "/s", &ceilings, "");
    client.put(table);
    this.put(table);
    if base.is_some() {
        this.compare(&earlier, table);
    }
    table.once(
        "Peak RSS of the API",
        "MiB",
        peak_resident_mib(setup.api.pid()?)?,
        "<= 64",
    );
    table.once(
        "Peak RSS of the worker",
        "MiB",
        peak_resident_mib(setup.worker.pid()?)?,
        "<= 64",
    );
    Ok(())
}

impl Measured {
    async fn round(&mut self, setup: &Setup, ceiling: f64) -> anyhow::Result<()> {
        let before = cpu_of_each(setup)?;
        let post = wrk::run("post.lua", &setup.api.url).await?;
        ensure!(
            post.failed == 0.0,
            "{} rides were not accepted",
            post.failed
        );
        let accepted = setup.accepted().await?;
        self.behind_s
            .push((accepted - setup.settled().await?) / post.per_second);
        setup.wait_until_settled(accepted).await?;
        // Not before: what waits in the queue has its work still to come.
        let after = cpu_of_each(setup)?;
        let mut all = 0.0;
        for ((after, before), values) in after.iter().zip(before).zip(&mut self.cpu_by_process_us) {
            let used = (after - before) * 1e6 / post.requests;
            values.push(used);
            all += used;
        }
        self.cpu_us.push(all);
        self.posts.add(&post, ceiling);

        for (rates, (script, name, _)) in self.gets.iter_mut().zip(QUESTIONS) {
            let get = wrk::run(script, &setup.api.url).await?;
            ensure!(
                get.failed == 0.0,
                "{name}: {} questions were not answered",
                get.failed
            );
            rates.add(&get, ceiling);
        }
        Ok(())
    }

    fn put(&self, table: &mut Table) {
        self.posts
            .put(table, "POST", ">= 0.33, aimed 0.45", "<= 20");
        table.rounds(
            "POST, CPU a ride of all processes but wrk",
            "us",
            &self.cpu_us,
            "<= 45, aimed 35",
        );
        for (values, process) in self
            .cpu_by_process_us
            .iter()
            .zip(["api", "worker", "RabbitMQ", "Redis"])
        {
            table.rounds(&format!("POST, CPU a ride of {process}"), "us", values, "");
        }
        table.rounds(
            "POST, backlog at the end, in seconds of traffic",
            "s",
            &self.behind_s,
            "< 1",
        );
        for (rates, (_, name, bar)) in self.gets.iter().zip(QUESTIONS) {
            rates.put(table, name, bar, "<= 10");
        }
    }

    /// The rates as multiples of an earlier version's, round by round.
    fn compare(&self, earlier: &Self, table: &mut Table) {
        self.posts.compare(&earlier.posts, table, "POST");
        for ((this, earlier), (_, name, _)) in self.gets.iter().zip(&earlier.gets).zip(QUESTIONS) {
            this.compare(earlier, table, name);
        }
    }
}

fn cpu_of_each(setup: &Setup) -> anyhow::Result<Vec<f64>> {
    setup
        .pids()?
        .iter()
        .map(|pid| cpu_seconds(&[*pid]))
        .collect()
}
