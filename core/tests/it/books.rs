//! Reconciliation of whole engines: it balances however often messages are redelivered.

use skilift_core::engine::{Engine, Pipeline};
use skilift_core::queue::Delivery;
use skilift_core::reconciliation::{OwnQueue, Reconciliation, Settlement};
use skilift_core::store::batch::Batch;

use crate::engines::{CONFIG, Ground, Setup, on_both_engines, rides_of, take};
use crate::shared::ride;

on_both_engines! {
    what_comes_again_is_settled_once_and_what_was_confirmed_is_marked
    what_is_applied_outside_of_an_intake_is_counted_once
    what_is_settled_and_not_acknowledged_comes_again_and_counts_once
}

fn settlement(delivery: &Delivery) -> Settlement {
    Settlement {
        message: delivery.id,
        is_replay: delivery.replay_of.is_some(),
        rides: rides_of(delivery).len() as u32,
        dead: 0,
    }
}

/// Applies and settles a batch of at most two messages, twice, as after an answer that was lost: its rides and its tag.
async fn store_batch(pipeline: &mut impl Pipeline, most_rides: usize) -> (usize, u64) {
    let mut messages = vec![take(pipeline).await];
    if rides_of(&messages[0]).len() < most_rides {
        messages.push(take(pipeline).await);
    }
    let rides: Vec<_> = messages.iter().flat_map(rides_of).collect();
    let (count, batch) = (rides.len(), Batch::new(rides));
    let settlements: Vec<Settlement> = messages.iter().map(settlement).collect();
    pipeline.apply(&batch).await.unwrap();
    for _ in 0..2 {
        pipeline.settle(&settlements).await.unwrap();
    }
    (count, messages[messages.len() - 1].tag)
}

/// Stores and acknowledges batch after batch, until it has seen so many rides.
async fn store(pipeline: &mut impl Pipeline, rides: usize) {
    let mut seen = 0;
    while seen < rides {
        let (count, tag) = store_batch(pipeline, rides - seen).await;
        seen += count;
        pipeline.ack_up_to(tag).await.unwrap();
    }
}

fn equation(books: &Reconciliation) -> (u64, u64, i64, u64) {
    let taken = books.settled + books.replayed + books.foreign;
    (taken, books.applied, books.duplicate(), books.dead)
}

async fn what_comes_again_is_settled_once_and_what_was_confirmed_is_marked<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    // Two rides of each skier, and every third is sent twice.
    let rides = (1..=90).map(|n| ride(1, 1, 1 + n % 30, 1 + n % 60, 1));
    let rides: Vec<_> = rides.collect();
    let all = rides.iter().map(|ride| setup.publisher.publish(ride));
    for accepted in futures_util::future::join_all(all).await {
        accepted.unwrap();
    }
    let reader = setup.ground.reader();
    // Stored and settled, and never acknowledged.
    let mut first = setup.pipeline(100).await;
    store_batch(&mut first, 90).await;
    first.close().await;
    let mut second = setup.pipeline(100).await;
    store(&mut second, 90).await;

    let books = reader.reconciliation().await.unwrap();
    assert_eq!(equation(&books), (90, 60, 30, 0));
    let [confirmed] = setup.publisher.confirmed()[..] else {
        panic!("{:?}", setup.publisher.confirmed())
    };
    assert_eq!((confirmed.rides, confirmed.ended), (90, false));
    let [book] = &books.epochs[..] else {
        panic!("{books:?}")
    };
    assert_eq!(
        (book.epoch, book.channel, book.rides),
        (confirmed.epoch, confirmed.channel, 90)
    );
    assert_eq!(book.marked, [(1, confirmed.high_watermark)]);
    if let Some(own_queue) = books.own_queue {
        let settled = OwnQueue {
            accepted: 90,
            waiting: 0,
        };
        assert_eq!(own_queue, settled);
    }
    // What was indexed with the settlement is found.
    let days = reader
        .days_of_skier(rides[0].skier, &|_| true)
        .await
        .unwrap();
    assert_eq!(days, [rides[0].resort_day()]);
}

async fn what_is_applied_outside_of_an_intake_is_counted_once<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    let ride = ride(1, 1, 1, 1, 1);
    setup.publisher.publish(&ride).await.unwrap();
    let reader = setup.ground.reader();
    for _ in 0..2 {
        setup.engine.apply(&Batch::new(vec![ride])).await.unwrap();
        let books = reader.reconciliation().await.unwrap();
        // It is counted where it happened; that its message was taken is not said yet.
        assert_eq!(equation(&books), (0, 1, -1, 0));
        assert!(
            books
                .own_queue
                .is_none_or(|own| (own.accepted, own.waiting) == (1, 1))
        );
    }
    let mut pipeline = setup.pipeline(10).await;
    store(&mut pipeline, 1).await;
    let books = reader.reconciliation().await.unwrap();
    assert_eq!(equation(&books), (1, 1, 0, 0));
}

async fn what_is_settled_and_not_acknowledged_comes_again_and_counts_once<G: Ground>() {
    let setup = Setup::<G>::new(CONFIG).await;
    for minute in 1..=5 {
        let ride = ride(1, 1, 1, minute, 1);
        setup.publisher.publish(&ride).await.unwrap();
    }
    let reader = setup.ground.reader();
    let mut first = setup.pipeline(10).await;
    store(&mut first, 2).await;
    store_batch(&mut first, 3).await;
    first.close().await;
    let mut second = setup.pipeline(10).await;
    store(&mut second, 3).await;
    let books = reader.reconciliation().await.unwrap();
    assert_eq!(equation(&books), (5, 5, 0, 0));
    assert_eq!(books.epochs[0].marked, [(1, 5)]);
}
