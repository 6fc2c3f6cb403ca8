//! Settings, with their generations and their history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A section of settings.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Settings of workers.
    Worker,
    /// Settings of API nodes.
    Api,
    /// Ingest policy: who may post rides.
    Ingest,
    /// Bounds: how many nodes may run.
    Fleet,
}

/// Version and hash of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationView {
    /// Version 1 comes from the command-line flags; each change adds 1.
    pub version: u64,
    /// A hash of its content.
    pub hash: u32,
}

/// `GET /admin/v1/settings`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsView {
    /// All sections with their desired settings.
    pub sections: Vec<SectionView>,
}

/// Desired settings of one section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SectionView {
    /// Name of the section.
    pub section: Section,
    /// Its generation; null while the flags of each node apply.
    pub generation: Option<GenerationView>,
    /// Its values: numbers, or "open" and "keys".
    pub values: BTreeMap<String, SettingValue>,
    /// When it was set, in milliseconds since 1970.
    pub updated_at_ms: Option<u64>,
    /// The user or token that set it.
    pub updated_by: Option<String>,
    /// Nodes that run this generation; null for "ingest" and "fleet", which nodes do not report.
    pub nodes_up_to_date: Option<u64>,
    /// Nodes that send heartbeats but do not run this generation yet.
    pub nodes_pending: Vec<String>,
    /// A note if the section is not applied as set: for example, the embedded engine always runs one consumer.
    pub note: Option<String>,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// A number.
    Number(u64),
    /// A word.
    Word(String),
}

/// `GET /admin/v1/settings/{section}/history`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsHistoryView {
    /// Name of the section.
    pub section: Section,
    /// Newest first.
    pub versions: Vec<VersionView>,
}

/// One version of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Its generation.
    pub generation: GenerationView,
    /// Its values.
    pub values: BTreeMap<String, SettingValue>,
    /// When it was set, in milliseconds since 1970.
    pub updated_at_ms: u64,
    /// The user or token that set it.
    pub updated_by: String,
    /// The plan that set it; null if it came from the flags.
    pub plan: Option<String>,
}
