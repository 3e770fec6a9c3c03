//! How long a simulated trajectory is known: until another computation of the same one differs.
//!
//! A chaotic system multiplies every error by `exp(λ t)`, so that its trajectory from a given state
//! is known for a limited time, whoever computes it. No forecast can be credited beyond that time:
//! it is the ceiling of valid prediction times.
//!
//! Cost: two simulations, three times the steps of one for [`Against::HalfStep`].

use super::{SamplingConfig, Stepper, System};

/// The other computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The same method with steps of half the length: the error of the method.
    HalfStep,
    /// The same steps, the state rounded to single precision after each row: the error of a
    /// forecaster that is exact but hands its state on in `f32`.
    SinglePrecision,
}

/// What is compared, and when two trajectories count as different.
pub struct Agreement<'a> {
    /// The other computation.
    pub against: Against,
    /// Difference of two rows (reference first), zero for equal ones.
    pub difference: &'a dyn Fn(&[f64], &[f64]) -> f64,
    /// The largest difference that still is agreement.
    pub threshold: f64,
    /// Rows after which to stop.
    pub max_steps: usize,
}

/// Time until two computations of the trajectory from a state differ by more than the threshold;
/// `None` if they agree for `max_steps` rows.
///
/// A trajectory that leaves the finite numbers differs there.
#[must_use]
pub fn time<S: System>(
    system: &S,
    start: &[f64],
    sampling: &SamplingConfig,
    agreement: &Agreement<'_>,
) -> Option<f64> {
    let half = agreement.against == Against::HalfStep;
    let other_substeps = if half { 2 * sampling.substeps } else { sampling.substeps };
    let mut stepper = system.stepper(sampling.step());
    let mut other_stepper = system.stepper(sampling.dt / other_substeps as f64);
    let (mut state, mut other) = (start.to_vec(), start.to_vec());
    let (mut row, mut other_row) = (Vec::new(), Vec::new());
    for step in 1..=agreement.max_steps {
        (0..sampling.substeps).for_each(|_| stepper.step(&mut state));
        (0..other_substeps).for_each(|_| other_stepper.step(&mut other));
        if !half {
            for x in &mut other {
                *x = round(*x);
            }
        }
        row.clear();
        other_row.clear();
        system.observe(&state, &mut row);
        system.observe(&other, &mut other_row);
        let difference = (agreement.difference)(&row, &other_row);
        if difference.is_nan() || difference > agreement.threshold {
            return Some(step as f64 * sampling.dt);
        }
    }
    None
}

#[expect(clippy::cast_possible_truncation, reason = "the rounding is what is measured")]
fn round(x: f64) -> f64 {
    f64::from(x as f32)
}

#[cfg(test)]
mod tests {
    use super::super::lorenz::LYAPUNOV;
    use super::super::{Lorenz, Simulate, Simulation};
    use super::*;

    /// Distance over 28, about the root mean square of a state.
    fn difference(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt() / 28.0
    }

    fn lyapunov_times(against: Against, substeps: usize, threshold: f64) -> f64 {
        let mut lorenz = Simulation::<Lorenz>::default();
        (lorenz.sampling.substeps, lorenz.sampling.n_series) = (substeps, 10);
        let starts = lorenz.simulate().unwrap().set.series;
        let agreement = Agreement { against, difference: &difference, threshold, max_steps: 6000 };
        let times = starts.iter().map(|s| lorenz.agreement(s.row(0), &agreement).unwrap());
        times.sum::<f64>() / starts.len() as f64 * LYAPUNOV
    }

    #[test]
    fn single_precision_knows_lorenz_for_about_thirteen_lyapunov_times() {
        // Errors of 6e-8 of the state at each row grow to 0.5 of it: ln(0.5 / 6e-8) = 16, less what
        // the many rows add.
        let times = lyapunov_times(Against::SinglePrecision, 1, 0.5);
        assert!((11.0..16.0).contains(&times), "{times}");
    }

    #[test]
    fn ten_sub_steps_add_four_decades() {
        // RK4 errors fall by 10⁴, worth ln 10⁴ = 9.2 Lyapunov times.
        let (coarse, fine) =
            (lyapunov_times(Against::HalfStep, 1, 0.5), lyapunov_times(Against::HalfStep, 10, 0.5));
        assert!((fine - coarse - 9.2).abs() < 2.0, "{coarse} {fine}");
    }

    #[test]
    fn equal_trajectories_agree_for_ever() {
        let lorenz = Simulation::<Lorenz>::default();
        let agreement = Agreement {
            against: Against::HalfStep,
            difference: &difference,
            threshold: 0.5,
            max_steps: 50,
        };
        assert_eq!(lorenz.agreement(&[0.0; 3], &agreement), None);
    }
}
