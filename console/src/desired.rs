//! The desired state of the nodes: settings, pause, drains, ingest keys. It is valid even while nodes cannot be reached;
//! `publish` publishes it.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{Document, Heartbeat, IngestKey, IngestKeys, Versioned};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::WriteBatch;
use tokio::sync::Notify;

use crate::config::Seeds;
use crate::state::{ConsoleState, Settings, Version};
use crate::view::settings::Section;

/// Maximum ingest keys: every API node holds all of them in memory.
pub(crate) const MAX_KEYS: usize = 1_000;
/// All sections of settings.
pub(crate) const SECTIONS: [Section; 4] = [
    Section::Worker,
    Section::Api,
    Section::Ingest,
    Section::Fleet,
];
/// Author of settings from command-line flags.
const BY_FLAGS: &str = "flags";

/// The desired state of the nodes.
pub(crate) struct Desired {
    now: RwLock<Arc<Document>>,
    /// The write lock for all state that plans depend on.
    pub(crate) write_lock: tokio::sync::Mutex<()>,
    seeds: Mutex<Seeds>,
    /// Notified when the state must be published.
    pub(crate) changed: Notify,
    /// Why the state cannot be published, if so.
    unreachable: RwLock<Option<String>>,
}

impl Desired {
    /// Loads the desired state from the data directory.
    pub(crate) fn open(state: &ConsoleState, seeds: Seeds) -> Result<Self, DiskError> {
        let document = state.document()?.unwrap_or_default();
        Ok(Self {
            now: RwLock::new(document.into()),
            write_lock: tokio::sync::Mutex::default(),
            seeds: Mutex::new(seeds),
            changed: Notify::new(),
            unreachable: RwLock::new(None),
        })
    }

    /// The current desired state.
    pub(crate) fn document(&self) -> Arc<Document> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the document that was written.
    pub(crate) fn remember(&self, document: Document) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = document.into();
    }

    /// Sets the document that was written, and publishes it at once.
    pub(crate) fn set(&self, document: Document) {
        self.remember(document);
        self.changed.notify_one();
    }

    /// Why the state cannot be published, if so.
    pub(crate) fn unreachable(&self) -> Option<String> {
        let why = self.unreachable.read();
        why.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records whether the state can be published. Returns whether that changed.
    pub(crate) fn set_unreachable(&self, why: Option<String>) -> bool {
        let mut known = self
            .unreachable
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let is_news = known.is_some() != why.is_some();
        *known = why;
        is_news
    }

    /// Takes the values of a role's command-line flags from a heartbeat, for a section that is not set.
    pub(crate) fn learn_flags(&self, heartbeat: &Heartbeat) {
        let document = self.document();
        if document.worker.is_some() && document.api.is_some() {
            return;
        }
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = match &heartbeat.report {
            Report::Worker(report) if document.worker.is_none() && seeds.worker.is_none() => {
                seeds.worker = Some(report.settings);
                true
            }
            Report::Api(report) if document.api.is_none() && seeds.api.is_none() => {
                seeds.api = Some(report.settings);
                true
            }
            _ => false,
        };
        if is_news {
            // They are stored before the node is shown.
            self.changed.notify_one();
        }
    }

    /// The document with values of flags for sections that are not set; `None` if there are none.
    pub(crate) fn seeded(
        &self,
        state: &ConsoleState,
        changes: &mut WriteBatch,
    ) -> Option<Document> {
        let document = self.document();
        let seeds = *self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seeded = Document::clone(&document);
        seeded.worker = seeded
            .worker
            .or(seeds.worker.map(|value| Versioned::new(1, value)));
        seeded.api = seeded
            .api
            .or(seeds.api.map(|value| Versioned::new(1, value)));
        seeded.ingest = seeded
            .ingest
            .or(seeds.ingest.map(|value| Versioned::new(1, value)));
        if seeded == *document {
            return None;
        }
        seeded.serial = seeded.next_serial();
        put_new_versions(state, changes, &document, &seeded, BY_FLAGS);
        state.put_document(changes, &seeded);
        Some(seeded)
    }
}

/// The settings of a section, with version and hash; `None` while the flags of each node apply.
pub(crate) fn settings_of(document: &Document, section: Section) -> Option<(u64, u32, Settings)> {
    let generation = |of: skilift_core::control::Generation, value| (of.version, of.hash, value);
    match section {
        Section::Worker => document
            .worker
            .map(|set| generation(set.generation, Settings::Worker(set.value))),
        Section::Api => document
            .api
            .map(|set| generation(set.generation, Settings::Api(set.value))),
        Section::Ingest => document
            .ingest
            .map(|set| generation(set.generation, Settings::Ingest(set.value))),
        Section::Fleet => document
            .fleet
            .map(|set| generation(set.generation, Settings::Fleet(set.value))),
    }
}

/// Adds to `changes` the versions that differ between two documents.
pub(crate) fn put_new_versions(
    state: &ConsoleState,
    changes: &mut WriteBatch,
    before: &Document,
    after: &Document,
    by: &str,
) {
    for section in SECTIONS {
        let new = settings_of(after, section);
        let Some((number, hash, value)) = new.filter(|_| new != settings_of(before, section))
        else {
            continue;
        };
        let version = Version {
            hash,
            value,
            at_ms: epoch_ms(),
            by: by.to_owned(),
            plan: None,
        };
        state.put_version(changes, section, number, &version);
    }
}

/// The ingest keys as API nodes need them.
pub(crate) fn ingest_keys(state: &ConsoleState, serial: u64) -> Result<IngestKeys, DiskError> {
    let found = state.keys.range(.., MAX_KEYS)?;
    let key = |(id, key): (Vec<u8>, crate::state::Key)| IngestKey {
        id: String::from_utf8_lossy(&id).into_owned(),
        sha256: key.sha256,
        resorts: key.resorts,
    };
    Ok(IngestKeys {
        serial,
        keys: found.into_iter().map(key).collect(),
    })
}
