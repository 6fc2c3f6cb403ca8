//! What operating costs, and how fast it is: heartbeats and sampling, `skictl` beside 200 nodes, many watching clients, and
//! a settings change under full load.
//!
//! `simulated`: nodes that only beat.

mod simulated;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::JoinSet;

use self::simulated::SimulatedNodes;
use crate::operator::Operator;
use crate::pages;
use crate::setup::Setup;
use crate::table::Table;
use crate::usage::{cpu_seconds, resident_mib};
use crate::wrk;

/// How long each cost is watched.
const WATCH: Duration = Duration::from_secs(20);
/// Clients that ask for the queue each second while the console's cost is measured.
const WATCHING: usize = 20;
/// Clients that do while its memory is.
const CROWD: usize = 500;
/// Nodes that only beat.
const NODES: usize = 200;
/// Runs of each command.
const RUNS: usize = 21;
/// How often the rate is looked at around a settings change.
const LOOK: Duration = Duration::from_millis(250);
/// A rate is back when it reaches this part of what it was.
const BACK: f64 = 0.9;

pub(crate) async fn measure(setup: &Setup, table: &mut Table) -> anyhow::Result<()> {
    eprintln!("a console: what it costs, and how fast it is");
    let operator = Operator::start(setup, &[], &[]).await?;
    cost(setup, &operator, table).await?;
    change_under_load(setup, &operator, table).await?;
    pages::beside_posts(setup, &operator, table).await?;
    let nodes = SimulatedNodes::start(setup, NODES)?;
    operator.wait_for_nodes(NODES).await?;
    commands(&operator, table).await?;
    pages::measure(&operator, NODES, table).await?;
    crowd(&operator, table).await?;
    nodes.stop().await;
    operator.drain().await
}

/// CPU of processes that have nothing to do but to beat and to be watched.
async fn cost(setup: &Setup, operator: &Operator, table: &mut Table) -> anyhow::Result<()> {
    let clients = operator.watched_by(WATCHING);
    // What the load before left to do is not what is measured.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let pids = [setup.api.pid()?, setup.worker.pid()?, operator.pid()?];
    let before: Vec<f64> = cores(&pids)?;
    tokio::time::sleep(WATCH).await;
    let used: Vec<f64> = cores(&pids)?
        .iter()
        .zip(before)
        .map(|(after, before)| (after - before) / WATCH.as_secs_f64())
        .collect();
    drop(clients);
    let [api, worker, console] = used[..] else {
        anyhow::bail!("three processes were watched");
    };
    table.once("Idle API node, heartbeats and all", "cores", api, "<= 0.03");
    table.once(
        "Idle worker node, heartbeats and all",
        "cores",
        worker,
        "<= 0.03",
    );
    table.once(
        &format!("Console with {WATCHING} watching clients"),
        "cores",
        console,
        "<= 0.05",
    );
    Ok(())
}

fn cores(pids: &[u32]) -> anyhow::Result<Vec<f64>> {
    pids.iter().map(|pid| cpu_seconds(&[*pid])).collect()
}

/// Changes a setting while wrk posts as fast as it can.
async fn change_under_load(
    setup: &Setup,
    operator: &Operator,
    table: &mut Table,
) -> anyhow::Result<()> {
    let (mut followed_s, mut back_s) = (Vec::new(), Vec::new());
    for threads in [4, 2, 4, 2] {
        let url = setup.api.url.clone();
        let posting = async move { wrk::run("post.lua", &url).await };
        let changing = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let usual = rate(setup, Duration::from_secs(1)).await?;
            let changed_at = Instant::now();
            let set = [
                "settings",
                "set",
                "worker",
                "--threads",
                &threads.to_string(),
                "--yes",
            ];
            operator.skictl(&set).await?;
            let following = async {
                operator.wait_until_followed().await?;
                anyhow::Ok(changed_at.elapsed().as_secs_f64())
            };
            let recovering = async {
                loop {
                    let seen = rate(setup, LOOK).await?;
                    if seen >= usual * BACK {
                        return anyhow::Ok(changed_at.elapsed().as_secs_f64());
                    }
                    ensure!(changed_at.elapsed() < WATCH, "the rate did not come back");
                }
            };
            tokio::try_join!(following, recovering)
        };
        let (posted, (followed, back)) = tokio::try_join!(posting, changing)?;
        ensure!(
            posted.failed == 0.0,
            "{} rides were not accepted",
            posted.failed
        );
        let accepted = setup.accepted().await?;
        setup.wait_until_settled(accepted).await?;
        followed_s.push(followed);
        back_s.push(back);
    }
    table.rounds(
        "A change of threads under full load, until every node follows",
        "s",
        &followed_s,
        "<= 2",
    );
    table.rounds(
        "The same, until rides are stored as fast as before",
        "s",
        &back_s,
        "<= 3",
    );
    Ok(())
}

/// Rides a second that the worker settles.
async fn rate(setup: &Setup, over: Duration) -> anyhow::Result<f64> {
    let (before, began) = (setup.settled().await?, Instant::now());
    tokio::time::sleep(over).await;
    Ok((setup.settled().await? - before) / began.elapsed().as_secs_f64())
}

/// How long commands take, the start of their process included.
async fn commands(operator: &Operator, table: &mut Table) -> anyhow::Result<()> {
    let asked: [(&str, &[&str]); 3] = [
        ("skictl queue", &["queue"]),
        ("skictl nodes", &["nodes"]),
        ("skictl stats skier", &["stats", "skier", "1"]),
    ];
    for (name, arguments) in asked {
        let mut took_ms = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let began = Instant::now();
            operator.skictl(arguments).await?;
            took_ms.push(began.elapsed().as_secs_f64() * 1000.0);
        }
        let name = format!("{name} beside {NODES} nodes");
        table.rounds(&name, "ms", &took_ms, "< 50");
    }
    Ok(())
}

/// Whether many clients make the console grow.
async fn crowd(operator: &Operator, table: &mut Table) -> anyhow::Result<()> {
    let pid = operator.pid()?;
    let clients = operator.watched_by(CROWD);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (resident, used) = (resident_mib(pid)?, cpu_seconds(&[pid])?);
    tokio::time::sleep(WATCH).await;
    let grown = resident_mib(pid)? - resident;
    let cores = (cpu_seconds(&[pid])? - used) / WATCH.as_secs_f64();
    drop(clients);
    let name = format!("Console with {CROWD} polling clients and {NODES} nodes");
    table.once(&name, "cores", cores, "figure");
    table.once(&format!("{name}, RSS"), "MiB", resident, "figure");
    table.once(
        &format!("{name}, RSS after {} s more", WATCH.as_secs()),
        "MiB more",
        grown,
        "flat",
    );
    Ok(())
}

/// Clients that ask each second, until this is dropped.
struct Clients(#[expect(dead_code, reason = "dropping it ends the tasks")] JoinSet<()>);

impl Operator {
    fn watched_by(&self, clients: usize) -> Clients {
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let asking = self.ask_each_second();
            let late = Duration::from_secs(1) * u32::try_from(client).unwrap_or(0)
                / u32::try_from(clients).unwrap_or(1);
            tasks.spawn(async move {
                tokio::time::sleep(late).await;
                asking.await;
            });
        }
        Clients(tasks)
    }

    async fn wait_for_nodes(&self, nodes: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.get("nodes").await?;
            let seen = seen["nodes"].as_array().context("no nodes")?.len();
            if seen > nodes {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{seen} of {nodes} nodes are seen"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until every node runs what it shall.
    async fn wait_until_followed(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = self.get("nodes").await?;
            let nodes = seen["nodes"].as_array().context("no nodes")?;
            if nodes.iter().all(|node| node["desired"] == node["actual"]) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "a node does not follow: {seen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
