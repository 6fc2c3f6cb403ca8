//! A scenario: which instances there are, how long things take, what there is no capacity for, and what goes wrong.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::fault::{Ec2Action, Ec2Fault};
use super::instance::{Ec2Instance, Ec2Spot, Ec2State};
use super::region::Ec2Timings;
use super::stub::Ec2Stub;

/// The scenario without a file.
const DEFAULT: &str = r#"
instances = [
    { role = "api", count = 3, running = 2, type = "c7g.large" },
    { role = "worker", count = 6, running = 2, type = "c7g.large" },
    { role = "broker", type = "m7g.large" },
    { role = "redis", type = "r7g.large" },
    { role = "console", type = "t4g.small" },
]
"#;

const ROLES: [&str; 5] = ["api", "worker", "broker", "redis", "console"];
const MOST_INSTANCES: usize = 1_000;
const LONGEST: Duration = Duration::from_secs(3_600);

/// A scenario, in the format of a TOML file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    #[serde(default)]
    timings: Timings,
    #[serde(default)]
    instances: Vec<Instances>,
    #[serde(default)]
    capacity: Vec<Capacity>,
    #[serde(default)]
    faults: Vec<Fault>,
}

/// Why a file is not a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has no valid content.
    #[error("{file}: {reason}")]
    Content {
        /// The file.
        file: String,
        /// What is invalid.
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Timings {
    #[serde(with = "humantime_serde")]
    pending: Duration,
    #[serde(with = "humantime_serde")]
    stopping: Duration,
    #[serde(with = "humantime_serde")]
    initializing: Duration,
    #[serde(with = "humantime_serde")]
    lag: Duration,
    #[serde(with = "humantime_serde")]
    spot_settling: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            pending: Duration::from_secs(2),
            stopping: Duration::from_secs(2),
            initializing: Duration::from_secs(2),
            lag: Duration::from_millis(500),
            spot_settling: Duration::from_secs(3),
        }
    }
}

/// Instances of one role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Instances {
    role: String,
    #[serde(default = "one")]
    count: usize,
    /// How many of them run, the first ones; all, if absent.
    running: Option<usize>,
    r#type: String,
    /// Their zones, in turn.
    #[serde(default = "zones")]
    zones: Vec<String>,
    spot: Option<Spot>,
    #[serde(default)]
    instance_store: bool,
    #[serde(default)]
    stop_protected: bool,
    #[serde(default)]
    impaired: bool,
    auto_scaling_group: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Spot {
    Persistent,
    OneTime,
    Interrupted,
}

/// How many more of a type may be started in a zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capacity {
    r#type: String,
    zone: String,
    free: usize,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    action: String,
    /// The error code that EC2 answers.
    error: Option<String>,
    /// The connection is cut: before the call has its effect, or after.
    cut: Option<Cut>,
    /// The call has its effect, and the answer is an HTML page with this status.
    html: Option<u16>,
    /// A start is accepted, then falls back to stopped with this `StateReason`.
    falls_back: Option<String>,
    /// Only calls that name this instance.
    instance: Option<String>,
    /// The next calls; one, if absent.
    times: Option<usize>,
    #[serde(default)]
    always: bool,
    #[serde(default, with = "humantime_serde")]
    delay: Duration,
    /// Instances that the call names before this one are changed all the same.
    #[serde(default)]
    after_earlier_ids: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cut {
    Before,
    After,
}

/// The ID of an instance, by its number from 1.
fn id_of(number: usize) -> String {
    format!("i-{number:017x}")
}

fn one() -> usize {
    1
}

fn zones() -> Vec<String> {
    ["a", "b", "c"]
        .map(|zone| format!("us-east-1{zone}"))
        .into()
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a scenario.
    pub fn read(file: &Path) -> Result<Self, ScenarioError> {
        let name = file.display().to_string();
        match std::fs::read_to_string(file) {
            Ok(text) => {
                Self::parse(&text).map_err(|reason| ScenarioError::Content { file: name, reason })
            }
            Err(source) => Err(ScenarioError::Read { file: name, source }),
        }
    }

    /// Parses a scenario and checks it.
    ///
    /// # Errors
    /// What is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        if scenario.instances.is_empty() {
            scenario.instances = Self::default().instances;
        }
        let timings = scenario.timings;
        let longest = [
            timings.pending,
            timings.stopping,
            timings.initializing,
            timings.lag,
            timings.spot_settling,
        ];
        let delays = scenario.faults.iter().map(|fault| fault.delay);
        if longest.into_iter().chain(delays).any(|time| time > LONGEST) {
            return Err("timings and delays must be at most 1h".to_owned());
        }
        scenario.instances.iter().try_for_each(Instances::check)?;
        let all: usize = scenario.instances.iter().map(|of| of.count).sum();
        if all > MOST_INSTANCES {
            return Err(format!(
                "at most {MOST_INSTANCES} instances are supported, not {all}"
            ));
        }
        for fault in &scenario.faults {
            fault.check(all)?;
        }
        Ok(scenario)
    }

    /// How long things take.
    #[must_use]
    pub fn timings(&self) -> Ec2Timings {
        let Timings {
            pending,
            stopping,
            initializing,
            lag,
            spot_settling,
        } = self.timings;
        Ec2Timings {
            pending,
            stopping,
            initializing,
            lag,
            spot_settling,
        }
    }

    /// Adds the instances of a stack. Their IDs are i-00000000000000001 and so on, in the order of the file.
    pub fn put_instances(&self, ec2: &Ec2Stub, stack: &str) {
        let mut number = 0;
        let mut of_role = BTreeMap::<&str, usize>::new();
        for of in &self.instances {
            for place in 0..of.count {
                number += 1;
                let numbered = of_role.entry(&of.role).or_default();
                *numbered += 1;
                let name = format!("{stack}-{}-{numbered}", of.role);
                ec2.put(of.instance(number, place, stack).tag("Name", name));
            }
        }
    }

    /// Sets what goes wrong and what there is no capacity for, in place of what was set before.
    pub fn set_faults(&self, ec2: &Ec2Stub) {
        ec2.clear_faults();
        ec2.clear_limits();
        for of in &self.capacity {
            ec2.limit_capacity(&of.r#type, &of.zone, Some(of.free));
        }
        for fault in self.faults.iter().filter_map(Fault::fault) {
            ec2.inject(fault);
        }
    }
}

impl Default for Scenario {
    fn default() -> Self {
        toml::from_str(DEFAULT).expect("the default scenario is valid")
    }
}

impl Instances {
    fn check(&self) -> Result<(), String> {
        let role = &self.role;
        if !ROLES.contains(&role.as_str()) {
            return Err(format!("unknown role {role:?}: use {}", ROLES.join(", ")));
        }
        if self.zones.is_empty() {
            return Err(format!(
                "instances of {role}: zones must name at least one zone"
            ));
        }
        if self.running.is_some_and(|running| running > self.count) {
            return Err(format!(
                "instances of {role}: running must be at most count"
            ));
        }
        Ok(())
    }

    fn instance(&self, number: usize, place: usize, stack: &str) -> Ec2Instance {
        let state = match self.running.is_none_or(|running| place < running) {
            true => Ec2State::Running,
            false => Ec2State::Stopped,
        };
        let mut instance = Ec2Instance::new(id_of(number), state)
            .tag("skilift:stack", stack)
            .tag("skilift:role", &self.role);
        if let Some(group) = &self.auto_scaling_group {
            instance = instance.tag("aws:autoscaling:groupName", group);
        }
        Ec2Instance {
            instance_type: self.r#type.clone(),
            zone: self.zones[place % self.zones.len()].clone(),
            spot: self.spot.map(|spot| match spot {
                Spot::Persistent => Ec2Spot::Persistent,
                Spot::OneTime => Ec2Spot::OneTime,
                Spot::Interrupted => Ec2Spot::Interrupted,
            }),
            instance_store: self.instance_store,
            stop_protected: self.stop_protected,
            impaired: self.impaired,
            ..instance
        }
    }
}

impl Fault {
    /// Checks it, beside so many instances.
    fn check(&self, instances: usize) -> Result<(), String> {
        let Some(action) = Ec2Action::named(&self.action) else {
            return Err(format!(
                "unknown action {:?}: use DescribeInstances, DescribeInstanceStatus, DescribeSpotInstanceRequests, StartInstances or StopInstances",
                self.action
            ));
        };
        let kinds = [
            self.error.is_some(),
            self.cut.is_some(),
            self.html.is_some(),
            self.falls_back.is_some(),
        ];
        let kinds = kinds.into_iter().filter(|is_set| *is_set).count();
        if kinds > 1 || kinds == 0 && self.delay.is_zero() {
            return Err(format!(
                "a fault of {} must have exactly one of error, cut, html and falls_back, or only a delay",
                self.action
            ));
        }
        if self.falls_back.is_some() && action != Ec2Action::StartInstances {
            return Err("falls_back applies only to StartInstances".to_owned());
        }
        if self.times == Some(0) {
            return Err("times must be at least 1".to_owned());
        }
        if self.after_earlier_ids && (self.error.is_none() || self.instance.is_none()) {
            return Err("after_earlier_ids requires error and instance".to_owned());
        }
        if let Some(id) = &self.instance
            && !(1..=instances).any(|number| id_of(number) == *id)
        {
            return Err(format!(
                "there is no instance {id}; the last one is {}",
                id_of(instances)
            ));
        }
        if self.times.is_some() && self.always {
            return Err(format!(
                "a fault of {} has both times and always",
                self.action
            ));
        }
        if self
            .html
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err("html must be an HTTP status, 200 to 599".to_owned());
        }
        Ok(())
    }

    /// The fault; `None` for an unknown action.
    fn fault(&self) -> Option<Ec2Fault> {
        let action = Ec2Action::named(&self.action)?;
        let mut fault = if let Some(code) = &self.error {
            Ec2Fault::error(action, code)
        } else if let Some(reason) = &self.falls_back {
            Ec2Fault::falls_back(reason)
        } else if let Some(status) = self.html {
            Ec2Fault::not_xml(action, status)
        } else {
            match self.cut {
                Some(Cut::Before) => Ec2Fault::cut_before(action),
                Some(Cut::After) => Ec2Fault::cut_after(action),
                None => Ec2Fault::delay(action, self.delay),
            }
        };
        fault = fault.late(self.delay);
        if let Some(id) = &self.instance {
            fault = fault.on(id);
        }
        if let Some(times) = self.times {
            fault = fault.times(times);
        }
        if self.always {
            fault = fault.always();
        }
        if self.after_earlier_ids {
            fault = fault.after_earlier_ids();
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests;
