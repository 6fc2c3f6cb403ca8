//! Faults of all kinds, one after the other under load, drawn by a seed: nothing is lost, nothing is doubled, and everything works again.
//!
//! A short schedule runs with the other tests. `FAULTS=1000 FAULTS_SEED=7` makes it long, and another one; see docs/performance.md.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use skilift_core::store::Reader as _;
use skilift_servers::CutProxy;

use crate::load::Load;
use crate::service::Service;
use crate::system::System;
use crate::up::Up;

/// Faults of the short schedule.
const FAULTS: u64 = 12;
/// Longest time for which something hangs or is cut off.
const LONGEST_MS: u64 = 3_000;
/// How long anything may take to work again.
const RECOVERY: Duration = Duration::from_secs(120);

/// The faults of an API and a worker on RabbitMQ and Redis. A restart of RabbitMQ takes as long as ten others.
const ON_SERVERS: [&str; 21] = [
    "worker killed",
    "worker killed",
    "worker killed",
    "worker hangs",
    "worker hangs",
    "worker drained",
    "API killed",
    "API killed",
    "API hangs",
    "API drained",
    "Redis killed",
    "Redis killed",
    "Redis hangs",
    "Redis hangs",
    "network to Redis cut",
    "network to Redis cut",
    "network to Redis stalls",
    "RabbitMQ hangs",
    "RabbitMQ hangs",
    "RabbitMQ killed",
    "worker and Redis killed",
];
/// The faults of `skictl up` on a data directory.
const ON_DATA_DIRECTORY: [&str; 4] = ["killed", "killed twice", "hangs", "drained"];

/// A schedule, and how long it took until everything worked again.
struct Schedule {
    random: SmallRng,
    left: u64,
    number: u64,
    recoveries: BTreeMap<&'static str, Vec<Duration>>,
}

impl Schedule {
    fn from_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var_os(name)?.into_string().ok();
            Some(text?.parse::<u64>().expect("a number"))
        };
        let seed = number("FAULTS_SEED").unwrap_or(1);
        let left = number("FAULTS").unwrap_or(FAULTS);
        eprintln!("{left} faults, seed {seed}");
        Self {
            random: SmallRng::seed_from_u64(seed),
            left,
            number: 0,
            recoveries: BTreeMap::new(),
        }
    }

    /// The next fault and for how long it lasts.
    fn next(&mut self, all: &[&'static str]) -> Option<(&'static str, Duration)> {
        self.left = self.left.checked_sub(1)?;
        self.number += 1;
        let fault = *all.choose(&mut self.random)?;
        let length = Duration::from_millis(self.random.random_range(0..LONGEST_MS));
        Some((fault, length))
    }

    fn recovered(&mut self, fault: &'static str, after: Duration) {
        assert!(after < RECOVERY, "{fault}: {after:?}");
        eprintln!("{} {fault}: works again after {after:.1?}", self.number);
        self.recoveries.entry(fault).or_default().push(after);
    }

    /// Prints a row for each kind of fault.
    fn print(&mut self) {
        for (fault, recoveries) in &mut self.recoveries {
            recoveries.sort_unstable();
            let at = |part: usize| recoveries[(recoveries.len() - 1) * part / 100];
            eprintln!(
                "| {fault} | {} | {:.1?} | {:.1?} | {:.1?} |",
                recoveries.len(),
                at(50),
                at(95),
                at(100)
            );
        }
    }
}

#[tokio::test]
async fn a_schedule_of_faults_on_servers_loses_and_doubles_nothing() {
    let mut schedule = Schedule::from_environment();
    let (mut system, proxy) = System::start_behind_proxy().await;
    let load = Load::start_gently(&system.url);
    load.accept(100).await;
    while let Some((fault, length)) = schedule.next(&ON_SERVERS) {
        strike(&mut system, &proxy, fault, length).await;
        let began = Instant::now();
        works_again(&system, &load).await;
        schedule.recovered(fault, began.elapsed());
    }
    load.accept(100).await;
    let sent = load.stop().await;
    system.prove("a schedule of faults on servers", &sent).await;
    schedule.print();
}

/// Does it, and ends it.
async fn strike(system: &mut System, proxy: &CutProxy, fault: &str, length: Duration) {
    match fault {
        "worker killed" => {
            system.worker.kill_9().await;
            tokio::time::sleep(length / 4).await;
            system.start_worker_again();
        }
        "worker hangs" => hang(&system.worker, length).await,
        "worker drained" => {
            system.worker.drain().await;
            system.start_worker_again();
        }
        "API killed" => {
            system.api.kill_9().await;
            tokio::time::sleep(length / 4).await;
            system.start_api_again();
        }
        "API hangs" => hang(&system.api, length).await,
        "API drained" => {
            system.api.drain().await;
            system.start_api_again();
        }
        "Redis killed" => {
            system.redis.kill().await.unwrap();
            tokio::time::sleep(length).await;
            system.redis.start_again().await.unwrap();
        }
        "Redis hangs" => {
            system.redis.pause().unwrap();
            tokio::time::sleep(length).await;
            system.redis.resume().unwrap();
        }
        "worker and Redis killed" => {
            system.worker.kill_9().await;
            system.redis.kill().await.unwrap();
            system.start_worker_again();
            tokio::time::sleep(length).await;
            system.redis.start_again().await.unwrap();
        }
        "network to Redis cut" => {
            proxy.cut().await;
            tokio::time::sleep(length).await;
            proxy.heal().await.unwrap();
        }
        "network to Redis stalls" => {
            proxy.stall();
            tokio::time::sleep(length).await;
            proxy.heal().await.unwrap();
        }
        "RabbitMQ hangs" => {
            system.rabbit.pause().unwrap();
            tokio::time::sleep(length).await;
            system.rabbit.resume().unwrap();
        }
        "RabbitMQ killed" => {
            system.rabbit.kill().await.unwrap();
            system.rabbit.start_again().await.unwrap();
        }
        other => panic!("{other}"),
    }
}

async fn hang(service: &Service, length: Duration) {
    service.signal(Signal::SIGSTOP);
    tokio::time::sleep(length).await;
    service.signal(Signal::SIGCONT);
}

/// Waits until rides are accepted, and those that were accepted are stored.
async fn works_again(system: &System, load: &Load) {
    load.accept(20).await;
    let (accepted, began) = (settled(system).await, Instant::now());
    while settled(system).await < accepted + 20 {
        let worker = &system.worker;
        assert!(
            began.elapsed() < RECOVERY,
            "nothing is stored: {}",
            worker.log()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Rides that were settled so far.
async fn settled(system: &System) -> u64 {
    let reader = system.reader();
    let began = Instant::now();
    loop {
        match reader.reconciliation().await {
            Ok(books) => return books.settled,
            Err(error) => assert!(began.elapsed() < RECOVERY, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_schedule_of_faults_on_a_data_directory_loses_and_doubles_nothing() {
    let mut schedule = Schedule::from_environment();
    let mut up = Up::start().await;
    let load = Load::start_gently(&up.url);
    load.accept(100).await;
    while let Some((fault, length)) = schedule.next(&ON_DATA_DIRECTORY) {
        match fault {
            "killed" => up.service.kill_9().await,
            "killed twice" => {
                up.service.kill_9().await;
                up.start_again_without_waiting();
                tokio::time::sleep(length / 10).await;
                up.service.kill_9().await;
            }
            "hangs" => hang(&up.service, length).await,
            _ => up.service.drain().await,
        }
        let began = Instant::now();
        if fault != "hangs" {
            up.start_again().await;
        }
        load.accept(20).await;
        schedule.recovered(fault, began.elapsed());
    }
    load.accept(100).await;
    let sent = load.stop().await;
    up.prove("a schedule of faults on a data directory", &sent)
        .await;
    schedule.print();
}
