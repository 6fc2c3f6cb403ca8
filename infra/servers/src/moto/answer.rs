//! What is read of moto's answers.

use anyhow::Context as _;
use serde::Deserialize;

use skilift_rehearsal::{Ec2Instance, Ec2State};

#[derive(Deserialize)]
pub(super) struct Items<T> {
    #[serde(default = "Vec::new")]
    pub(super) item: Vec<T>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { item: Vec::new() }
    }
}

/// `DescribeInstancesResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    pub(super) reservation_set: Items<Reservation>,
    pub(super) next_token: Option<String>,
}

/// `RunInstancesResponse`, and each entry of a describe.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reservation {
    pub(super) instances_set: Items<Instance>,
}

/// An instance.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance {
    pub(super) instance_id: String,
    instance_state: State,
    instance_type: String,
    placement: Placement,
    root_device_type: String,
    state_reason: Option<StateReason>,
    #[serde(default)]
    tag_set: Items<Tag>,
}

#[derive(Deserialize)]
struct State {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placement {
    availability_zone: String,
}

#[derive(Deserialize)]
struct StateReason {
    code: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: String,
}

/// `CreateAccessKeyResponse`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NewKey {
    pub(super) create_access_key_result: KeyResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct KeyResult {
    pub(super) access_key: AccessKey,
}

/// The key of a user.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AccessKey {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
}

impl Instance {
    /// As the other EC2 of this crate describes one.
    pub(super) fn into_instance(self) -> anyhow::Result<Ec2Instance> {
        let state = Ec2State::named(&self.instance_state.name)
            .with_context(|| format!("{} is {}", self.instance_id, self.instance_state.name))?;
        let reason = self.state_reason.map(|reason| reason.code);
        let tags = self.tag_set.item.into_iter();
        Ok(Ec2Instance {
            tags: tags.map(|tag| (tag.key, tag.value)).collect(),
            instance_type: self.instance_type,
            zone: self.placement.availability_zone,
            state_reason: reason.filter(|code| !code.is_empty()),
            instance_store: self.root_device_type != "ebs",
            ..Ec2Instance::new(self.instance_id, state)
        })
    }
}
