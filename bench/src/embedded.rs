//! `skictl up` on a data directory that holds ten million rides.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use skilift_core::embedded::Database;
use skilift_core::engine::{Embedded, Engine};
use skilift_core::queue::embedded::EmbeddedQueue;
use skilift_core::ride::{LiftId, Minute, Ride, SkierId};
use skilift_core::store::batch::Batch;
use tempfile::TempDir;
use tokio::process::Command;

use crate::preload::{DAYS, RESORTS, SKIERS_PER_RESORT, resort_day, skiers_of};
use crate::setup::{Process, Programs, Setup};
use crate::table::Table;
use crate::usage::{peak_resident_mib, resident_mib};
use crate::wrk;

/// Rides of a skier's day: with as many skier days as the other store has, twelve million rides in all.
const RIDES_PER_SKIER_DAY: u64 = 4;
/// Interleaved rounds.
const ROUNDS: usize = 5;
/// Starts after a clean end and after a kill.
const STARTS: usize = 5;
/// Skiers of one batch.
const BATCH_SKIERS: usize = 1000;

pub(crate) async fn measure(
    setup: &Setup,
    base: Option<&Programs>,
    table: &mut Table,
) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let rides = RESORTS * DAYS * SKIERS_PER_RESORT * RIDES_PER_SKIER_DAY;
    eprintln!(
        "filling a data directory with {} million rides",
        rides / 1_000_000
    );
    let started = Instant::now();
    fill(&folder.path().join("data")).await?;
    let rate = rides as f64 / started.elapsed().as_secs_f64();
    table.once("Data directory, storing batches", "rides/s", rate, "figure");
    table.once(
        "Data directory, bytes on disk a ride (4 a skier day)",
        "bytes",
        disk_bytes(folder.path())? as f64 / rides as f64,
        "figure",
    );

    let mut starts_ms = Vec::new();
    for _ in 0..STARTS {
        let (mut up, ready_ms) = start(&setup.programs, &folder).await?;
        starts_ms.push(ready_ms);
        up.drain().await?;
    }
    table.rounds(
        "Data directory, start to serving",
        "ms",
        &starts_ms,
        "< 2000",
    );

    let earlier = match base {
        Some(programs) => {
            let folder = copy(&folder).await?;
            let (up, _) = start(programs, &folder).await?;
            Some((up, folder))
        }
        None => None,
    };
    let (mut up, _) = start(&setup.programs, &folder).await?;
    compare(setup, &up, earlier.as_ref().map(|(up, _)| up), table).await?;
    drop(earlier);
    let resident = resident_mib(up.pid()?)?;
    table.once(
        "Data directory, RSS after the load",
        "MiB",
        resident,
        "<= 200",
    );
    let peak = peak_resident_mib(up.pid()?)?;
    table.once("Data directory, peak RSS", "MiB", peak, "<= 200");

    let mut killed_ms = Vec::new();
    for _ in 0..STARTS {
        let url = up.url.clone();
        let killing = async {
            tokio::time::sleep(Duration::from_secs(wrk::SECONDS / 2)).await;
            up.kill_9().await
        };
        // What wrk says of a server that goes away does not matter.
        let (_, killed) = tokio::join!(wrk::run("post.lua", &url), killing);
        killed?;
        let (again, ready_ms) = start(&setup.programs, &folder).await?;
        killed_ms.push(ready_ms);
        up = again;
    }
    table.rounds(
        "Data directory, start to serving after kill -9 under load",
        "ms",
        &killed_ms,
        "< 2000",
    );
    up.drain().await
}

/// What the rounds have measured of one version so far.
#[derive(Default)]
struct Measured {
    posts: wrk::Rates,
    gets: wrk::Rates,
}

/// Rates of POST and GET as shares of the ceiling, in interleaved rounds.
async fn compare(
    setup: &Setup,
    up: &Process,
    earlier: Option<&Process>,
    table: &mut Table,
) -> anyhow::Result<()> {
    let (mut this, mut before) = (Measured::default(), Measured::default());
    for _ in 0..ROUNDS {
        this.round(setup, up).await?;
        if let Some(earlier) = earlier {
            before.round(setup, earlier).await?;
        }
    }
    let (post, get) = ("Data directory, POST", "Data directory, GET day vertical");
    this.posts.put(table, post, ">= 0.30", "<= 25");
    this.gets.put(table, get, ">= 0.70", "");
    if earlier.is_some() {
        this.posts.compare(&before.posts, table, post);
        this.gets.compare(&before.gets, table, get);
    }
    Ok(())
}

impl Measured {
    async fn round(&mut self, setup: &Setup, up: &Process) -> anyhow::Result<()> {
        let post = wrk::run("post.lua", &up.url).await?;
        ensure!(
            post.failed == 0.0,
            "{} rides were not accepted",
            post.failed
        );
        // Between the two, so that tables are merged when the questions come.
        let ceiling = wrk::run("post.lua", &setup.ceiling.url).await?.per_second;
        self.posts.add(&post, ceiling);
        let get = wrk::run("get_day_vertical.lua", &up.url).await?;
        ensure!(
            get.failed == 0.0,
            "{} questions were not answered",
            get.failed
        );
        self.gets.add(&get, ceiling);
        Ok(())
    }
}

/// A copy of a data directory.
async fn copy(folder: &TempDir) -> anyhow::Result<TempDir> {
    let copy = TempDir::new()?;
    let status = Command::new("cp")
        .arg("-a")
        .arg(folder.path().join("data"))
        .arg(copy.path())
        .status()
        .await?;
    ensure!(
        status.success(),
        "cp cannot copy the data directory: {status}"
    );
    Ok(copy)
}

/// Starts `skictl up` and says after how many milliseconds it answers that it is ready.
async fn start(programs: &Programs, folder: &TempDir) -> anyhow::Result<(Process, f64)> {
    let arguments = [
        "up",
        "--data",
        "data",
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--console-listen",
        "127.0.0.1:0",
    ];
    let started = Instant::now();
    let up = Process::start(
        &programs.path("skictl")?,
        folder,
        &arguments,
        &[],
        "public API on ",
    )
    .await?;
    while !skilift_servers::http()
        .get(format!("{}/readyz", up.url))
        .send()
        .await?
        .status()
        .is_success()
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok((up, started.elapsed().as_secs_f64() * 1000.0))
}

async fn fill(folder: &Path) -> anyhow::Result<()> {
    let database = Arc::new(Database::open(folder)?);
    let queue = EmbeddedQueue::open(Arc::clone(&database))?;
    let engine = Embedded::new(database, queue);
    for resort in 1..=RESORTS {
        let skiers: Vec<u64> = skiers_of(resort).collect();
        for day in 1..=DAYS {
            for chunk in skiers.chunks(BATCH_SKIERS) {
                let rides = chunk.iter().map(|&skier| a_skiers_day(resort, day, skier));
                let rides: anyhow::Result<Vec<Vec<Ride>>> = rides.collect();
                engine.apply(&Batch::new(rides?.concat())).await?;
            }
        }
    }
    Ok(())
}

fn a_skiers_day(resort: u64, day: u64, skier: u64) -> anyhow::Result<Vec<Ride>> {
    let on = resort_day(resort, day)?;
    let ride = |number| {
        Ok(Ride {
            resort: on.resort,
            season: on.season,
            day: on.day,
            skier: SkierId::new(skier)?,
            minute: Minute::new(500 + number * 60 + skier % 60)?,
            lift: LiftId::new(1 + (skier + number) % 40)?,
        })
    };
    (0..RIDES_PER_SKIER_DAY).map(ride).collect()
}

/// Bytes that the files below a folder take on the disk.
fn disk_bytes(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        // Blocks of 512 bytes, whatever the file system's own are.
        bytes += if metadata.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}
