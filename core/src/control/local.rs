//! Control channel between nodes and console within one process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::control_channel::{ControlChannel, ControlError, MAX_BUFFERED_HEARTBEATS};
use super::document::Document;
use super::heartbeat::Heartbeat;
use super::ingest_key::IngestKeys;

/// A control channel within one process. Published state is kept in memory.
#[derive(Default)]
pub struct LocalControlChannel(Mutex<Published>);

#[derive(Default)]
struct Published {
    document: Option<Document>,
    ingest_keys: Option<IngestKeys>,
    listeners: Vec<mpsc::Sender<Heartbeat>>,
}

impl LocalControlChannel {
    fn published(&self) -> MutexGuard<'_, Published> {
        // A holder of the lock cannot panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ControlChannel for LocalControlChannel {
    async fn send_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), ControlError> {
        let is_open = |listener: &mut mpsc::Sender<Heartbeat>| {
            let sent = listener.try_send(heartbeat.clone());
            !matches!(sent, Err(TrySendError::Closed(_)))
        };
        self.published().listeners.retain_mut(is_open);
        Ok(())
    }

    async fn document(&self) -> Result<Option<Document>, ControlError> {
        Ok(self.published().document.clone())
    }

    async fn ingest_keys(&self) -> Result<Option<IngestKeys>, ControlError> {
        Ok(self.published().ingest_keys.clone())
    }

    async fn publish(&self, document: &Document) -> Result<u64, ControlError> {
        let mut published = self.published();
        match &published.document {
            Some(current) if current.serial >= document.serial => Ok(current.serial),
            _ => {
                published.document = Some(document.clone());
                Ok(document.serial)
            }
        }
    }

    async fn publish_ingest_keys(&self, keys: &IngestKeys) -> Result<u64, ControlError> {
        let mut published = self.published();
        match &published.ingest_keys {
            Some(current) if current.serial >= keys.serial => Ok(current.serial),
            _ => {
                published.ingest_keys = Some(keys.clone());
                Ok(keys.serial)
            }
        }
    }

    async fn heartbeats(&self) -> Result<mpsc::Receiver<Heartbeat>, ControlError> {
        let (sender, receiver) = mpsc::channel(MAX_BUFFERED_HEARTBEATS);
        self.published().listeners.push(sender);
        Ok(receiver)
    }
}
