//! Sweeps of a simulated system whose optimum is known.

use rand::RngExt as _;

use super::*;
use crate::usl::Usl;

/// Rides per second that arrive.
const OFFERED: f64 = 12_000.0;
const OBJECTIVE: Objective = Objective {
    p99_ms: Some(150.0),
    min_rate: None,
    max_usd_per_h: None,
};

/// A system with known laws and prices.
struct Simulated {
    by_threads: Usl,
    by_workers: Usl,
    /// Time until a small batch is stored, in milliseconds.
    base_ms: f64,
    usd_per_worker: f64,
    /// What a large worker stores and costs, as a multiple of a small one.
    large: (f64, f64),
    /// Noise of each measurement, as a part of it.
    noise: f64,
}

impl Simulated {
    fn new(random: &mut SmallRng) -> Self {
        let mut between = |low: f64, high: f64| low + (high - low) * random.random::<f64>();
        Self {
            by_threads: Usl {
                gamma: between(900.0, 2_000.0),
                alpha: between(0.02, 0.15),
                beta: between(0.000_5, 0.004),
            },
            by_workers: Usl {
                gamma: 1.0,
                alpha: between(0.01, 0.06),
                beta: between(0.000_1, 0.002),
            },
            base_ms: between(20.0, 45.0),
            usd_per_worker: between(0.05, 0.3),
            large: (between(1.2, 2.2), between(1.5, 2.2)),
            noise: 0.04,
        }
    }

    /// What a worker stores and costs, as a multiple of a small one.
    fn size(&self, config: Config) -> (f64, f64) {
        match config.worker_type.as_deref() {
            Some("large") => self.large,
            _ => (1.0, 1.0),
        }
    }

    fn capacity(&self, config: Config) -> f64 {
        // Small batches cost more calls per ride.
        let by_batch = 1.0 / (1.0 + 60.0 / f64::from(config.batch));
        self.by_threads.rate(config.threads.into())
            * self.by_workers.rate(config.workers.into())
            * by_batch
            * self.size(config).0
    }

    /// The latency without noise; `None` if the backlog grows.
    fn p99_ms(&self, config: Config) -> Option<f64> {
        let used = OFFERED / self.capacity(config);
        let batch_ms = f64::from(config.batch) * 0.01;
        (used < 0.97).then(|| self.base_ms + batch_ms + self.base_ms * used / (1.0 - used))
    }

    fn usd_per_h(&self, config: Config) -> f64 {
        0.5 + 0.1 * f64::from(config.api)
            + self.usd_per_worker * self.size(config).1 * f64::from(config.workers)
    }

    fn measure(&self, config: Config, random: &mut SmallRng) -> Result<Measurement, String> {
        let p99_ms = self.p99_ms(config).ok_or("its backlog grew")?;
        let mut noisy =
            |value: f64| value * (1.0 + self.noise * (2.0 * random.random::<f64>() - 1.0));
        Ok(Measurement {
            stored_per_s: noisy(OFFERED),
            p99_ms: noisy(p99_ms),
            usd_per_h: Some(self.usd_per_h(config)),
            cores: 1.0,
        })
    }

    /// The lowest cost per hour that truly meets the objective.
    fn optimum(&self, space: &Space) -> Option<f64> {
        let all = [&space.api, &space.workers, &space.threads, &space.batch];
        let all = all.map(|values| values.iter().copied().collect());
        let all = space.types().flat_map(|of| grid(&all, of));
        let costs = all.filter_map(|config| {
            let p99_ms = self.p99_ms(config)?;
            (p99_ms <= OBJECTIVE.p99_ms?).then(|| self.usd_per_h(config))
        });
        costs.min_by(f64::total_cmp)
    }
}

fn space() -> Space {
    Space {
        api: [2].into(),
        workers: (1..=8).collect(),
        threads: [1, 2, 4, 8, 16].into(),
        batch: [100, 300, 1_000, 3_000].into(),
        worker_types: BTreeSet::new(),
    }
}

/// The same with small and large workers.
fn space_of_types() -> Space {
    let types = ["small", "large"].map(|of| InstanceType::from(of).unwrap());
    Space {
        worker_types: types.into(),
        ..space()
    }
}

fn run(simulated: &Simulated, sweep: &mut Sweep, random: &mut SmallRng) {
    while let Some(run) = sweep.next() {
        sweep.record(simulated.measure(run.config, random));
    }
}

#[test]
fn the_true_optimum_is_found() {
    is_found_in(&space());
}

#[test]
fn the_true_optimum_is_found_among_instance_types() {
    is_found_in(&space_of_types());
}

fn is_found_in(space: &Space) {
    let (mut found, mut measured) = (0, 0);
    for seed in 0..100 {
        let mut random = SmallRng::seed_from_u64(seed);
        let simulated = Simulated::new(&mut random);
        let mut sweep = Sweep::new(space.clone(), OBJECTIVE, 3, seed, None);
        run(&simulated, &mut sweep, &mut random);
        measured += sweep.results.len();
        let optimum = simulated.optimum(space);
        let chosen = sweep.recommended().map(|(config, ..)| config);
        let is_found = match (chosen, optimum) {
            (None, None) => true,
            (Some(config), Some(optimum)) => {
                let is_met = simulated
                    .p99_ms(config)
                    .is_some_and(|ms| ms <= 150.0 * 1.05);
                is_met && simulated.usd_per_h(config) <= optimum * 1.05
            }
            _ => false,
        };
        if !is_found {
            let of = chosen.map(|config| {
                (
                    config,
                    simulated.p99_ms(config),
                    simulated.usd_per_h(config),
                )
            });
            eprintln!("seed {seed}: {of:?} instead of {optimum:?}");
        }
        found += u32::from(is_found);
    }
    assert!(found >= 95, "{found} of 100");
    // And not by measuring everything.
    assert!(
        measured / 100 <= space.size() / 2,
        "{} of {}",
        measured / 100,
        space.size()
    );
}

#[test]
fn a_point_that_crashes_and_one_that_never_drains_are_left_out() {
    let mut random = SmallRng::seed_from_u64(5);
    let simulated = Simulated::new(&mut random);
    let mut sweep = Sweep::new(space(), OBJECTIVE, 3, 5, None);
    let mut tried = BTreeMap::<Config, u32>::new();
    while let Some(run) = sweep.next() {
        *tried.entry(run.config).or_default() += 1;
        let result = match run.config {
            Config {
                threads: 16,
                batch: 100,
                ..
            } => Err("the load process was killed".to_owned()),
            Config { workers: 8, .. } => Err("the backlog did not drain within 5 min".to_owned()),
            config => simulated.measure(config, &mut random),
        };
        sweep.record(result);
    }
    let (configs, candidates) = sweep.candidates();
    for (config, candidate) in configs.iter().zip(&candidates) {
        let fails = config.workers == 8 || config.threads == 16 && config.batch == 100;
        assert!(!fails || candidate.failed.is_some(), "{config:?}");
        assert!(!fails || tried[config] == 1, "{config:?} was tried again");
    }
    let (best, ..) = sweep.recommended().unwrap();
    assert!(
        best.workers != 8 && (best.threads, best.batch) != (16, 100),
        "{best:?}"
    );
}

#[test]
fn a_sweep_goes_on_where_it_was_interrupted() {
    let mut random = SmallRng::seed_from_u64(9);
    let simulated = Simulated::new(&mut random);
    let mut whole = Sweep::new(space(), OBJECTIVE, 2, 9, None);
    let mut cut = whole.clone();
    let mut of_cut = random.clone();
    run(&simulated, &mut whole, &mut random);
    while let Some(run) = cut.next() {
        cut.record(simulated.measure(run.config, &mut of_cut));
        cut = serde_json::from_str(&serde_json::to_string(&cut).unwrap()).unwrap();
    }
    assert_eq!(cut.candidates().0, whole.candidates().0);
    assert_eq!(cut.recommended(), whole.recommended());
}

#[test]
fn repeats_are_interleaved_and_nodes_change_seldom() {
    let sweep = Sweep::new(space(), OBJECTIVE, 3, 1, None);
    let mut runs = sweep.left.clone();
    runs.reverse();
    assert_eq!(runs.len(), 3 * 27);
    let repeats: Vec<u32> = runs.iter().map(|run| run.repeat).collect();
    assert!(repeats.is_sorted());
    let changes = runs
        .windows(2)
        .filter(|pair| pair[0].config.workers != pair[1].config.workers);
    assert_eq!(changes.count(), 3 * 2 + 2);
    let order = |repeat: u32| -> Vec<Config> {
        let of = runs.iter().filter(|run| run.repeat == repeat);
        of.map(|run| run.config).collect()
    };
    assert_ne!(order(1), order(2));
}

#[test]
fn a_small_space_is_measured_completely() {
    let small = Space {
        api: [1].into(),
        workers: [1, 2].into(),
        threads: [1, 2, 4].into(),
        batch: [100, 1_000].into(),
        worker_types: BTreeSet::new(),
    };
    assert_eq!(
        Sweep::new(small.clone(), OBJECTIVE, 1, 1, None).left(),
        small.size()
    );
    let nothing_meets = |sweep: &mut Sweep| {
        while sweep.next().is_some() {
            sweep.record(Err("its backlog grew".to_owned()));
        }
    };
    let mut sweep = Sweep::new(small, OBJECTIVE, 1, 1, None);
    nothing_meets(&mut sweep);
    assert_eq!(sweep.recommended(), None);
}
