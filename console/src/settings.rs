//! Settings as operators see them: what shall be, who follows, and what was.

use std::collections::BTreeMap;

use skilift_core::control::{Document, FleetBounds, Generation, Ingest, Role};
use skilift_core::embedded::DiskError;

use crate::console::{Console, EngineKind};
use crate::desired::{SECTIONS, section_of};
use crate::state::{SectionValue, Version};
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
    let set = section_of(document, section);
    let version = match set {
        Some((number, ..)) => console.state.version(section, number)?,
        None => None,
    };
    let (following, behind) = followers(console, document, section);
    Ok(SectionView {
        section,
        generation: set.map(|(number, hash, _)| GenerationView { number, hash }),
        values: set.map(|(_, _, value)| values(value)).unwrap_or_default(),
        since_ms: version.as_ref().map(|version| version.at_ms),
        by: version.map(|version| version.by),
        nodes_following: following,
        nodes_behind: behind,
        note: note(console, section, set.map(|(_, _, value)| value)),
    })
}

/// How many nodes run what they shall, and which of those that are heard do not.
fn followers(
    console: &Console,
    document: &Document,
    section: Section,
) -> (Option<u64>, Vec<String>) {
    let (role, shall): (Role, Option<Generation>) = match section {
        Section::Worker => (Role::Worker, document.worker.map(|set| set.generation)),
        Section::Api => (Role::Api, document.api.map(|set| set.generation)),
        // API nodes follow the first with the document, but no heartbeat says whom they let post; the other is the console's own.
        Section::Ingest | Section::Fleet => return (None, Vec::new()),
    };
    let nodes = console.roster.nodes();
    let heard = nodes
        .iter()
        .filter(|node| node.role == role && !node.is_gone);
    let (follow, behind): (Vec<_>, Vec<_>) = heard.partition(|node| node.generation == shall);
    let names = behind.iter().map(|node| node.node.to_string());
    (Some(follow.len() as u64), names.collect())
}

fn note(console: &Console, section: Section, value: Option<SectionValue>) -> Option<String> {
    if let Some(why) = console.desired.unreachable() {
        return Some(format!(
            "nodes cannot be told, and keep to what they know: {why}"
        ));
    }
    one_lane(console, value).or_else(|| {
        let text = match (value, section) {
            (None, Section::Ingest) => "each API node does what its own flags say".to_owned(),
            (None, Section::Fleet) => {
                let bounds = FleetBounds::default();
                format!(
                    "nobody has set it: {} to {} workers and {} to {} API nodes may run",
                    bounds.worker_min, bounds.worker_max, bounds.api_min, bounds.api_max
                )
            }
            _ => return None,
        };
        Some(text)
    })
}

/// What a data folder makes of a number of lanes.
pub(crate) fn one_lane(console: &Console, value: Option<SectionValue>) -> Option<String> {
    let lanes = match value? {
        SectionValue::Worker(worker) => worker.threads,
        SectionValue::Api(api) => api.lanes,
        SectionValue::Ingest(_) | SectionValue::Fleet(_) => 1,
    };
    let is_folder = console.config.engine == EngineKind::DataFolder;
    (is_folder && lanes > 1).then(|| "a data folder has one lane, whatever is said here".to_owned())
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
            number,
            hash: version.hash,
        },
        values: values(version.value),
        at_ms: version.at_ms,
        by: version.by,
        plan: version.plan,
    }
}

/// A section's values by their names.
pub(crate) fn values(value: SectionValue) -> BTreeMap<String, SettingValue> {
    let numbers = |pairs: &[(&str, u32)]| {
        let pair =
            |&(name, number): &(&str, u32)| (name.to_owned(), SettingValue::Number(number.into()));
        pairs.iter().map(pair).collect()
    };
    match value {
        SectionValue::Worker(worker) => numbers(&[
            ("threads", worker.threads),
            ("prefetch", worker.prefetch),
            ("batch", worker.batch),
            ("linger_ms", worker.linger_ms),
        ]),
        SectionValue::Api(api) => numbers(&[
            ("lanes", api.lanes),
            ("message_rides", api.message_rides),
            ("max_in_flight", api.max_in_flight),
        ]),
        SectionValue::Fleet(bounds) => numbers(&[
            ("worker_min", bounds.worker_min),
            ("worker_max", bounds.worker_max),
            ("api_min", bounds.api_min),
            ("api_max", bounds.api_max),
        ]),
        SectionValue::Ingest(ingest) => {
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
