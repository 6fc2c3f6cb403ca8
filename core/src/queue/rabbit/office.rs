//! Takes dead letters out of their queue, and sends them again.
//!
//! There is one reader of a stack. Its lease is an exclusive queue, empty for ever, that only its connection may have: it ends
//! with the connection, so that nobody needs to break it. An exclusive consumer would be simpler, but quorum queues let any
//! number of these in (<https://www.rabbitmq.com/docs/consumers#exclusivity>).

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::sync::Mutex;

use super::broker::{Broker, BrokerError, broker_reply, within_timeout};
use super::confirmed::{open_channel, publish_rides, ride_headers};
use super::topology;
use crate::clock::epoch_ms;
use crate::control::heartbeat::LaneConfirmed;
use crate::queue::QueueError;
use crate::queue::dead_letter::{DeadLetter, foreign_id};
use crate::queue::dead_letter_office::{DeadLetterOffice, ResendError, Resent};
use crate::queue::delivery::letter_id;
use crate::queue::lane_life::{LaneLife, Lives};
use crate::stack::StackName;

/// Letters that RabbitMQ hands out before one is released.
const PREFETCH: u16 = 1_000;
/// The number of the one lane that sends letters again.
const LANE: u16 = 0;

/// The dead letters of a stack on RabbitMQ.
pub struct RabbitOffice {
    stack: StackName,
    reading: Mutex<Option<Reading>>,
    reader: Arc<Broker>,
    sending: Mutex<Option<Sending>>,
    /// Another connection: RabbitMQ blocks one that publishes while it is short of memory or disk.
    sender: Arc<Broker>,
    lives: Arc<Lives>,
}

/// The one consumer.
struct Reading {
    channel: Channel,
    letters: lapin::Consumer,
    /// The last letter that was handed out and not released.
    last: Option<u64>,
}

/// The one lane.
struct Sending {
    channel: Channel,
    life: LaneLife,
}

impl RabbitOffice {
    /// The office of a stack. Nothing is connected yet.
    #[must_use]
    pub fn new(broker: &Broker, stack: StackName) -> Self {
        Self {
            stack,
            reading: Mutex::default(),
            reader: broker.another("dead letters"),
            sending: Mutex::default(),
            sender: broker.another("letters sent again"),
            lives: Arc::default(),
        }
    }

    async fn open_reading(&self) -> Result<Reading, BrokerError> {
        let channel = self.reader.channel().await?;
        topology::declare(&channel, &self.stack).await?;
        self.lease(&channel).await?;
        let limit = channel.basic_qos(PREFETCH, BasicQosOptions { global: false });
        within_timeout("set the prefetch", limit).await?;
        let queue = self.stack.dead_letter_queue();
        let consuming = channel.basic_consume(
            queue.as_str().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let letters = within_timeout("start a consumer", consuming).await?;
        Ok(Reading {
            channel,
            letters,
            last: None,
        })
    }

    /// Makes sure that this connection is the one that reads.
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
            life: LaneLife::begin(&self.lives, LANE),
        })
    }
}

impl Reading {
    /// Waits for a letter, and takes those that have arrived with it.
    async fn next(&mut self, most: usize) -> Result<Vec<DeadLetter>, BrokerError> {
        let lost = |source| BrokerError::Call {
            doing: "deliver a dead letter",
            source,
        };
        let first = self.letters.next().await;
        let first = first.ok_or(BrokerError::ConsumerCancelled)?.map_err(lost)?;
        self.last = Some(first.delivery_tag);
        let mut letters = vec![read(first)];
        // What follows the first is in memory, so that nothing is dropped half-way.
        while letters.len() < most
            && let Some(Some(Ok(delivery))) = self.letters.next().now_or_never()
        {
            self.last = Some(delivery.delivery_tag);
            letters.push(read(delivery));
        }
        Ok(letters)
    }
}

#[async_trait]
impl DeadLetterOffice for RabbitOffice {
    async fn take(&self, most: usize) -> Result<Vec<DeadLetter>, QueueError> {
        let mut slot = self.reading.lock().await;
        // What was not released comes again with a new channel.
        if slot.as_ref().is_some_and(|reading| reading.last.is_some()) {
            *slot = None;
            self.reader.close().await;
        }
        let reading = match &mut *slot {
            Some(reading) => reading,
            empty => empty.insert(self.open_reading().await?),
        };
        let taken = reading.next(most).await;
        if taken.is_err() {
            *slot = None;
        }
        Ok(taken?)
    }

    async fn release(&self) -> Result<(), QueueError> {
        let mut slot = self.reading.lock().await;
        let Some(reading) = &mut *slot else {
            return Ok(());
        };
        if let Some(last) = reading.last {
            let acking = reading
                .channel
                .basic_ack(last, BasicAckOptions { multiple: true });
            within_timeout("take an acknowledgement", acking)
                .await
                .inspect(|()| reading.last = None)?;
        }
        Ok(())
    }

    async fn resend(&self, letters: &[Resent]) -> Result<(), ResendError> {
        let mut slot = self.sending.lock().await;
        // Whatever goes wrong, and whoever waits no longer, ends the lane's life: nothing is confirmed out of order.
        let mut sending = match slot.take() {
            Some(sending) if sending.channel.status().connected() => sending,
            _ => self.open_sending().await.map_err(QueueError::Broker)?,
        };
        let queue = self.stack.ride_queue();
        let now = epoch_ms();
        let mut under_way = FuturesOrdered::new();
        for letter in letters {
            let rides = letter.rides();
            let mut headers = ride_headers(sending.life.next_id(), rides, now);
            let id = AMQPValue::LongString(letter.id.as_str().into());
            headers.insert("replay".into(), id);
            let (channel, queue) = (&sending.channel, &queue);
            under_way.push_back(async move {
                let published = publish_rides(channel, queue, &letter.line, headers);
                published.await.map(|()| rides)
            });
        }
        while let Some(confirmed) = under_way.next().await {
            let rides = confirmed.map_err(ResendError::Refused)?;
            sending.life.confirm(rides as usize);
        }
        drop(under_way);
        *slot = Some(sending);
        Ok(())
    }

    fn confirmed(&self) -> Vec<LaneConfirmed> {
        self.lives.confirmed()
    }

    async fn close(&self) {
        *self.reading.lock().await = None;
        *self.sending.lock().await = None;
        self.reader.close().await;
        self.sender.close().await;
    }
}

/// Reads a letter, whoever put it there.
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
        reason: reason.unwrap_or_else(|| "it came without a reason".to_owned()),
        message,
        line_number: 1,
        line: delivery.data,
    }
}
