//! EC2 instances, by their tags `skilift:stack` and `skilift:role`.
//!
//! - `call`: calls to EC2, and the meaning of its errors. `client`: the real one, through its SDK.
//! - `engine`: exactly one outcome for each instance. `judge`: evaluation of a description. `pace`: intervals and timeouts.

mod call;
mod client;
mod engine;
mod judge;
mod pace;

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use self::call::{CallError, Class, Ec2};
use self::client::Client;
use self::pace::Pace;
use skilift_fleet::instance::{Instance, InstanceId};
use skilift_fleet::outcome::{FleetError, Outcome, Verb};
use skilift_fleet::{Fleet, FleetKind, Progress};

/// The tag with the stack of an instance.
pub const STACK_TAG: &str = "skilift:stack";
/// The tag with the role of an instance.
pub const ROLE_TAG: &str = "skilift:role";

/// The instances of a stack.
pub struct Ec2Fleet {
    client: Client,
    pace: Pace,
    stack: String,
}

impl Ec2Fleet {
    /// The instances with the tag of `stack`. Credentials and region are found like in AWS's own tools, on first use.
    /// `endpoint`, if given, replaces the endpoint of the region.
    #[must_use]
    pub fn new(stack: impl Into<String>, endpoint: Option<String>) -> Self {
        let stack = stack.into();
        Self {
            client: Client::new(stack.clone(), endpoint),
            pace: Pace::new(rand::random()),
            stack,
        }
    }

    /// The same with at most `page` instances or reservations per response of EC2, 5 to 1000 instead of 1000: for tests.
    #[must_use]
    pub fn with_page(mut self, page: i32) -> Self {
        self.client.set_page(page);
        self
    }

    async fn carry_out(
        &self,
        verb: Verb,
        ids: &[InstanceId],
        progress: Progress<'_>,
    ) -> Vec<Outcome> {
        engine::carry_out(&self.client, &self.pace, &self.stack, verb, ids, progress).await
    }
}

#[async_trait]
impl Fleet for Ec2Fleet {
    fn kind(&self) -> FleetKind {
        FleetKind::Ec2 {
            region: self.client.region(),
        }
    }

    async fn list(&self) -> Result<Vec<Instance>, FleetError> {
        list(&self.client, &self.pace).await
    }

    async fn preflight(&self, verb: Verb, ids: &[InstanceId]) -> Result<(), FleetError> {
        preflight(&self.client, &self.pace, verb, ids).await
    }

    async fn start(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome> {
        self.carry_out(Verb::Start, ids, progress).await
    }

    async fn stop(&self, ids: &[InstanceId], progress: Progress<'_>) -> Vec<Outcome> {
        self.carry_out(Verb::Stop, ids, progress).await
    }
}

async fn list(ec2: &dyn Ec2, pace: &Pace) -> Result<Vec<Instance>, FleetError> {
    let mut tries = 0;
    let answer = loop {
        let answer = ec2.describe_stack().await;
        if !ask_again(pace, &mut tries, &answer).await {
            break answer;
        }
    };
    let seen = answer.map_err(|error| fleet_error(&error, "ec2:DescribeInstances"))?;
    let mut instances: Vec<Instance> = seen.into_iter().map(|seen| seen.instance).collect();
    instances.retain(|instance| !instance.state.is_gone());
    instances.sort_by(|one, other| {
        (&one.role, &one.zone, &one.id).cmp(&(&other.role, &other.zone, &other.id))
    });
    Ok(instances)
}

async fn preflight(
    ec2: &dyn Ec2,
    pace: &Pace,
    verb: Verb,
    ids: &[InstanceId],
) -> Result<(), FleetError> {
    // EC2 rejects an empty list.
    if ids.is_empty() {
        return Ok(());
    }
    let mut tries = 0;
    let answer = loop {
        let answer = ec2.change(verb, ids, true).await;
        if !ask_again(pace, &mut tries, &answer).await {
            break answer;
        }
    };
    match answer {
        Ok(()) => Ok(()),
        Err(error) if error.class() == Class::WouldSucceed => Ok(()),
        Err(error) => Err(fleet_error(&error, &verb.to_string())),
    }
}

/// Whether to retry a read after a pause: if EC2 is busy, but not if it does not respond, because a request is waiting for
/// the result.
async fn ask_again<T: Sync>(pace: &Pace, tries: &mut u32, answer: &Result<T, CallError>) -> bool {
    *tries += 1;
    let is_busy = answer.as_ref().is_err_and(CallError::is_busy);
    if !is_busy || *tries == pace::QUESTION_TRIES {
        return false;
    }
    tokio::time::sleep(pace.retry(*tries - 1)).await;
    true
}

fn fleet_error(error: &CallError, doing: &str) -> FleetError {
    FleetError {
        code: error.outcome(),
        message: error.advice(doing),
    }
}
