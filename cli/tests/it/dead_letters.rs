//! Lines that cannot be applied.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use skilift_core::reconciliation::Reconciliation;
use skilift_core::ride::Ride;

use crate::load::{Sent, distinct_ride};
use crate::system::System;

const POISON: [&str; 4] = [
    "poison",
    r#"{"resortID":1,"seasonID":"2025","dayID":400,"skierID":1,"time":1,"liftID":1}"#,
    r#"{"resortID":1,"seasonID":"2025","dayID":1,"skierID":1,"time":1"#,
    "\u{0}",
];

async fn channel(system: &System) -> Channel {
    let url = system.rabbit.amqp_url();
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    connection.create_channel().await.unwrap()
}

/// What the books must say when nobody of ours sent anything: lines that came, new rides, dead lines.
fn check_foreign(books: &Reconciliation, foreign: u64, applied: u64, dead: u64) {
    let expected = Reconciliation {
        foreign,
        applied,
        dead,
        ..Reconciliation::default()
    };
    assert_eq!(books, &expected);
    assert_eq!(books.duplicate(), 0);
}

/// Puts a message into the queue of rides as RabbitMQ's own tools would, poison among good rides.
async fn publish_poisoned(channel: &Channel, system: &System, rides: &[Ride]) {
    let mut body = String::new();
    for (ride, poison) in rides.iter().zip(POISON.iter().cycle()) {
        body += &format!("{}\n{poison}\n", serde_json::to_string(ride).unwrap());
    }
    let queue = system.stack.ride_queue();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    channel
        .basic_publish(
            "".into(),
            queue.as_str().into(),
            BasicPublishOptions::default(),
            body.as_bytes(),
            persistent,
        )
        .await
        .unwrap();
}

/// Takes all dead letters: their lines and reasons.
async fn take_dead(channel: &Channel, system: &System) -> Vec<(String, String)> {
    let queue = system.stack.dead_letter_queue();
    let mut taken = Vec::new();
    while let Some(got) = channel
        .basic_get(queue.as_str().into(), BasicGetOptions::default())
        .await
        .unwrap()
    {
        let headers = got.delivery.properties.headers().clone().unwrap();
        let reason = headers.inner()["reason"]
            .as_long_string()
            .unwrap()
            .to_string();
        taken.push((
            String::from_utf8_lossy(&got.delivery.data).into_owned(),
            reason,
        ));
        got.delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    taken
}

fn all_accepted(rides: &[Ride]) -> Sent {
    let rides: std::collections::BTreeSet<Ride> = rides.iter().copied().collect();
    Sent {
        accepted: rides.clone(),
        sent: rides,
        ..Sent::default()
    }
}

#[tokio::test]
async fn poison_among_good_rides_goes_to_the_dead_letters_and_the_rest_is_stored() {
    let mut system = System::start().await;
    let channel = channel(&system).await;
    let rides: Vec<Ride> = (0..200).map(distinct_ride).collect();
    publish_poisoned(&channel, &system, &rides).await;
    system.wait_until_stored().await;
    let figures = system.compare(&all_accepted(&rides)).await;
    assert_eq!(
        (
            figures.stored,
            figures.lost,
            figures.foreign,
            figures.doubled
        ),
        (200, 0, 0, 0)
    );
    check_foreign(&figures.books, 400, 200, 200);
    let dead = take_dead(&channel, &system).await;
    assert_eq!(dead.len(), 200);
    for (poison, reason) in POISON.iter().zip([
        "expected",
        "dayID must be a whole number from 1 to 366",
        "EOF",
        "expected",
    ]) {
        let of_kind: Vec<_> = dead.iter().filter(|(line, _)| line == poison).collect();
        assert_eq!(of_kind.len(), 50, "{poison}");
        assert!(
            of_kind.iter().all(|(_, why)| why.contains(reason)),
            "{:?}",
            of_kind[0]
        );
    }
    system.worker.drain().await;
    eprintln!(
        "poison among good rides: sent 400 lines, stored 200, dead letters 200, lost 0, doubled 0"
    );
}

#[tokio::test]
async fn a_full_dead_letter_queue_holds_the_lane_and_drops_nothing() {
    let system = System::start().await;
    let channel = channel(&system).await;
    let dead_queue = system.stack.dead_letter_queue();
    let limit = [
        "set_policy",
        "small",
        r"\.dead$",
        r#"{"max-length":2}"#,
        "--apply-to",
        "queues",
    ];
    system.rabbit.ctl(&limit).await.unwrap();
    let rides: Vec<Ride> = (0..40).map(distinct_ride).collect();
    // A quorum queue tells its publishers that it is full only after it is.
    publish_poisoned(&channel, &system, &rides[..20]).await;
    system.wait_until_stored().await;
    publish_poisoned(&channel, &system, &rides[20..]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        system.worker.log().contains("is full"),
        "{}",
        system.worker.log()
    );
    // The message waits, whole, in the hands of the lane.
    assert_eq!(system.messages_in(&system.stack.ride_queue()).await, 1);
    let look = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let held = channel
        .queue_declare(dead_queue.as_str().into(), look, Default::default())
        .await
        .unwrap();
    assert!(held.message_count() < 40);
    system.rabbit.ctl(&["clear_policy", "small"]).await.unwrap();
    system.wait_until_stored().await;
    let figures = system.compare(&all_accepted(&rides)).await;
    assert_eq!(
        (
            figures.stored,
            figures.lost,
            figures.foreign,
            figures.doubled
        ),
        (40, 0, 0, 0)
    );
    check_foreign(&figures.books, 80, 40, 40);
    // A letter that was put away before the queue was full may be there more than once; none is missing.
    let dead = take_dead(&channel, &system).await;
    for poison in POISON {
        assert!(
            dead.iter().filter(|(line, _)| line == poison).count() >= 10,
            "{dead:?}"
        );
    }
    eprintln!(
        "the dead-letter queue full: sent 80 lines, stored 40, dead letters {} of 40 lines, lost 0, doubled 0",
        dead.len()
    );
}
