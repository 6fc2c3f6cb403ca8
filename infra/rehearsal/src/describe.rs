//! What can be seen of a region: its instances as they were some time ago, filtered, page by page.

use std::time::{Duration, Instant};

use super::instance::{Ec2Instance, Ec2State};
use super::query::{Filter, Query};
use super::refusal::Refusal;
use super::region::{Change, Region};

/// The sizes a page may have.
const PAGE: std::ops::RangeInclusive<i64> = 5..=1_000;
const TOKEN: &str = "after-";

/// What is seen of an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) facts: &'a Ec2Instance,
    pub(super) number: u32,
    pub(super) change: &'a Change,
    /// What its two status checks say.
    pub(super) status: &'static str,
}

/// A page of what is seen.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) views: Vec<View<'a>>,
    pub(super) next_token: Option<String>,
}

/// Answers a describe. Those that `shown` does not want are left out.
///
/// As EC2 reserves for itself, a page can hold fewer than were asked for, even none, with more to come: it is cut before it is
/// filtered.
pub(super) fn describe<'a>(
    region: &'a Region,
    query: &Query,
    now: Instant,
    shown: impl Fn(&View<'_>) -> bool,
) -> Result<Page<'a>, Refusal> {
    let ids = query.ids();
    region.check_ids(&ids)?;
    let size = page_size(query)?;
    if size.is_some() && !ids.is_empty() {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "The parameter instancesSet cannot be used with the parameter maxResults",
        ));
    }
    let after = match query.get("NextToken") {
        None => None,
        Some(token) => Some(token.strip_prefix(TOKEN).ok_or_else(|| {
            Refusal::new("InvalidNextToken", "The token is not one of this service.")
        })?),
    };
    let filters = query.filters();
    check(&filters)?;

    let then = now.checked_sub(region.timings().lag).unwrap_or(now);
    let machines = region.machines.values();
    let mut machines = machines.filter(|machine| {
        let id = &machine.facts.id;
        (ids.is_empty() || ids.contains(id)) && after.is_none_or(|after| id.as_str() > after)
    });
    let seen: Vec<View<'_>> = machines
        .by_ref()
        .take(size.unwrap_or(usize::MAX))
        .map(|machine| {
            let change = machine.at(then);
            View {
                facts: &machine.facts,
                number: machine.number,
                change,
                status: status(&machine.facts, change, then, region.timings().initializing),
            }
        })
        .collect();
    let last = seen.last().filter(|_| machines.next().is_some());
    let next_token = last.map(|last| format!("{TOKEN}{}", last.facts.id));
    let mut views = seen;
    views.retain(|view| shown(view) && filters.iter().all(|filter| passes(view, filter)));
    Ok(Page { views, next_token })
}

fn page_size(query: &Query) -> Result<Option<usize>, Refusal> {
    let Some(number) = query.number("MaxResults")? else {
        return Ok(None);
    };
    let size = usize::try_from(number)
        .ok()
        .filter(|_| PAGE.contains(&number));
    let size = size.ok_or_else(|| Refusal::invalid_value(&number.to_string(), "maxResults"))?;
    Ok(Some(size))
}

fn status(
    facts: &Ec2Instance,
    change: &Change,
    then: Instant,
    initializing: Duration,
) -> &'static str {
    if change.state != Ec2State::Running {
        "not-applicable"
    } else if change.at.is_some_and(|at| then < at + initializing) {
        "initializing"
    } else if facts.impaired {
        "impaired"
    } else {
        "ok"
    }
}

fn check(filters: &[Filter]) -> Result<(), Refusal> {
    let unknown = filters.iter().find(|filter| {
        let name = filter.name.as_str();
        !name.starts_with("tag:")
            && !matches!(
                name,
                "instance-state-name"
                    | "availability-zone"
                    | "instance-type"
                    | "instance-id"
                    | "instance-status.status"
                    | "system-status.status"
            )
    });
    match unknown {
        None => Ok(()),
        Some(Filter { name, .. }) => Err(Refusal::new(
            "InvalidParameterValue",
            format!("The filter '{name}' is invalid"),
        )),
    }
}

fn passes(view: &View<'_>, filter: &Filter) -> bool {
    let value = match filter.name.as_str() {
        "instance-state-name" => Some(view.change.state.name()),
        "availability-zone" => Some(view.facts.zone.as_str()),
        "instance-type" => Some(view.facts.instance_type.as_str()),
        "instance-id" => Some(view.facts.id.as_str()),
        "instance-status.status" | "system-status.status" => Some(view.status),
        name => {
            let tag = name
                .strip_prefix("tag:")
                .and_then(|key| view.facts.tags.get(key));
            tag.map(String::as_str)
        }
    };
    value.is_some_and(|value| filter.values.iter().any(|wanted| wanted == value))
}
