//! Control channel between nodes and console within one process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::document::Document;
use super::heartbeat::Heartbeat;
use super::ingest_key::IngestKeys;
use super::plane::{ControlError, ControlPlane, HEARD_AT_ONCE};

/// A control channel within one process. Published state is kept in memory.
#[derive(Default)]
pub struct LocalPlane(Mutex<Published>);

#[derive(Default)]
struct Published {
    document: Option<Document>,
    ingest_keys: Option<IngestKeys>,
    listeners: Vec<mpsc::Sender<Heartbeat>>,
}

impl LocalPlane {
    fn published(&self) -> MutexGuard<'_, Published> {
        // A holder of the lock cannot panic in the middle of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ControlPlane for LocalPlane {
    async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), ControlError> {
        let hears = |listener: &mut mpsc::Sender<Heartbeat>| {
            let sent = listener.try_send(heartbeat.clone());
            !matches!(sent, Err(TrySendError::Closed(_)))
        };
        self.published().listeners.retain_mut(hears);
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
            Some(standing) if standing.serial >= document.serial => Ok(standing.serial),
            _ => {
                published.document = Some(document.clone());
                Ok(document.serial)
            }
        }
    }

    async fn publish_ingest_keys(&self, keys: &IngestKeys) -> Result<u64, ControlError> {
        let mut published = self.published();
        match &published.ingest_keys {
            Some(standing) if standing.serial >= keys.serial => Ok(standing.serial),
            _ => {
                published.ingest_keys = Some(keys.clone());
                Ok(keys.serial)
            }
        }
    }

    async fn heartbeats(&self) -> Result<mpsc::Receiver<Heartbeat>, ControlError> {
        let (hears, heard) = mpsc::channel(HEARD_AT_ONCE);
        self.published().listeners.push(hears);
        Ok(heard)
    }
}
