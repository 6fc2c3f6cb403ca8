//! The publisher channel that appends messages: group commit of rides that arrived while the disk was busy.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::EmbeddedQueue;
use super::stored::StoredMessage;
use crate::embedded::DiskError;
use crate::lifecycle::{TaskError, chain};
use crate::message::MessageId;
use crate::queue::lane_epoch::LaneEpoch;
use crate::queue::publish_buffer::{PendingBatch, PublishBuffer};

/// Maximum rides in one write: limits its memory and the wait of the next write.
const MAX_RIDES: usize = 20_000;

/// Appends until `closing`, then the rest. A failed write ends it: the state on disk is then unknown.
pub(super) async fn run(
    queue: Arc<EmbeddedQueue>,
    buffer: Arc<PublishBuffer>,
    closing: CancellationToken,
) -> Result<(), TaskError> {
    let mut epoch = LaneEpoch::begin(buffer.epochs(), 0);
    buffer.open();
    loop {
        // Lets ready requests add their rides first: a write costs as much as dozens of rides in it.
        tokio::task::yield_now().await;
        let messages = next_messages(&buffer);
        if messages.is_empty() {
            if closing.is_cancelled() {
                return Ok(());
            }
            tokio::select! {
                () = buffer.arrived() => {}
                () = closing.cancelled() => {}
            }
            continue;
        }
        if queue.is_full() {
            let why = "the queue of rides is full: the worker must catch up first".into();
            messages
                .into_iter()
                .for_each(|message| message.refuse(&why));
            continue;
        }
        let numbered = messages
            .into_iter()
            .map(|message| (epoch.next_id(), message));
        match append(&queue, numbered.collect()).await {
            Ok(messages) => {
                for (_, message) in messages {
                    epoch.confirm(message.body.rides());
                    buffer.confirm(message);
                }
            }
            Err(error) => {
                buffer.close(&chain(&error).into());
                return Err(error.into());
            }
        }
    }
}

fn next_messages(buffer: &PublishBuffer) -> Vec<PendingBatch> {
    let mut messages = Vec::new();
    let mut rides = 0;
    while rides < MAX_RIDES
        && let Some(message) = buffer.next_message(0)
    {
        rides += message.body.rides();
        messages.push(message);
    }
    messages
}

/// Appends messages. If it fails, no ride is reported as accepted.
async fn append(
    queue: &Arc<EmbeddedQueue>,
    messages: Vec<(MessageId, PendingBatch)>,
) -> Result<Vec<(MessageId, PendingBatch)>, DiskError> {
    let appended_to = Arc::clone(queue);
    let appending = move |_: &_| {
        let stored: Vec<StoredMessage<'_>> = messages
            .iter()
            .map(|(id, message)| {
                let body = &message.body;
                StoredMessage::new(*id, body.rides(), message.accepted_at_ms, body.as_bytes())
            })
            .collect();
        appended_to.append(&stored)?;
        Ok(messages)
    };
    queue.database.off_thread(appending).await
}
