//! The way from the publisher to the worker, on both engines.

use std::time::Duration;

use skilift_core::engine::Pipeline;
use skilift_core::lifecycle::Signals;
use skilift_core::message::MessageBody;
use skilift_core::queue::{PublishError, PublisherConfig, Shed};
use skilift_core::ride::Ride;

use crate::engines::{CONFIG, Ground, Setup, eventually, on_both_engines, rides_of, take};
use crate::shared::ride;

on_both_engines! {
    rides_that_arrive_together_leave_together_numbered_without_gaps
    what_is_not_acknowledged_comes_back_and_says_how_often
    a_cancelled_consumer_hands_out_what_was_delivered_and_can_go_on
    shedding_and_the_bound_in_flight_refuse_at_once
    above_the_high_water_mark_rides_are_refused_until_the_queue_empties
    closing_sends_what_was_accepted_and_ends_the_lanes
}

async fn rides_that_arrive_together_leave_together_numbered_without_gaps<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    let rides: Vec<Ride> = (1..=95).map(|skier| ride(1, 1, skier, 1, 1)).collect();
    let all = rides.iter().map(|ride| setup.publisher.publish(ride));
    for accepted in futures_util::future::join_all(all).await {
        accepted.unwrap();
    }
    let mut consumer = setup.pipeline(100).await;
    let mut received = Vec::new();
    let mut ids = Vec::new();
    while received.len() < rides.len() {
        let message = take(&mut consumer).await;
        let in_it = rides_of(&message);
        assert!(in_it.len() <= 10);
        assert_eq!(
            (message.rides, message.format, message.returns),
            (Some(in_it.len() as u32), Some(1), 0)
        );
        assert!(message.accepted_at_ms.is_some());
        ids.push(message.id.unwrap());
        received.extend(in_it);
    }
    received.sort_unstable();
    assert_eq!(received, rides);
    assert!(ids.len() <= 12, "{} messages for 95 rides", ids.len());
    assert!(
        ids.windows(2)
            .all(|pair| pair[1].sequence == pair[0].sequence + 1 && pair[1].epoch == pair[0].epoch)
    );
    assert_eq!(ids[0].sequence, 1);
}

async fn what_is_not_acknowledged_comes_back_and_says_how_often<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    for skier in 1..=3 {
        setup
            .publisher
            .publish(&ride(1, 1, skier, 1, 1))
            .await
            .unwrap();
    }
    let mut first = setup.pipeline(10).await;
    let tags = [
        take(&mut first).await.tag,
        take(&mut first).await.tag,
        take(&mut first).await.tag,
    ];
    first.ack_up_to(tags[1]).await.unwrap();
    first.close().await;
    let mut second = setup.pipeline(10).await;
    let back = take(&mut second).await;
    assert_eq!(
        (rides_of(&back), back.returns),
        (vec![ride(1, 1, 3, 1, 1)], 1)
    );
}

async fn a_cancelled_consumer_hands_out_what_was_delivered_and_can_go_on<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    for skier in 1..=5 {
        setup
            .publisher
            .publish(&ride(1, 1, skier, 1, 1))
            .await
            .unwrap();
    }
    let mut consumer = setup.pipeline(2).await;
    let first = take(&mut consumer).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    consumer.cancel().await.unwrap();
    let second = take(&mut consumer).await;
    assert!(consumer.next().await.is_none());
    consumer.ack_up_to(second.tag).await.unwrap();
    consumer.resume(10).await.unwrap();
    let rest = [
        take(&mut consumer).await,
        take(&mut consumer).await,
        take(&mut consumer).await,
    ];
    assert!(first.tag < second.tag && rest.is_sorted_by_key(|message| message.tag));
    // What was on its way when the consumer was cancelled came back once.
    assert!(rest.iter().all(|message| message.returns <= 1));
}

async fn shedding_and_the_bound_in_flight_refuse_at_once<G: Ground>() {
    let setup = Setup::<G>::new(PublisherConfig {
        max_in_flight: 5,
        ..CONFIG
    })
    .await;
    setup.admission.set(Shed::StoreMemory, true);
    let refused = setup.publisher.publish(&ride(1, 1, 1, 1, 1)).await;
    assert_eq!(refused, Err(PublishError::Shed(Shed::StoreMemory)));
    setup.admission.set(Shed::StoreMemory, false);
    let mut body = MessageBody::default();
    (1..=6).for_each(|skier| body.push(&ride(1, 1, skier, 1, 1)));
    assert_eq!(
        setup.publisher.publish_message(body).await,
        Err(PublishError::TooManyInFlight)
    );
    setup.publisher.publish(&ride(1, 1, 1, 1, 1)).await.unwrap();
}

async fn above_the_high_water_mark_rides_are_refused_until_the_queue_empties<G: Ground>() {
    let setup = Setup::<G>::new(PublisherConfig {
        high_water_rides: 3,
        ..CONFIG
    })
    .await;
    for skier in 1..=5 {
        let _ = setup.publisher.publish(&ride(1, 1, skier, 1, 1)).await;
    }
    eventually("the backlog is noticed", || {
        setup.admission.shedding() == Some(Shed::Backlog)
    })
    .await;
    let mut consumer = setup.pipeline(10).await;
    let mut rides = 0;
    while rides < 4 {
        let message = take(&mut consumer).await;
        rides += rides_of(&message).len();
        consumer.ack_up_to(message.tag).await.unwrap();
    }
    eventually("the queue is empty", || {
        setup.admission.shedding().is_none()
    })
    .await;
}

async fn closing_sends_what_was_accepted_and_ends_the_lanes<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    let ride = ride(1, 1, 1, 1, 1);
    let sending = setup.publisher.publish(&ride);
    let closing = async {
        setup.lifecycle.drain();
        setup.publisher.close();
    };
    let (sent, ()) = tokio::join!(sending, closing);
    sent.unwrap();
    let code = setup
        .lifecycle
        .run_until_drained(Signals::install().unwrap(), Duration::from_secs(60))
        .await;
    assert_eq!(
        format!("{code:?}"),
        format!("{:?}", std::process::ExitCode::SUCCESS)
    );
}
