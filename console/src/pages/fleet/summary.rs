//! Fleet and cost in short, for the overview.

use super::age;
use crate::console::Console;
use crate::error::Error;
use crate::fleet::{self, cost};
use crate::pages::html::{key, usd};
use crate::view::cost::{CostView, RoleCostView};
use crate::view::figures::grouped;
use crate::view::fleet::FleetRoleView;

/// Instances and cost by role.
pub(in crate::pages) struct Summary {
    pub(in crate::pages) age: String,
    pub(in crate::pages) rows: Vec<Row>,
    pub(in crate::pages) total: String,
    pub(in crate::pages) per_million: String,
    /// Why the instances cannot be listed now.
    pub(in crate::pages) error: Option<String>,
    /// The plan that is starting or stopping instances.
    pub(in crate::pages) plan: Option<String>,
}

pub(in crate::pages) struct Row {
    /// Part of the ids of its cells.
    pub(in crate::pages) key: String,
    /// "API", "Worker", "Broker".
    pub(in crate::pages) name: String,
    pub(in crate::pages) running: String,
    pub(in crate::pages) stopped: String,
    pub(in crate::pages) usd_per_h: String,
}

/// The summary; `None` if the stack has no fleet.
pub(in crate::pages) fn summary(console: &Console) -> Result<Option<Summary>, Error> {
    let view = fleet::view(console)?;
    if view.kind == "none" {
        return Ok(None);
    }
    let cost = cost::view(console);
    // The total includes roles that are not scaled.
    let is_scaled = |of: &&RoleCostView| view.roles.iter().any(|role| role.role == of.role);
    let others = cost.roles.iter().filter(|of| !is_scaled(of)).map(other);
    let scaled = view.roles.iter().map(|of| row(of, &cost));
    Ok(Some(Summary {
        age: age(&view),
        rows: scaled.chain(others).collect(),
        total: usd(&cost.usd_per_h),
        per_million: usd(&cost.usd_per_million_stored),
        error: view.error,
        plan: view.plan,
    }))
}

fn row(of: &FleetRoleView, cost: &CostView) -> Row {
    let known = |count: Option<u64>| count.map_or_else(|| "unknown".to_owned(), grouped);
    let billed = cost.roles.iter().find(|role| role.role == of.role);
    Row {
        key: of.role.clone(),
        name: name(&of.role),
        running: known(of.running),
        stopped: known(of.stopped),
        usd_per_h: match billed {
            Some(role) => usd(&role.usd_per_h),
            None if of.running.is_none() => "unknown".to_owned(),
            None => "0.0000".to_owned(),
        },
    }
}

/// The row of a role that is not scaled.
fn other(of: &RoleCostView) -> Row {
    Row {
        // The role is a tag, which may be any text.
        key: key(&of.role),
        name: name(&of.role),
        running: grouped(of.running),
        stopped: "–".to_owned(),
        usd_per_h: usd(&of.usd_per_h),
    }
}

/// A role as the first word of a row.
fn name(role: &str) -> String {
    if role == "api" {
        return "API".to_owned();
    }
    let mut chars = role.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
