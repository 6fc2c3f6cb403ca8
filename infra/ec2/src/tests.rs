//! The engine against an EC2 that follows a script: every row of what EC2 does and refuses, and thousands of random ones.

mod rows;
mod schedules;

use super::engine::carry_out;
use super::pace::Pace;
use super::scripted::{STACK, Scripted};
use skilift_fleet::instance::InstanceId;
use skilift_fleet::outcome::{Outcome, OutcomeCode, Verb};

/// Carries out and returns the outcomes.
async fn ask(ec2: &Scripted, verb: Verb, ids: &[InstanceId], seed: u64) -> Vec<Outcome> {
    carry_out(ec2, &Pace::new(seed), STACK, verb, ids, &|_, _| {}).await
}

/// All machines of the script.
fn all(ec2: &Scripted) -> Vec<InstanceId> {
    ec2.with(|world| world.machines.keys().cloned().collect())
}

fn codes(outcomes: &[Outcome]) -> Vec<OutcomeCode> {
    outcomes.iter().map(|outcome| outcome.code).collect()
}
