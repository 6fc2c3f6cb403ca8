//! One lane of the publisher: group commit of rides into messages, over as many channels as it takes.
//!
//! Rides that arrive while confirms are outstanding gather in the next message; an idle lane sends a single ride at once.
//! There is no timer: the confirm of one message is what sends the next.

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
use crate::queue::lane_life::LaneLife;
use crate::queue::waiting_room::{Pending, WaitingRoom};
use crate::retry;
use crate::stack::StackName;

/// How often an idle lane looks whether its channel still lives, and a blocked one whether it may go on.
const CHANNEL_CHECK: Duration = Duration::from_millis(500);

/// A lane and what it works with.
pub(super) struct Lane {
    /// Its number within the process, from 0.
    pub(super) number: u16,
    pub(super) room: Arc<WaitingRoom>,
    pub(super) broker: Arc<Broker>,
    pub(super) stack: StackName,
    /// Ready when no more rides will come.
    pub(super) closing: CancellationToken,
}

impl Lane {
    /// Publishes until `closing`, and then what is left.
    pub(super) async fn run(self) -> Result<(), TaskError> {
        let mut pauses = retry::pauses();
        loop {
            let sent_before = self.room.messages_sent();
            let ended = self.run_on_one_channel().await;
            let Err(why) = ended else { return Ok(()) };
            tracing::warn!(
                lane = self.number,
                "the publisher lane has no channel: {why}"
            );
            metrics::counter!("skilift_publisher_channels_lost_total").increment(1);
            self.room.close(&why);
            // A channel that confirmed something was a good one: the next attempt comes soon.
            if self.room.messages_sent() > sent_before {
                pauses = retry::pauses();
            }
            let pause = async {
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                // A new connection would be blocked as soon as it published, and its first rides would wait in vain.
                while self.broker.is_blocked() {
                    tokio::time::sleep(CHANNEL_CHECK).await;
                }
            };
            if self.closing.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
        }
    }

    /// Publishes on one channel. Any doubt about one message ends it: all that is in flight is then refused.
    async fn run_on_one_channel(&self) -> Result<(), Arc<str>> {
        let opening = self
            .closing
            .run_until_cancelled(open_channel(&self.broker, &self.stack));
        let Some(opened) = opening.await else {
            return Ok(());
        };
        let channel = opened.map_err(|error| Arc::from(chain(&error)))?;
        self.room.open();
        let queue = self.stack.ride_queue();
        let mut life = LaneLife::begin(self.room.lives(), self.number);
        // In their order, however the confirms come: what is confirmed is always all up to some number, and the books can tell
        // at a glance whether any of it is missing.
        let mut in_flight = FuturesOrdered::new();
        let mut check = tokio::time::interval(CHANNEL_CHECK);
        loop {
            while let Some(message) = self.room.next_message(in_flight.len()) {
                let id = life.next_id();
                in_flight.push_back(send(&channel, &queue, id, message));
            }
            if in_flight.is_empty() && self.closing.is_cancelled() {
                close(&channel).await;
                return Ok(());
            }
            tokio::select! {
                Some((message, confirmed)) = in_flight.next() => match confirmed {
                    Ok(()) => {
                        life.confirm(message.body.rides());
                        self.room.confirm(message);
                    }
                    Err(why) => {
                        message.refuse(&why);
                        // The others' confirms may still come, but nobody may count on them any more.
                        self.room.close(&why);
                        return Err(why);
                    }
                },
                () = self.room.arrived() => {}
                () = self.closing.cancelled(), if in_flight.is_empty() => {}
                _ = check.tick() => if !channel.status().connected() {
                    return Err("the connection to RabbitMQ was lost".into());
                }
            }
        }
    }
}

/// Closes a channel on which nothing is under way.
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
    message: Pending,
) -> (Pending, Result<(), Arc<str>>) {
    let rides = u32::try_from(message.body.rides()).unwrap_or(u32::MAX);
    let headers = ride_headers(id, rides, message.accepted_at_ms);
    let sent_at = Instant::now();
    let confirmed = publish_rides(channel, queue, message.body.as_bytes(), headers).await;
    metrics::histogram!("skilift_confirm_duration_seconds").record(sent_at.elapsed());
    (message, confirmed)
}
