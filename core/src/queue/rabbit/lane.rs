//! One lane of the publisher: group commit of rides into messages.
//!
//! Rides that arrive while confirms are outstanding gather in the next message; an idle lane sends a single ride at once.
//! There is no timer: the confirm of one message is what sends the next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use backon::BackoffBuilder;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::broker::{Broker, CALL_TIMEOUT, within_timeout};
use super::publisher::PublishError;
use super::topology;
use crate::clock::epoch_ms;
use crate::lifecycle::{TaskError, chain};
use crate::message::{FORMAT, MessageBody, MessageId};
use crate::ride::Ride;
use crate::stack::StackName;

/// Messages that may wait for their confirm at once. With one alone the broker idles while we work; more make smaller
/// messages, which cost it more.
const MESSAGES_IN_FLIGHT: usize = 2;
/// The second message leaves when it is at least this part of a full one. Until then it gathers: a message costs the
/// broker as much as dozens of rides in it do, so that nearly empty ones are dear.
const WORTH_SENDING: usize = 4;
/// How often an idle lane looks whether its channel still lives.
const CHANNEL_CHECK: Duration = Duration::from_millis(500);
/// What a client learns when nothing is known of its ride's fate.
const UNCONFIRMED: &str =
    "RabbitMQ did not confirm the ride: it may be stored or not, and sending it again is safe";
/// AMQP's delivery mode of a message that survives a restart.
const PERSISTENT: u8 = 2;

/// The waiting room of one lane.
#[derive(Debug)]
pub(super) struct Lane {
    number: u16,
    message_rides: usize,
    /// Rides from which on a message leaves although another is in flight.
    worth_sending: usize,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    /// Rides without an answer, of all lanes.
    in_flight: Arc<AtomicUsize>,
    sent_rides: AtomicU64,
    sent_messages: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    messages: VecDeque<Pending>,
    /// Why nothing is taken, while the lane has no channel.
    closed: Option<Arc<str>>,
}

/// A message that is not confirmed yet.
#[derive(Debug)]
struct Pending {
    body: MessageBody,
    accepted_at_ms: u64,
    /// Whether single rides may still join.
    joinable: bool,
    outcome: Arc<Outcome>,
    in_flight: Arc<AtomicUsize>,
}

/// The answer that all rides of one message wait for.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    answer: OnceLock<Result<(), PublishError>>,
    answered: Notify,
}

impl Outcome {
    fn refused(why: PublishError) -> Arc<Self> {
        let outcome = Self::default();
        outcome.settle(Err(why));
        Arc::new(outcome)
    }

    /// Gives the answer; the first one stands.
    fn settle(&self, answer: Result<(), PublishError>) {
        if self.answer.set(answer).is_ok() {
            self.answered.notify_waiters();
        }
    }

    /// Waits for the answer.
    pub(super) async fn wait(&self) -> Result<(), PublishError> {
        loop {
            let answered = self.answered.notified();
            if let Some(answer) = self.answer.get() {
                return answer.clone();
            }
            answered.await;
        }
    }
}

impl Drop for Pending {
    /// Whatever happens to a message, nobody waits for it in vain.
    fn drop(&mut self) {
        self.in_flight
            .fetch_sub(self.body.rides(), Ordering::Relaxed);
        self.outcome
            .settle(Err(PublishError::Unavailable(UNCONFIRMED.into())));
    }
}

impl Lane {
    pub(super) fn new(number: u16, message_rides: usize, in_flight: Arc<AtomicUsize>) -> Self {
        let closed = Some("the server is still connecting to RabbitMQ".into());
        Self {
            number,
            message_rides,
            worth_sending: message_rides.div_ceil(WORTH_SENDING),
            waiting: Mutex::new(Waiting {
                messages: VecDeque::new(),
                closed,
            }),
            arrived: Notify::new(),
            in_flight,
            sent_rides: AtomicU64::new(0),
            sent_messages: AtomicU64::new(0),
        }
    }

    /// Puts a ride into the message that leaves next.
    pub(super) fn add(&self, ride: &Ride) -> Arc<Outcome> {
        let mut waiting = self.waiting();
        if let Some(why) = &waiting.closed {
            return Outcome::refused(PublishError::Unavailable(Arc::clone(why)));
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        if let Some(last) = waiting.messages.back_mut()
            && last.joinable
            && last.body.rides() < self.message_rides
        {
            last.body.push(ride);
            if last.body.rides() == self.worth_sending {
                self.arrived.notify_one();
            }
            return Arc::clone(&last.outcome);
        }
        let mut body = MessageBody::default();
        body.push(ride);
        self.enqueue(&mut waiting, body, true)
    }

    /// Queues a message of its own.
    pub(super) fn add_message(&self, body: MessageBody) -> Arc<Outcome> {
        let mut waiting = self.waiting();
        if let Some(why) = &waiting.closed {
            return Outcome::refused(PublishError::Unavailable(Arc::clone(why)));
        }
        self.in_flight.fetch_add(body.rides(), Ordering::Relaxed);
        self.enqueue(&mut waiting, body, false)
    }

    pub(super) fn check_open(&self) -> Result<(), PublishError> {
        match &self.waiting().closed {
            Some(why) => Err(PublishError::Unavailable(Arc::clone(why))),
            None => Ok(()),
        }
    }

    /// Rides and messages that were confirmed so far.
    pub(super) fn sent(&self) -> (u64, u64) {
        (
            self.sent_rides.load(Ordering::Relaxed),
            self.sent_messages.load(Ordering::Relaxed),
        )
    }

    /// The message to send now, when so many are in flight.
    fn next_message(&self, in_flight: usize) -> Option<Pending> {
        let mut waiting = self.waiting();
        let is_worth_sending = waiting.messages.front()?.body.rides() >= self.worth_sending;
        let sends = in_flight == 0 || (in_flight < MESSAGES_IN_FLIGHT && is_worth_sending);
        if sends {
            waiting.messages.pop_front()
        } else {
            None
        }
    }

    fn enqueue(&self, waiting: &mut Waiting, body: MessageBody, joinable: bool) -> Arc<Outcome> {
        let outcome = Arc::new(Outcome::default());
        waiting.messages.push_back(Pending {
            body,
            accepted_at_ms: epoch_ms(),
            joinable,
            outcome: Arc::clone(&outcome),
            in_flight: Arc::clone(&self.in_flight),
        });
        self.arrived.notify_one();
        outcome
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that holds the lock can panic half-way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) {
        self.waiting().closed = None;
    }

    /// Refuses what waits and what comes, until the lane opens again.
    fn close(&self, why: &Arc<str>) {
        let refused = {
            let mut waiting = self.waiting();
            waiting.closed = Some(Arc::clone(why));
            std::mem::take(&mut waiting.messages)
        };
        for message in refused {
            message
                .outcome
                .settle(Err(PublishError::Unavailable(Arc::clone(why))));
        }
    }

    fn count_sent(&self, message: &Pending) {
        let rides = message.body.rides();
        self.sent_rides.fetch_add(rides as u64, Ordering::Relaxed);
        self.sent_messages.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("skilift_rides_accepted_total").increment(rides as u64);
        metrics::histogram!("skilift_message_rides").record(rides as f64);
    }
}

/// Runs a lane until `closing`, over as many channels as it takes.
pub(super) async fn run(
    lane: Arc<Lane>,
    broker: Arc<Broker>,
    stack: StackName,
    closing: CancellationToken,
) -> Result<(), TaskError> {
    let backoff = backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter();
    let mut delays = backoff.build();
    loop {
        let confirmed_before = lane.sent().1;
        let ended = run_on_one_channel(&lane, &broker, &stack, &closing).await;
        let Err(why) = ended else { return Ok(()) };
        tracing::warn!(
            lane = lane.number,
            "the publisher lane lost its channel: {why}"
        );
        metrics::counter!("skilift_publisher_channels_lost_total").increment(1);
        lane.close(&why);
        // A channel that confirmed something was a good one: the next attempt comes soon.
        if lane.sent().1 > confirmed_before {
            delays = backoff.build();
        }
        tokio::select! {
            () = tokio::time::sleep(delays.next().unwrap_or_default()) => {}
            () = closing.cancelled() => return Ok(()),
        }
    }
}

/// Publishes on one channel. Any doubt about one message ends it: all that is in flight is then refused.
async fn run_on_one_channel(
    lane: &Lane,
    broker: &Broker,
    stack: &StackName,
    closing: &CancellationToken,
) -> Result<(), Arc<str>> {
    let channel = open_channel(broker, stack).await?;
    lane.open();
    let queue = stack.ride_queue();
    let epoch = MessageId::new_epoch(epoch_ms());
    let mut sequence = 0;
    let mut in_flight = FuturesUnordered::new();
    let mut check = tokio::time::interval(CHANNEL_CHECK);
    loop {
        while let Some(message) = lane.next_message(in_flight.len()) {
            sequence += 1;
            let id = MessageId {
                epoch,
                lane: lane.number,
                sequence,
            };
            in_flight.push(send(&channel, &queue, id, message));
        }
        if in_flight.is_empty() && closing.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            Some((message, confirmed)) = in_flight.next() => match confirmed {
                Ok(()) => {
                    lane.count_sent(&message);
                    message.outcome.settle(Ok(()));
                }
                Err(why) => {
                    refuse(message, &why);
                    // The others' confirms may still come, but nobody may count on them any more.
                    lane.close(&why);
                    return Err(why);
                }
            },
            () = lane.arrived.notified(), if in_flight.len() < MESSAGES_IN_FLIGHT => {}
            () = closing.cancelled(), if in_flight.is_empty() => {}
            _ = check.tick() => if !channel.status().connected() {
                return Err("the connection to RabbitMQ was lost".into());
            }
        }
    }
}

fn refuse(message: Pending, why: &Arc<str>) {
    message
        .outcome
        .settle(Err(PublishError::Unavailable(Arc::clone(why))));
}

async fn open_channel(broker: &Broker, stack: &StackName) -> Result<Channel, Arc<str>> {
    let open = async {
        let channel = broker.channel().await?;
        topology::declare(&channel, stack).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within_timeout("switch publisher confirms on", select).await?;
        Ok(channel)
    };
    open.await
        .map_err(|error: super::BrokerError| chain(&error).into())
}

/// Publishes one message and waits for its confirm.
async fn send(
    channel: &Channel,
    queue: &str,
    id: MessageId,
    message: Pending,
) -> (Pending, Result<(), Arc<str>>) {
    let mut headers = FieldTable::default();
    headers.insert("v".into(), AMQPValue::LongUInt(FORMAT));
    headers.insert("id".into(), AMQPValue::LongString(id.to_string().into()));
    let rides = u32::try_from(message.body.rides()).unwrap_or(u32::MAX);
    headers.insert("rides".into(), AMQPValue::LongUInt(rides));
    let accepted_at = i64::try_from(message.accepted_at_ms).unwrap_or(i64::MAX);
    headers.insert("accepted-at".into(), AMQPValue::LongLongInt(accepted_at));
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/x-ndjson".into())
        .with_headers(headers);
    // `mandatory`: a message for which there is no queue comes back instead of vanishing.
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };

    let publishing = async {
        // The first await sends, the second waits for the broker's confirm.
        channel
            .basic_publish(
                "".into(),
                queue.into(),
                options,
                message.body.as_bytes(),
                properties,
            )
            .await?
            .await
    };
    let confirmed = match tokio::time::timeout(CALL_TIMEOUT, publishing).await {
        Ok(Ok(Confirmation::Ack(None))) => Ok(()),
        Ok(Ok(Confirmation::Ack(Some(_)))) => Err("RabbitMQ has no queue for rides".into()),
        Ok(Ok(Confirmation::Nack(_))) => {
            Err("RabbitMQ refused a message: the queue of rides is full".into())
        }
        Ok(Ok(Confirmation::NotRequested)) => Err("RabbitMQ did not switch confirms on".into()),
        Ok(Err(error)) => Err(format!("RabbitMQ did not take a message: {}", chain(&error)).into()),
        Err(_) => Err("RabbitMQ did not confirm a message in time".into()),
    };
    (message, confirmed)
}
