//! Settings as shown to operators: desired values, nodes that are up to date, and history.

use std::collections::BTreeMap;

use skilift_core::control::{Document, FleetBounds, Generation, Ingest, Role};
use skilift_core::embedded::DiskError;

use crate::config::EngineKind;
use crate::console::Console;
use crate::desired::{SECTIONS, settings_of};
use crate::state::{Settings, Version};
use crate::view::settings::{
    GenerationView, Section, SectionView, SettingValue, SettingsHistoryView, SettingsView,
    VersionView,
};

/// All sections.
pub(crate) fn view(console: &Console) -> Result<SettingsView, DiskError> {
    let document = console.desired.document();
    let view = |section| section_view(console, &document, section);
    Ok(SettingsView {
        sections: SECTIONS.into_iter().map(view).collect::<Result<_, _>>()?,
    })
}

fn section_view(
    console: &Console,
    document: &Document,
    section: Section,
) -> Result<SectionView, DiskError> {
    let set = settings_of(document, section);
    let version = match set {
        Some((number, ..)) => console.state.version(section, number)?,
        None => None,
    };
    let (following, behind) = followers(console, document, section);
    Ok(SectionView {
        section,
        generation: set.map(|(number, hash, _)| GenerationView {
            version: number,
            hash,
        }),
        values: set.map(|(_, _, value)| values(value)).unwrap_or_default(),
        updated_at_ms: version.as_ref().map(|version| version.at_ms),
        updated_by: version.map(|version| version.by),
        nodes_up_to_date: following,
        nodes_pending: behind,
        note: note(console, section, set.map(|(_, _, value)| value)),
    })
}

/// The number of nodes that are up to date, and the names of live nodes that are pending.
fn followers(
    console: &Console,
    document: &Document,
    section: Section,
) -> (Option<u64>, Vec<String>) {
    let (role, shall): (Role, Option<Generation>) = match section {
        Section::Worker => (Role::Worker, document.worker.map(|set| set.generation)),
        Section::Api => (Role::Api, document.api.map(|set| set.generation)),
        // API nodes apply the first, but heartbeats do not report the ingest policy; the other is used only by the console.
        Section::Ingest | Section::Fleet => return (None, Vec::new()),
    };
    let nodes = console.roster.nodes();
    let live = nodes
        .iter()
        .filter(|node| node.role == role && !node.is_gone);
    let (follow, behind): (Vec<_>, Vec<_>) = live.partition(|node| node.generation == shall);
    let names = behind.iter().map(|node| node.node.to_string());
    (Some(follow.len() as u64), names.collect())
}

fn note(console: &Console, section: Section, value: Option<Settings>) -> Option<String> {
    if let Some(why) = console.desired.unreachable() {
        return Some(format!(
            "settings cannot be distributed; nodes keep their current settings: {why}"
        ));
    }
    one_lane(console, value).or_else(|| {
        let text = match (value, section) {
            (None, Section::Ingest) => "not set; each API node's own flags apply".to_owned(),
            (None, Section::Fleet) => {
                let bounds = FleetBounds::default();
                format!(
                    "not set: {} to {} workers and {} to {} API nodes may run",
                    bounds.worker_min, bounds.worker_max, bounds.api_min, bounds.api_max
                )
            }
            _ => return None,
        };
        Some(text)
    })
}

/// The note for a number of threads on the embedded engine.
pub(crate) fn one_lane(console: &Console, value: Option<Settings>) -> Option<String> {
    let (name, lanes) = match value? {
        Settings::Worker(worker) => ("threads", worker.threads),
        Settings::Api(api) => ("channels", api.channels),
        Settings::Ingest(_) | Settings::Fleet(_) => return None,
    };
    let is_folder = console.config.engine == EngineKind::DataFolder;
    (is_folder && lanes > 1).then(|| {
        format!("{name} has no effect on a data directory, which always has one; the other settings apply")
    })
}

/// The versions of a section, newest first.
pub(crate) fn history(
    console: &Console,
    section: Section,
    limit: usize,
) -> Result<SettingsHistoryView, DiskError> {
    let found = console.state.versions_before(section, u64::MAX, limit)?;
    Ok(SettingsHistoryView {
        section,
        versions: found.into_iter().map(version_view).collect(),
    })
}

fn version_view((number, version): (u64, Version)) -> VersionView {
    VersionView {
        generation: GenerationView {
            version: number,
            hash: version.hash,
        },
        values: values(version.value),
        updated_at_ms: version.at_ms,
        updated_by: version.by,
        plan: version.plan,
    }
}

/// A section's values by their names.
pub(crate) fn values(value: Settings) -> BTreeMap<String, SettingValue> {
    let numbers = |pairs: &[(&str, u32)]| {
        let pair =
            |&(name, number): &(&str, u32)| (name.to_owned(), SettingValue::Number(number.into()));
        pairs.iter().map(pair).collect()
    };
    match value {
        Settings::Worker(worker) => numbers(&[
            ("threads", worker.threads),
            ("prefetch", worker.prefetch),
            ("batch", worker.batch),
            ("linger_ms", worker.linger_ms),
        ]),
        Settings::Api(api) => numbers(&[
            ("channels", api.channels),
            ("message_rides", api.message_rides),
            ("max_in_flight", api.max_in_flight),
        ]),
        Settings::Fleet(bounds) => numbers(&[
            ("worker_min", bounds.worker_min),
            ("worker_max", bounds.worker_max),
            ("api_min", bounds.api_min),
            ("api_max", bounds.api_max),
        ]),
        Settings::Ingest(ingest) => {
            let word = match ingest {
                Ingest::Open => "open",
                Ingest::Keys => "keys",
            };
            BTreeMap::from([("ingest".to_owned(), SettingValue::Word(word.to_owned()))])
        }
    }
}

impl std::fmt::Display for SettingValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// A section's name.
pub(crate) fn name(section: Section) -> &'static str {
    match section {
        Section::Worker => "worker",
        Section::Api => "api",
        Section::Ingest => "ingest",
        Section::Fleet => "fleet",
    }
}
