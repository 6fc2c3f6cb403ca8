//! The publisher and the consumer against a real RabbitMQ.

use std::sync::Arc;
use std::time::Duration;

use skilift_core::lifecycle::{Lifecycle, Signals};
use skilift_core::message::{MessageBody, lines, parse_line};
use skilift_core::queue::rabbit::{
    Admission, Broker, Consumer, DeadLetter, DeadLetters, Delivery, PublishError, Publisher,
    PublisherConfig, Shed,
};
use skilift_core::ride::Ride;
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_servers::shared_amqp_url;

use crate::shared::{fresh_stack, ride};

const CONFIG: PublisherConfig = PublisherConfig {
    lanes: 1,
    message_rides: 10,
    max_in_flight: 1000,
    high_water_rides: 1_000_000,
};

struct Setup {
    broker: Arc<Broker>,
    stack: StackName,
    admission: Arc<Admission>,
    life: Lifecycle,
    publisher: Publisher,
}

async fn setup(config: PublisherConfig) -> Setup {
    let broker = connect();
    let (stack, admission, life) = (
        fresh_stack("queue"),
        Arc::<Admission>::default(),
        Lifecycle::new(),
    );
    let publisher = Publisher::start(
        config,
        Arc::clone(&broker),
        &stack,
        Arc::clone(&admission),
        &life,
    )
    .await
    .unwrap();
    eventually("the lane opens", || publisher.check_open().is_ok()).await;
    Setup {
        broker,
        stack,
        admission,
        life,
        publisher,
    }
}

fn connect() -> Arc<Broker> {
    Arc::new(Broker::new(ServiceUrl::amqp(&shared_amqp_url()).unwrap(), "test").unwrap())
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

async fn take(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(10), consumer.next());
    next.await.expect("a message within 10 s").unwrap().unwrap()
}

fn rides_of(delivery: &Delivery) -> Vec<Ride> {
    lines(&delivery.body)
        .map(|(_, line)| parse_line(line).unwrap())
        .collect()
}

#[tokio::test]
async fn rides_that_arrive_together_leave_together_numbered_without_gaps() {
    let setup = setup(CONFIG).await;
    let rides: Vec<Ride> = (1..=95).map(|skier| ride(1, 1, skier, 1, 1)).collect();
    let all = rides.iter().map(|ride| setup.publisher.publish(ride));
    for accepted in futures_util::future::join_all(all).await {
        accepted.unwrap();
    }
    let mut consumer = Consumer::open(&setup.broker, &setup.stack, 100)
        .await
        .unwrap();
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

#[tokio::test]
async fn what_is_not_acknowledged_comes_back_and_says_how_often() {
    let setup = setup(CONFIG).await;
    for skier in 1..=3 {
        setup
            .publisher
            .publish(&ride(1, 1, skier, 1, 1))
            .await
            .unwrap();
    }
    let mut first = Consumer::open(&setup.broker, &setup.stack, 10)
        .await
        .unwrap();
    let tags = [
        take(&mut first).await.tag,
        take(&mut first).await.tag,
        take(&mut first).await.tag,
    ];
    first.ack_through(tags[1]).await.unwrap();
    first.close().await;
    let mut second = Consumer::open(&setup.broker, &setup.stack, 10)
        .await
        .unwrap();
    let back = take(&mut second).await;
    assert_eq!(
        (rides_of(&back), back.returns),
        (vec![ride(1, 1, 3, 1, 1)], 1)
    );
}

#[tokio::test]
async fn a_cancelled_consumer_hands_out_what_was_delivered_and_can_go_on() {
    let setup = setup(CONFIG).await;
    for skier in 1..=5 {
        setup
            .publisher
            .publish(&ride(1, 1, skier, 1, 1))
            .await
            .unwrap();
    }
    let mut consumer = Consumer::open(&setup.broker, &setup.stack, 2)
        .await
        .unwrap();
    let first = take(&mut consumer).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    consumer.cancel().await.unwrap();
    let second = take(&mut consumer).await;
    assert!(consumer.next().await.is_none());
    consumer.ack_through(second.tag).await.unwrap();
    consumer.resume(10).await.unwrap();
    let rest = [
        take(&mut consumer).await,
        take(&mut consumer).await,
        take(&mut consumer).await,
    ];
    assert!(first.tag < second.tag && second.tag < rest[0].tag);
    assert!(rest.iter().all(|message| message.returns == 0));
}

#[tokio::test]
async fn shedding_and_the_bound_in_flight_refuse_at_once() {
    let setup = setup(PublisherConfig {
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

#[tokio::test]
async fn above_the_high_water_mark_rides_are_refused_until_the_queue_empties() {
    let setup = setup(PublisherConfig {
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
    let mut consumer = Consumer::open(&setup.broker, &setup.stack, 10)
        .await
        .unwrap();
    eventually("the queue is empty", || {
        setup.admission.shedding().is_none()
    })
    .await;
    let message = take(&mut consumer).await;
    consumer.ack_through(message.tag).await.unwrap();
}

#[tokio::test]
async fn a_deleted_queue_refuses_the_ride_and_is_there_again_for_the_next() {
    let setup = setup(CONFIG).await;
    let channel = setup.broker.channel().await.unwrap();
    let queue = setup.stack.ride_queue();
    channel
        .queue_delete(
            queue.as_str().into(),
            lapin::options::QueueDeleteOptions::default(),
        )
        .await
        .unwrap();
    let refused = setup
        .publisher
        .publish(&ride(1, 1, 1, 1, 1))
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no queue"), "{refused}");
    eventually("the lane opens again", || {
        setup.publisher.check_open().is_ok()
    })
    .await;
    setup.publisher.publish(&ride(1, 1, 1, 1, 1)).await.unwrap();
}

#[tokio::test]
async fn closing_sends_what_was_accepted_and_ends_the_lanes() {
    let setup = setup(CONFIG).await;
    let ride = ride(1, 1, 1, 1, 1);
    let sending = setup.publisher.publish(&ride);
    let closing = async {
        setup.life.drain();
        setup.publisher.close();
    };
    let (sent, ()) = tokio::join!(sending, closing);
    sent.unwrap();
    let code = setup
        .life
        .run_until_drained(Signals::install().unwrap(), Duration::from_secs(5))
        .await;
    assert_eq!(
        format!("{code:?}"),
        format!("{:?}", std::process::ExitCode::SUCCESS)
    );
}

#[tokio::test]
async fn a_dead_letter_keeps_line_reason_and_origin() {
    let stack = fresh_stack("dead");
    let broker = connect();
    let letters = DeadLetters::open(&broker, &stack).await.unwrap();
    let letter = DeadLetter {
        line: b"poison".to_vec(),
        reason: "not a ride".to_owned(),
        message: "00000000000000ff-1-9".parse().ok(),
        line_number: 4,
    };
    letters.put(&letter).await.unwrap();
    let channel = broker.channel().await.unwrap();
    let queue = stack.dead_letter_queue();
    let got = channel
        .basic_get(
            queue.as_str().into(),
            lapin::options::BasicGetOptions::default(),
        )
        .await;
    let message = got.unwrap().unwrap().delivery;
    assert_eq!(message.data, b"poison");
    let headers = message.properties.headers().as_ref().unwrap();
    let text = |name: &str| headers.inner()[name].as_long_string().unwrap().to_string();
    assert_eq!(
        (text("reason"), text("id")),
        ("not a ride".into(), "00000000000000ff-1-9:4".into())
    );
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_refused_in_words() {
    let stack = fresh_stack("other");
    let broker = connect();
    let channel = broker.channel().await.unwrap();
    let durable = lapin::options::QueueDeclareOptions::durable();
    let queue = stack.ride_queue();
    channel
        .queue_declare(queue.as_str().into(), durable, Default::default())
        .await
        .unwrap();
    let error = Consumer::open(&broker, &stack, 1).await.unwrap_err();
    assert!(error.is_permanent());
    assert!(
        error
            .to_string()
            .contains(&format!("the queue {queue} exists with other arguments")),
        "{error}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_being_shown() {
    let url = shared_amqp_url();
    let (_, host) = url.rsplit_once('@').unwrap();
    let wrong = format!("amqp://someone:s3cret@{host}");
    let broker = Broker::new(ServiceUrl::amqp(&wrong).unwrap(), "test").unwrap();
    let error = broker.channel().await.unwrap_err();
    let text = skilift_core::lifecycle::chain(&error);
    assert!(
        error.is_permanent() && text.contains("refused") && !text.contains("s3cret"),
        "{text}"
    );
}
