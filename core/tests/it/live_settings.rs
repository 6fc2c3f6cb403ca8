//! A publisher whose settings change while rides flow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skilift_core::control::ApiSettings;
use skilift_core::engine::Pipeline;
use skilift_core::queue::{PublishError, PublisherConfig};
use tokio::task::JoinSet;

use crate::engines::{CONFIG, Ground, Setup, eventually, on_both_engines, take};
use crate::shared::ride;

on_both_engines! {
    no_ride_is_refused_while_lanes_come_and_go
    a_lower_bound_in_flight_counts_at_once
}

/// Clients that post at once.
const CLIENTS: u64 = 100;

async fn no_ride_is_refused_while_lanes_come_and_go<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for client in 1..=CLIENTS {
        let (publisher, stop) = (setup.publisher.clone(), Arc::clone(&stop));
        clients.spawn(async move {
            let mut accepted = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let (day, minute) = (1 + accepted / 1440, 1 + accepted % 1440);
                let posted = publisher.publish(&ride(1, day, client, minute, 1)).await;
                posted.unwrap_or_else(|error| panic!("refused: {error}"));
                accepted += 1;
            }
            accepted
        });
    }
    let several = G::MAX_CHANNELS;
    for (channels, message_rides) in [(4, 20), (1, 1), (8, 5), (2, 100), (1, 10), (3, 10)] {
        let settings = ApiSettings {
            channels,
            message_rides,
            max_in_flight: 1000,
        };
        setup.publisher.change(settings).await;
        let expected = (channels as usize).min(several);
        assert_eq!(setup.publisher.channels(), expected);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let accepted: u64 = clients.join_all().await.into_iter().sum();
    assert!(
        accepted > 1000,
        "too few rides to prove anything: {accepted}"
    );
    assert_eq!(setup.publisher.accepted(), accepted);

    let confirmed = setup.publisher.confirmed();
    assert_eq!(
        confirmed.iter().map(|epoch| epoch.rides).sum::<u64>(),
        accepted
    );
    eventually("epochs that are over have ended", || {
        let epochs = setup.publisher.confirmed();
        epochs.iter().filter(|epoch| !epoch.ended).count() <= 3.min(several)
    })
    .await;
    // Every epoch is numbered without gaps, up to what was confirmed.
    let mut consumer = setup.pipeline(1000).await;
    let mut epochs: BTreeMap<(u64, u16), Vec<u64>> = BTreeMap::new();
    let mut rides = 0;
    while rides < accepted {
        let message = take(&mut consumer).await;
        let id = message.id.unwrap();
        epochs
            .entry((id.epoch, id.channel))
            .or_default()
            .push(id.sequence);
        rides += u64::from(message.rides.unwrap());
        consumer.ack_up_to(message.tag).await.unwrap();
    }
    assert_eq!(rides, accepted);
    for epoch in setup.publisher.confirmed() {
        let mut numbers = epochs.remove(&(epoch.epoch, epoch.channel)).unwrap();
        numbers.sort_unstable();
        assert!(
            numbers.into_iter().eq(1..=epoch.high_watermark),
            "{epoch:?}"
        );
    }
    assert!(epochs.is_empty(), "{epochs:?}");
}

async fn a_lower_bound_in_flight_counts_at_once<G: Ground>() {
    let setup = Setup::<G>::new(PublisherConfig {
        max_in_flight: 10_000,
        ..CONFIG
    })
    .await;
    let settings = |max_in_flight| ApiSettings {
        channels: 1,
        message_rides: 2,
        max_in_flight,
    };
    setup.publisher.change(settings(2)).await;
    assert_eq!(setup.publisher.settings(), settings(2));
    let rides: Vec<_> = (1..=50).map(|skier| ride(1, 1, skier, 1, 1)).collect();
    let posting = rides.iter().map(|ride| setup.publisher.publish(ride));
    let outcomes = futures_util::future::join_all(posting).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(PublishError::TooManyInFlight));
    assert_eq!(refused.count(), 48);
    setup.publisher.change(settings(10_000)).await;
    let posting = rides.iter().map(|ride| setup.publisher.publish(ride));
    for outcome in futures_util::future::join_all(posting).await {
        outcome.unwrap();
    }
    assert_eq!(setup.publisher.in_flight(), 0);
}
