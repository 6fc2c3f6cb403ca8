//! The Universal Scalability Law: the rate of a system of `n` workers (nodes or threads) that share something.
//!
//! `X(n) = gamma n / (1 + alpha (n - 1) + beta n (n - 1))`, from Gunther, "Guerrilla Capacity Planning" (2007), chapter 4: `gamma`
//! is the rate of one, `alpha` the share of the work that only one can do at a time (contention), and `beta` the cost of each
//! pair keeping in step (coherency).

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{Dyn, Matrix3, OMatrix, OVector, U3, Vector3};
use serde::{Deserialize, Serialize};

/// Largest number of a measurement.
const LARGEST: f64 = 10_000.0;
/// Contention and coherency below this cannot be told from none.
const NEGLIGIBLE: f64 = 1e-9;

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The number of nodes or threads, at least 1.
    pub n: f64,
    /// The rate, per second.
    pub rate: f64,
}

/// The parameters of the law.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usl {
    /// The rate of one, per second.
    pub gamma: f64,
    /// Contention: the share of the work that only one can do at a time, not negative.
    pub alpha: f64,
    /// Coherency, not negative.
    pub beta: f64,
}

/// Why there is no fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// Too few measurements.
    #[error(
        "a model needs at least {} measurements at {} different numbers of nodes or threads",
        Usl::LEAST,
        Usl::LEAST_DIFFERENT
    )]
    TooFew,
    /// A number that is not 1 to 10,000, or a rate that is not positive and finite.
    #[error("every number must be 1 to 10000, and every rate positive")]
    Invalid,
    /// The solver found none.
    #[error("the solver did not converge; measure at more numbers of nodes or threads")]
    None,
}

impl Usl {
    /// Least measurements of a fit: three parameters, and three more measurements to check the fit.
    pub const LEAST: usize = 6;
    /// Least different numbers of them.
    pub const LEAST_DIFFERENT: usize = 3;

    /// The least squares fit; contention and coherency are not negative.
    ///
    /// # Errors
    /// When there are too few measurements, one is invalid, or the solver finds no fit.
    pub fn fit(points: &[Measured]) -> Result<Self, FitError> {
        let valid = |point: &Measured| {
            (1.0..=LARGEST).contains(&point.n) && point.rate > 0.0 && point.rate.is_finite()
        };
        if !points.iter().all(valid) {
            return Err(FitError::Invalid);
        }
        let mut different: Vec<f64> = points.iter().map(|point| point.n).collect();
        different.sort_by(f64::total_cmp);
        different.dedup();
        if points.len() < Self::LEAST || different.len() < Self::LEAST_DIFFERENT {
            return Err(FitError::TooFew);
        }
        let largest = points.iter().map(|point| point.rate).fold(0.0, f64::max);
        let start = Self::start(points);
        let problem = Problem {
            points,
            scale: largest,
            // Contention and coherency are the squares of these, so that they are never negative.
            parameters: Vector3::new(
                start.gamma / largest,
                start.alpha.max(1e-4).sqrt(),
                start.beta.max(1e-8).sqrt(),
            ),
        };
        let (solved, report) = LevenbergMarquardt::new()
            .with_tol(1e-10)
            .with_patience(1_000)
            .minimize(problem);
        let found = solved.usl();
        let is_law = found.gamma > 0.0 && found.gamma.is_finite() && found.alpha.is_finite();
        if report.termination.was_successful() && is_law && found.beta.is_finite() {
            Ok(found)
        } else {
            Err(FitError::None)
        }
    }

    /// The rate of `n`.
    #[must_use]
    pub fn rate(&self, n: f64) -> f64 {
        self.gamma * n / self.divisor(n)
    }

    /// The number at which the rate is highest; `None` if it never falls.
    #[must_use]
    pub fn peak(&self) -> Option<f64> {
        if self.alpha >= 1.0 {
            return Some(1.0);
        }
        let falls = self.beta > NEGLIGIBLE;
        falls.then(|| ((1.0 - self.alpha) / self.beta).sqrt().max(1.0))
    }

    /// Where linear scaling would reach the limit of contention, `1 / alpha`: there each one achieves about half of its rate alone.
    /// Never above the peak; `None` without contention.
    #[must_use]
    pub fn knee(&self) -> Option<f64> {
        let peak = self.peak().unwrap_or(f64::INFINITY);
        (self.alpha > NEGLIGIBLE).then(|| (1.0 / self.alpha).clamp(1.0, peak))
    }

    /// The rate that contention alone allows, per second; `None` without contention.
    #[must_use]
    pub fn limit(&self) -> Option<f64> {
        (self.alpha > NEGLIGIBLE).then(|| self.gamma / self.alpha)
    }

    fn divisor(&self, n: f64) -> f64 {
        1.0 + self.alpha * (n - 1.0) + self.beta * n * (n - 1.0)
    }

    /// Where the solver starts: `n / X(n)` is linear in `1/gamma`, `alpha/gamma` and `beta/gamma`.
    fn start(points: &[Measured]) -> Self {
        let (mut matrix, mut right) = (Matrix3::zeros(), Vector3::zeros());
        for Measured { n, rate } in points {
            let row = Vector3::new(1.0, n - 1.0, n * (n - 1.0));
            matrix += row * row.transpose();
            right += row * (n / rate);
        }
        let first = points
            .iter()
            .map(|point| point.rate / point.n)
            .fold(0.0, f64::max);
        let guess = Self {
            gamma: first,
            alpha: 0.01,
            beta: 1e-4,
        };
        let solved = matrix.lu().solve(&right);
        match solved.filter(|of| of[0] > 0.0) {
            Some(of) => Self {
                gamma: 1.0 / of[0],
                alpha: of[1] / of[0],
                beta: of[2] / of[0],
            },
            None => guess,
        }
    }
}

/// The residuals of measurements, in parts of the largest rate.
struct Problem<'a> {
    points: &'a [Measured],
    scale: f64,
    /// `gamma / scale`, and the roots of `alpha` and `beta`.
    parameters: Vector3<f64>,
}

impl Problem<'_> {
    fn usl(&self) -> Usl {
        let [gamma, alpha, beta] = [self.parameters[0], self.parameters[1], self.parameters[2]];
        Usl {
            gamma: gamma * self.scale,
            alpha: alpha * alpha,
            beta: beta * beta,
        }
    }
}

impl LeastSquaresProblem<f64, Dyn, U3> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, U3>;
    type ParameterStorage = Owned<f64, U3>;

    fn set_params(&mut self, parameters: &Vector3<f64>) {
        self.parameters.copy_from(parameters);
    }

    fn params(&self) -> Vector3<f64> {
        self.parameters
    }

    fn residuals(&self) -> Option<OVector<f64, Dyn>> {
        let usl = self.usl();
        let of = self
            .points
            .iter()
            .map(|point| (usl.rate(point.n) - point.rate) / self.scale);
        Some(OVector::<f64, Dyn>::from_iterator(self.points.len(), of))
    }

    fn jacobian(&self) -> Option<OMatrix<f64, Dyn, U3>> {
        let usl = self.usl();
        let mut jacobian = OMatrix::<f64, Dyn, U3>::zeros(self.points.len());
        for (row, Measured { n, .. }) in self.points.iter().enumerate() {
            let divisor = usl.divisor(*n);
            let slope = -usl.gamma * n / (divisor * divisor) / self.scale;
            jacobian[(row, 0)] = n / divisor;
            jacobian[(row, 1)] = slope * (n - 1.0) * 2.0 * self.parameters[1];
            jacobian[(row, 2)] = slope * n * (n - 1.0) * 2.0 * self.parameters[2];
        }
        Some(jacobian)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured(points: &[(f64, f64)]) -> Vec<Measured> {
        points
            .iter()
            .map(|(n, rate)| Measured { n: *n, rate: *rate })
            .collect()
    }

    fn is_near(value: f64, expected: f64, part: f64) -> bool {
        (value - expected).abs() <= expected.abs() * part
    }

    /// The data of the R package usl (`specsdm91`), and what it fits to them.
    #[test]
    fn the_golden_vector_is_fitted() {
        let data = [
            (1.0, 64.9),
            (18.0, 995.9),
            (36.0, 1652.4),
            (72.0, 1853.2),
            (108.0, 1828.9),
            (144.0, 1775.0),
            (216.0, 1702.2),
        ];
        let usl = Usl::fit(&measured(&data)).unwrap();
        assert!(is_near(usl.alpha, 0.027_728_5, 0.005), "{usl:?}");
        assert!(is_near(usl.beta, 0.000_104_4, 0.005), "{usl:?}");
        assert!(is_near(usl.gamma, 89.995, 0.005), "{usl:?}");
        assert!(is_near(usl.peak().unwrap(), 96.52, 0.005), "{usl:?}");
        assert!(is_near(usl.rate(96.52), 1_884.0, 0.005), "{usl:?}");
        assert!(is_near(usl.knee().unwrap(), 36.06, 0.005), "{usl:?}");
        assert!(is_near(usl.limit().unwrap(), 3_246.0, 0.005), "{usl:?}");
    }

    #[test]
    fn too_little_and_nonsense_are_refused() {
        let few = [
            (1.0, 10.0),
            (2.0, 19.0),
            (4.0, 30.0),
            (8.0, 40.0),
            (16.0, 45.0),
        ];
        assert_eq!(Usl::fit(&measured(&few)), Err(FitError::TooFew));
        let same = [(1.0, 10.0); 3].into_iter().chain([(2.0, 19.0); 3]);
        let same: Vec<_> = same.collect();
        assert_eq!(Usl::fit(&measured(&same)), Err(FitError::TooFew));
        for wrong in [
            (0.0, 10.0),
            (1.0, 0.0),
            (1.0, -1.0),
            (1.0, f64::NAN),
            (f64::INFINITY, 1.0),
        ] {
            let data: Vec<_> = few.iter().copied().chain([wrong]).collect();
            assert_eq!(
                Usl::fit(&measured(&data)),
                Err(FitError::Invalid),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn the_peak_and_the_knee_are_where_the_curve_has_them() {
        let law = |alpha, beta| Usl {
            gamma: 100.0,
            alpha,
            beta,
        };
        // It falls from the start, or never.
        assert_eq!(law(1.5, 0.0).peak(), Some(1.0));
        assert_eq!(law(0.1, 0.0).peak(), None);
        let early = law(0.01, 0.01);
        assert!(early.knee() <= early.peak(), "{early:?}");
        let usl = law(0.08, 0.001);
        let peak = usl.peak().unwrap();
        assert!(usl.rate(peak) > usl.rate(peak - 1.0) && usl.rate(peak) > usl.rate(peak + 1.0));
    }

    #[test]
    fn a_system_without_contention_is_linear() {
        let data: Vec<_> = (1..=8)
            .map(|n| (f64::from(n), 100.0 * f64::from(n)))
            .collect();
        let usl = Usl::fit(&measured(&data)).unwrap();
        assert!(
            is_near(usl.gamma, 100.0, 1e-3) && usl.alpha < 1e-3,
            "{usl:?}"
        );
        assert!(is_near(usl.rate(8.0), 800.0, 1e-3));
    }

    proptest! {
        #[test]
        fn what_follows_the_law_is_found_again(
            gamma in 10.0..100_000.0_f64,
            alpha in 0.001..0.5_f64,
            beta in 0.000_01..0.02_f64,
        ) {
            let law = Usl { gamma, alpha, beta };
            let points: Vec<Measured> = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
                .into_iter()
                .map(|n| Measured { n, rate: law.rate(n) })
                .collect();
            let found = Usl::fit(&points).unwrap();
            for point in &points {
                prop_assert!(is_near(found.rate(point.n), point.rate, 0.005), "{law:?} {found:?}");
            }
        }
    }
}
