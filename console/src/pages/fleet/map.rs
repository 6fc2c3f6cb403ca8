//! The instances by role and zone.

use std::collections::BTreeSet;

use super::instance_state;
use crate::pages::html::Markup;
use crate::view::fleet::InstanceView;

/// Instances of a role in a zone above which only their number is shown.
const MAX_CELLS: usize = 24;
/// Last characters of an id that are shown.
const ID_CHARS: usize = 6;

/// The instances of a role.
pub(super) struct MapRow {
    pub(super) role: String,
    pub(super) zones: Vec<Zone>,
}

/// The instances of a role in a zone.
pub(super) struct Zone {
    pub(super) cells: Vec<Cell>,
    /// Their number, if there are too many cells.
    pub(super) count: Option<usize>,
}

pub(super) struct Cell {
    pub(super) class: String,
    pub(super) state: Markup,
    pub(super) id: String,
}

/// The zones of the instances, in order.
pub(super) fn zones(instances: &[InstanceView]) -> Vec<String> {
    let zones: BTreeSet<&str> = instances.iter().map(|of| &*of.zone).collect();
    zones.into_iter().map(str::to_owned).collect()
}

/// A row for each role, with a cell for each instance.
pub(super) fn rows(instances: &[InstanceView], zones: &[String]) -> Vec<MapRow> {
    let by_role = instances.chunk_by(|one, other| one.role == other.role);
    let row = |of: &[InstanceView]| MapRow {
        role: of[0].role.clone(),
        zones: zones.iter().map(|zone| in_zone(of, zone)).collect(),
    };
    by_role.map(row).collect()
}

fn in_zone(instances: &[InstanceView], zone: &str) -> Zone {
    let here: Vec<&InstanceView> = instances.iter().filter(|of| of.zone == zone).collect();
    if here.len() > MAX_CELLS {
        return Zone {
            cells: Vec::new(),
            count: Some(here.len()),
        };
    }
    let cell = |of: &&InstanceView| Cell {
        class: of.state.clone(),
        state: instance_state(&of.state),
        id: short(&of.id),
    };
    Zone {
        cells: here.iter().map(cell).collect(),
        count: None,
    }
}

/// The end of an id, which tells instances apart.
fn short(id: &str) -> String {
    let chars = id.chars().count();
    if chars <= 16 {
        return id.to_owned();
    }
    let end: String = id.chars().skip(chars - ID_CHARS).collect();
    format!("…{end}")
}
