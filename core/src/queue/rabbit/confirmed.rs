//! Publishing as we do it: persistent, mandatory, confirmed.

use std::sync::Arc;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};

use super::broker::{Broker, BrokerError, within_timeout};
use super::topology;
use crate::lifecycle::chain;
use crate::message::{FORMAT, MessageId};
use crate::stack::StackName;

/// AMQP's delivery mode of a message that survives a restart.
const PERSISTENT: u8 = 2;

/// Opens a channel that confirms what is published on it, and declares the queues.
///
/// # Errors
/// When RabbitMQ cannot be reached or refuses.
pub(super) async fn open_channel(
    broker: &Broker,
    stack: &StackName,
) -> Result<Channel, BrokerError> {
    let channel = broker.channel().await?;
    topology::declare(&channel, stack).await?;
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    within_timeout("switch publisher confirms on", select).await?;
    Ok(channel)
}

/// Publishes to a queue and waits for the broker's word. Success is `Ack(None)` and nothing else.
///
/// # Errors
/// When the channel is lost, or there is no word in time.
pub(super) async fn publish(
    channel: &Channel,
    queue: &str,
    body: &[u8],
    headers: FieldTable,
) -> Result<Confirmation, BrokerError> {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    // `mandatory`: a message for which there is no queue comes back instead of vanishing.
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let publishing = async {
        // The first await sends, the second waits for the confirm.
        channel
            .basic_publish("".into(), queue.into(), options, body, properties)
            .await?
            .await
    };
    within_timeout("confirm a message", publishing).await
}

/// The headers of a message of rides.
pub(super) fn ride_headers(id: MessageId, rides: u32, accepted_at_ms: u64) -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert("v".into(), AMQPValue::LongUInt(FORMAT));
    headers.insert("id".into(), AMQPValue::LongString(id.to_string().into()));
    headers.insert("rides".into(), AMQPValue::LongUInt(rides));
    let accepted_at = i64::try_from(accepted_at_ms).unwrap_or(i64::MAX);
    headers.insert("accepted-at".into(), AMQPValue::LongLongInt(accepted_at));
    headers
}

/// Publishes a message of rides and waits until RabbitMQ has it safe.
///
/// # Errors
/// Says why it may not be.
pub(super) async fn publish_rides(
    channel: &Channel,
    queue: &str,
    body: &[u8],
    headers: FieldTable,
) -> Result<(), Arc<str>> {
    match publish(channel, queue, body, headers).await {
        Ok(Confirmation::Ack(None)) => Ok(()),
        Ok(Confirmation::Ack(Some(_))) => Err("RabbitMQ has no queue for rides".into()),
        Ok(Confirmation::Nack(_)) => {
            Err("RabbitMQ refused a message: the queue of rides is full".into())
        }
        Ok(Confirmation::NotRequested) => Err("RabbitMQ did not switch confirms on".into()),
        Err(error) => Err(chain(&error).into()),
    }
}
