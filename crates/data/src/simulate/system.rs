//! What a simulated system is, whatever its equations and its numerical method.

use rand_chacha::ChaCha8Rng;

use super::SamplingConfig;
use crate::DataError;

/// A system of autonomous differential equations `dx/dt = f(x)` and its tangent flow.
pub trait Ode {
    /// Number of variables.
    fn dimension(&self) -> usize;

    /// Writes `f(x)` to `dx`; both have [`Ode::dimension`] entries.
    fn derivative(&self, x: &[f64], dx: &mut [f64]);

    /// Writes the product of the Jacobian matrix with a vector, `(∂f/∂x)(x) v`, to `dv`.
    fn tangent(&self, x: &[f64], v: &[f64], dv: &mut [f64]);
}

/// A numerical method at a fixed step length, for one system.
pub trait Stepper {
    /// Advances the state `x` by one step.
    fn step(&mut self, x: &mut [f64]);

    /// Advances the state and, by the derivative of the same step, tangent vectors that lie one
    /// behind the other in `tangents`.
    fn step_with_tangents(&mut self, x: &mut [f64], tangents: &mut [f64]);
}

/// A system that can be simulated from a configuration; the default has the classical parameters.
pub trait System: Clone + Default + PartialEq {
    /// Name in configurations, on the command line and of series: `lorenz`.
    const KIND: &'static str;
    /// Name in sentences.
    const TITLE: &'static str;
    /// Name of the numerical method.
    const METHOD: &'static str;
    /// How it is sampled where the configuration does not say.
    const SAMPLING: SamplingConfig;

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for one outside its range.
    fn check(&self) -> Result<(), DataError>;

    /// Names of the variables of a row.
    fn columns(&self) -> Vec<String>;

    /// Parameters with their symbols, for a description: `σ = 10, ρ = 28`.
    fn parameters(&self) -> String;

    /// Largest Lyapunov exponent per time unit where it is known for these parameters.
    fn lyapunov_exponent(&self) -> Option<f64>;

    /// A random state to start from.
    fn initial_state(&self, rng: &mut ChaCha8Rng) -> Vec<f64>;

    /// The numerical method with steps of `dt`.
    fn stepper(&self, dt: f64) -> impl Stepper + use<Self>;

    /// Appends the row of a state; the state itself unless a system says otherwise.
    fn observe(&self, state: &[f64], rows: &mut Vec<f64>) {
        rows.extend_from_slice(state);
    }

    /// Whether a series may contain this state; one that contains another is drawn anew.
    fn accepts(&self, _state: &[f64]) -> bool {
        true
    }
}

/// A state as an array.
///
/// # Panics
/// If it has another number of variables.
#[inline]
pub(super) fn array<const N: usize>(state: &[f64]) -> &[f64; N] {
    state.try_into().expect("a state has as many entries as its system has variables")
}

/// Refuses parameters that are not above zero.
pub(crate) fn check_positive(parameters: &[(&'static str, f64)]) -> Result<(), DataError> {
    refuse(parameters, |x| x > 0.0, "a finite number above zero")
}

/// Refuses parameters that are infinite or not a number.
pub(super) fn check_finite(parameters: &[(&'static str, f64)]) -> Result<(), DataError> {
    refuse(parameters, |_| true, "a finite number")
}

fn refuse(
    parameters: &[(&'static str, f64)],
    allowed: impl Fn(f64) -> bool,
    expected: &'static str,
) -> Result<(), DataError> {
    match parameters.iter().find(|(_, x)| !(x.is_finite() && allowed(*x))) {
        Some(&(name, x)) => {
            Err(DataError::InvalidParameter { name, found: x.to_string(), expected })
        }
        None => Ok(()),
    }
}
