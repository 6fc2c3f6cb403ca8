//! Settings, with their generations and their history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What can be set.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// How workers work.
    Worker,
    /// How API nodes publish.
    Api,
    /// Who may post rides.
    Ingest,
    /// How many nodes may run.
    Fleet,
}

/// By what a setting is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationView {
    /// 1 is what the flags said; each change adds 1.
    pub number: u64,
    /// A hash of its content.
    pub hash: u32,
}

/// `GET /admin/v1/settings`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettingsView {
    /// Each section as it shall be.
    pub sections: Vec<SectionView>,
}

/// One section as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SectionView {
    /// Which.
    pub section: Section,
    /// Its generation; null while each node's flags rule.
    pub generation: Option<GenerationView>,
    /// Its values: numbers, or "open" and "keys".
    pub values: BTreeMap<String, SettingValue>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Who set it.
    pub by: Option<String>,
    /// Nodes that run this generation; null for "ingest" and "fleet", of which nodes say nothing.
    pub nodes_following: Option<u64>,
    /// Nodes that are heard and do not.
    pub nodes_behind: Vec<String>,
    /// What the engine makes of it, where that differs: "a data folder has one lane".
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
    /// Which.
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
    pub at_ms: u64,
    /// Who set it.
    pub by: String,
    /// The plan by which it was set; null where flags seeded it.
    pub plan: Option<String>,
}
