//! A lifted model as one map of the window.
//!
//! ```text
//! A = Σ_i α_i ⊗ W_i     [q p, m n]     its singular values: how many heads the fit needs
//! x̂ = J (x_1 … x_p) + terms of degree 2 and above, around the mean of the training part
//! ```
//!
//! The heads of a closed form come from a singular value decomposition and are orthogonal, so that
//! `α` alone, all heads' rows one above the other, has full rank; `A` weighs them. `J` acts on delay
//! coordinates: it moves the rows by one and puts the forecast behind them. Its eigenvalues are those
//! of the recurrence the model has learned; of a linear model they are exact, of others they describe
//! small deviations from the mean.

use regard_nn::model::{LIFT_SCALE, LiftedForecaster};

use super::matrix::{MatrixStats, eigenvalues, spectral_norm};
use super::{HeadInspection, Inspected, Seen, split};

/// `α` and `W` on the host.
struct Factors {
    /// Per head `[horizon, window]`.
    alpha: Vec<Vec<f64>>,
    /// Per head `[features, channels]`.
    value: Vec<Vec<f64>>,
    horizon: usize,
    window: usize,
    features: usize,
    channels: usize,
}

/// All heads as one; `None` if a number is not finite.
pub(super) fn seen(trained: &LiftedForecaster, fresh: &LiftedForecaster, dt: f64) -> Option<Seen> {
    let [a, b] = [trained, fresh].map(Factors::of);
    let matrices = vec![
        Inspected { name: "α", trained: a.scores()?, fresh: b.scores()? },
        Inspected { name: "Σ α⊗W", trained: a.joint()?, fresh: b.joint()? },
    ];
    let side = a.window * a.channels;
    let found = eigenvalues(&a.delay_map(trained.increment_std()), side, dt);
    let gain_bound = Some(a.gain_bound());
    let heads = vec![HeadInspection {
        layer: 0,
        head: 0,
        matrices,
        weights: Vec::new(),
        gain_bound,
        eigenvalues: found,
    }];
    let eigenvalues_of = "the map of delay coordinates";
    Some(Seen { heads, redundancy: Vec::new(), eigenvalues_of, n_windows: 0 })
}

impl Factors {
    fn of(model: &LiftedForecaster) -> Self {
        let (alpha, value) = (model.alpha(), model.value());
        let [_, horizon, window] = alpha.dims();
        let [_, features, channels] = value.dims();
        let (alpha, value) = (split(&alpha), split(&value));
        Self { alpha, value, horizon, window, features, channels }
    }

    fn heads(&self) -> impl Iterator<Item = (&Vec<f64>, &Vec<f64>)> {
        self.alpha.iter().zip(&self.value)
    }

    fn scores(&self) -> Option<MatrixStats> {
        MatrixStats::of(&self.alpha.concat(), [self.alpha.len() * self.horizon, self.window])
    }

    fn joint(&self) -> Option<MatrixStats> {
        let [rows, cols] = [self.horizon * self.window, self.features * self.channels];
        let mut joint = vec![0.0; rows * cols];
        for (alpha, value) in self.heads() {
            for (row, a) in joint.chunks_exact_mut(cols).zip(alpha) {
                row.iter_mut().zip(value).for_each(|(joint, w)| *joint += a * w);
            }
        }
        MatrixStats::of(&joint, [rows, cols])
    }

    /// `Σ_i ‖α_i‖₂ ‖W_i‖₂`.
    fn gain_bound(&self) -> f64 {
        let norm = |(alpha, value): (&Vec<f64>, &Vec<f64>)| {
            spectral_norm(alpha, self.horizon, self.window)
                * spectral_norm(value, self.features, self.channels)
        };
        self.heads().map(norm).sum()
    }

    /// `J`, row after row, by the first row of the forecast; `σ_Δ` for an increment.
    fn delay_map(&self, increment_std: Option<&[f64]>) -> Vec<f64> {
        let (p, n) = (self.window, self.channels);
        let side = p * n;
        let mut map = vec![0.0; side * side];
        (0..side - n).for_each(|i| map[i * side + i + n] = 1.0);
        for j in 0..n {
            let row = &mut map[(side - n + j) * side..][..side];
            let scale = increment_std.map_or(1.0, |std| std[j]) / LIFT_SCALE;
            for (alpha, value) in self.heads() {
                for (c, a) in alpha[..p].iter().enumerate() {
                    // Monomial 0 is the constant, the next n are the variables.
                    (0..n).for_each(|k| row[c * n + k] += scale * a * value[(1 + k) * n + j]);
                }
            }
            if increment_std.is_some() {
                row[side - n + j] += 1.0;
            }
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor, TensorData};
    use regard_nn::model::{ForecastShape, LiftedConfig, Readout};

    /// One head per row, degree 1, of `x̂_j = Σ_ck weights[c][k][j] x_ck`.
    fn linear(readout: Readout, weights: &[[[f64; 2]; 2]; 2]) -> LiftedForecaster {
        let shape = ForecastShape { window: 2, horizon: 1, channels: 2 };
        let config = LiftedConfig { degree: 1, n_heads: None, readout };
        let model = config.init(shape, &[0.5, 0.25], &Device::default()).unwrap();
        let value = weights.iter().flat_map(|w| {
            let scaled = w.iter().flatten().map(|x| x * LIFT_SCALE);
            [0.0; 2].into_iter().chain(scaled)
        });
        model.with_values(vec![1.0, 0.0, 0.0, 1.0], value.collect())
    }

    #[test]
    fn a_learned_rotation_turns_at_its_own_frequency() {
        // The last row turned by 2π · 3 Hz · 0.01 s and shrunk to 0.9; the row before is not read.
        let angle = std::f64::consts::TAU * 0.03;
        let (c, s) = (0.9 * angle.cos(), 0.9 * angle.sin());
        let model = linear(Readout::Direct, &[[[0.0; 2]; 2], [[c, s], [-s, c]]]);
        let seen = seen(&model, &model, 0.01).unwrap();
        let head = &seen.heads[0];
        let first = head.eigenvalues[0];
        assert!((first.modulus - 0.9).abs() < 1e-6 && (first.frequency - 3.0).abs() < 1e-5);
        // The two that the older row leaves.
        assert!(head.eigenvalues[1..].iter().all(|z| z.modulus < 1e-3), "{head:?}");
        let [alpha, joint] = &head.matrices[..] else { panic!("two matrices") };
        assert!((alpha.trained.effective_rank - 2.0).abs() < 1e-6);
        assert!((joint.trained.effective_rank - 1.0).abs() < 1e-6);
        // ‖W_2‖₂ = 0.9 · 3 with ‖α_2‖ = 1.
        assert!((head.gain_bound.unwrap() - 0.9 * LIFT_SCALE).abs() < 1e-5);
    }

    #[test]
    fn the_map_of_delay_coordinates_is_what_the_model_does() {
        let weights = [[[0.3, -0.2], [0.5, 0.1]], [[-0.7, 0.4], [0.2, 0.6]]];
        for readout in [Readout::Direct, Readout::Increment] {
            let model = linear(readout, &weights);
            let x = [0.3_f64, -0.5, 0.2, 0.7];
            let map = Factors::of(&model).delay_map(model.increment_std());
            let next: Vec<f64> = map
                .chunks_exact(4)
                .map(|row| row.iter().zip(x).map(|(m, x)| m * x).sum())
                .collect();
            let tensor = Tensor::<3>::from_data(
                TensorData::new(x.to_vec(), [1, 2, 2]).convert::<f32>(),
                &Device::default(),
            );
            let forecast = model.forward(tensor).try_into_vec_as::<f64>().unwrap();
            let expected = [x[2], x[3], forecast[0], forecast[1]];
            for (found, expected) in next.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            }
        }
    }
}
