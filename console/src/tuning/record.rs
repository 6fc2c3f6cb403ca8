//! A sweep as it is stored.

use serde::{Deserialize, Serialize};
use skilift_core::clock::epoch_ms;
use skilift_core::control::WorkerSettings;
use skilift_tuning::sweep::{Config, Sweep};

use super::spec;
use crate::access::Caller;
use crate::config::EngineKind;
use crate::console::Console;
use crate::error::Error;
use crate::fleet;
use crate::view::access::UserRole;
use crate::view::tuning::{RunView, SweepEnvironment, SweepSpec, SweepState};

/// A sweep.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SweepRecord {
    pub(super) id: String,
    pub(super) spec: SweepSpec,
    pub(super) created_by: String,
    pub(super) created_role: UserRole,
    pub(super) started_at_ms: u64,
    pub(super) ended_at_ms: Option<u64>,
    pub(super) state: SweepState,
    /// How it ended, if not by itself.
    pub(super) message: Option<String>,
    /// What happened to the settings at its end.
    pub(super) settings_message: Option<String>,
    pub(super) before: Before,
    /// Whether that is set again.
    pub(super) is_restored: bool,
    /// What it has measured, and what is left.
    pub(super) sweep: Sweep,
    /// Every measurement, in order.
    pub(super) runs: Vec<(Config, RunView)>,
    /// What its instances cost while it ran; `None` after a time with an unknown price.
    pub(super) spent_usd: Option<f64>,
    pub(super) environment: SweepEnvironment,
    pub(super) seed: u64,
}

/// What was set before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) config: Config,
    pub(super) worker: WorkerSettings,
    /// Ids of the instances of API nodes and workers that were up.
    pub(super) up: Vec<String>,
}

impl Before {
    fn now(console: &Console, config: Config) -> Result<Self, Error> {
        let document = console.desired.document();
        let worker = document.worker.map(|set| set.value);
        let instances = console.machines.listed().instances;
        let up = instances
            .iter()
            .filter(|of| of.is_scaled() && of.state.is_up());
        Ok(Self {
            config,
            worker: worker.ok_or_else(|| Error::refused("the settings of workers are unknown"))?,
            up: up.map(|instance| instance.id.to_string()).collect(),
        })
    }
}

impl SweepRecord {
    /// A new one, without its id.
    ///
    /// # Errors
    /// If the specification is invalid.
    pub(super) fn new(
        console: &Console,
        caller: &Caller,
        mut spec: SweepSpec,
    ) -> Result<Self, Error> {
        let now = spec::current(console, &spec)?;
        let space = spec::check(console, &spec, now)?;
        check_target(console, caller, &spec)?;
        let seed = *spec
            .seed
            .get_or_insert_with(|| u64::from(rand::random::<u32>()));
        let objective = spec::objective(&spec);
        Ok(Self {
            id: String::new(),
            created_by: caller.name.clone(),
            created_role: caller.role,
            started_at_ms: epoch_ms(),
            ended_at_ms: None,
            state: SweepState::Running,
            message: None,
            settings_message: None,
            before: Before::now(console, now)?,
            is_restored: false,
            sweep: Sweep::new(space, objective, spec.repeats, seed, Some(now)),
            runs: Vec::new(),
            spent_usd: Some(0.0),
            environment: environment(console, seed),
            spec,
            seed,
        })
    }

    /// Goes on after it was stopped: what is set now is what is restored at its end.
    pub(super) fn resume(&mut self, console: &Console, caller: &Caller) -> Result<(), Error> {
        let now = spec::current(console, &self.spec)?;
        spec::check(console, &self.spec, now)?;
        check_target(console, caller, &self.spec)?;
        // What an earlier end could not restore is still what was set before.
        if self.is_restored {
            self.before = Before::now(console, now)?;
        }
        self.is_restored = false;
        self.created_by.clone_from(&caller.name);
        self.created_role = caller.role;
        self.state = SweepState::Running;
        (self.message, self.settings_message, self.ended_at_ms) = (None, None, None);
        Ok(())
    }
}

/// Only an admin may direct a load to another target than the console's own API.
fn check_target(console: &Console, caller: &Caller, spec: &SweepSpec) -> Result<(), Error> {
    let own = console
        .config
        .load
        .as_ref()
        .and_then(|load| load.target.as_ref());
    let is_other = spec.load.target.is_some() && spec.load.target.as_ref() != own;
    if is_other && caller.role < UserRole::Admin {
        return Err(Error::forbidden(format!(
            "load.target requires the role admin; {} has the role {}",
            caller.name, caller.role
        )));
    }
    Ok(())
}

fn environment(console: &Console, seed: u64) -> SweepEnvironment {
    let instances = console.machines.listed().instances;
    let mut types: Vec<String> = instances
        .iter()
        .filter(|instance| instance.state.is_up())
        .map(|instance| format!("{}: {}", instance.role, instance.instance_type))
        .collect();
    types.sort();
    types.dedup();
    SweepEnvironment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        stack: console.config.stack.to_string(),
        engine: match console.config.engine {
            EngineKind::Servers => "servers",
            EngineKind::DataFolder => "data folder",
        }
        .to_owned(),
        region: fleet::region(console),
        instance_types: types,
        prices_date: console.config.prices.view().date,
        seed,
    }
}

/// The id of a sweep.
pub(super) fn id(number: u64) -> String {
    format!("t{number}")
}

/// The number of a sweep, by its id.
pub(super) fn number(of: &str) -> Option<u64> {
    let number = of.strip_prefix('t')?.parse().ok()?;
    (id(number) == of).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As version 0.1.0 writes it. It must stay readable: a field that is added needs a default, and unknown fields are ignored.
    #[test]
    fn a_sweep_of_the_first_version_is_read() {
        let config = json!({"api": 1, "workers": 1, "threads": 2, "batch": 1000});
        let results = json!({
            "measured": [{"stored_per_s": 3000.0, "p99_ms": 36.0, "usd_per_h": null, "cores": 0.4}], "failed": null,
        });
        let record = json!({
            "id": "t1", "spec": {"space": {"threads": [1, 2]}, "objective": {"p99_ms": 100.0}}, "created_by": "anna",
            "created_role": "operator", "started_at_ms": 1, "ended_at_ms": null, "state": "running", "message": null,
            "settings_message": null, "is_restored": false, "spent_usd": null, "seed": 7, "environment": {"version": "0.1.0"},
            "before": {"config": config, "worker": {"threads": 2, "prefetch": 4000, "batch": 1000, "linger_ms": 25}, "up": []},
            "sweep": {
                "space": {"api": [1], "workers": [1], "threads": [1, 2], "batch": [1000]},
                "objective": {"p99_ms": 100.0, "min_rate": null, "max_usd_per_h": null}, "repeats": 3, "seed": 7,
                "refinements": 0, "left": [{"config": config, "repeat": 2}], "results": [[config, results]],
            },
            "runs": [[config, {"repeat": 1, "at_ms": 2, "took_s": 16.5, "stored_per_s": 3000.0}]],
            "a_later_field": {"nested": [1]},
        });
        let read: SweepRecord = serde_json::from_value(record).unwrap();
        assert_eq!((read.sweep.left(), read.runs.len()), (1, 1));
    }
}
