//! What only RabbitMQ can do to a publisher and a worker.

use std::task::Poll;

use skilift_core::queue::DeadLetter;
use skilift_core::queue::rabbit::{Broker, Consumer, DeadLetterPublisher};
use skilift_core::service_url::ServiceUrl;
use skilift_core::stack::StackName;
use skilift_servers::shared_amqp_url;

use crate::engines::{CONFIG, Servers, Setup, connect, eventually, take};
use crate::shared::{fresh_stack, ride};

#[tokio::test]
async fn a_deleted_queue_refuses_the_ride_and_is_there_again_for_the_next() {
    let setup = Setup::<Servers>::new(CONFIG).await;
    let channel = setup.ground.broker.channel().await.unwrap();
    let queue = setup.ground.stack.ride_queue();
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
    assert_eq!(setup.publisher.confirmed(), []);
    eventually("the channel opens again", || {
        setup.publisher.check_open().is_ok()
    })
    .await;
    setup.publisher.publish(&ride(1, 1, 1, 1, 1)).await.unwrap();
    let [epoch] = setup.publisher.confirmed()[..] else {
        panic!("{:?}", setup.publisher.confirmed())
    };
    assert_eq!(
        (epoch.high_watermark, epoch.rides, epoch.ended),
        (1, 1, false)
    );
}

#[tokio::test]
async fn a_life_that_a_refusal_ends_keeps_what_was_confirmed_before() {
    let setup = Setup::<Servers>::new(CONFIG).await;
    for minute in 1..=3 {
        let ride = ride(1, 1, 1, minute, 1);
        setup.publisher.publish(&ride).await.unwrap();
    }
    let channel = setup.ground.broker.channel().await.unwrap();
    let queue = setup.ground.stack.ride_queue();
    let deleting = channel.queue_delete(
        queue.as_str().into(),
        lapin::options::QueueDeleteOptions::default(),
    );
    deleting.await.unwrap();
    let refused = setup.publisher.publish(&ride(1, 1, 1, 4, 1)).await;
    refused.unwrap_err();
    eventually("the epoch ends", || {
        setup.publisher.confirmed().iter().all(|epoch| epoch.ended)
    })
    .await;
    let [epoch] = setup.publisher.confirmed()[..] else {
        panic!("{:?}", setup.publisher.confirmed())
    };
    assert_eq!((epoch.high_watermark, epoch.rides), (3, 3));
}

/// Polls an attempt so often, then drops it; returns whether the consumer was open by then.
async fn open_with(polls: u32, broker: &Broker, stack: &StackName) -> bool {
    let mut opening = std::pin::pin!(Consumer::open(broker, stack, 1));
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        match opening.as_mut().poll(context) {
            Poll::Ready(opened) => Poll::Ready(opened.is_ok()),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// A worker thread whose settings change while it connects abandons the attempt wherever it is.
#[tokio::test]
async fn a_consumer_that_is_abandoned_while_it_opens_holds_no_message() {
    const MESSAGES: u64 = 20;
    let setup = Setup::<Servers>::new(CONFIG).await;
    let (broker, stack) = (&setup.ground.broker, &setup.ground.stack);
    for minute in 1..=MESSAGES {
        let ride = ride(1, 1, 1, minute, 1);
        setup.publisher.publish(&ride).await.unwrap();
    }
    // Each attempt gets one poll more than the one before it, until several have opened a consumer.
    let (mut polls, mut opened) = (0, 0);
    while opened < 5 {
        polls += 1;
        opened += usize::from(open_with(polls, broker, stack).await);
    }
    let mut consumer = Consumer::open(broker, stack, 100).await.unwrap();
    let mut messages = std::collections::BTreeSet::new();
    eventually("every message is delivered", || {
        while let Some(Some(delivered)) = futures_util::FutureExt::now_or_never(consumer.next()) {
            messages.insert(delivered.unwrap().id.unwrap().to_string());
        }
        messages.len() as u64 == MESSAGES
    })
    .await;
    consumer.close().await;
}

#[tokio::test]
async fn a_message_says_which_dead_letter_it_sends_again() {
    let setup = Setup::<Servers>::new(CONFIG).await;
    let channel = setup.ground.broker.channel().await.unwrap();
    let queue = setup.ground.stack.ride_queue();
    for replay in ["00000000000000ff-1-9-4", "", "an id with spaces"] {
        let mut headers = lapin::types::FieldTable::default();
        let text = lapin::types::AMQPValue::LongString(replay.into());
        headers.insert("replay".into(), text);
        let properties = lapin::BasicProperties::default().with_headers(headers);
        let options = lapin::options::BasicPublishOptions::default();
        let publishing =
            channel.basic_publish("".into(), queue.as_str().into(), options, b"x", properties);
        publishing.await.unwrap();
    }
    let mut pipeline = setup.pipeline(10).await;
    let mut replays = Vec::new();
    for _ in 0..3 {
        replays.push(take(&mut pipeline).await.replay_of);
    }
    assert_eq!(
        replays,
        [Some("00000000000000ff-1-9-4".to_owned()), None, None]
    );
}

#[tokio::test]
async fn a_dead_letter_keeps_line_reason_and_origin() {
    let stack = fresh_stack("dead");
    let broker = connect();
    let letters = DeadLetterPublisher::open(&broker, &stack).await.unwrap();
    let letter = DeadLetter {
        id: "00000000000000ff-1-9-4".to_owned(),
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
        ("not a ride".into(), "00000000000000ff-1-9-4".into())
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
