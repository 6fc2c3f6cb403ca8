//! The places of children: so many of each role, each with an id that stays.

use crate::SCALED_ROLES;
use crate::instance::InstanceId;
use crate::outcome::OutcomeCode;

/// What the id of every child begins with.
const PREFIX: &str = "local-";

/// The id of a role's child; those within the process itself have number 0.
#[must_use]
pub fn local_id(role: &str, number: u16) -> InstanceId {
    InstanceId::new(format!("{PREFIX}{role}-{number}"))
}

/// Every id that children can have, by role and number, with its role.
pub(super) fn all(most: u16) -> impl Iterator<Item = (InstanceId, &'static str)> {
    SCALED_ROLES
        .into_iter()
        .flat_map(move |role| (1..=most).map(move |number| (local_id(role, number), role)))
}

/// What is wrong with an id that no child can have.
pub(super) fn refusal(id: &InstanceId, most: u16) -> (OutcomeCode, String) {
    let number = id.as_str().strip_prefix(PREFIX).and_then(|rest| {
        let (role, number) = rest.rsplit_once('-')?;
        SCALED_ROLES.contains(&role).then_some(())?;
        number.parse::<u16>().ok()
    });
    match number {
        Some(_) => (
            OutcomeCode::NotFound,
            format!("there is no place {id} here: each role has those from 1 to {most}"),
        ),
        None => (
            OutcomeCode::BadId,
            format!(
                "{id} names no child process: they are called as {} is",
                local_id("worker", 1)
            ),
        ),
    }
}
