//! Echo state network: a fixed random reservoir, of which only the read-out is fitted.
//!
//! ```text
//! r_t     = (1 − a) r_{t−1} + a tanh(W r_{t−1} + V x_t + b)        a = leak
//! x_{t+1} = x_t + Cᵀ (1 ⊕ x_t ⊕ r_t)
//! ```
//!
//! Every node listens to six others. `W` is scaled to its spectral radius, `V` and `b` are uniform in
//! `±input_scale`, `V` divided by the root of the number of channels.
//!
//! Source: Jaeger 2001, GMD report 148; leak: Jaeger, Lukoševičius, Popovici and Siewert 2007, Neural
//! Networks 20:335–352, doi 10.1016/j.neunet.2007.04.016. Differs: the increment is forecast.
//! Squares of every other node, which some add to the read-out, changed the valid prediction time on
//! the Lorenz system by less than its spread and are left out.
//!
//! Cost of a step: `nodes (channels + 6)` multiply-adds, `nodes` hyperbolic tangents, and
//! `channels (1 + channels + nodes)` multiply-adds of the read-out.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::forecast::roll_out;
use super::increment::{MAX_FEATURES, check};
use super::normal_equations::NormalEquations;
use super::series::count_examples;
use super::{Classical, ClassicalError, SeriesView};

const NAME: &str = "esn";
/// Nodes that a node listens to.
const IN_DEGREE: usize = 6;
/// Most examples that the read-out is fitted to: the first of the training series in their order.
/// With 1000 nodes they take about a second.
const MAX_EXAMPLES: usize = 20_000;
/// Products with `W` over which its spectral radius is measured.
const POWER_STEPS: usize = 2000;

/// Configuration of [`Esn`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EsnConfig {
    /// Nodes of the reservoir; 1000 by default.
    pub nodes: usize,
    /// Largest absolute eigenvalue of `W`, to about 1 %; 0.9 by default.
    pub spectral_radius: f64,
    /// Largest input weight and bias, dimensionless; 1 by default.
    pub input_scale: f64,
    /// Part of a state that is new at each step, above 0 and at most 1; 1 by default.
    pub leak: f64,
    /// Penalty on squared weights of the read-out per example, dimensionless; 1e-11 by default.
    pub ridge: f64,
    /// Rows read before a state counts, in training and before a forecast; 32 by default.
    pub washout: usize,
    /// Random weights; 0 by default.
    pub seed: u64,
}

/// Echo state network; build with [`EsnConfig::fit`].
#[derive(Clone, Debug)]
pub struct Esn {
    reservoir: Reservoir,
    /// `[1 + channels + nodes, channels]` row-major.
    readout: Vec<f64>,
    washout: usize,
}

/// The part that is not fitted.
#[derive(Clone, Debug)]
struct Reservoir {
    nodes: usize,
    channels: usize,
    leak: f64,
    /// `IN_DEGREE` nodes and weights for each node.
    sources: Vec<usize>,
    weights: Vec<f64>,
    /// `[nodes, channels]` row-major.
    input: Vec<f64>,
    bias: Vec<f64>,
}

impl Default for EsnConfig {
    fn default() -> Self {
        Self {
            nodes: 1000,
            spectral_radius: 0.9,
            input_scale: 1.0,
            leak: 1.0,
            ridge: 1e-11,
            washout: 32,
            seed: 0,
        }
    }
}

impl EsnConfig {
    /// Draws the reservoir and fits the read-out; every series starts from the state zero.
    ///
    /// # Errors
    /// [`ClassicalError`] if a field is out of range, there would be too many features, the series
    /// are too short or not finite, or the regression is singular.
    ///
    /// # Panics
    /// If the series differ in their number of channels.
    pub fn fit(&self, series: &[SeriesView]) -> Result<Esn, ClassicalError> {
        let &Self { nodes, ridge, washout, .. } = self;
        self.check()?;
        let channels = series.first().map_or(1, SeriesView::channels);
        let n_features = nodes.saturating_add(channels).saturating_add(1);
        let formula = || format!("{nodes} nodes + {channels} channels + 1");
        check(NAME, 1, ridge, (n_features, formula), MAX_FEATURES)?;
        count_examples(NAME, series, washout)?;
        let reservoir = Reservoir::new(self, channels);
        let mut regression = NormalEquations::new(n_features, channels);
        let mut n_examples = 0;
        for one in series {
            let mut state = State::zero(nodes);
            for t in 0..one.steps().saturating_sub(1) {
                if n_examples == MAX_EXAMPLES {
                    break;
                }
                let (row, next) = (one.rows(t, 1), one.rows(t + 1, 1));
                reservoir.step(row, &mut state);
                if t + 1 >= washout {
                    let increment = next.iter().zip(row).map(|(y, x)| y - x);
                    regression.add([&1.0].into_iter().chain(row).chain(&state.now), increment);
                    n_examples += 1;
                }
            }
        }
        let readout = regression
            .solve(ridge * n_examples as f64)
            .ok_or(ClassicalError::Singular { method: NAME, ridge })?;
        Ok(Esn { reservoir, readout, washout })
    }

    fn check(&self) -> Result<(), ClassicalError> {
        let positive = |x: f64| x > 0.0 && x.is_finite();
        let fields = [
            ("nodes", self.nodes as f64, self.nodes > 0, "1 or more"),
            ("washout", self.washout as f64, self.washout > 0, "1 or more"),
            (
                "spectral_radius",
                self.spectral_radius,
                self.spectral_radius == 0.0 || positive(self.spectral_radius),
                "a finite number, zero or above",
            ),
            (
                "input_scale",
                self.input_scale,
                positive(self.input_scale),
                "a finite number above zero",
            ),
            ("leak", self.leak, positive(self.leak) && self.leak <= 1.0, "above 0 and at most 1"),
        ];
        for (key, value, allowed, expected) in fields {
            if !allowed {
                return Err(ClassicalError::InvalidConfig { method: NAME, key, value, expected });
            }
        }
        Ok(())
    }
}

impl Esn {
    /// Writes to `next` the row that follows `row`, given the state that has seen it.
    fn read_out(&self, row: &[f64], state: &State, next: &mut [f64]) {
        next.copy_from_slice(row);
        let features = [&1.0].into_iter().chain(row).chain(&state.now);
        for (feature, weights) in features.zip(self.readout.chunks_exact(next.len())) {
            for (sum, weight) in next.iter_mut().zip(weights) {
                *sum += feature * weight;
            }
        }
    }
}

impl Classical for Esn {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_parameters(&self) -> usize {
        self.readout.len()
    }

    fn window(&self) -> usize {
        self.washout
    }

    fn forecast(&self, history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>) {
        let Self { reservoir, washout, .. } = self;
        assert_eq!(channels, reservoir.channels, "the method was fitted to other columns");
        let mut state = State::zero(reservoir.nodes);
        // The first row to be forecast sees the last of the history, later ones the one before.
        let mut unread = *washout;
        let mut next = vec![0.0; channels];
        roll_out(history, channels, *washout, steps, out, |path| {
            let rows = &path[path.len() - unread * channels..];
            for row in rows.chunks_exact(channels) {
                reservoir.step(row, &mut state);
            }
            unread = 1;
            self.read_out(&rows[rows.len() - channels..], &state, &mut next);
            path.extend_from_slice(&next);
        });
    }

    /// In one pass: the state has seen all rows of the series before, not only the last `washout`.
    fn one_step(&self, series: SeriesView<'_>, first: usize) -> Vec<f64> {
        assert!(first >= self.washout, "row {first} lies within the first {}", self.washout);
        assert_eq!(series.channels(), self.reservoir.channels, "fitted to other columns");
        let mut state = State::zero(self.reservoir.nodes);
        let mut next = vec![0.0; series.channels()];
        let mut out = Vec::new();
        for t in 0..series.steps().saturating_sub(1) {
            let row = series.rows(t, 1);
            self.reservoir.step(row, &mut state);
            if t + 1 >= first {
                self.read_out(row, &state, &mut next);
                out.extend_from_slice(&next);
            }
        }
        out
    }
}

/// The state of the nodes and room for the next.
#[derive(Clone, Debug)]
struct State {
    now: Vec<f64>,
    next: Vec<f64>,
}

impl State {
    fn zero(nodes: usize) -> Self {
        Self { now: vec![0.0; nodes], next: vec![0.0; nodes] }
    }
}

impl Reservoir {
    fn new(config: &EsnConfig, channels: usize) -> Self {
        let &EsnConfig { nodes, spectral_radius, input_scale, leak, seed, .. } = config;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let sources = (0..nodes * IN_DEGREE).map(|_| rng.random_range(0..nodes)).collect();
        let mut uniform = |n: usize, scale: f64| -> Vec<f64> {
            (0..n).map(|_| scale * rng.random_range(-1.0..1.0)).collect()
        };
        let weights = uniform(nodes * IN_DEGREE, 1.0);
        let input = uniform(nodes * channels, input_scale / (channels as f64).sqrt());
        let bias = uniform(nodes, input_scale);
        let mut reservoir = Self { nodes, channels, leak, sources, weights, input, bias };
        let radius = reservoir.measured_radius();
        if radius > 0.0 {
            reservoir.weights.iter_mut().for_each(|w| *w *= spectral_radius / radius);
        }
        reservoir
    }

    /// Mean growth of a vector under repeated products with `W`.
    ///
    /// The eigenvalues of a random matrix fill a disk, so that the largest is hardly larger than
    /// the next and no vector settles to an eigenvector; the mean growth settles all the same.
    fn measured_radius(&self) -> f64 {
        let (mut x, mut growth) = (self.bias.clone(), 0.0);
        for step in 0..POWER_STEPS {
            let mut y: Vec<f64> = (0..self.nodes).map(|i| self.recurrent(i, &x)).collect();
            let norm = y.iter().map(|y| y * y).sum::<f64>().sqrt();
            if norm == 0.0 {
                return 0.0;
            }
            for y in &mut y {
                *y /= norm;
            }
            x = y;
            if 2 * step >= POWER_STEPS {
                growth += norm.ln();
            }
        }
        (growth / (POWER_STEPS / 2) as f64).exp()
    }

    /// Entry `i` of `W r`.
    fn recurrent(&self, i: usize, r: &[f64]) -> f64 {
        let edges = i * IN_DEGREE..(i + 1) * IN_DEGREE;
        let sources = &self.sources[edges.clone()];
        sources.iter().zip(&self.weights[edges]).map(|(&j, w)| w * r[j]).sum()
    }

    /// Moves the state on by one row.
    fn step(&self, row: &[f64], state: &mut State) {
        let State { now, next } = state;
        for (i, (next, weights)) in
            next.iter_mut().zip(self.input.chunks_exact(self.channels)).enumerate()
        {
            let input: f64 = weights.iter().zip(row).map(|(w, x)| w * x).sum();
            let driven = tanh(self.bias[i] + input + self.recurrent(i, now));
            *next = now[i] + self.leak * (driven - now[i]);
        }
        std::mem::swap(now, next);
    }
}

/// One exponential; right to 1e-16 of one, not of the value, which a sum of many does not see.
fn tanh(x: f64) -> f64 {
    1.0 - 2.0 / ((2.0 * x).exp() + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(nodes: usize) -> EsnConfig {
        EsnConfig { nodes, washout: 30, ..EsnConfig::default() }
    }

    /// Two variables of a beating signal.
    fn values(n: u32) -> Vec<f64> {
        let row = |t: f64| [(0.21 * t).sin() * (0.013 * t).cos(), (0.17 * t + 1.0).sin()];
        (0..n).flat_map(|t| row(f64::from(t))).collect()
    }

    #[test]
    fn a_signal_is_continued_freely() {
        let values = values(1400);
        let method = config(150).fit(&[SeriesView::new(&values[..2 * 1200], 2)]).unwrap();
        assert_eq!((method.n_parameters(), method.window()), (2 * 153, 30));
        let mut out = Vec::new();
        method.forecast(&values[..2 * 1200], 2, 50, &mut out);
        let truth = &values[2 * 1200..2 * 1250];
        let distance = |rows: &mut dyn Iterator<Item = f64>| -> f64 {
            rows.zip(truth).map(|(x, y)| (x - y).powi(2)).sum()
        };
        let persistence = distance(&mut values[2 * 1199..2 * 1200].iter().copied().cycle());
        let error = distance(&mut out.iter().copied());
        assert!(error < 0.02 * persistence, "{error} against {persistence}");
    }

    #[test]
    fn one_pass_over_a_series_equals_a_forecast_of_each_row() {
        let values = values(300);
        let series = SeriesView::new(&values, 2);
        let method = config(60).fit(&[series]).unwrap();
        let rows = method.one_step(series, 200);
        assert_eq!(rows.len(), 2 * 100);
        let mut out = Vec::new();
        for (i, row) in rows.chunks_exact(2).enumerate() {
            method.forecast(series.rows(0, 200 + i), 2, 1, &mut out);
            // The state has forgotten what lies more than 30 rows back, up to this.
            assert!((row[0] - out[0]).abs() < 1e-3 && (row[1] - out[1]).abs() < 1e-3);
        }
    }

    #[test]
    fn the_spectral_radius_is_that_of_the_matrix() {
        // Node i listens six times to node i + 1: a ring, whose eigenvalues have one absolute value.
        let nodes = 7;
        let mut reservoir = Reservoir::new(&config(nodes), 1);
        for (edge, source) in reservoir.sources.iter_mut().enumerate() {
            *source = (edge / IN_DEGREE + 1) % nodes;
        }
        for (edge, weight) in reservoir.weights.iter_mut().enumerate() {
            *weight = f64::from(u32::try_from(edge / IN_DEGREE + 1).unwrap()) / 6.0;
        }
        // (1·2·…·7)^(1/7)
        let expected = 5040f64.powf(1.0 / 7.0);
        assert!((reservoir.measured_radius() / expected - 1.0).abs() < 0.01);
        let scaled = Reservoir::new(&config(400), 1);
        assert!((scaled.measured_radius() - 0.9).abs() < 0.01);
    }

    #[test]
    fn the_seed_decides_the_reservoir() {
        let values = values(300);
        let forecast = |seed| {
            let config = EsnConfig { seed, ..config(20) };
            let mut out = Vec::new();
            let method = config.fit(&[SeriesView::new(&values, 2)]).unwrap();
            method.forecast(&values, 2, 5, &mut out);
            out
        };
        assert_eq!(forecast(1), forecast(1));
        assert_ne!(forecast(1), forecast(2));
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let values = [0.0; 80];
        let message =
            |config: EsnConfig| config.fit(&[SeriesView::new(&values, 1)]).unwrap_err().to_string();
        let leak = EsnConfig { leak: 1.5, ..EsnConfig::default() };
        assert_eq!(message(leak), "esn: leak = 1.5, expected above 0 and at most 1");
        let nodes = EsnConfig { nodes: 0, ..EsnConfig::default() };
        assert_eq!(message(nodes), "esn: nodes = 0, expected 1 or more");
        let many = EsnConfig { nodes: 9000, ..EsnConfig::default() };
        assert_eq!(
            message(many),
            "esn would have 9002 features (9000 nodes + 1 channels + 1), the limit is 8192; \
             use fewer lags or fewer columns, or raise max_features"
        );
        let long = EsnConfig { washout: 80, ..EsnConfig::default() };
        assert_eq!(
            message(long),
            "esn needs a training series of at least 81 rows; the longest of 1 has 80"
        );
    }
}
