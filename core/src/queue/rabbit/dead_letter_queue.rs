//! Reads dead letters from their queue, and republishes them.
//!
//! A stack has one reader. Its lease is an exclusive queue that stays empty and that only its connection can declare: the
//! lease ends with the connection, so it never has to be broken. An exclusive consumer would be simpler, but quorum queues
//! allow any number of them (<https://www.rabbitmq.com/docs/consumers#exclusivity>).

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use tokio::sync::Mutex;

use super::broker::{Broker, BrokerError, broker_reply, within_timeout};
use super::confirmed::{open_channel, publish_rides, ride_headers};
use super::deliveries::Deliveries;
use super::topology;
use crate::clock::epoch_ms;
use crate::control::heartbeat::LaneConfirmed;
use crate::queue::QueueError;
use crate::queue::dead_letter::{DeadLetter, foreign_id};
use crate::queue::dead_letter_queue::{DeadLetterQueue, RepublishError, RepublishedLetter};
use crate::queue::delivery::letter_id;
use crate::queue::lane_epoch::{EpochTracker, LaneEpoch};
use crate::stack::StackName;

/// Prefetch: dead letters that RabbitMQ delivers without an acknowledgement.
const PREFETCH: u16 = 1_000;
/// The number of the one channel that republishes.
const CHANNEL: u16 = 0;

/// The dead letters of a stack on RabbitMQ.
pub struct RabbitDeadLetterQueue {
    stack: StackName,
    reading: Mutex<Option<Reading>>,
    reader: Arc<Broker>,
    sending: Mutex<Option<Sending>>,
    /// A separate connection: RabbitMQ blocks connections that publish while it is short of memory or disk.
    sender: Arc<Broker>,
    epochs: Arc<EpochTracker>,
}

/// The one consumer.
struct Reading {
    deliveries: Deliveries,
    /// Whether dead letters that were received are not acknowledged yet.
    has_unacked: bool,
}

/// The one publisher channel.
struct Sending {
    channel: Channel,
    epoch: LaneEpoch,
}

impl RabbitDeadLetterQueue {
    /// The dead-letter queue of a stack, not connected yet.
    #[must_use]
    pub fn new(broker: &Broker, stack: StackName) -> Self {
        Self {
            stack,
            reading: Mutex::default(),
            reader: broker.another("dead letters"),
            sending: Mutex::default(),
            sender: broker.another("republished dead letters"),
            epochs: Arc::default(),
        }
    }

    async fn open_reading(&self) -> Result<Reading, BrokerError> {
        let channel = self.reader.channel().await?;
        topology::declare(&channel, &self.stack).await?;
        self.lease(&channel).await?;
        let queue = self.stack.dead_letter_queue();
        Ok(Reading {
            deliveries: Deliveries::open(channel, &queue, PREFETCH).await?,
            has_unacked: false,
        })
    }

    /// Takes the lease of the reader for this connection.
    async fn lease(&self, channel: &Channel) -> Result<(), BrokerError> {
        let queue = self.stack.dead_letter_queue();
        let exclusive = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let lease = format!("{queue}.reader");
        let leasing = channel.queue_declare(lease.into(), exclusive, FieldTable::default());
        match within_timeout("lease the dead letters", leasing).await {
            Ok(_) => Ok(()),
            // 405 RESOURCE_LOCKED: https://www.rabbitmq.com/amqp-0-9-1-reference#queue.declare.exclusive
            Err(BrokerError::Call { source, .. })
                if matches!(broker_reply(&source), Some((405, _))) =>
            {
                Err(BrokerError::Taken { queue })
            }
            Err(error) => Err(error),
        }
    }

    async fn open_sending(&self) -> Result<Sending, BrokerError> {
        Ok(Sending {
            channel: open_channel(&self.sender, &self.stack).await?,
            epoch: LaneEpoch::begin(&self.epochs, CHANNEL),
        })
    }
}

impl Reading {
    /// Waits for a dead letter, and returns it with others that have arrived.
    async fn next(&mut self, most: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let first = self.deliveries.next().await;
        let first = first.ok_or(BrokerError::ConsumerCancelled)??;
        self.has_unacked = true;
        let mut letters = vec![read(first)];
        // The rest is already in memory, so cancellation loses nothing.
        while letters.len() < most
            && let Some(delivery) = self.deliveries.next_arrived()
        {
            letters.push(read(delivery?));
        }
        Ok(letters)
    }
}

#[async_trait]
impl DeadLetterQueue for RabbitDeadLetterQueue {
    async fn receive(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut slot = self.reading.lock().await;
        // What was not acknowledged is redelivered on a new channel.
        if slot.as_ref().is_some_and(|reading| reading.has_unacked) {
            *slot = None;
            self.reader.close().await;
        }
        let reading = match &mut *slot {
            Some(reading) => reading,
            empty => empty.insert(self.open_reading().await?),
        };
        let received = reading.next(most).await;
        if received.is_err() {
            *slot = None;
        }
        Ok(received?)
    }

    async fn ack(&self) -> Result<(), QueueError> {
        let mut slot = self.reading.lock().await;
        let Some(reading) = &mut *slot else {
            return Ok(());
        };
        if reading.has_unacked {
            let last = reading.deliveries.last_tag();
            reading.deliveries.ack_up_to(last).await?;
            reading.has_unacked = false;
        }
        Ok(())
    }

    async fn republish(&self, letters: &[RepublishedLetter]) -> Result<(), RepublishError> {
        let mut slot = self.sending.lock().await;
        // Any error or cancellation ends the epoch: nothing is confirmed out of order.
        let mut sending = match slot.take() {
            Some(sending) if sending.channel.status().connected() => sending,
            _ => self.open_sending().await.map_err(QueueError::Broker)?,
        };
        let queue = self.stack.ride_queue();
        let now = epoch_ms();
        let mut under_way = FuturesOrdered::new();
        for letter in letters {
            let rides = letter.rides();
            let mut headers = ride_headers(sending.epoch.next_id(), rides, now);
            let id = AMQPValue::LongString(letter.id.as_str().into());
            headers.insert("replay".into(), id);
            let (channel, queue) = (&sending.channel, &queue);
            under_way.push_back(async move {
                let published = publish_rides(channel, queue, &letter.line, headers);
                published.await.map(|()| rides)
            });
        }
        while let Some(confirmed) = under_way.next().await {
            let rides = confirmed.map_err(RepublishError::Refused)?;
            sending.epoch.confirm(rides as usize);
        }
        drop(under_way);
        *slot = Some(sending);
        Ok(())
    }

    fn confirmed(&self) -> Vec<LaneConfirmed> {
        self.epochs.confirmed()
    }

    async fn close(&self) {
        *self.reading.lock().await = None;
        *self.sending.lock().await = None;
        self.reader.close().await;
        self.sender.close().await;
    }
}

/// Parses a dead letter, from any publisher.
fn read(delivery: Delivery) -> DeadLetter {
    let headers = delivery.properties.headers().as_ref();
    let text = |name: &str| match headers?.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.as_bytes()),
        _ => None,
    };
    let message = text("message").and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    let reason = text("reason").map(|text| String::from_utf8_lossy(text).into_owned());
    DeadLetter {
        id: text("id")
            .and_then(letter_id)
            .unwrap_or_else(|| foreign_id(&delivery.data)),
        reason: reason.unwrap_or_else(|| "no reason given".to_owned()),
        message,
        line_number: 1,
        line: delivery.data,
    }
}
