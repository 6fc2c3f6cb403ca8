//! One publisher channel: group commit of rides into messages, with a new AMQP channel after each failure.
//!
//! Rides that arrive while confirms are outstanding collect in the next message; an idle channel sends a single ride at
//! once. There is no timer: the confirm of one message triggers the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use lapin::Channel;
use tokio_util::sync::CancellationToken;

use super::broker::{Broker, within_timeout};
use super::confirmed::{open_channel, publish_rides, ride_headers};
use crate::lifecycle::{TaskError, chain};
use crate::message::MessageId;
use crate::queue::lane_epoch::LaneEpoch;
use crate::queue::publish_buffer::{PendingBatch, PublishBuffer};
use crate::retry;
use crate::stack::StackName;

/// How often an idle publisher checks that its channel is alive, and a blocked one whether it may continue.
const CHANNEL_CHECK: Duration = Duration::from_millis(500);

/// A publisher channel and its dependencies.
pub(super) struct RabbitPublisherChannel {
    /// Its number within the process, from 0.
    pub(super) number: u16,
    pub(super) buffer: Arc<PublishBuffer>,
    pub(super) broker: Arc<Broker>,
    pub(super) stack: StackName,
    /// Cancelled when no more rides will come.
    pub(super) closing: CancellationToken,
}

impl RabbitPublisherChannel {
    /// Publishes until `closing`, and then what is left.
    pub(super) async fn run(self) -> Result<(), TaskError> {
        let mut pauses = retry::pauses();
        loop {
            let sent_before = self.buffer.messages_sent();
            let ended = self.run_on_one_channel().await;
            let Err(why) = ended else { return Ok(()) };
            tracing::warn!(channel = self.number, "publisher cannot connect: {why}");
            metrics::counter!("skilift_publisher_channels_lost_total").increment(1);
            self.buffer.close(&why);
            // A channel that confirmed something worked: the next attempt follows soon.
            if self.buffer.messages_sent() > sent_before {
                pauses = retry::pauses();
            }
            let pause = async {
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                // A new connection would be blocked at its first publish, and those rides would only wait.
                while self.broker.is_blocked() {
                    tokio::time::sleep(CHANNEL_CHECK).await;
                }
            };
            if self.closing.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Publishes on one channel. An uncertain result of one message closes it: all messages in flight are then rejected.
    async fn run_on_one_channel(&self) -> Result<(), Arc<str>> {
        let opening = self
            .closing
            .run_until_cancelled(open_channel(&self.broker, &self.stack));
        let Some(opened) = opening.await else {
            return Ok(());
        };
        let channel = opened.map_err(|error| Arc::from(chain(&error)))?;
        self.buffer.open();
        let queue = self.stack.ride_queue();
        let mut epoch = LaneEpoch::begin(self.buffer.epochs(), self.number);
        // In order, however the confirms arrive: confirmed numbers are always contiguous, so the reconciliation detects a
        // missing one directly.
        let mut in_flight = FuturesOrdered::new();
        let mut check = tokio::time::interval(CHANNEL_CHECK);
        loop {
            while let Some(message) = self.buffer.next_message(in_flight.len()) {
                let id = epoch.next_id();
                in_flight.push_back(send(&channel, &queue, id, message));
            }
            if in_flight.is_empty() && self.closing.is_cancelled() {
                close(&channel).await;
                return Ok(());
            }
            tokio::select! {
                Some((message, confirmed)) = in_flight.next() => match confirmed {
                    Ok(()) => {
                        epoch.confirm(message.body.rides());
                        self.buffer.confirm(message);
                    }
                    Err(why) => {
                        message.refuse(&why);
                        // The confirms of the others may still arrive, but are no longer reliable.
                        self.buffer.close(&why);
                        return Err(why);
                    }
                },
                () = self.buffer.arrived() => {}
                () = self.closing.cancelled(), if in_flight.is_empty() => {}
                _ = check.tick() => if !channel.status().connected() {
                    return Err("connection to RabbitMQ lost".into());
                }
            }
        }
    }
}

/// Closes a channel with nothing in flight.
async fn close(channel: &Channel) {
    let closing = channel.close(200, "bye".into());
    if let Err(error) = within_timeout("close a channel", closing).await {
        tracing::debug!("closing a publisher's channel: {error}");
    }
}

/// Publishes one message and waits for its confirm.
async fn send(
    channel: &Channel,
    queue: &str,
    id: MessageId,
    message: PendingBatch,
) -> (PendingBatch, Result<(), Arc<str>>) {
    let rides = u32::try_from(message.body.rides()).unwrap_or(u32::MAX);
    let headers = ride_headers(id, rides, message.accepted_at_ms);
    let sent_at = Instant::now();
    let confirmed = publish_rides(channel, queue, message.body.as_bytes(), headers).await;
    metrics::histogram!("skilift_confirm_duration_seconds").record(sent_at.elapsed());
    (message, confirmed)
}
