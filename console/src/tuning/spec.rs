//! What a sweep measures: validated, with current values for what it leaves open.

use std::collections::BTreeSet;

use skilift_core::control::{Role, setting};
use skilift_fleet::instance::Instance;
use skilift_tuning::choice::Objective;
use skilift_tuning::sweep::{Config, InstanceType, Space};

use crate::config::EngineKind;
use crate::console::Console;
use crate::error::Error;
use crate::fleet::choice::{to_start, to_stop};
use crate::fleet::{bounds, of_role, up};
use crate::view::change::{Change, Count, RoleCount, Scale, ScaledRole};
use crate::view::figures::counted;
use crate::view::tuning::{PointConfig, SweepLoad, SweepSpec};

/// Most points of a space.
const MAX_POINTS: usize = 500;
/// Ranges of the lengths, in seconds.
const WARM_UP_S: std::ops::RangeInclusive<u32> = 1..=600;
const MEASURE_S: std::ops::RangeInclusive<u32> = 5..=3600;
/// Most connections of a load, and most rides in a request.
const MAX_CONNECTIONS: u32 = 10_000;
const MAX_BULK: u32 = 10_000;
/// Most repeats of a point.
const REPEATS: std::ops::RangeInclusive<u32> = 1..=10;
/// Prefetch of a thread, in batches: one is being stored while the next ones arrive.
const PREFETCH_BATCHES: u32 = 4;

/// The prefetch of a batch.
pub(super) fn prefetch(batch: u32) -> u32 {
    let range = &setting::PREFETCH.range;
    batch
        .saturating_mul(PREFETCH_BATCHES)
        .clamp(*range.start(), *range.end())
}

/// What runs now; with the type of the workers, if the sweep is about types.
pub(super) fn current(console: &Console, spec: &SweepSpec) -> Result<Config, Error> {
    let document = console.desired.document();
    let worker = document.worker.map(|set| set.value).ok_or_else(|| {
        Error::refused("the settings of workers are unknown: none has sent a heartbeat yet")
    })?;
    Ok(Config {
        api: count(console, ScaledRole::Api),
        workers: count(console, ScaledRole::Worker),
        threads: worker.threads,
        batch: worker.batch,
        worker_type: if spec.space.worker_types.is_empty() {
            None
        } else {
            Some(current_type(console)?)
        },
    })
}

/// The type of the workers that are up.
fn current_type(console: &Console) -> Result<InstanceType, Error> {
    let instances = console.machines.listed().instances;
    let types: BTreeSet<&str> = up(&instances, ScaledRole::Worker)
        .map(|instance| instance.instance_type.as_str())
        .collect();
    let types: Vec<&str> = types.into_iter().collect();
    match types.as_slice() {
        [one] => instance_type(one),
        [] => Err(Error::refused(
            "no worker instance is up: a sweep of types starts from one",
        )),
        many => Err(Error::refused(format!(
            "workers of several types are up ({}): a sweep of types starts from workers of one type",
            many.join(", ")
        ))),
    }
}

fn instance_type(name: &str) -> Result<InstanceType, Error> {
    InstanceType::from(name).map_err(|_| Error::invalid(format!("{name:?} is no instance type")))
}

/// Instances of a role that are up; without instances, the nodes that work.
pub(super) fn count(console: &Console, role: ScaledRole) -> u32 {
    let count = if console.machines.is_set_up() {
        up(&console.machines.listed().instances, role).count()
    } else {
        let wanted = match role {
            ScaledRole::Api => Role::Api,
            ScaledRole::Worker => Role::Worker,
        };
        let nodes = console.roster.nodes();
        nodes
            .iter()
            .filter(|node| node.role == wanted && node.works)
            .count()
    };
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The change to a configuration.
pub(super) fn change_to(console: &Console, config: Config) -> Change {
    let mut scale = Scale {
        threads: Some(config.threads),
        batch: Some(config.batch),
        prefetch: Some(prefetch(config.batch)),
        ..Scale::default()
    };
    let mut counts = vec![(ScaledRole::Api, config.api)];
    match config.worker_type {
        Some(of) => (scale.start, scale.stop) = swap(console, of.as_str(), config.workers),
        None => counts.push((ScaledRole::Worker, config.workers)),
    }
    for (role, wanted) in counts {
        if count(console, role) != wanted {
            let count = Count::To(wanted);
            scale.roles.push(RoleCount { role, count });
        }
    }
    Change::Scale(scale)
}

/// Ids of the workers to start and to stop, so that `wanted` workers of a type are up and none of another.
fn swap(console: &Console, of: &str, wanted: u32) -> (Vec<String>, Vec<String>) {
    let listed = console.machines.listed().instances;
    let (same, others): (Vec<Instance>, Vec<Instance>) = listed
        .iter()
        .cloned()
        .partition(|instance| instance.instance_type == of);
    let role = ScaledRole::Worker;
    let (there, wanted) = (up(&same, role).count(), wanted as usize);
    let nodes = crate::fleet::nodes(console);
    let started = to_start(&same, role, wanted.saturating_sub(there));
    let mut stopped: Vec<&Instance> = up(&others, role).collect();
    stopped.extend(to_stop(&same, &nodes, role, there.saturating_sub(wanted)));
    let ids = |of: Vec<&Instance>| {
        of.into_iter()
            .map(|instance| instance.id.to_string())
            .collect()
    };
    (ids(started), ids(stopped))
}

/// Checks a specification, and returns its space.
pub(super) fn check(console: &Console, spec: &SweepSpec, now: Config) -> Result<Space, Error> {
    within("repeats", spec.repeats, &REPEATS)?;
    within("warm_up_s", spec.warm_up_s, &WARM_UP_S)?;
    within("measure_s", spec.measure_s, &MEASURE_S)?;
    within("drain_timeout_s", spec.drain_timeout_s, &MEASURE_S)?;
    let objective = &spec.objective;
    for (name, value) in [
        ("objective.p99_ms", objective.p99_ms),
        ("objective.min_rate", objective.min_rate),
        ("objective.max_usd_per_h", objective.max_usd_per_h),
        ("max_usd", spec.max_usd),
        ("load.rate", spec.load.rate),
    ] {
        if value.is_some_and(|value| !value.is_finite() || value <= 0.0) {
            return Err(Error::invalid(format!("{name} must be positive")));
        }
    }
    if objective.p99_ms.is_none() && objective.min_rate.is_none() {
        return Err(Error::invalid(
            "the objective requires p99_ms, min_rate or both: otherwise the smallest point always wins",
        ));
    }
    check_load(console, &spec.load)?;
    let of = |values: &[u32], now: u32| -> BTreeSet<u32> {
        if values.is_empty() {
            [now].into()
        } else {
            values.iter().copied().collect()
        }
    };
    let space = Space {
        api: of(&spec.space.api, now.api),
        workers: of(&spec.space.workers, now.workers),
        threads: of(&spec.space.threads, now.threads),
        batch: of(&spec.space.batch, now.batch),
        worker_types: check_types(console, spec, now.workers)?,
    };
    for (of, values) in [
        (&setting::THREADS, &space.threads),
        (&setting::BATCH, &space.batch),
    ] {
        for value in values {
            of.check(*value)
                .map_err(|error| Error::invalid(error.to_string()))?;
        }
    }
    check_counts(console, ScaledRole::Api, &space.api, now.api)?;
    check_counts(console, ScaledRole::Worker, &space.workers, now.workers)?;
    if console.config.engine == EngineKind::DataFolder
        && space.threads.iter().any(|of| *of != now.threads)
    {
        return Err(Error::invalid(
            "with a data directory one thread stores at a time, with any setting: sweep only the batch, or use RabbitMQ and Redis",
        ));
    }
    if space.size() > MAX_POINTS {
        return Err(Error::invalid(format!(
            "the space has {} points; a sweep has at most {MAX_POINTS}",
            space.size()
        )));
    }
    let is_priced = || {
        let cost = crate::fleet::cost::view(console).usd_per_h;
        cost.value.is_some() && cost.error.is_none()
    };
    if (spec.max_usd.is_some() || objective.max_usd_per_h.is_some()) && !is_priced() {
        return Err(Error::refused(
            "a limit in dollars requires the prices of all running instances, and one is unknown: see `skictl cost`",
        ));
    }
    Ok(space)
}

/// The types of a space, of each of which there are enough instances.
fn check_types(
    console: &Console,
    spec: &SweepSpec,
    workers_now: u32,
) -> Result<BTreeSet<InstanceType>, Error> {
    let listed = console.machines.listed().instances;
    let most = spec
        .space
        .workers
        .iter()
        .copied()
        .max()
        .unwrap_or(workers_now);
    let mut types = BTreeSet::new();
    for name in &spec.space.worker_types {
        let there = listed.iter().filter(|instance| {
            instance.role == ScaledRole::Worker.to_string() && instance.instance_type == *name
        });
        let there = there.count();
        if there < most as usize {
            return Err(Error::invalid(format!(
                "{} of the type {name:?} cannot run: the stack has {there}; see `skictl ec2 list`",
                counted(most.into(), "worker", "workers")
            )));
        }
        types.insert(instance_type(name)?);
    }
    Ok(types)
}

fn within(name: &str, value: u32, range: &std::ops::RangeInclusive<u32>) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    let (start, end) = (range.start(), range.end());
    Err(Error::invalid(format!(
        "{name} must be from {start} to {end}, not {value}"
    )))
}

fn check_counts(
    console: &Console,
    role: ScaledRole,
    counts: &BTreeSet<u32>,
    now: u32,
) -> Result<(), Error> {
    if counts.iter().all(|count| *count == now) && now > 0 {
        return Ok(());
    }
    console.machines.fleet()?;
    let (min, max) = of_role(&bounds(console), role);
    let (min, instances) = (min.max(1), &console.machines.listed().instances);
    let there = instances
        .iter()
        .filter(|instance| instance.role == role.to_string())
        .count();
    for count in counts {
        if !(min..=max).contains(count) {
            return Err(Error::invalid(format!(
                "{count} instances of the role {role} are outside the limits of {min} to {max}; see `skictl settings set fleet`"
            )));
        }
        if console.machines.fleet()?.kind() != skilift_fleet::FleetKind::Local
            && *count as usize > there
        {
            return Err(Error::invalid(format!(
                "{count} instances of the role {role} are not possible: the stack has {there}"
            )));
        }
    }
    Ok(())
}

fn check_load(console: &Console, load: &SweepLoad) -> Result<(), Error> {
    let command = console
        .config
        .load
        .as_ref()
        .ok_or_else(|| Error::refused("this console cannot start a load"))?;
    let target = load
        .target
        .as_deref()
        .or(command.target.as_deref())
        .ok_or_else(|| {
            Error::invalid("the target of the load is required: the URL of the API or of its load balancer (--target, or load.target in a file)")
        })?;
    if !target.starts_with("http://") && !target.starts_with("https://") {
        return Err(Error::invalid(format!(
            "load.target must be a URL with http or https, not {target:?}"
        )));
    }
    let is_within =
        |value: Option<u32>, most: u32| value.is_none_or(|value| (1..=most).contains(&value));
    if !is_within(load.threads, MAX_CONNECTIONS) || !is_within(load.bulk, MAX_BULK) {
        return Err(Error::invalid(format!(
            "load.threads must be from 1 to {MAX_CONNECTIONS}, and load.bulk from 1 to {MAX_BULK}"
        )));
    }
    if load
        .reads
        .is_some_and(|reads| !(0.0..=1.0).contains(&reads))
    {
        return Err(Error::invalid("load.reads must be from 0 to 1"));
    }
    if load.breaker_open.is_some() != load.breaker_close.is_some() {
        return Err(Error::invalid(
            "load.breaker_open and load.breaker_close require each other",
        ));
    }
    for (name, range) in [
        ("resorts", &load.resorts),
        ("days", &load.days),
        ("skiers", &load.skiers),
    ] {
        let is_range = |range: &String| {
            let mut ends = range.splitn(2, '-');
            ends.all(|end| {
                !end.is_empty() && end.len() < 10 && end.bytes().all(|byte| byte.is_ascii_digit())
            })
        };
        if range.as_ref().is_some_and(|range| !is_range(range)) {
            return Err(Error::invalid(format!("load.{name} must be N or A-B")));
        }
    }
    Ok(())
}

/// The options of `skictl load`.
pub(super) fn load_options(load: &SweepLoad, target: Option<&str>) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([format!("--{name}"), value]);
        }
    };
    let number = |value: &Option<u32>| value.map(|value| value.to_string());
    add("target", load.target.clone().or(target.map(str::to_owned)));
    add("rate", load.rate.map(|rate| rate.to_string()));
    add("threads", number(&load.threads));
    add("bulk", number(&load.bulk));
    add("reads", load.reads.map(|reads| reads.to_string()));
    add("resorts", load.resorts.clone());
    add("season", number(&load.season));
    add("days", load.days.clone());
    add("skiers", load.skiers.clone());
    add(
        "breaker-open",
        load.breaker_open.map(|open| open.to_string()),
    );
    add(
        "breaker-close",
        load.breaker_close.map(|close| close.to_string()),
    );
    words
}

/// Whether the load has only reads, whose rate is then what counts.
pub(super) fn has_only_reads(load: &SweepLoad) -> bool {
    load.reads.is_some_and(|reads| reads >= 1.0)
}

/// The objective of the choice.
pub(super) fn objective(spec: &SweepSpec) -> Objective {
    Objective {
        p99_ms: spec.objective.p99_ms,
        min_rate: spec.objective.min_rate,
        max_usd_per_h: spec.objective.max_usd_per_h,
    }
}

/// A specification in a sentence, for the audit log.
pub(super) fn in_words(spec: &SweepSpec, runs: usize) -> String {
    let mut words = vec![counted(runs as u64, "measurement", "measurements")];
    let load = match spec.load.rate {
        Some(rate) => format!("at {rate} requests/s"),
        None => "in a closed loop".to_owned(),
    };
    words.push(load);
    let objective = &spec.objective;
    let of = objective.latency.words();
    words.extend(objective.p99_ms.map(|ms| format!("{of} at most {ms} ms")));
    words.extend(
        objective
            .min_rate
            .map(|rate| format!("at least {rate} rides/s")),
    );
    words.extend(
        objective
            .max_usd_per_h
            .map(|usd| format!("at most ${usd} an hour")),
    );
    words.extend(spec.max_usd.map(|usd| format!("for at most ${usd}")));
    words.join(", ")
}

/// A configuration as a view.
pub(super) fn point(config: Config) -> PointConfig {
    PointConfig {
        api: config.api,
        workers: config.workers,
        threads: config.threads,
        batch: config.batch,
        worker_type: config.worker_type,
    }
}
