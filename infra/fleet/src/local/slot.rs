//! The slots of children: a fixed number per role, each with a fixed id.

use crate::SCALED_ROLES;
use crate::instance::InstanceId;
use crate::outcome::OutcomeCode;

/// Prefix of the id of every child.
const PREFIX: &str = "local-";

/// The id of a role's child; those within the process itself have number 0.
#[must_use]
pub fn local_id(role: &str, number: u16) -> InstanceId {
    InstanceId::new(format!("{PREFIX}{role}-{number}"))
}

/// All possible ids of children, by role and number, with the role.
pub(super) fn all(most: u16) -> impl Iterator<Item = (InstanceId, &'static str)> {
    SCALED_ROLES
        .into_iter()
        .flat_map(move |role| (1..=most).map(move |number| (local_id(role, number), role)))
}

/// The error for an invalid id.
pub(super) fn refusal(id: &InstanceId, most: u16) -> (OutcomeCode, String) {
    let number = id.as_str().strip_prefix(PREFIX).and_then(|rest| {
        let (role, number) = rest.rsplit_once('-')?;
        SCALED_ROLES.contains(&role).then_some(())?;
        number.parse::<u16>().ok()
    });
    match number {
        Some(_) => (
            OutcomeCode::NotFound,
            format!("there is no slot {id}: each role has slots 1 to {most}"),
        ),
        None => (
            OutcomeCode::BadId,
            format!(
                "{id} is not the id of a child process; a valid id is {}",
                local_id("worker", 1)
            ),
        ),
    }
}
