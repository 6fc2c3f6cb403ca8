//! Runs against servers of tests.

use std::time::Duration;

use skilift_load::plan::{LoadConfig, Schedule, Until};
use skilift_load::run::{LoadError, Outcome, run};
use skilift_load::summary::Summary;
use skilift_load::target::Target;
use skilift_load::workload::{Ranges, Workload, parse_range};
use tokio_util::sync::CancellationToken;

/// A closed loop of so many rides, over four connections.
pub(crate) fn rides(target: &Target, rides: u64) -> LoadConfig {
    LoadConfig {
        target: target.clone(),
        headers: hyper::HeaderMap::new(),
        tls: None,
        schedule: Schedule::Closed(Until::Rides(rides)),
        connections: Some(4),
        ranges: Ranges {
            resorts: parse_range("3").unwrap(),
            season: "2025".parse().unwrap(),
            days: parse_range("2").unwrap(),
            skiers: parse_range("50").unwrap(),
            lifts: parse_range("20").unwrap(),
            minutes: parse_range("100").unwrap(),
        },
        seed: 7,
        reads: 0.0,
        bulk: None,
        breaker: None,
        timeout: Duration::from_secs(5),
        verify: None,
        give_up_after: Duration::from_secs(20),
    }
}

/// The same, asked for afterwards.
pub(crate) fn verified(target: &Target, count: u64) -> LoadConfig {
    LoadConfig {
        verify: Some(Duration::from_millis(600)),
        ..rides(target, count)
    }
}

pub(crate) async fn outcome(config: LoadConfig) -> Result<Outcome, LoadError> {
    run(config, |_| {}, CancellationToken::new()).await
}

pub(crate) async fn summary(config: LoadConfig) -> Summary {
    outcome(config).await.unwrap().summary
}

/// The rides that a run of this configuration sends.
pub(crate) fn workload(config: &LoadConfig) -> Workload {
    Workload::new(
        config.ranges.clone(),
        config.seed,
        config.reads,
        config.bulk,
    )
    .unwrap()
}
