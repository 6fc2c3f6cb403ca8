//! Rates of POST and GET as shares of the ceiling, in interleaved rounds: this machine's speed drifts by the minute, and
//! only what is measured side by side can be compared.

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

pub(crate) async fn measure(setup: &mut Setup, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("{ROUNDS} rounds of POST and GET, {} s each", wrk::SECONDS);
    let mut ceilings = Vec::new();
    let mut client = Client::default();
    let mut posts = wrk::Rates::default();
    let mut gets = [
        wrk::Rates::default(),
        wrk::Rates::default(),
        wrk::Rates::default(),
    ];
    let (mut cpu_us, mut behind_s) = (Vec::new(), Vec::new());
    let mut cpu_by_process = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        let bare = wrk::run("post.lua", &setup.ceiling.url).await?;
        ensure!(
            bare.failed == 0.0,
            "the ceiling did not answer {} requests",
            bare.failed
        );
        let ceiling = bare.per_second;
        ceilings.push(ceiling);
        client.measure(&setup.ceiling.url, ceiling).await?;

        let before = cpu_of_each(setup)?;
        let post = wrk::run("post.lua", &setup.api.url).await?;
        ensure!(
            post.failed == 0.0,
            "{} rides were not accepted",
            post.failed
        );
        let accepted = setup.accepted().await?;
        behind_s.push((accepted - setup.settled().await?) / post.per_second);
        setup.wait_until_settled(accepted).await?;
        // Not before: what waits in the queue has its work still to come.
        let after = cpu_of_each(setup)?;
        let used: Vec<f64> = after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        cpu_us.push(used.iter().sum::<f64>() * 1e6 / post.requests);
        for (values, used) in cpu_by_process.iter_mut().zip(&used) {
            values.push(used * 1e6 / post.requests);
        }
        posts.add(&post, ceiling);

        for (rates, (script, name, _)) in gets.iter_mut().zip(QUESTIONS) {
            let get = wrk::run(script, &setup.api.url).await?;
            ensure!(
                get.failed == 0.0,
                "{name}: {} questions were not answered",
                get.failed
            );
            rates.add(&get, ceiling);
        }
    }
    table.rounds("Ceiling, bare axum POST", "/s", &ceilings, "");
    client.put(table);
    posts.put(table, "POST", ">= 0.33, aimed 0.45", "<= 20");
    table.rounds(
        "POST, CPU a ride of all processes but wrk",
        "us",
        &cpu_us,
        "<= 45, aimed 35",
    );
    for (values, process) in cpu_by_process
        .iter()
        .zip(["api", "worker", "RabbitMQ", "Redis"])
    {
        table.rounds(&format!("POST, CPU a ride of {process}"), "us", values, "");
    }
    table.rounds(
        "POST, backlog at the end, in seconds of traffic",
        "s",
        &behind_s,
        "< 1",
    );
    for (rates, (_, name, bar)) in gets.iter().zip(QUESTIONS) {
        rates.put(table, name, bar, "<= 10");
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

fn cpu_of_each(setup: &Setup) -> anyhow::Result<Vec<f64>> {
    setup
        .pids()?
        .iter()
        .map(|pid| cpu_seconds(&[*pid]))
        .collect()
}
