//! What is sent, when, how often, and what is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use skilift_load::breaker::BreakerLimits;
use skilift_load::plan::{LoadConfig, Schedule, Until};
use skilift_load::summary::{Ended, PaceKind};
use skilift_load::workload::parse_range;

use crate::foreign::{Behaviour, Foreign, key};
use crate::settings::{outcome, rides, summary, workload};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_server_gets_the_rides_of_the_seed_each_once() {
    let server = Foreign::start(Behaviour::default()).await;
    let config = rides(&server.target, 1000);
    let rides = workload(&config);
    let outcome = outcome(config).await.unwrap();
    let summary = outcome.summary;
    assert_eq!(
        (
            summary.requests.sent,
            summary.requests.succeeded,
            server.posts()
        ),
        (1000, 1000, 1000)
    );
    assert_eq!((summary.rides.accepted, summary.requests.unsent), (1000, 0));
    assert_eq!(
        (summary.pace, summary.ended),
        (PaceKind::ClosedLoop, Ended::Complete)
    );
    assert!(
        summary.latency.is_some()
            && summary.latency_from_send.is_none()
            && summary.send_lateness.is_none()
    );
    let expected: BTreeSet<_> = (0..1000)
        .map(|number| rides.ride(number))
        .map(|ride| {
            (
                key(&ride),
                (u64::from(ride.minute.get()), u64::from(ride.lift.get())),
            )
        })
        .collect();
    let stored: BTreeSet<_> = server
        .ledger()
        .into_iter()
        .flat_map(|(key, rides)| rides.into_iter().map(move |ride| (key, ride)))
        .collect();
    assert_eq!((stored.len(), &stored), (1000, &expected));
    let sent: u64 = outcome
        .timeline
        .seconds
        .iter()
        .map(|second| second.sent)
        .sum();
    assert_eq!(sent, 1000);
}

#[tokio::test]
async fn reads_are_a_share_of_the_requests() {
    let server = Foreign::start(Behaviour::default()).await;
    let summary = summary(LoadConfig {
        reads: 0.25,
        ..rides(&server.target, 300)
    })
    .await;
    assert_eq!((summary.requests.sent, summary.requests.failed), (399, 0));
    assert_eq!(
        (
            summary.requests.reads,
            server.posts(),
            summary.rides.accepted
        ),
        (99, 300, 300)
    );
    // The watch over the backlog asks once, too.
    assert!((99..=101).contains(&server.reads()), "{}", server.reads());
}

#[tokio::test]
async fn an_open_loop_counts_a_late_send_as_latency() {
    // Every post takes 50 ms, so that one connection can send 20 a second of the 40 that are due.
    let server = Foreign::start(Behaviour {
        post_takes: |_| Duration::from_millis(50),
        ..Behaviour::default()
    })
    .await;
    let summary = summary(LoadConfig {
        schedule: Schedule::Rate(40.0, Until::Time(SECOND)),
        connections: Some(1),
        ..rides(&server.target, 1)
    })
    .await;
    let (corrected, raw) = (summary.latency.unwrap(), summary.latency_from_send.unwrap());
    assert!((49.0..90.0).contains(&raw.p50_ms), "{raw:?}");
    assert!(corrected.p99_ms > 350.0, "{corrected:?}");
    assert!(summary.send_lateness.unwrap().p99_ms > 300.0);
    let requests = summary.requests;
    assert!((15..=21).contains(&requests.sent), "{requests:?}");
    assert_eq!(requests.sent + requests.unsent, 40);
    assert_eq!(summary.pace, PaceKind::OpenLoop);
}

#[tokio::test]
async fn an_open_loop_takes_more_connections_when_they_are_needed() {
    // 400 a second that take 400 ms each are 160 at a time, more than it begins with.
    let server = Foreign::start(Behaviour {
        post_takes: |_| Duration::from_millis(400),
        ..Behaviour::default()
    })
    .await;
    let run = async |connections| {
        summary(LoadConfig {
            schedule: Schedule::Rate(400.0, Until::Time(2 * SECOND)),
            connections: Some(connections),
            ..rides(&server.target, 1)
        })
        .await
    };
    let enough = run(300).await;
    assert_eq!((enough.requests.sent, enough.requests.unsent), (800, 0));
    assert!(
        enough.send_lateness.unwrap().p50_ms < 200.0,
        "{:?}",
        enough.send_lateness
    );
    let few = run(64).await;
    assert!(
        few.requests.sent < 450 && few.requests.unsent > 350,
        "{:?}",
        few.requests
    );
}

#[tokio::test]
async fn an_open_loop_uses_all_connections_while_nobody_answers() {
    let server = Foreign::start(Behaviour {
        post_takes: |_| Duration::from_secs(60),
        ..Behaviour::default()
    })
    .await;
    let config = LoadConfig {
        schedule: Schedule::Rate(400.0, Until::Time(60 * SECOND)),
        connections: Some(300),
        timeout: 50 * SECOND,
        ..rides(&server.target, 1)
    };
    tokio::select! {
        outcome = outcome(config) => panic!("{outcome:?}"),
        () = tokio::time::sleep(3 * SECOND) => {}
    }
    assert_eq!(server.posts(), 300);
}

#[tokio::test]
async fn an_open_loop_keeps_to_its_schedule() {
    let server = Foreign::start(Behaviour::default()).await;
    let outcome = outcome(LoadConfig {
        schedule: Schedule::Profile("0s:0,1s:200,2s:200".parse().unwrap()),
        ..rides(&server.target, 1)
    })
    .await
    .unwrap();
    assert_eq!(
        (
            outcome.summary.requests.sent,
            outcome.summary.requests.unsent
        ),
        (300, 0)
    );
    let seconds = outcome.timeline.seconds;
    let intended: Vec<_> = seconds
        .iter()
        .take(2)
        .map(|second| second.intended)
        .collect();
    assert_eq!(intended, [Some(100), Some(200)]);
    assert!(seconds[0].sent.abs_diff(100) < 20, "{seconds:?}");
    let rides = summary(LoadConfig {
        schedule: Schedule::Rate(500.0, Until::Rides(100)),
        ..rides(&server.target, 1)
    })
    .await;
    assert_eq!((rides.requests.sent, rides.requests.unsent), (100, 0));
    assert!(
        (0.15..0.6).contains(&rides.elapsed_s),
        "{}",
        rides.elapsed_s
    );
}

#[tokio::test]
async fn the_breaker_holds_senders_back_and_that_is_no_latency() {
    let server = Foreign::start(Behaviour::default()).await;
    let limits = |interval| BreakerLimits {
        open: 50,
        close: 40,
        open_interval: interval,
        close_interval: interval,
    };
    let interval = Duration::from_millis(400);
    let config = LoadConfig {
        breaker: Some(limits(interval)),
        ..rides(&server.target, 160)
    };
    let closed = outcome(config.clone()).await.unwrap();
    let summary = closed.summary;
    assert_eq!(summary.rides.accepted, 160);
    // 50 rides, then it is open for the rest of the window at least.
    assert!(summary.elapsed_s >= 1.1, "{summary:?}");
    let breaker = summary.breaker.unwrap();
    assert_eq!(breaker.opens, 3, "{summary:?}");
    assert!(summary.requests.held_back >= 3);
    assert!(
        summary.latency.unwrap().max_ms < 300.0,
        "{:?}",
        summary.latency
    );
    let open: f64 = closed
        .timeline
        .seconds
        .iter()
        .filter_map(|second| second.breaker_open_share)
        .sum();
    assert!(open > 0.5, "{open}");
    let paced = crate::settings::summary(LoadConfig {
        schedule: Schedule::Rate(200.0, Until::Rides(160)),
        ..config
    })
    .await;
    assert!(paced.breaker.unwrap().opens >= 2, "{paced:?}");
    assert!(paced.latency.unwrap().p95_ms < 250.0, "{:?}", paced.latency);
}

#[tokio::test]
async fn the_backlog_of_a_server_of_ours_is_in_the_timeline() {
    let run = async |backlog| {
        let server = Foreign::start(Behaviour {
            backlog,
            ..Behaviour::default()
        })
        .await;
        let config = LoadConfig {
            schedule: Schedule::Rate(50.0, Until::Time(Duration::from_millis(1200))),
            ..rides(&server.target, 1)
        };
        let outcome = outcome(config).await.unwrap();
        assert_eq!(
            (
                outcome.summary.requests.sent,
                outcome.summary.requests.reads
            ),
            (60, 0)
        );
        let seconds = outcome.timeline.seconds;
        seconds
            .iter()
            .map(|second| second.backlog_rides)
            .collect::<Vec<_>>()
    };
    assert_eq!(run(Some(12)).await, [Some(12.0), Some(12.0)]);
    assert_eq!(run(None).await, [None, None]);
}

#[tokio::test]
async fn a_refusal_is_tried_again_and_counted() {
    // Every second post is refused.
    let server = Foreign::start(Behaviour {
        post: |number| (number % 2 == 0).then_some((503, false)),
        ..Behaviour::default()
    })
    .await;
    let mut config = rides(&server.target, 20);
    config.connections = Some(1);
    let summary = summary(config).await;
    assert_eq!(
        (summary.requests.succeeded, summary.requests.retried),
        (20, 20)
    );
    assert_eq!((summary.requests.failed, summary.rides.unknown), (0, 0));
    assert_eq!(
        (summary.errors[0].kind.as_str(), summary.errors[0].count),
        ("status 503", 20)
    );
    assert_eq!(summary.errors[0].example, "answer 503");
}

#[tokio::test]
async fn retry_after_is_heeded() {
    let server = Foreign::start(Behaviour {
        post: |number| (number == 0).then_some((503, false)),
        retry_after: Some(1),
        ..Behaviour::default()
    })
    .await;
    let summary = summary(rides(&server.target, 1)).await;
    assert_eq!(
        (summary.requests.succeeded, summary.requests.retried),
        (1, 1)
    );
    assert!(summary.elapsed_s >= 1.0, "{}", summary.elapsed_s);
}

#[tokio::test]
async fn refused_rides_are_told_apart_and_not_tried_again() {
    let server = Foreign::start(Behaviour {
        post: |number| (number < 5).then_some((400, false)),
        ..Behaviour::default()
    })
    .await;
    let summary = summary(rides(&server.target, 20)).await;
    assert_eq!(
        (
            summary.requests.failed,
            summary.requests.retried,
            summary.requests.succeeded
        ),
        (5, 0, 15)
    );
    assert_eq!(
        (
            summary.rides.refused,
            summary.rides.accepted,
            summary.rides.unknown
        ),
        (5, 15, 0)
    );
    assert_eq!(
        (summary.failed_share, summary.errors[0].kind.as_str()),
        (Some(0.25), "status 400")
    );
}

#[tokio::test]
async fn what_an_unclear_try_may_have_stored_is_not_refused() {
    for bulk in [None, Some(5)] {
        // Stored, and answered so that nobody can know; then refused.
        let server = Foreign::start(Behaviour {
            post: |number| [(503, true), (400, false)].get(number as usize).copied(),
            ..Behaviour::default()
        })
        .await;
        let rides_sent = bulk.unwrap_or(1);
        let summary = summary(LoadConfig {
            bulk,
            ..rides(&server.target, rides_sent)
        })
        .await;
        let counted = (summary.rides.refused, summary.rides.unknown);
        assert_eq!(counted, (0, rides_sent), "{summary:?}");
    }
}

#[tokio::test]
async fn a_run_of_a_time_ends_when_the_rides_are_used_up() {
    let server = Foreign::start(Behaviour::default()).await;
    let mut config = rides(&server.target, 1);
    config.schedule = Schedule::Closed(Until::Time(20 * SECOND));
    config.ranges.skiers = parse_range("1").unwrap();
    config.ranges.minutes = parse_range("1").unwrap();
    let summary = summary(config).await;
    assert_eq!(
        (summary.ended, summary.rides.accepted),
        (Ended::RidesUsedUp, 120)
    );
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_is_sent() {
    let server = Foreign::start(Behaviour::default()).await;
    let config = rides(&server.target, 10);
    let limits = |close| BreakerLimits {
        open: 10,
        close,
        open_interval: SECOND,
        close_interval: SECOND,
    };
    let mut small = config.clone();
    small.schedule = Schedule::Closed(Until::Rides(600_001));
    let mut none = config.clone();
    none.connections = Some(0);
    let mut held_open = config.clone();
    held_open.breaker = Some(limits(4));
    let mut flapping = config.clone();
    flapping.breaker = Some(limits(11));
    let mut only_reads = config.clone();
    only_reads.reads = 1.0;
    let mut too_slow = config.clone();
    too_slow.schedule = Schedule::Rate(0.0, Until::Rides(5));
    let long = Duration::MAX;
    let mut endless = config.clone();
    endless.schedule = Schedule::Closed(Until::Time(long));
    let mut slow = config.clone();
    slow.schedule = Schedule::Rate(1e-9, Until::Rides(5));
    let mut patient = config.clone();
    (patient.timeout, patient.give_up_after) = (long, long);
    let mut verifying = config.clone();
    verifying.verify = Some(long);
    for (config, says) in [
        (endless, "the duration of a run must not be longer than 365"),
        (slow, "a run must not last longer than 365 days"),
        (patient, "the timeout must not be longer"),
        (verifying, "the timeout of the verification must not"),
        (
            small,
            "contain 600000 distinct rides, fewer than the requested 600001",
        ),
        (none, "1 to 60000 threads"),
        (held_open, "would never close again"),
        (flapping, "close must not be above open"),
        (only_reads, "a run with only reads sends no rides"),
        (too_slow, "a rate of 0"),
    ] {
        let error = outcome(config).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!((server.posts(), server.reads()), (0, 0));
}
