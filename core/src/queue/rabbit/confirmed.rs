//! Publishing with confirms: persistent, mandatory, confirmed.

use std::sync::Arc;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};

use super::broker::{Broker, BrokerError, within_timeout};
use super::topology;
use crate::lifecycle::chain;
use crate::message::{FORMAT, MessageId};
use crate::stack::StackName;

/// AMQP delivery mode of a message that survives a restart.
const PERSISTENT: u8 = 2;

/// Opens a channel that confirms what is published on it, and declares the queues.
///
/// # Errors
/// If RabbitMQ cannot be reached or denies access.
pub(super) async fn open_channel(
    broker: &Broker,
    stack: &StackName,
) -> Result<Channel, BrokerError> {
    let channel = broker.channel().await?;
    topology::declare(&channel, stack).await?;
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    within_timeout("enable publisher confirms", select).await?;
    Ok(channel)
}

/// Publishes to a queue and waits for the broker's confirm. Only `Ack(None)` is success.
///
/// # Errors
/// If the channel is lost, or there is no confirm in time.
pub(super) async fn publish(
    channel: &Channel,
    queue: &str,
    body: &[u8],
    headers: FieldTable,
) -> Result<Confirmation, BrokerError> {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    // `mandatory`: a message without a queue is returned instead of dropped.
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

/// Publishes a message of rides and waits for RabbitMQ's confirm.
///
/// # Errors
/// The reason why it may not be stored.
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
        Ok(Confirmation::NotRequested) => Err("RabbitMQ did not enable publisher confirms".into()),
        Err(error) => Err(chain(&error).into()),
    }
}
