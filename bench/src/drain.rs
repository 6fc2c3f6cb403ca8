//! Bulk ingest with the worker stopped, the worker from a full queue, and both at once.

use std::time::Instant;

use anyhow::ensure;
use rand::RngExt;
use skilift_core::message::MessageBody;

use crate::preload::{DAYS, RESORTS, SKIERS_PER_RESORT};
use crate::setup::Setup;
use crate::table::Table;
use crate::usage::peak_resident_mib;

const ROUNDS: usize = 3;
/// Rides that one round sends.
const RIDES: u64 = 2_000_000;
/// Rides in one request.
const RIDES_PER_REQUEST: u64 = 50_000;
/// Requests that are under way at once.
const CLIENTS: u64 = 4;

pub(crate) async fn measure(setup: &mut Setup, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("{ROUNDS} rounds of {RIDES} rides in bulk");
    let (mut ingest, mut drain, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        setup.stop_worker().await?;
        let bodies = make_bodies()?;
        let started = Instant::now();
        send(&setup.api.url, bodies).await?;
        ingest.push(RIDES as f64 / started.elapsed().as_secs_f64());

        let started = Instant::now();
        setup.start_worker_again().await?;
        setup.wait_until_settled(setup.accepted().await?).await?;
        drain.push(RIDES as f64 / started.elapsed().as_secs_f64());

        let bodies = make_bodies()?;
        let started = Instant::now();
        send(&setup.api.url, bodies).await?;
        setup.wait_until_settled(setup.accepted().await?).await?;
        both.push(RIDES as f64 / started.elapsed().as_secs_f64());
    }
    table.rounds(
        "Bulk ingest, worker stopped",
        "rides/s",
        &ingest,
        ">= 200,000",
    );
    table.rounds(
        "Worker from a full queue, start-up included",
        "rides/s",
        &drain,
        ">= 120,000",
    );
    table.rounds(
        "Bulk ingest and storing, end to end",
        "rides/s",
        &both,
        "figure",
    );
    table.once(
        "Peak RSS of the API, bulk included",
        "MiB",
        peak_resident_mib(setup.api.pid()?)?,
        "<= 64",
    );
    table.once(
        "Peak RSS of the worker, bulk",
        "MiB",
        peak_resident_mib(setup.worker.pid()?)?,
        "<= 64",
    );
    Ok(())
}

/// Random rides of the preloaded skiers, as bodies of requests.
fn make_bodies() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut random = rand::rng();
    let mut bodies = Vec::new();
    for _ in 0..RIDES / RIDES_PER_REQUEST {
        let mut body = MessageBody::default();
        for _ in 0..RIDES_PER_REQUEST {
            let resort = random.random_range(1..=RESORTS);
            let skier =
                (resort - 1) * SKIERS_PER_RESORT + random.random_range(1..=SKIERS_PER_RESORT);
            let ride = serde_json::json!({
                "resortID": resort,
                "seasonID": "2025",
                "dayID": random.random_range(1..=DAYS),
                "skierID": skier,
                "time": random.random_range(1..=1440),
                "liftID": random.random_range(1..=40),
            });
            body.push(&serde_json::from_value(ride)?);
        }
        bodies.push(body.as_bytes().to_vec());
    }
    Ok(bodies)
}

async fn send(api: &str, mut bodies: Vec<Vec<u8>>) -> anyhow::Result<()> {
    let http = skilift_servers::http();
    let mut clients = tokio::task::JoinSet::new();
    let each = bodies.len().div_ceil(CLIENTS as usize);
    while !bodies.is_empty() {
        let share = bodies.split_off(bodies.len().saturating_sub(each));
        let (http, url) = (http.clone(), format!("{api}/rides"));
        clients.spawn(async move {
            for body in share {
                let answer = http
                    .post(&url)
                    .header("content-type", "application/x-ndjson")
                    .body(body)
                    .send()
                    .await?;
                let status = answer.status();
                let answer: serde_json::Value = answer.json().await?;
                ensure!(
                    status == 200 && answer["accepted"] == RIDES_PER_REQUEST,
                    "{status}: {answer}"
                );
            }
            Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(())
}
