//! A store as it is in mid-season: 10 resorts, 3 days, 100,000 skiers a resort, 12 rides a skier day.

use anyhow::ensure;
use skilift_core::packed::Boarding;
use skilift_core::ride::{Day, LiftId, Minute, ResortDay, ResortId, Season, SkierId};
use skilift_core::store::Reader;

use crate::setup::Setup;

pub(crate) const RESORTS: u64 = 10;
pub(crate) const DAYS: u64 = 3;
pub(crate) const SKIERS_PER_RESORT: u64 = 100_000;
const RIDES_PER_SKIER_DAY: u64 = 12;
/// Fields or sets that are written by one call.
const CHUNK: usize = 1000;

/// Writes the ledger as a season of rides would have left it. The append-only file is off meanwhile, for it is the
/// data that is wanted, and on again, rewritten, before anything is measured.
///
/// Returns the bytes of memory that a ride takes.
pub(crate) async fn preload(setup: &Setup) -> anyhow::Result<f64> {
    eprintln!(
        "preloading {} million rides",
        RESORTS * DAYS * SKIERS_PER_RESORT * RIDES_PER_SKIER_DAY / 1_000_000
    );
    let client = redis::Client::open(setup.redis.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let reader = setup.store()?.reader()?;
    let before = reader.capacity().await?.used_bytes;
    config(&mut connection, "appendonly", "no").await?;
    for resort in 1..=RESORTS {
        for day in 1..=DAYS {
            write_day(&mut connection, setup, resort_day(resort, day)?).await?;
        }
        write_skiers(&mut connection, setup, resort).await?;
    }
    let rides = RESORTS * DAYS * SKIERS_PER_RESORT * RIDES_PER_SKIER_DAY;
    let used = reader.capacity().await?.used_bytes - before;
    config(&mut connection, "appendonly", "yes").await?;
    wait_for_rewrite(&mut connection).await?;
    ensure!(
        reader.skiers_on(resort_day(1, 1)?).await? == SKIERS_PER_RESORT,
        "the preload is not there"
    );
    Ok(used as f64 / rides as f64)
}

pub(crate) fn resort_day(resort: u64, day: u64) -> anyhow::Result<ResortDay> {
    Ok(ResortDay {
        resort: ResortId::new(resort)?,
        season: "2025".parse::<Season>()?,
        day: Day::new(day)?,
    })
}

/// The skiers of a resort: each has one home resort.
pub(crate) fn skiers_of(resort: u64) -> impl Iterator<Item = u64> {
    (1..=SKIERS_PER_RESORT).map(move |number| (resort - 1) * SKIERS_PER_RESORT + number)
}

fn a_skiers_day(skier: u64) -> anyhow::Result<Vec<u8>> {
    let mut packed = Vec::new();
    for ride in 0..RIDES_PER_SKIER_DAY {
        let minute = Minute::new(500 + ride * 30 + skier % 30)?;
        let lift = LiftId::new(1 + (skier + ride) % 40)?;
        packed.extend(Boarding { minute, lift }.pack());
    }
    Ok(packed)
}

async fn write_day(
    connection: &mut redis::aio::MultiplexedConnection,
    setup: &Setup,
    day: ResortDay,
) -> anyhow::Result<()> {
    let ResortDay {
        resort,
        season,
        day,
    } = day;
    let key = format!("{{{}}}:rides:{resort}:{season}:{day}", setup.stack);
    let skiers: Vec<u64> = skiers_of(resort.get().into()).collect();
    for chunk in skiers.chunks(CHUNK) {
        let mut command = redis::cmd("HSET");
        command.arg(&key);
        for skier in chunk {
            command.arg(*skier).arg(a_skiers_day(*skier)?);
        }
        command.exec_async(connection).await?;
    }
    Ok(())
}

async fn write_skiers(
    connection: &mut redis::aio::MultiplexedConnection,
    setup: &Setup,
    resort: u64,
) -> anyhow::Result<()> {
    let skiers: Vec<u64> = skiers_of(resort).collect();
    for chunk in skiers.chunks(CHUNK) {
        let mut pipeline = redis::pipe();
        for skier in chunk {
            pipeline.cmd("SADD").arg(format!(
                "{{{}}}:skier:{}",
                setup.stack,
                SkierId::new(*skier)?
            ));
            for day in 1..=DAYS {
                pipeline.arg(resort_day(resort, day)?.to_index());
            }
            pipeline.ignore();
        }
        pipeline.exec_async(connection).await?;
    }
    Ok(())
}

async fn config(
    connection: &mut redis::aio::MultiplexedConnection,
    name: &str,
    value: &str,
) -> anyhow::Result<()> {
    Ok(redis::cmd("CONFIG")
        .arg("SET")
        .arg(name)
        .arg(value)
        .exec_async(connection)
        .await?)
}

async fn wait_for_rewrite(
    connection: &mut redis::aio::MultiplexedConnection,
) -> anyhow::Result<()> {
    loop {
        let info: String = redis::cmd("INFO")
            .arg("persistence")
            .query_async(connection)
            .await?;
        let is = |line: &str| info.lines().any(|found| found.trim() == line);
        if is("aof_rewrite_in_progress:0") && is("aof_rewrite_scheduled:0") && is("aof_enabled:1") {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}
