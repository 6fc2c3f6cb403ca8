//! A sweep: which configurations are measured, in which order, and what follows from the results.
//!
//! A large space is measured coarsely first; the neighbours of the best points follow, until none is left that is not measured. Every
//! configuration is measured as often as there are repeats, one repeat of all of them after the other, so that what changes on the
//! machine meanwhile meets all of them. One that may meet the objective and would be the cheapest is repeated until that is decided.
//!
//! The state is plain data: a sweep that was interrupted goes on with the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use arrayvec::ArrayString;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use crate::choice::{Candidate, Objective, Recommendation, front, recommend, undecided};

/// Values of a dimension from which on it is measured coarsely first.
const COARSE_FROM: usize = 4;
/// Rounds of neighbours, and of further repeats, after the coarse one.
const REFINEMENTS: u32 = 12;
/// Further repeats of a configuration that is not decided.
const FURTHER: u32 = 2;
/// Most repeats of a configuration.
const MOST_REPEATS: usize = 12;

/// The type of an instance, "c7g.large": at most 32 bytes, so that a configuration is a plain value.
pub type InstanceType = ArrayString<32>;

/// A configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// API nodes.
    pub api: u32,
    /// Workers.
    pub workers: u32,
    /// Threads of each worker.
    pub threads: u32,
    /// Maximum rides in a batch.
    pub batch: u32,
    /// Instance type of the workers; `None` if the sweep leaves it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_type: Option<InstanceType>,
}

/// The values of each dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Numbers of API nodes.
    pub api: BTreeSet<u32>,
    /// Numbers of workers.
    pub workers: BTreeSet<u32>,
    /// Threads of each worker.
    pub threads: BTreeSet<u32>,
    /// Maximum rides in a batch.
    pub batch: BTreeSet<u32>,
    /// Instance types of the workers; none if they stay as they are.
    #[serde(default)]
    pub worker_types: BTreeSet<InstanceType>,
}

/// What a run measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Stored rides per second.
    pub stored_per_s: f64,
    /// 99th percentile of the objective's latency, in milliseconds.
    pub p99_ms: f64,
    /// Cost per hour, in US dollars; `None` while it is unknown.
    pub usd_per_h: Option<f64>,
    /// CPU cores used by API nodes and workers.
    pub cores: f64,
}

/// A measurement to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Of this configuration.
    pub config: Config,
    /// Its repeat, from 1.
    pub repeat: u32,
}

/// A sweep, with its results so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    space: Space,
    objective: Objective,
    repeats: u32,
    seed: u64,
    /// The rounds of neighbours so far.
    refinements: u32,
    /// The runs that are left, the next one last.
    left: Vec<Run>,
    #[serde(with = "pairs")]
    results: BTreeMap<Config, Results>,
}

/// The results of one configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Results {
    measured: Vec<Measurement>,
    failed: Option<String>,
}

impl Space {
    /// Its number of configurations.
    #[must_use]
    pub fn size(&self) -> usize {
        let counts = self.api.len() * self.workers.len() * self.threads.len() * self.batch.len();
        counts * self.types().count()
    }

    /// The configurations that are measured first.
    fn coarse(&self) -> Vec<Config> {
        let values = [&self.api, &self.workers, &self.threads, &self.batch].map(thinned);
        self.types().flat_map(|of| grid(&values, of)).collect()
    }

    /// The types to measure; a single `None` if they stay as they are.
    fn types(&self) -> impl Iterator<Item = Option<InstanceType>> {
        let unchanged = self.worker_types.is_empty().then_some(None);
        let types = self.worker_types.iter().copied().map(Some);
        types.chain(unchanged)
    }

    /// The configurations next to one, in each dimension; those with fewer nodes also with the settings next to its own.
    fn neighbours(&self, of: Config) -> Vec<Config> {
        let mut found = Vec::new();
        let next_to = |values: &BTreeSet<u32>, value: u32| {
            let below = values.range(..value).next_back().copied();
            let above = values.range(value + 1..).next().copied();
            below.into_iter().chain(above)
        };
        found.extend(next_to(&self.api, of.api).map(|api| Config { api, ..of }));
        found.extend(next_to(&self.workers, of.workers).map(|workers| Config { workers, ..of }));
        found.extend(next_to(&self.threads, of.threads).map(|threads| Config { threads, ..of }));
        found.extend(next_to(&self.batch, of.batch).map(|batch| Config { batch, ..of }));
        // Fewer nodes may need other settings to meet the objective.
        let fewer = found
            .clone()
            .into_iter()
            .filter(|other| other.api < of.api || other.workers < of.workers);
        for fewer in fewer.collect::<Vec<_>>() {
            for threads in next_to(&self.threads, of.threads).chain([of.threads]) {
                for batch in next_to(&self.batch, of.batch).chain([of.batch]) {
                    found.push(Config {
                        threads,
                        batch,
                        ..fewer
                    });
                }
            }
        }
        found
    }
}

fn grid([api, workers, threads, batch]: &[Vec<u32>; 4], of: Option<InstanceType>) -> Vec<Config> {
    let mut all = Vec::new();
    for &api in api {
        for &workers in workers {
            for &threads in threads {
                for &batch in batch {
                    all.push(Config {
                        api,
                        workers,
                        threads,
                        batch,
                        worker_type: of,
                    });
                }
            }
        }
    }
    all
}

/// The first, the middle and the last of many values.
fn thinned(values: &BTreeSet<u32>) -> Vec<u32> {
    let all: Vec<u32> = values.iter().copied().collect();
    if all.len() < COARSE_FROM {
        return all;
    }
    vec![all[0], all[all.len() / 2], all[all.len() - 1]]
}

impl Sweep {
    /// A sweep of a space and of the current configuration, with at least one repeat. The same seed gives the same order.
    #[must_use]
    pub fn new(
        space: Space,
        objective: Objective,
        repeats: u32,
        seed: u64,
        current: Option<Config>,
    ) -> Self {
        let mut first = space.coarse();
        // What runs now is compared with, also where the space does not contain it.
        first.extend(current.filter(|current| !first.contains(current)));
        let mut sweep = Self {
            space,
            objective,
            repeats: repeats.max(1),
            seed,
            refinements: 0,
            left: Vec::new(),
            results: BTreeMap::new(),
        };
        let repeats = 1..=sweep.repeats;
        sweep.schedule(first, repeats);
        sweep
    }

    /// The next run; `None` at the end.
    #[must_use]
    pub fn next(&self) -> Option<Run> {
        self.left.last().copied()
    }

    /// Runs that are known to be left. Refinement may add some.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// The configurations of the runs that are left, in order.
    #[must_use]
    pub fn pending(&self) -> Vec<Config> {
        let mut pending: Vec<Config> = Vec::new();
        for run in self.left.iter().rev() {
            if !pending.contains(&run.config) {
                pending.push(run.config);
            }
        }
        pending
    }

    /// Records the result of [`Self::next`]. Of a configuration that failed, no further repeat is measured.
    pub fn record(&mut self, result: Result<Measurement, String>) {
        let Some(run) = self.left.pop() else {
            return;
        };
        let results = self.results.entry(run.config).or_default();
        match result {
            Ok(measurement) => results.measured.push(measurement),
            Err(why) => {
                results.failed = Some(why);
                self.left.retain(|left| left.config != run.config);
            }
        }
        if self.left.is_empty() {
            self.refine();
        }
    }

    /// The measured configurations, in order, with what was measured.
    #[must_use]
    pub fn candidates(&self) -> (Vec<Config>, Vec<Candidate>) {
        self.results
            .iter()
            .map(|(config, results)| (*config, results.candidate(config.api + config.workers)))
            .unzip()
    }

    /// The recommendation, and the runner-up if there is one; `None` if no configuration meets the objective.
    #[must_use]
    pub fn recommended(&self) -> Option<(Config, Option<Config>, Recommendation)> {
        let (configs, candidates) = self.candidates();
        let found = recommend(&candidates, &self.objective)?;
        Some((
            configs[found.best],
            found.runner_up.map(|place| configs[place]),
            found,
        ))
    }

    /// Schedules the neighbours of the best configurations that are not measured yet.
    fn refine(&mut self) {
        if self.refinements >= REFINEMENTS {
            return;
        }
        self.refinements += 1;
        let around = self.space.types().flat_map(|of| self.best_of_type(of));
        let new: BTreeSet<Config> = around
            .flat_map(|config| self.space.neighbours(config))
            .filter(|config| !self.results.contains_key(config))
            .collect();
        if !new.is_empty() {
            self.schedule(new.into_iter().collect(), 1..=self.repeats);
        } else if let Some(config) = self.undecided() {
            let done = self.results[&config].measured.len() as u32;
            self.schedule(
                vec![config],
                done + 1..=(done + FURTHER).min(MOST_REPEATS as u32),
            );
        }
    }

    /// The best measured configurations with workers of a type: the recommended one and the runner-up, or those nearest to the
    /// objective if none meets it.
    fn best_of_type(&self, of: Option<InstanceType>) -> Vec<Config> {
        let (configs, candidates) = self.candidates();
        let of_type = configs.into_iter().zip(candidates);
        let (configs, candidates): (Vec<Config>, Vec<Candidate>) = of_type
            .filter(|(config, _)| config.worker_type == of)
            .unzip();
        if let Some(found) = recommend(&candidates, &self.objective) {
            let places = [Some(found.best), found.runner_up].into_iter().flatten();
            return places.map(|place| configs[place]).collect();
        }
        let on_front = configs.iter().zip(front(&candidates));
        let nearest = on_front.filter(|(_, is_on)| *is_on);
        nearest.map(|(config, _)| *config).collect()
    }

    /// The configuration that would be the best one, if it is not decided yet and may be measured more often.
    fn undecided(&self) -> Option<Config> {
        let (configs, candidates) = self.candidates();
        let place = undecided(&candidates, &self.objective)?;
        (candidates[place].p99_ms.len() < MOST_REPEATS).then_some(configs[place])
    }

    /// Schedules configurations: in each round in another order, but with the same numbers of nodes after each other, because instances
    /// take a while to start and are billed for it.
    fn schedule(&mut self, configs: Vec<Config>, repeats: RangeInclusive<u32>) {
        let seed = self.seed.wrapping_add(u64::from(self.refinements));
        let mut random = SmallRng::seed_from_u64(seed);
        let mut runs = Vec::new();
        for repeat in repeats {
            let mut round = configs.clone();
            round.shuffle(&mut random);
            round.sort_by_key(|config| (config.api, config.worker_type, config.workers));
            runs.extend(round.into_iter().map(|config| Run { config, repeat }));
        }
        runs.reverse();
        self.left = runs;
    }
}

impl Results {
    fn candidate(&self, nodes: u32) -> Candidate {
        let costs: Option<Vec<f64>> = self.measured.iter().map(|of| of.usd_per_h).collect();
        let usd_per_h = costs
            .filter(|costs| !costs.is_empty())
            .map(|costs| crate::interval::mean(&costs));
        let stored_per_s: Vec<f64> = self.measured.iter().map(|of| of.stored_per_s).collect();
        let rate = crate::interval::mean(&stored_per_s);
        let cores: Vec<f64> = self.measured.iter().map(|of| of.cores).collect();
        let cores = crate::interval::mean(&cores);
        Candidate {
            nodes,
            usd_per_million: usd_per_h
                .filter(|_| rate > 0.0)
                .map(|usd| usd / (rate * 3_600.0) * 1e6),
            usd_per_h,
            cpu_s_per_million: (rate > 0.0).then(|| cores / rate * 1e6),
            stored_per_s,
            p99_ms: self.measured.iter().map(|of| of.p99_ms).collect(),
            failed: self.failed.clone(),
        }
    }
}

/// A map as a list of pairs: JSON has only texts as keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Config, Results};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<Config, Results>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<Config, Results>, D::Error> {
        let pairs = Vec::<(Config, Results)>::deserialize(from)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
