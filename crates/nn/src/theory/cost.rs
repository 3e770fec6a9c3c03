//! What attention costs, from sizes alone.
//!
//! ```text
//! N rows, width d, H heads of width d/H; head s has N_s = max(1, ⌊N / r_s⌋) keys;  m = Σ_s N_s / (H N)
//!
//! part                 softmax     scaled heads    … pooled before the projection
//! q, k, v, o maps      4 N d²      4 N d²          (2 + 2 m) N d²
//! scores and mixing    2 N² d      2 m N² d        2 m N² d
//! weights stored       H N²        m H N²          m H N²
//! key bias             –           m N d           m N d                only with batch normalisation
//! ```
//!
//! Counts are of multiply-adds in matrix products; the sums of pooling and of a mean are not counted,
//! nor is the softmax. "Stored" is what training keeps if the weights are materialised: the fused kernel
//! of this project does not, and needs memory linear in `N`.
//!
//! Derived from the definitions of `docs/theory.md`; the counts are exact for every remainder.

/// Multiply-adds and stored weights of one attention layer for one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionCost {
    /// Multiply-adds of the maps that make queries, keys, values and the output.
    pub projections: u64,
    /// Multiply-adds of scores and of the sums they weigh.
    pub mixing: u64,
    /// Attention weights, over all heads.
    pub weights: u64,
    /// Multiply-adds of the key bias into which batch normalisation turns.
    pub key_bias: u64,
}

/// Whether keys and values are pooled before or after their projection, which gives the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooled {
    /// The input is pooled, so that fewer rows are projected.
    BeforeProjection,
    /// Projected rows are pooled.
    AfterProjection,
}

/// Keys of a head that pools `rate` of `time` rows into one: `⌊time / rate⌋`, at least one.
///
/// # Panics
/// If `rate` is zero.
#[must_use]
pub fn n_keys(time: usize, rate: usize) -> usize {
    (time / rate).max(1)
}

impl AttentionCost {
    /// Of scaled heads, one rate per head; of plain attention if all rates are 1.
    ///
    /// # Panics
    /// If there is no head, a rate is zero, or the heads do not divide `d_model`.
    #[must_use]
    pub fn new(time: usize, d_model: usize, rates: &[usize], pooled: Pooled) -> Self {
        let heads = rates.len();
        assert!(heads > 0 && d_model.is_multiple_of(heads), "{heads} heads of width {d_model}");
        let d_head = d_model / heads;
        // Σ_s N_s = m H N
        let keys: usize = rates.iter().map(|&rate| n_keys(time, rate)).sum();
        let projected = match pooled {
            Pooled::BeforeProjection => keys,
            Pooled::AfterProjection => heads * time,
        };
        Self {
            projections: (2 * time * d_model * d_model + 2 * projected * d_head * d_model) as u64,
            mixing: (2 * time * keys * d_head) as u64,
            weights: (time * keys) as u64,
            key_bias: (keys * d_head) as u64,
        }
    }

    /// Multiply-adds of the whole layer without batch normalisation.
    #[must_use]
    pub const fn multiply_adds(&self) -> u64 {
        self.projections + self.mixing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::SoftmaxConfig;
    use Pooled::{AfterProjection, BeforeProjection};

    fn plain(time: usize, d_model: usize, heads: usize) -> AttentionCost {
        AttentionCost::new(time, d_model, &vec![1; heads], AfterProjection)
    }

    /// By hand from the formulas above: time, width, rates, and the three ratios; the first is
    /// `2 (315 + 157 + 78 + 39) / (8 · 315) = 1178/2520`.
    #[test]
    fn ratios_to_softmax_attention_are_those_of_the_table() {
        let table: [(usize, usize, &[usize], [f64; 3]); 5] = [
            (315, 512, &[1, 1, 2, 2, 4, 4, 8, 8], [0.467, 0.875, 0.671]),
            (1024, 64, &[1, 2], [0.750, 0.778, 0.764]),
            (4000, 64, &[1, 2], [0.750, 0.758, 0.754]),
            (197, 192, &[1, 2, 4, 8], [0.467, 0.819, 0.643]),
            (197, 192, &[1, 1, 2, 2], [0.749, 0.915, 0.832]),
        ];
        for (time, d_model, rates, expected) in table {
            let softmax = plain(time, d_model, rates.len());
            let [after, before] = [AfterProjection, BeforeProjection]
                .map(|pooled| AttentionCost::new(time, d_model, rates, pooled));
            let whole = softmax.multiply_adds() as f64;
            let found = [
                after.mixing as f64 / softmax.mixing as f64,
                after.multiply_adds() as f64 / whole,
                before.multiply_adds() as f64 / whole,
            ];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() <= 5e-4, "{found} is not {expected} at {time}");
            }
            assert_eq!(after.weights * softmax.mixing, softmax.weights * after.mixing);
        }
    }

    #[test]
    fn counts_of_a_small_layer_are_those_of_the_loops() {
        // 7 rows, 2 heads of width 3, rates 1 and 2: 7 and 3 keys.
        let cost = AttentionCost::new(7, 6, &[1, 2], BeforeProjection);
        assert_eq!(cost.projections, 2 * 7 * 36 + 2 * (7 + 3) * 3 * 6);
        assert_eq!(cost.mixing, 2 * (7 * 7 * 3 + 7 * 3 * 3));
        assert_eq!(cost.weights, 7 * 7 + 7 * 3);
        assert_eq!(cost.key_bias, 7 * 3 + 3 * 3);
    }

    #[test]
    fn without_pooling_it_is_what_softmax_attention_counts() {
        let config = SoftmaxConfig { n_heads: 3, causal: false };
        assert_eq!(plain(11, 12, 3).multiply_adds(), config.multiply_adds(12, 11));
    }

    #[test]
    fn a_window_longer_than_the_sequence_leaves_one_key() {
        assert_eq!([n_keys(7, 8), n_keys(7, 7), n_keys(13, 2)], [1, 1, 6]);
    }
}
