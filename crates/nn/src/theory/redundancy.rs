//! How far apart the heads of a layer are.
//!
//! ```text
//! D_{s s'} = ‖O^s − O^s'‖_F       O^s [time, d_head]: result of head s before W_O, rows that are not padding
//! mean, std over all pairs s < s' and all sequences        relative = mean D / mean ‖O^s‖_F
//! ```
//!
//! Near zero, two heads do the same; heads without any likeness and of equal size are `√2` apart,
//! relative. `D` grows with the number of rows and the size of the values: compare it among models of one
//! architecture and one data set, and use `relative` elsewhere.
//!
//! Source: the distance of heads that Nguyen et al. 2023, arXiv:2406.13781, report; the definition by
//! results, not by weights, is ours, since heads that see pooled keys have the same weights' shapes but
//! not the same inputs. The relative form is ours. Cost: `batch · heads² · time · d_head / 2`.

use burn::tensor::{Bool, Tensor, assert_shape};

/// Distances between the heads of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadDistance {
    /// `D` of every pair, sequence after sequence, in each `(0, 1), (0, 2), … (1, 2), …`.
    pub pairs: Vec<f64>,
    /// Mean of `D`.
    pub mean: f64,
    /// Standard deviation of `D`, over the number of pairs.
    pub std: f64,
    /// Mean of `‖O^s‖_F` over heads and sequences.
    pub norm: f64,
    n_heads: usize,
}

impl HeadDistance {
    /// Of the results of the heads of one layer; `None` of fewer than two heads or no sequence.
    ///
    /// # Shapes
    /// - `o`: `[batch, heads, time, d_head]`
    /// - `blocked`: `[batch, time]`, `true` where a row is padding
    ///
    /// # Panics
    /// If the shapes disagree.
    #[must_use]
    pub fn of(o: &Tensor<4>, blocked: Option<&Tensor<2, Bool>>) -> Option<Self> {
        let [batch, n_heads, time, d_head] = o.dims();
        if n_heads < 2 || batch == 0 {
            return None;
        }
        let mut o = o.clone();
        if let Some(blocked) = blocked {
            assert_shape!(blocked, [batch, time]);
            let blocked = blocked.clone().reshape([batch, 1, time, 1]);
            o = o.mask_fill(blocked.expand([batch, n_heads, time, d_head]), 0.0);
        }
        let values = o.try_into_vec_as::<f64>().expect("results of heads are readable");
        let size = time * d_head;
        let head = |b: usize, s: usize| &values[(b * n_heads + s) * size..][..size];
        let sequences = || (0..batch).flat_map(|b| (0..n_heads).map(move |s| (b, s)));
        let pairs: Vec<f64> = sequences()
            .flat_map(|(b, s)| (s + 1..n_heads).map(move |t| (b, s, t)))
            .map(|(b, s, t)| {
                let difference = head(b, s).iter().zip(head(b, t)).map(|(x, y)| (x - y).powi(2));
                difference.sum::<f64>().sqrt()
            })
            .collect();
        let norms = sequences().map(|(b, s)| head(b, s).iter().map(|x| x * x).sum::<f64>().sqrt());
        let norm = norms.sum::<f64>() / (batch * n_heads) as f64;
        let n = pairs.len() as f64;
        let mean = pairs.iter().sum::<f64>() / n;
        let std = (pairs.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / n).sqrt();
        Some(Self { pairs, mean, std, norm, n_heads })
    }

    /// Mean of `D` over the mean norm of a head: free of scale.
    #[must_use]
    pub fn relative(&self) -> f64 {
        self.mean / self.norm
    }

    /// `D` over the mean norm of a head for every two heads, mean over sequences: `heads` rows of
    /// `heads` numbers, symmetric, zero on the diagonal.
    #[must_use]
    pub fn matrix(&self) -> Vec<Vec<f64>> {
        let n = self.n_heads;
        let per_sequence = n * (n - 1) / 2;
        let n_sequences = (self.pairs.len() / per_sequence) as f64;
        let mut matrix = vec![vec![0.0; n]; n];
        for sequence in self.pairs.chunks_exact(per_sequence) {
            let pairs = (0..n).flat_map(|s| (s + 1..n).map(move |t| (s, t)));
            for ((s, t), distance) in pairs.zip(sequence) {
                let share = distance / (self.norm * n_sequences);
                matrix[s][t] += share;
                matrix[t][s] += share;
            }
        }
        matrix
    }
}

/// Mean and standard deviation of a model: each the mean over its layers; `None` of no layer.
#[must_use]
pub fn over_layers(layers: &[HeadDistance]) -> Option<(f64, f64)> {
    let mean =
        |f: fn(&HeadDistance) -> f64| layers.iter().map(f).sum::<f64>() / layers.len() as f64;
    (!layers.is_empty()).then(|| (mean(|layer| layer.mean), mean(|layer| layer.std)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};
    use regard_kernels::testing::{from_f64, golden, normal, to_f64};
    use std::path::Path;

    #[test]
    fn distances_are_those_of_an_independent_program() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/theory/");
        let file = Path::new(file).join("head_distance.safetensors");
        let list = |name| to_f64(&golden::<1>(&file, name));
        let outputs = golden::<5>(&file, "head_outputs");
        let expected = golden::<2>(&file, "pair_distances");
        let n_pairs = expected.dims()[1];
        let layers: Vec<HeadDistance> = (0..2)
            .map(|layer| {
                let o = outputs.clone().narrow(0, layer, 1).squeeze_dim(0);
                HeadDistance::of(&o, None).unwrap()
            })
            .collect();
        for (layer, found) in layers.iter().enumerate() {
            let expected = &to_f64(&expected)[layer * n_pairs..][..n_pairs];
            assert_eq!(found.pairs.len(), n_pairs);
            for (found, expected) in found.pairs.iter().zip(expected) {
                assert!((found - expected).abs() <= 1e-12 * expected, "{found} {expected}");
            }
            assert!((found.mean - list("layer_mean")[layer]).abs() < 1e-12);
            assert!((found.std - list("layer_std")[layer]).abs() < 1e-12);
        }
        let (mean, std) = over_layers(&layers).unwrap();
        assert!((mean - list("overall_mean")[0]).abs() < 1e-12);
        assert!((std - list("overall_std")[0]).abs() < 1e-12);
    }

    #[test]
    fn heads_at_right_angles_are_the_root_of_two_apart_whatever_their_size() {
        for scale in [1.0, 1e3] {
            let heads = [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, -3.0]].concat();
            let o = from_f64(heads.iter().map(|x| x * scale).collect(), [1, 3, 1, 3]);
            let found = HeadDistance::of(&o, None).unwrap();
            assert!((found.relative() - 2.0_f64.sqrt()).abs() < 1e-14);
            assert!(found.std < 1e-12 * scale);
            assert!((found.matrix()[2][1] - 2.0_f64.sqrt()).abs() < 1e-14);
            assert!(found.matrix()[1][1].abs() < 1e-15);
        }
    }

    #[test]
    fn padded_rows_count_for_nothing() {
        let o = normal([2, 3, 5, 7], 1);
        let padding: Vec<bool> = [5, 2].iter().flat_map(|&n| (0..5).map(move |t| t >= n)).collect();
        let blocked = Tensor::from_data(TensorData::new(padding, [2, 5]), &Device::default());
        let found = HeadDistance::of(&o, Some(&blocked)).unwrap();
        let alone = HeadDistance::of(&o.clone().narrow(0, 1, 1).narrow(2, 0, 2), None).unwrap();
        assert!(found.pairs[3..].iter().zip(&alone.pairs).all(|(a, b)| (a - b).abs() < 1e-14));
        assert!(HeadDistance::of(&o.narrow(1, 0, 1), None).is_none());
    }
}
