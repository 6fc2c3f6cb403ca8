//! What the nodes shall do, as the console keeps it: settings, pause, drains, ingest keys. It is right also while nobody can be
//! told; `publish` tells the nodes.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use skilift_core::clock::epoch_ms;
use skilift_core::control::heartbeat::Report;
use skilift_core::control::{Document, Heartbeat, IngestKey, IngestKeys, Versioned};
use skilift_core::embedded::DiskError;
use skilift_core::embedded::records::Changes;
use tokio::sync::Notify;

use crate::console::Seeds;
use crate::state::{ConsoleState, SectionValue, Version};
use crate::view::settings::Section;

/// Most ingest keys: every API node holds all of them in memory.
pub(crate) const MOST_KEYS: usize = 1_000;
/// All that can be set.
pub(crate) const SECTIONS: [Section; 4] = [
    Section::Worker,
    Section::Api,
    Section::Ingest,
    Section::Fleet,
];
/// By whom a setting is that the flags said.
const BY_FLAGS: &str = "flags";

/// What the nodes shall do.
pub(crate) struct Desired {
    now: RwLock<Arc<Document>>,
    /// Whoever holds it may change something that plans stand on.
    pub(crate) turn: tokio::sync::Mutex<()>,
    seeds: Mutex<Seeds>,
    /// Woken when the nodes shall be told.
    pub(crate) changed: Notify,
    /// Why the nodes cannot be told, while they cannot.
    unreachable: RwLock<Option<String>>,
}

impl Desired {
    /// Reads what the folder says.
    pub(crate) fn open(state: &ConsoleState, seeds: Seeds) -> Result<Self, DiskError> {
        let document = state.document()?.unwrap_or_default();
        Ok(Self {
            now: RwLock::new(document.into()),
            turn: tokio::sync::Mutex::default(),
            seeds: Mutex::new(seeds),
            changed: Notify::new(),
            unreachable: RwLock::new(None),
        })
    }

    /// What the nodes shall do now.
    pub(crate) fn document(&self) -> Arc<Document> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers what was written.
    pub(crate) fn remember(&self, document: Document) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = document.into();
    }

    /// Remembers what was written, and has the nodes told at once.
    pub(crate) fn set(&self, document: Document) {
        self.remember(document);
        self.changed.notify_one();
    }

    /// Why the nodes cannot be told, while they cannot.
    pub(crate) fn unreachable(&self) -> Option<String> {
        let why = self.unreachable.read();
        why.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers whether the nodes can be told. Whether that is news.
    pub(crate) fn set_unreachable(&self, why: Option<String>) -> bool {
        let mut known = self
            .unreachable
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let is_news = known.is_some() != why.is_some();
        *known = why;
        is_news
    }

    /// Learns from a heartbeat what a role's flags say, for a section that nobody has set.
    pub(crate) fn learn_flags(&self, heartbeat: &Heartbeat) {
        let document = self.document();
        if document.worker.is_some() && document.api.is_some() {
            return;
        }
        let mut seeds = self.seeds.lock().unwrap_or_else(PoisonError::into_inner);
        match &heartbeat.report {
            Report::Worker(report) if document.worker.is_none() => {
                seeds.worker.get_or_insert(report.settings);
            }
            Report::Api(report) if document.api.is_none() => {
                seeds.api.get_or_insert(report.settings);
            }
            _ => {}
        }
    }

    /// The document with what flags said in place of what nobody has set; `None` where there is nothing of it.
    pub(crate) fn seeded(&self, state: &ConsoleState, changes: &mut Changes) -> Option<Document> {
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

/// The settings of a document's section, with its number and hash; `None` where each node's flags rule.
pub(crate) fn section_of(
    document: &Document,
    section: Section,
) -> Option<(u64, u32, SectionValue)> {
    let generation = |of: skilift_core::control::Generation, value| (of.number, of.hash, value);
    match section {
        Section::Worker => document
            .worker
            .map(|set| generation(set.generation, SectionValue::Worker(set.value))),
        Section::Api => document
            .api
            .map(|set| generation(set.generation, SectionValue::Api(set.value))),
        Section::Ingest => document
            .ingest
            .map(|set| generation(set.generation, SectionValue::Ingest(set.value))),
        Section::Fleet => document
            .fleet
            .map(|set| generation(set.generation, SectionValue::Fleet(set.value))),
    }
}

/// Adds to `changes` the versions by which one document differs from another.
pub(crate) fn put_new_versions(
    state: &ConsoleState,
    changes: &mut Changes,
    before: &Document,
    after: &Document,
    by: &str,
) {
    for section in SECTIONS {
        let new = section_of(after, section);
        let Some((number, hash, value)) = new.filter(|_| new != section_of(before, section)) else {
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

/// The keys as API nodes need to know them.
pub(crate) fn ingest_keys(state: &ConsoleState, serial: u64) -> Result<IngestKeys, DiskError> {
    let found = state.keys.range(.., MOST_KEYS)?;
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
