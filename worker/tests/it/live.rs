//! Settings, pause and drain while rides flow.

use std::time::Duration;

use skilift_core::control::heartbeat::Activity;
use skilift_core::control::{Durations, WorkerSettings};
use skilift_core::health::Readiness;
use skilift_core::ride::{Day, ResortDay, ResortId};

use crate::ground::{FLAGS, Ground, on_both_engines, until};

on_both_engines! {
    settings_that_change_under_load_lose_and_double_nothing
    a_paused_worker_holds_nothing_and_goes_on_where_it_was
    what_has_arrived_counts_as_unacked_before_it_is_in_a_batch
    a_drained_worker_stays_and_can_be_undrained
    a_worker_says_what_it_did
}

async fn settings_that_change_under_load_lose_and_double_nothing(ground: Ground) {
    let flow = ground.flow();
    let settings = |threads, prefetch, batch, linger_ms| WorkerSettings {
        threads,
        prefetch,
        batch,
        linger_ms,
    };
    let all = [
        settings(16, 400, 100, 5),
        settings(1, 400, 100, 5),
        settings(4, 4000, 1000, 25),
        settings(4, 8, 1, 0),
        settings(9, 100, 50, 1),
        settings(2, 400, 100, 5),
    ];
    for (number, settings) in (1..).zip(all) {
        ground.set(number, settings).await;
        let report = ground.report();
        assert_eq!(report.settings, settings);
        assert_eq!(
            report.consumers.len(),
            (settings.threads as usize).min(ground.max_consumers)
        );
        let before = report.acked_rides;
        until("rides are stored by them", || {
            ground.report().acked_rides > before + 200
        })
        .await;
    }
    let accepted = flow.stop().await;
    assert!(accepted > 1000, "too few rides to prove anything");
    ground.stored(accepted).await;
    // Every consumer stored and acknowledged what it had received before it ended.
    let report = ground.report();
    assert_eq!(report.delivered_rides, report.acked_rides);
    assert_eq!(rides_in_ledger(&ground).await, accepted);
    ground.end().await;
}

async fn what_has_arrived_counts_as_unacked_before_it_is_in_a_batch(ground: Ground) {
    let one_at_a_time = WorkerSettings {
        threads: 1,
        prefetch: 4000,
        batch: 1,
        linger_ms: 0,
    };
    ground.set(1, one_at_a_time).await;
    ground.pause(true);
    until("it is paused", || {
        ground.status().activity == Activity::Paused
    })
    .await;
    let flow = ground.flow();
    tokio::time::sleep(Duration::from_millis(300)).await;
    ground.pause(false);
    until("more is unacked than fits into a batch", || {
        let consumers = ground.report().consumers;
        consumers.iter().any(|of| of.unacked_messages > 3)
    })
    .await;
    let accepted = flow.stop().await;
    ground.stored(accepted).await;
    ground.end().await;
}

async fn a_paused_worker_holds_nothing_and_goes_on_where_it_was(ground: Ground) {
    let flow = ground.flow();
    until("rides are stored", || ground.report().acked_rides > 100).await;
    ground.pause(true);
    until("it is paused", || {
        ground.status().activity == Activity::Paused
    })
    .await;
    let paused = ground.report();
    assert_eq!(paused.delivered_rides, paused.acked_rides);
    assert_eq!(
        (paused.consumers.len(), paused.oldest_unacked_accepted_at_ms),
        (0, None)
    );
    assert_eq!(ground.status().health.status, Readiness::Ready);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let still = ground.report();
    assert_eq!(still.delivered_messages, paused.delivered_messages);
    // What changes meanwhile counts afterwards.
    ground
        .set(
            1,
            WorkerSettings {
                threads: 3,
                ..FLAGS
            },
        )
        .await;
    assert_eq!(ground.report().consumers.len(), 0);
    ground.pause(false);
    let accepted = flow.stop().await;
    ground.stored(accepted).await;
    assert_eq!(ground.status().activity, Activity::Active);
    assert_eq!(ground.report().consumers.len(), 3.min(ground.max_consumers));
    let report = ground.report();
    assert_eq!(report.delivered_rides, report.acked_rides);
    ground.end().await;
}

async fn a_drained_worker_stays_and_can_be_undrained(ground: Ground) {
    let flow = ground.flow();
    until("rides are stored", || ground.report().acked_rides > 100).await;
    ground.drain(Some("p1"));
    let plan = "p1".to_owned();
    let drained = Activity::Drained { plan };
    until("it is drained", || ground.status().activity == drained).await;
    let report = ground.report();
    assert_eq!(report.delivered_rides, report.acked_rides);
    assert_eq!(ground.status().health.status, Readiness::Draining);
    // A pause that begins and ends meanwhile changes nothing.
    ground.pause(true);
    ground.pause(false);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(ground.status().activity, drained);
    ground.drain(None);
    let accepted = flow.stop().await;
    ground.stored(accepted).await;
    let report = ground.report();
    assert_eq!(report.delivered_rides, report.acked_rides);
    ground.end().await;
}

async fn a_worker_says_what_it_did(ground: Ground) {
    let flow = ground.flow();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let accepted = flow.stop().await;
    // Not asked before: durations are those since the last time.
    let is_stored = || ground.worker.counts.applied() == accepted;
    until("everything is stored", is_stored).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let report = ground.report();
    let stored_after = Durations::read(&report.accept_to_stored_ms.unwrap()).unwrap();
    assert_eq!(stored_after.len(), accepted);
    assert!(stored_after.max() < 60_000, "{} ms", stored_after.max());
    assert_eq!(
        (
            report.delivered_rides,
            report.acked_rides,
            report.applied_rides
        ),
        (accepted, accepted, accepted)
    );
    assert!(report.busy_ms > 0);
    assert_eq!(report.oldest_unacked_accepted_at_ms, None);
    let by_consumer: u64 = report
        .consumers
        .iter()
        .map(|consumer| consumer.acked_rides)
        .sum();
    assert_eq!(by_consumer, accepted);
    let is_busy = |consumer: &skilift_core::control::heartbeat::ConsumerReport| {
        consumer.prefetch_messages > 0
            && consumer.unacked_messages == 0
            && consumer.blocked_reason.is_none()
    };
    assert!(
        report.consumers.iter().all(is_busy),
        "{:?}",
        report.consumers
    );
    assert_eq!(ground.report().accept_to_stored_ms, None);
    ground.end().await;
}

async fn rides_in_ledger(ground: &Ground) -> u64 {
    let mut rides = 0;
    for day in 1..=366 {
        let day = ResortDay {
            resort: ResortId::new(1).unwrap(),
            season: "2025".parse().unwrap(),
            day: Day::new(day).unwrap(),
        };
        let counters = ground.reader.counters(day).await.unwrap();
        if counters.rides == 0 {
            break;
        }
        let mut in_ledger = 0;
        let mut count = |_, boardings: Vec<_>| in_ledger += boardings.len() as u64;
        ground.reader.scan_day(day, &mut count).await.unwrap();
        rides += in_ledger;
    }
    rides
}
