//! The choice: which measured points are dominated, and which one meets the objective at the lowest cost.

use serde::{Deserialize, Serialize};

use crate::interval::{Interval, LatencySpread, mean};

/// Costs that differ by less than this part count as the same: then the faster one is better.
const SAME_COST: f64 = 0.02;

/// What was measured at one point, once for each repeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its number of nodes, which stands for a cost that is unknown.
    pub nodes: u32,
    /// Cost per million stored rides, in US dollars; `None` while it is unknown.
    pub usd_per_million: Option<f64>,
    /// Cost per hour, in US dollars; `None` while it is unknown.
    pub usd_per_h: Option<f64>,
    /// CPU time per million stored rides, in seconds, which stands for the cost on the front where prices are unknown.
    pub cpu_s_per_million: Option<f64>,
    /// Stored rides per second of each repeat.
    pub stored_per_s: Vec<f64>,
    /// 99th percentile of the objective's latency of each repeat, in milliseconds.
    pub p99_ms: Vec<f64>,
    /// Reason for the failure, if it failed.
    pub failed: Option<String>,
}

/// What a configuration must do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Largest 99th percentile, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Least stored rides per second.
    pub min_rate: Option<f64>,
    /// Largest cost per hour, in US dollars.
    pub max_usd_per_h: Option<f64>,
}

/// How a point stands to the objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It meets the objective, with the whole intervals of its means.
    Meets,
    /// Its means meet the objective, its intervals reach beyond it.
    Perhaps,
    /// It misses the objective.
    Misses,
    /// It failed, or its cost is unknown while the objective limits that.
    Unknown,
}

/// The recommendation, by places in the list of candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The cheapest one that certainly meets the objective; if none certainly does, the cheapest that may.
    pub best: usize,
    /// The next one by the same rule.
    pub runner_up: Option<usize>,
    /// Whether the best one meets the objective with its whole intervals.
    pub is_certain: bool,
    /// The same of the runner-up.
    pub is_runner_up_certain: bool,
}

impl Candidate {
    /// The mean latency, in milliseconds.
    #[must_use]
    pub fn p99(&self) -> f64 {
        mean(&self.p99_ms)
    }

    /// The mean rate, per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        mean(&self.stored_per_s)
    }

    /// Where the next measurement of the latency will lie.
    #[must_use]
    pub fn p99_interval(&self, of_all: LatencySpread) -> Option<Interval> {
        Interval::of_next_latency(&self.p99_ms, of_all)
    }

    /// How it stands to an objective.
    #[must_use]
    pub fn standing(&self, objective: &Objective) -> Standing {
        if self.failed.is_some() || self.p99_ms.is_empty() || self.stored_per_s.is_empty() {
            return Standing::Unknown;
        }
        let (mut is_met, mut is_certain) = (true, true);
        if let Some(limit) = objective.p99_ms {
            is_met &= self.p99() <= limit;
            is_certain &= Interval::of_mean(&self.p99_ms).is_some_and(|of| of.high <= limit);
        }
        if let Some(least) = objective.min_rate {
            is_met &= self.rate() >= least;
            is_certain &= Interval::of_mean(&self.stored_per_s).is_some_and(|of| of.low >= least);
        }
        if let Some(most) = objective.max_usd_per_h {
            let Some(usd) = self.usd_per_h else {
                return Standing::Unknown;
            };
            is_met &= usd <= most;
        }
        match (is_met, is_certain) {
            (true, true) => Standing::Meets,
            (true, false) => Standing::Perhaps,
            (false, _) => Standing::Misses,
        }
    }

    /// Whether it costs no more and is no slower than another, and one of both is better.
    fn dominates(&self, other: &Self, is_priced: bool) -> bool {
        let cost = |of: &Self| {
            if is_priced {
                of.usd_per_million
            } else {
                of.cpu_s_per_million
            }
        };
        let (Some(cost), Some(other_cost)) = (cost(self), cost(other)) else {
            return false;
        };
        let is_no_worse = cost <= other_cost && self.p99() <= other.p99();
        is_no_worse && (cost < other_cost || self.p99() < other.p99())
    }
}

/// Whether a front is one of cost: some price is known. Without any it is one of CPU time.
#[must_use]
pub fn is_priced(candidates: &[Candidate]) -> bool {
    candidates.iter().any(|of| of.usd_per_million.is_some())
}

/// Which candidates are on the Pareto front of cost per million stored rides against latency: no other one dominates them. One that
/// failed, or whose cost is unknown while others are priced, is not.
#[must_use]
pub fn front(candidates: &[Candidate]) -> Vec<bool> {
    let is_priced = is_priced(candidates);
    let counts = |of: &Candidate| {
        let cost = if is_priced {
            of.usd_per_million
        } else {
            of.cpu_s_per_million
        };
        of.failed.is_none()
            && cost.is_some()
            && !of.p99_ms.is_empty()
            && !of.stored_per_s.is_empty()
    };
    candidates
        .iter()
        .map(|of| {
            let mut others = candidates.iter().filter(|other| counts(other));
            counts(of) && !others.any(|other| other.dominates(of, is_priced))
        })
        .collect()
}

/// The recommendation; `None` if no candidate meets the objective.
#[must_use]
pub fn recommend(candidates: &[Candidate], objective: &Objective) -> Option<Recommendation> {
    let of_standing = |wanted: Standing| {
        let places = 0..candidates.len();
        let found = places.filter(|place| candidates[*place].standing(objective) == wanted);
        ranked(candidates, found.collect())
    };
    let certain = of_standing(Standing::Meets);
    let (is_certain, is_runner_up_certain) = (!certain.is_empty(), certain.len() > 1);
    let mut ranked = certain.into_iter().chain(of_standing(Standing::Perhaps));
    Some(Recommendation {
        best: ranked.next()?,
        runner_up: ranked.next(),
        is_certain,
        is_runner_up_certain,
    })
}

/// The candidate that would be the best one, if it is not decided yet whether it meets the objective.
pub(crate) fn undecided(candidates: &[Candidate], objective: &Objective) -> Option<usize> {
    let standing = |place: usize| candidates[place].standing(objective);
    let places = 0..candidates.len();
    let may_meet =
        places.filter(|place| matches!(standing(*place), Standing::Meets | Standing::Perhaps));
    let best = ranked(candidates, may_meet.collect()).into_iter().next()?;
    (standing(best) == Standing::Perhaps).then_some(best)
}

/// The best ones first: the cheapest, and of those that cost the same the fastest. Without prices, those with the fewest nodes.
fn ranked(candidates: &[Candidate], mut left: Vec<usize>) -> Vec<usize> {
    let cost = |place: usize| candidates[place].usd_per_million.unwrap_or(f64::INFINITY);
    let mut ranked = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let cheapest = left
            .iter()
            .map(|place| cost(*place))
            .fold(f64::INFINITY, f64::min);
        let is_priced = cheapest.is_finite();
        let alike = left
            .iter()
            .copied()
            .filter(|place| cost(*place) <= cheapest * (1.0 + SAME_COST));
        let fewest = alike.clone().map(|place| candidates[place].nodes).min();
        let alike = alike.filter(|place| is_priced || Some(candidates[*place].nodes) == fewest);
        let best = alike.min_by(|a, b| candidates[*a].p99().total_cmp(&candidates[*b].p99()));
        let Some(best) = best else {
            break;
        };
        left.retain(|place| *place != best);
        ranked.push(best);
    }
    ranked
}

/// Whether the latency intervals of two candidates overlap: then the measurements do not show a difference. `None` without repeats.
#[must_use]
pub fn is_same_latency(a: &Candidate, b: &Candidate, of_all: LatencySpread) -> Option<bool> {
    Some(a.p99_interval(of_all)?.overlaps(&b.p99_interval(of_all)?))
}

/// The spread of the latencies of all candidates.
#[must_use]
pub fn latency_spread(candidates: &[Candidate]) -> LatencySpread {
    LatencySpread::pooled(candidates.iter().map(|of| of.p99_ms.as_slice()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn candidate(usd: f64, p99_ms: &[f64]) -> Candidate {
        Candidate {
            nodes: 2,
            usd_per_million: Some(usd),
            usd_per_h: Some(usd),
            cpu_s_per_million: Some(1.0),
            stored_per_s: p99_ms.iter().map(|_| 1_000.0).collect(),
            p99_ms: p99_ms.to_vec(),
            failed: None,
        }
    }

    const WITHIN_100_MS: Objective = Objective {
        p99_ms: Some(100.0),
        min_rate: None,
        max_usd_per_h: None,
    };

    #[test]
    fn the_cheapest_that_meets_the_objective_for_certain_wins() {
        let all = [
            candidate(1.0, &[150.0, 151.0, 152.0]),
            candidate(2.0, &[80.0, 90.0, 125.0]),
            candidate(3.0, &[80.0, 82.0, 81.0]),
            candidate(4.0, &[50.0, 52.0, 51.0]),
        ];
        let found = recommend(&all, &WITHIN_100_MS).unwrap();
        let expected = Recommendation {
            best: 2,
            runner_up: Some(3),
            is_certain: true,
            is_runner_up_certain: true,
        };
        assert_eq!(found, expected);
        assert_eq!(all[1].standing(&WITHIN_100_MS), Standing::Perhaps);
        assert_eq!(all[0].standing(&WITHIN_100_MS), Standing::Misses);
        // Without one that does for certain, one that does by its mean.
        let found = recommend(&all[..2], &WITHIN_100_MS).unwrap();
        assert_eq!((found.best, found.is_certain), (1, false));
        assert_eq!(recommend(&all[..1], &WITHIN_100_MS), None);
    }

    #[test]
    fn what_failed_or_has_no_price_is_never_recommended_by_cost() {
        let mut failed = candidate(1.0, &[10.0, 10.0]);
        failed.failed = Some("its backlog grew".to_owned());
        let mut unpriced = candidate(1.0, &[10.0, 10.0]);
        (unpriced.usd_per_h, unpriced.usd_per_million) = (None, None);
        let priced = candidate(9.0, &[20.0, 20.0]);
        let all = [failed, unpriced, priced];
        assert_eq!(recommend(&all, &WITHIN_100_MS).unwrap().best, 2);
        assert_eq!(front(&all), [false, false, true]);
        let within = Objective {
            max_usd_per_h: Some(5.0),
            ..WITHIN_100_MS
        };
        assert_eq!(all[1].standing(&within), Standing::Unknown);
        assert_eq!(recommend(&all, &within), None);
    }

    #[test]
    fn of_those_that_cost_the_same_the_fastest_wins_and_without_prices_the_smallest() {
        let mut all = [
            candidate(1.000, &[90.0, 91.0, 92.0]),
            candidate(1.015, &[60.0, 61.0, 62.0]),
            candidate(1.200, &[20.0, 21.0, 22.0]),
        ];
        let found = recommend(&all, &WITHIN_100_MS).unwrap();
        assert_eq!((found.best, found.runner_up), (1, Some(0)));
        for (of, nodes) in all.iter_mut().zip([3, 4, 3]) {
            (of.nodes, of.usd_per_h, of.usd_per_million) = (nodes, None, None);
        }
        let found = recommend(&all, &WITHIN_100_MS).unwrap();
        assert_eq!((found.best, found.runner_up), (2, Some(0)));
    }

    #[test]
    fn latencies_whose_intervals_overlap_do_not_differ_for_certain() {
        let (a, b) = (
            candidate(1.0, &[100.0, 110.0, 105.0]),
            candidate(1.0, &[104.0, 112.0, 108.0]),
        );
        let alone = LatencySpread::default();
        assert_eq!(is_same_latency(&a, &b, alone), Some(true));
        let c = candidate(1.0, &[150.0, 151.0, 152.0]);
        assert_eq!(is_same_latency(&a, &c, alone), Some(false));
        assert_eq!(is_same_latency(&a, &candidate(1.0, &[1.0]), alone), None);
    }

    proptest! {
        #[test]
        fn nothing_on_the_front_is_dominated_and_everything_else_is(
            points in proptest::collection::vec((0.01..10.0_f64, 1.0..500.0_f64), 1..40)
        ) {
            let all: Vec<Candidate> = points.iter().map(|(usd, ms)| candidate(*usd, &[*ms])).collect();
            let on_front = front(&all);
            prop_assert!(on_front.contains(&true));
            for (place, of) in all.iter().enumerate() {
                let is_dominated = all.iter().any(|other| other.dominates(of, true));
                prop_assert_eq!(on_front[place], !is_dominated);
                // What is dominated is dominated by one on the front.
                let by_front = all.iter().zip(&on_front).any(|(other, is_on)| *is_on && other.dominates(of, true));
                prop_assert_eq!(is_dominated, by_front);
            }
        }
    }
}
