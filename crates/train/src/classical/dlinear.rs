//! DLinear: the trend and the remainder of a window, one linear map each, channel by channel.
//!
//! ```text
//! trend_i = mean of x_{i−(k−1)/2}, …, x_{i+(k−1)/2}, the ends of the window repeated      k = kernel
//! x_{t+1} = x_t + b + Σ_i u_i trend_i + Σ_i v_i (x_i − trend_i)        i = t−window+1, …, t
//! ```
//!
//! Source: Zeng, Chen, Zhang and Xu 2023, AAAI 37(9):11121–11128, arXiv:2205.13504, the form with
//! weights of its own for every channel. Differs: the weights come from ridge regression instead of
//! stochastic gradients, one row is forecast at a time and fed back, and it is the increment that is
//! forecast, so that the penalty pulls to persistence.
//!
//! The trend is linear in the window, so this is a linear autoregression that sees one channel: the
//! decomposition decides only which weights the penalty finds small.
//! Cost of a step: `channels · window` multiply-adds, the two maps being added into one.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::forecast::roll_out;
use super::increment::{MAX_FEATURES, at_least_one, check};
use super::least_squares::LeastSquares;
use super::series::count_examples;
use super::{Classical, ClassicalError, SeriesView};

const NAME: &str = "dlinear";

/// Configuration of [`DLinear`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DLinearConfig {
    /// Past rows that enter; 32 by default.
    pub window: usize,
    /// Rows of the moving average, odd; 25 by default, as in the source.
    pub kernel: usize,
    /// Penalty on squared weights per example, dimensionless and above zero, since trend and
    /// remainder depend on each other; 1e-12 by default.
    pub ridge: f64,
}

/// Linear forecaster of each channel by itself; build with [`DLinearConfig::fit`].
#[derive(Clone, Debug)]
pub struct DLinear {
    window: usize,
    /// For each channel the weights of the window, oldest row first, then the constant.
    channels: Vec<Vec<f64>>,
}

impl Default for DLinearConfig {
    fn default() -> Self {
        Self { window: 32, kernel: 25, ridge: 1e-12 }
    }
}

impl DLinearConfig {
    /// Fits the weights of every channel to all series; an example never straddles two of them.
    ///
    /// # Errors
    /// [`ClassicalError`] if a field is out of range, the series are too short or not finite, or
    /// the regression is singular.
    ///
    /// # Panics
    /// If the series differ in their number of channels.
    pub fn fit(&self, series: &[SeriesView]) -> Result<DLinear, ClassicalError> {
        let &Self { window, kernel, ridge } = self;
        at_least_one(NAME, "window", window)?;
        if kernel % 2 == 0 {
            let (key, value, expected) = ("kernel", kernel as f64, "an odd number");
            return Err(ClassicalError::InvalidConfig { method: NAME, key, value, expected });
        }
        let n_features = window.saturating_mul(2).saturating_add(1);
        let formula = || format!("trend and remainder of {window} rows + 1");
        check(NAME, window, ridge, (n_features, formula), MAX_FEATURES)?;
        let n_examples = count_examples(NAME, series, window)?;
        let fit = |channel: usize| {
            self.fit_channel(series, channel, ridge * n_examples as f64)
                .ok_or(ClassicalError::Singular { method: NAME, ridge })
        };
        // Channels share nothing, so the number of threads changes no bit.
        let channels: Result<_, _> = (0..series[0].channels()).into_par_iter().map(fit).collect();
        Ok(DLinear { window, channels: channels? })
    }

    fn fit_channel(&self, series: &[SeriesView], channel: usize, penalty: f64) -> Option<Vec<f64>> {
        let &Self { window, kernel, .. } = self;
        let mut regression = LeastSquares::new(2 * window + 1, 1, penalty);
        let mut features = vec![1.0; 2 * window + 1];
        for one in series {
            let values: Vec<f64> =
                one.values().iter().skip(channel).step_by(one.channels()).copied().collect();
            for example in values.windows(window + 1) {
                let (past, next) = (&example[..window], example[window]);
                let (trend, remainder) = features[1..].split_at_mut(window);
                moving_average(past, kernel, trend);
                for ((r, x), m) in remainder.iter_mut().zip(past).zip(trend) {
                    *r = x - *m;
                }
                regression.add(&features, &[next - past[window - 1]]);
            }
        }
        let fitted = regression.solve()?;
        let (trend, remainder) = fitted[1..].split_at(window);
        // u·trend + v·(x − trend) = (v + Aᵀ(u − v))·x, with A the moving average.
        let difference: Vec<f64> = trend.iter().zip(remainder).map(|(u, v)| u - v).collect();
        let mut weights = remainder.to_vec();
        for (i, d) in difference.iter().enumerate() {
            for j in neighbours(i, window, kernel) {
                weights[j] += d / kernel as f64;
            }
        }
        weights.push(fitted[0]);
        Some(weights)
    }
}

impl Classical for DLinear {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Those of the two maps, though they are stored as one.
    fn n_parameters(&self) -> usize {
        self.channels.len() * (2 * self.window + 1)
    }

    fn window(&self) -> usize {
        self.window
    }

    fn forecast(&self, history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>) {
        let &Self { window, channels: ref weights } = self;
        assert_eq!(channels, weights.len(), "the method was fitted to other columns");
        let mut next = vec![0.0; channels];
        roll_out(history, channels, window, steps, out, |path| {
            let rows = path[path.len() - window * channels..].chunks_exact(channels);
            for (next, weights) in next.iter_mut().zip(weights) {
                *next = weights[window];
            }
            for (i, row) in rows.enumerate() {
                for ((next, weights), x) in next.iter_mut().zip(weights).zip(row) {
                    *next += weights[i] * x;
                }
            }
            for (next, x) in next.iter_mut().zip(&path[path.len() - channels..]) {
                *next += x;
            }
            path.extend_from_slice(&next);
        });
    }
}

/// The rows that enter the moving average at row `i`: those beyond an end are the end itself.
fn neighbours(i: usize, window: usize, kernel: usize) -> impl Iterator<Item = usize> {
    let half = kernel / 2;
    (0..kernel).map(move |offset| (i + offset).saturating_sub(half).min(window - 1))
}

fn moving_average(values: &[f64], kernel: usize, out: &mut [f64]) {
    for (i, out) in out.iter_mut().enumerate() {
        let sum: f64 = neighbours(i, values.len(), kernel).map(|j| values[j]).sum();
        *out = sum / kernel as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trend_repeats_the_ends_of_the_window() {
        let mut trend = [0.0; 4];
        moving_average(&[3.0, 6.0, 0.0, 9.0], 3, &mut trend);
        assert_eq!(trend.to_vec(), [4.0, 3.0, 5.0, 6.0].to_vec());
        moving_average(&[3.0, 6.0, 0.0, 9.0], 1, &mut trend);
        assert_eq!(trend.to_vec(), [3.0, 6.0, 0.0, 9.0].to_vec());
    }

    /// `x = sin 0.3t + 0.01t` and `y = cos 0.5t`, which do not see each other.
    fn values(n: u32) -> Vec<f64> {
        let row = |t: f64| [(0.3 * t).sin() + 0.01 * t, (0.5 * t).cos()];
        (0..n).flat_map(|t| row(f64::from(t))).collect()
    }

    #[test]
    fn a_sinusoid_on_a_trend_is_continued() {
        let values = values(360);
        let config = DLinearConfig { window: 12, kernel: 5, ridge: 1e-12 };
        let method = config.fit(&[SeriesView::new(&values[..2 * 300], 2)]).unwrap();
        assert_eq!((method.n_parameters(), method.window()), (2 * 25, 12));
        let mut out = Vec::new();
        method.forecast(&values[..2 * 300], 2, 60, &mut out);
        for (x, truth) in out.iter().zip(&values[2 * 300..]) {
            assert!((x - truth).abs() < 1e-4, "{x} is not {truth}");
        }
    }

    #[test]
    fn a_channel_never_sees_another() {
        let values = values(200);
        let method = DLinearConfig::default().fit(&[SeriesView::new(&values, 2)]).unwrap();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        method.forecast(&values, 2, 9, &mut one);
        let other: Vec<f64> =
            values.chunks_exact(2).flat_map(|row| [row[0], -3.0 * row[1]]).collect();
        method.forecast(&other, 2, 9, &mut two);
        for (a, b) in one.chunks_exact(2).zip(two.chunks_exact(2)) {
            assert!((a[0] - b[0]).abs() < 1e-12 && (a[1] - b[1]).abs() > 1e-3);
        }
    }

    #[test]
    fn fields_out_of_range_are_named() {
        let values = [0.0; 80];
        let message = |config: DLinearConfig| {
            config.fit(&[SeriesView::new(&values, 1)]).unwrap_err().to_string()
        };
        let even = DLinearConfig { kernel: 24, ..DLinearConfig::default() };
        assert_eq!(message(even), "dlinear: kernel = 24, expected an odd number");
        let empty = DLinearConfig { window: 0, ..DLinearConfig::default() };
        assert_eq!(message(empty), "dlinear: window = 0, expected 1 or more");
        let zero = DLinearConfig { ridge: 0.0, ..DLinearConfig::default() };
        assert_eq!(
            message(zero),
            "dlinear: the regression has no unique solution; set ridge above 0"
        );
    }
}
