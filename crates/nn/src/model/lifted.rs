//! Easy attention on lifted rows: polynomials of each row as values, learned scores over time.
//!
//! ```text
//! φ(x) ∈ ℝᵐ:  all monomials of x/3 up to `degree`, the constant first;  m = C(n + degree, degree)
//! Y = Σ_i α_i φ(X) W_i         α_i [q, p],  W_i [m, n],  i = 1 … h
//! forecast = Y, or the last row plus σ_Δ ⊙ Y
//! ```
//!
//! The values are easy attention's `V_i = φ(X) W_i` with the polynomials in place of an embedding,
//! and only the rows of `α` that a forecast needs. There is no hidden layer, so the output is linear
//! in `α` for fixed `W` and linear in `W` for fixed `α`, and both can be found by least squares. With
//! `h ≥ p` heads the sum reaches every linear map from the lifted window to the next row, and the
//! problem is linear in the products `α_i ⊗ W_i` together. `degree = 1` is one layer of easy attention with
//! a linear encoder, a linear map of delay coordinates. For a system with polynomial right-hand side
//! the increment read-out is a learned linear multistep method.
//!
//! Source: ours, from easy attention (Sanchis-Agudo et al. 2023, arXiv:2308.12874). Cost: `p m n h + h q p n`
//! multiply-adds and `p m (degree − 1)` products for the monomials.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData, assert_shape};
use regard_kernels::affine::affine;
use regard_kernels::mixing::mix;
use regard_kernels::pointwise::Activation;
use serde::{Deserialize, Serialize};

use super::forecaster::AlphaMatrix;
use super::readout::{ForecastShape, Readout, ReadoutRule};
use crate::error::{InvalidConfig, positive};
use crate::parameter::{uniform, xavier_bound};

/// Normalised values are divided by this, so that monomials stay of order one on most of the data.
pub const LIFT_SCALE: f64 = 3.0;
/// Most monomials of one row.
const MAX_FEATURES: usize = 8192;

/// Configuration of [`LiftedForecaster`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftedConfig {
    /// Highest total degree of the monomials.
    pub degree: usize,
    /// Number of heads, each with its own scores and values; as many as rows by default, which is
    /// all that can help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_heads: Option<usize>,
    /// What the output stands for.
    #[serde(default)]
    pub readout: Readout,
}

/// A forecaster for one shape of data; build with [`LiftedConfig::init`].
#[derive(Module, Debug)]
pub struct LiftedForecaster {
    /// `α`, `[heads, horizon, window]`.
    alpha: Param<Tensor<3>>,
    /// `W`, `[heads, features, channels]`.
    value: Param<Tensor<3>>,
    #[module(skip)]
    lift: Lift,
    #[module(skip)]
    rule: ReadoutRule,
}

/// All monomials of a row up to a degree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// Per monomial the variables it multiplies, from 1, padded with 0 for "one".
    factors: Vec<Vec<usize>>,
    degree: usize,
}

impl Lift {
    /// The monomials of `channels` variables: the constant, then by degree.
    #[must_use]
    pub fn new(channels: usize, degree: usize) -> Self {
        let mut factors = vec![vec![0; degree]];
        let mut level = vec![(vec![], 1)];
        for k in 1..=degree {
            level = level
                .iter()
                .flat_map(|(monomial, least): &(Vec<usize>, usize)| {
                    (*least..=channels).map(|variable| {
                        let mut longer = monomial.clone();
                        longer.push(variable);
                        (longer, variable)
                    })
                })
                .collect();
            factors.extend(level.iter().map(|(monomial, _)| {
                let mut padded = monomial.clone();
                padded.resize(degree.max(k), 0);
                padded
            }));
        }
        Self { factors, degree }
    }

    /// Number of monomials, `C(channels + degree, degree)`.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.factors.len()
    }

    /// Appends `φ(row)` of a normalised row.
    pub fn extend(&self, row: &[f64], to: &mut Vec<f64>) {
        to.extend(self.factors.iter().map(|factors| {
            factors.iter().filter(|&&v| v > 0).map(|&v| row[v - 1] / LIFT_SCALE).product::<f64>()
        }));
    }

    /// `φ` of every row: `[batch, window, channels]` to `[batch, window, features]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, window, _] = x.dims();
        let one = Tensor::ones([batch, window, 1], (&x.device(), x.dtype()));
        let x = Tensor::cat(vec![one.clone(), x / LIFT_SCALE], 2);
        let device = x.device();
        let factor = |k: usize| {
            let index: Vec<i64> =
                self.factors.iter().map(|f| i64::try_from(f[k]).expect("a small index")).collect();
            let index = Tensor::<1, Int>::from_data(TensorData::from(index.as_slice()), &device);
            x.clone().select(2, index)
        };
        match self.degree {
            0 => one,
            degree => (1..degree).fold(factor(0), |product, k| product * factor(k)),
        }
    }
}

/// `C(channels + degree, degree)`, or `None` beyond the limit.
fn n_features(channels: usize, degree: usize) -> Option<usize> {
    (1..=degree).try_fold(1_usize, |count, k| {
        let next = count.checked_mul(channels + k)? / k;
        (next <= MAX_FEATURES).then_some(next)
    })
}

impl LiftedConfig {
    /// Checks the fields and draws `α`, then `W`.
    ///
    /// # Errors
    /// [`InvalidConfig::Zero`] for a size of zero, [`InvalidConfig::TooManyFeatures`] if there are more
    /// than 8192 monomials, or `increment_std` does not fit the channels.
    pub fn init(
        &self,
        shape: ForecastShape,
        increment_std: &[f64],
        device: &Device,
    ) -> Result<LiftedForecaster, InvalidConfig> {
        let ForecastShape { window, horizon, channels } = shape;
        let n_heads = self.heads(window);
        for size in [("degree", self.degree), ("n_heads", n_heads), ("window", window)] {
            positive(size)?;
        }
        let rule = self.readout.rule(channels, increment_std)?;
        let features = n_features(channels, self.degree).ok_or(InvalidConfig::TooManyFeatures {
            degree: self.degree,
            channels,
            limit: MAX_FEATURES,
        })?;
        Ok(LiftedForecaster {
            alpha: uniform([n_heads, horizon, window], xavier_bound(window, n_heads), device),
            value: uniform([n_heads, features, channels], xavier_bound(features, channels), device),
            lift: Lift::new(channels, self.degree),
            rule,
        })
    }

    /// `h (q p + m n)`.
    ///
    /// # Panics
    /// If there are more than 8192 monomials, which [`LiftedConfig::init`] refuses.
    #[must_use]
    pub fn n_parameters(&self, shape: ForecastShape) -> usize {
        let features = n_features(shape.channels, self.degree).expect("checked by init");
        self.heads(shape.window) * (shape.horizon * shape.window + features * shape.channels)
    }

    /// `h (p m n + q p n)`.
    ///
    /// # Panics
    /// As [`LiftedConfig::n_parameters`].
    #[must_use]
    pub fn multiply_adds(&self, shape: ForecastShape) -> u64 {
        let features = n_features(shape.channels, self.degree).expect("checked by init");
        let per_head = shape.window * shape.channels * (features + shape.horizon);
        (self.heads(shape.window) * per_head) as u64
    }

    fn heads(&self, window: usize) -> usize {
        self.n_heads.unwrap_or(window)
    }
}

impl LiftedForecaster {
    /// Forecasts from every window, in normalised units.
    ///
    /// # Shapes
    /// - `x`: `[batch, window, channels]`
    /// - returns: `[batch, horizon, channels]`
    ///
    /// # Panics
    /// If the shape of `x` is not the one the forecaster was built for.
    #[must_use]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, window, channels] = x.dims();
        let [heads, _, time] = self.alpha.dims();
        let [_, features, _] = self.value.dims();
        assert_shape!(x, [batch, time, channels]);
        let z = self.lift.forward(x.clone());
        let value = self.value.val().swap_dims(0, 1).reshape([features, heads * channels]);
        let v = affine(z, value, None, Activation::Identity);
        let v = v.reshape([batch, window, heads, channels]).swap_dims(1, 2);
        let y = mix(self.alpha.val(), v).sum_dim(1).squeeze_dim(1);
        self.rule.forecast(x, y)
    }

    /// Itself, for windows of the length it was fitted to.
    ///
    /// # Errors
    /// [`InvalidConfig::Excluded`] for another length: each row of the window has its own scores, which
    /// make sense only together.
    pub fn resized(&self, window: usize) -> Result<Self, InvalidConfig> {
        let [_, _, trained] = self.alpha.dims();
        if window == trained {
            return Ok(self.clone());
        }
        Err(InvalidConfig::Excluded {
            name: "window",
            value: window,
            other: "a lifted model fitted to another length",
            remedy: "fit it again, which takes seconds",
        })
    }

    /// `α`, `[heads, horizon, window]`.
    #[must_use]
    pub fn alpha(&self) -> Tensor<3> {
        self.alpha.val()
    }

    /// `W`, `[heads, features, channels]`.
    #[must_use]
    pub fn value(&self) -> Tensor<3> {
        self.value.val()
    }

    /// Number of heads.
    #[must_use]
    pub fn n_heads(&self) -> usize {
        let [heads, _, _] = self.alpha.dims();
        heads
    }

    /// The monomials that the values are made of.
    #[must_use]
    pub fn lift(&self) -> &Lift {
        &self.lift
    }

    /// `σ_Δ` of every channel; `None` for the direct read-out.
    #[must_use]
    pub fn increment_std(&self) -> Option<&[f64]> {
        self.rule.increment_std()
    }

    /// Replaces `α` (`[heads, horizon, window]`) and `W` (`[heads, features, channels]`), row after row.
    ///
    /// # Panics
    /// If the numbers of values differ from the shapes.
    #[must_use]
    pub fn with_values(mut self, alpha: Vec<f64>, value: Vec<f64>) -> Self {
        let put = |param: Param<Tensor<3>>, values: Vec<f64>| {
            let (id, old, mapper) = param.consume();
            let data = TensorData::new(values, old.dims());
            let new = Tensor::from_data(data, (&old.device(), old.dtype()));
            Param::from_mapped_value(
                id,
                if old.is_require_grad() { new.require_grad() } else { new },
                mapper,
            )
        };
        self.alpha = put(self.alpha, alpha);
        self.value = put(self.value, value);
        self
    }

    /// The scores of every head, `[horizon, window]`, as matrices of one layer.
    ///
    /// # Panics
    /// If the device cannot hand over its memory.
    #[must_use]
    pub fn alphas(&self) -> Vec<AlphaMatrix> {
        let [_, horizon, window] = self.alpha.dims();
        if horizon != window {
            // A report draws square matrices; the few rows of a forecast are in `regard inspect`.
            return Vec::new();
        }
        let values = self.alpha.val().try_into_vec_as::<f64>().expect("parameters are readable");
        let heads = values.chunks_exact(window * window).enumerate();
        heads
            .map(|(head, v)| AlphaMatrix { layer: 0, head, time: window, values: v.to_vec() })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::DType;
    use regard_kernels::testing::{assert_close, assert_gradients, normal};

    const SHAPE: ForecastShape = ForecastShape { window: 3, horizon: 1, channels: 2 };

    #[test]
    fn the_lift_has_every_monomial_once() {
        let lift = Lift::new(2, 3);
        assert_eq!(lift.n_features(), 10);
        let mut phi = Vec::new();
        lift.extend(&[2.0 * LIFT_SCALE, 3.0 * LIFT_SCALE], &mut phi);
        let mut expected = vec![1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 8.0, 12.0, 18.0, 27.0];
        phi.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        for (a, b) in phi.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
    }

    #[test]
    fn host_and_tensor_lifts_agree() {
        let lift = Lift::new(3, 4);
        let x = normal::<3>([2, 5, 3], 1);
        let rows: Vec<f64> = x.clone().try_into_vec_as::<f64>().unwrap();
        let mut expected = Vec::new();
        rows.chunks_exact(3).for_each(|row| lift.extend(row, &mut expected));
        let expected = Tensor::<3>::from_data(
            TensorData::new(expected, [2, 5, 35]),
            (&x.device(), DType::F64),
        );
        assert_close(&lift.forward(x), &expected, 1e-13);
    }

    #[test]
    fn the_forecast_is_the_formula() {
        let config = LiftedConfig { degree: 2, n_heads: Some(2), readout: Readout::Direct };
        let model = config.init(SHAPE, &[], &Device::default()).unwrap();
        let (alpha, value): (Vec<f64>, Vec<f64>) =
            ((0..6).map(f64::from).collect(), (0..24).map(|i| f64::from(i) / 7.0).collect());
        let model = model.with_values(alpha.clone(), value.clone());
        let rows = [[0.3, -0.2], [0.9, 0.4], [-0.5, 0.1]];
        let x =
            Tensor::<3>::from_data(TensorData::from([rows]).convert::<f32>(), &Device::default());
        let found: Vec<f64> = model.forward(x).try_into_vec_as::<f64>().unwrap();
        for (j, found) in found.iter().enumerate() {
            let mut expected = 0.0;
            for (head, alpha) in alpha.chunks_exact(3).enumerate() {
                for (row, score) in rows.iter().zip(alpha) {
                    let mut phi = Vec::new();
                    model.lift().extend(row, &mut phi);
                    for (f, phi) in phi.iter().enumerate() {
                        expected += score * phi * value[(head * 6 + f) * 2 + j];
                    }
                }
            }
            assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
        }
    }

    #[test]
    fn gradients_reach_scores_values_and_input() {
        let lift = Lift::new(2, 2);
        let inputs = [normal([2, 1, 3], 1), normal([1, 6, 4], 2), normal([2, 3, 2], 3)];
        let f = |[alpha, value, x]: [Tensor<3>; 3]| -> Tensor<3> {
            let v = affine(lift.forward(x), value.squeeze_dim(0), None, Activation::Identity);
            mix(alpha, v.reshape([2, 3, 2, 2]).swap_dims(1, 2)).sum_dim(1).squeeze_dim(1)
        };
        assert_gradients(inputs, f, 1e-6);
    }

    #[test]
    fn sizes_follow_their_formulas() {
        let config = LiftedConfig { degree: 4, n_heads: None, readout: Readout::Increment };
        let shape = ForecastShape { window: 3, horizon: 1, channels: 3 };
        assert_eq!(config.n_parameters(shape), 3 * (3 + 35 * 3));
        assert_eq!(config.multiply_adds(shape), 3 * (3 * 35 * 3 + 3 * 3));
        let model = config.init(shape, &[0.1; 3], &Device::default()).unwrap();
        assert_eq!(model.num_params(), config.n_parameters(shape));
    }

    #[test]
    fn another_window_is_refused_with_the_remedy() {
        let config = LiftedConfig { degree: 2, n_heads: None, readout: Readout::Direct };
        let model = config.init(SHAPE, &[], &Device::default()).unwrap();
        assert!(model.resized(3).is_ok());
        assert_eq!(
            model.resized(2).unwrap_err().to_string(),
            "window = 2 does not go with a lifted model fitted to another length: \
             fit it again, which takes seconds"
        );
    }

    #[test]
    fn too_many_monomials_are_refused_with_the_remedy() {
        let config = LiftedConfig { degree: 4, n_heads: None, readout: Readout::Direct };
        let shape = ForecastShape { window: 3, horizon: 1, channels: 100 };
        let message = config.init(shape, &[], &Device::default()).unwrap_err().to_string();
        assert_eq!(
            message,
            "degree = 4 with 100 channels gives more than 8192 monomials: \
             lower the degree or use fewer columns"
        );
    }
}
