//! Scaling: what it costs the rides that flow meanwhile, and how long a plan takes beside many instances.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use skilift_servers::MotoServer;
use tempfile::TempDir;

use crate::operator::Operator;
use crate::setup::{Process, Setup, servers};
use crate::table::Table;
use crate::wrk;

/// Workers before scaling in.
const WORKERS: u64 = 4;
/// Rounds of scaling out and in.
const ROUNDS: usize = 5;
/// Instances of the simulated region.
const INSTANCES: usize = 500;
/// Rounds of a plan and a bare description.
const PLANS: usize = 9;

pub(crate) async fn measure(setup: &Setup, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("scaling in under full load");
    scale_in(setup, table).await?;
    eprintln!("a plan beside {INSTANCES} instances");
    dry_run(setup, table).await
}

/// The same load on four workers, and while three of them drain and end.
async fn scale_in(setup: &Setup, table: &mut Table) -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let arguments = [
        "up",
        "--stack",
        "scaled",
        "--api-listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--console-listen",
        "127.0.0.1:0",
    ];
    // A folder on the command line would mean that and no servers.
    let data = [("SKI_DATA", "data".to_owned())];
    let environment = [&servers(&setup.rabbit, &setup.redis)[..], &data].concat();
    let says = "public API on ";
    let skictl = setup.programs.path("skictl")?;
    let up = Process::start(&skictl, &folder, &arguments, &environment, says).await?;
    let url = up.url.clone();
    let operator = Operator::of_up(&setup.programs, up, folder)?;
    let (mut before_ms, mut during_ms, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let out = format!("scale worker={WORKERS} --yes --wait");
        operator.skictl(&words(&out)).await?;
        let before = wrk::run("post.lua", &url).await?;
        let scaling = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // What is left of the capacity is not known under a load that never ends.
            let line = "scale worker=1 --confirm scaled --override bench --wait";
            operator.skictl(&words(line)).await
        };
        let (during, ()) = tokio::try_join!(wrk::run("post.lua", &url), scaling)?;
        let failed = before.failed + during.failed;
        ensure!(failed == 0.0, "{failed} rides were not accepted");
        before_ms.push(before.p99_ms);
        during_ms.push(during.p99_ms);
        ratios.push(during.p99_ms / before.p99_ms);
    }
    close_books(&operator).await?;
    table.rounds("POST on four workers, p99", "ms", &before_ms, "");
    table.rounds(
        "The same while three of them drain and end",
        "ms",
        &during_ms,
        "",
    );
    table.rounds("The same, as a multiple of before", "x", &ratios, "<= 2");
    operator.drain().await
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Waits until everything is accounted for: nothing lost, nothing counted twice.
async fn close_books(operator: &Operator) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let books = operator.get("reconciliation").await?;
        if books["verdict"] == "balanced" {
            return Ok(());
        }
        ensure!(
            books["verdict"] != "loss" && Instant::now() < deadline,
            "the books do not close: {books}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Dry runs beside a bare description of the same instances, page by page.
async fn dry_run(setup: &Setup, table: &mut Table) -> anyhow::Result<()> {
    let moto = MotoServer::start().await?;
    let tags = [("skilift:stack", "many"), ("skilift:role", "worker")];
    let zone = format!("{}a", MotoServer::REGION);
    let ids = moto
        .run_instances(INSTANCES, &tags, "c7g.medium", &zone)
        .await?;
    moto.stop_instances(ids.get(4..).context("too few instances")?)
        .await?;
    let arguments = ["--stack", "many", "--ec2-endpoint-url", &moto.url()];
    let environment = [
        ("AWS_REGION", MotoServer::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "simulated".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "simulated".to_owned()),
    ];
    let operator = Operator::start(setup, &arguments, &environment).await?;
    let (mut bare_s, mut plan_s, mut more_s) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PLANS {
        let began = Instant::now();
        let seen = moto.instances().await?.len();
        let bare = began.elapsed().as_secs_f64();
        ensure!(seen == INSTANCES, "{seen} instances");
        let began = Instant::now();
        let line = "scale worker=6 --dry-run";
        operator.skictl(&words(line)).await?;
        let plan = began.elapsed().as_secs_f64();
        bare_s.push(bare);
        plan_s.push(plan);
        more_s.push(plan - bare);
    }
    let name = format!("skictl scale --dry-run beside {INSTANCES} instances in moto");
    table.rounds(&name, "s", &plan_s, "");
    table.rounds(
        "The bare description of them, page by page",
        "s",
        &bare_s,
        "",
    );
    table.rounds("The dry run takes longer by", "s", &more_s, "<= 0.3");
    operator.drain().await
}
