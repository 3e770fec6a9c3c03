//! Which numbers are left out, and by what the others grow.
//!
//! A hashed mask is a function of seed, place, step, row and index: nothing is stored, and the
//! backward pass computes it again.
//!
//! ```text
//! key = mix64(mix64(seed + place, step), row)      left out: mix32(key + index · 0x9e3779b9) < p 2³²
//! ```
//!
//! `mix64` and `mix32` are those of [`crate::cpu::hash`].

use burn::tensor::{Tensor, TensorData};

use crate::cpu::hash::{Rate, mix64};

/// What is left out at random, and how it is drawn.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per call; a box would buy nothing")]
pub enum Dropout {
    /// Nothing.
    None,
    /// By a hash of the place.
    Hashed(HashedDropout),
    /// What the masks say.
    Masks(DropoutMasks),
}

/// Rates in `[0, 1)`, and the seed of the hash.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HashedDropout {
    /// Rate for the attention weights, after the softmax.
    pub attention: f64,
    /// Rate for cells and positions before they become keys and values, anew at each step.
    pub memory: f64,
    /// Rate for the result of a step.
    pub output: f64,
    /// Whether the next step sees the result with its gaps, or without.
    pub carried: bool,
    /// Another seed gives other masks.
    pub seed: u64,
}

/// Factors, `0` or `1 / (1 − p)`. Of `n < window` cells the last `n` places count.
#[derive(Clone, Debug)]
pub struct DropoutMasks {
    /// `[batch, time, heads, window]`
    pub attention: Option<Tensor<4>>,
    /// `[batch, time, window, d_hidden + n_position]`
    pub memory: Option<Tensor<4>>,
    /// `[batch, time, d_hidden]`
    pub output: Option<Tensor<3>>,
    /// As [`HashedDropout::carried`].
    pub carried: bool,
}

/// Where numbers are left out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Attention = 1,
    Memory = 2,
    Output = 3,
}

/// The key of one row at one step.
#[inline]
pub(super) fn key(seed: u64, place: Place, step: usize, row: usize) -> u32 {
    let start = mix64(seed.wrapping_add((place as u64) << 56));
    let key = mix64(mix64(start.wrapping_add(step as u64)).wrapping_add(row as u64));
    (key >> 32) as u32
}

impl Dropout {
    /// Whether something may be left out of the memory, so that projections of a cell differ from
    /// step to step.
    pub(super) fn disturbs_memory(&self) -> bool {
        match self {
            Self::None => false,
            Self::Hashed(hashed) => hashed.memory > 0.0,
            Self::Masks(masks) => masks.memory.is_some(),
        }
    }

    pub(super) fn carried(&self) -> bool {
        match self {
            Self::None => true,
            Self::Hashed(HashedDropout { carried, .. })
            | Self::Masks(DropoutMasks { carried, .. }) => *carried,
        }
    }

    /// The factors of one step, `[batch, size]`, like `like`.
    pub(super) fn at(
        &self,
        place: Place,
        step: usize,
        size: usize,
        like: &Tensor<2>,
    ) -> Option<Tensor<2>> {
        let [batch, _] = like.dims();
        match self {
            Self::None => None,
            Self::Masks(masks) => {
                let at = |mask: Tensor<4>| mask.narrow(1, step, 1).reshape([batch, size]);
                match place {
                    Place::Attention => masks.attention.clone().map(at),
                    Place::Memory => masks.memory.clone().map(at),
                    Place::Output => masks.output.clone().map(|m| at(m.unsqueeze_dim::<4>(3))),
                }
            }
            Self::Hashed(hashed) => {
                let rate = Rate::new(match place {
                    Place::Attention => hashed.attention,
                    Place::Memory => hashed.memory,
                    Place::Output => hashed.output,
                })?;
                let size_u32 = u32::try_from(size).expect("masks of a step have fewer than 2³²");
                let factors: Vec<f64> = (0..batch)
                    .flat_map(|row| {
                        let key = key(hashed.seed, place, step, row);
                        (0..size_u32)
                            .map(move |i| if rate.keeps(key, i) { rate.scale } else { 0.0 })
                    })
                    .collect();
                let data = TensorData::new(factors, [batch, size]);
                Some(Tensor::from_data(data, (&like.device(), like.dtype())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_left_out_is_the_rate_and_neighbours_are_uncorrelated() {
        let rate = Rate::new(0.3).unwrap();
        let (rows, size) = (200, 50);
        let out = |row: usize, i: u32| {
            let key = key(7, Place::Output, 3, row);
            f64::from(u8::from(!rate.keeps(key, i)))
        };
        let (mut share, mut along, mut across) = (0.0, 0.0, 0.0);
        for row in 0..rows {
            for i in 0..size {
                share += out(row, i);
                along += out(row, i) * out(row, i + 1);
                across += out(row, i) * out(row + 1, i);
            }
        }
        let n = rows as f64 * f64::from(size);
        // Four standard errors of a mean of n draws: 4 √(0.3 · 0.7 / n), 4 √(0.09 · 0.91 / n).
        assert!((share / n - 0.3).abs() < 0.019, "{}", share / n);
        assert!((along / n - 0.09).abs() < 0.012, "{}", along / n);
        assert!((across / n - 0.09).abs() < 0.012, "{}", across / n);
    }

    #[test]
    fn seeds_places_and_steps_draw_apart() {
        let keys = [
            key(1, Place::Output, 0, 0),
            key(2, Place::Output, 0, 0),
            key(1, Place::Attention, 0, 0),
            key(1, Place::Output, 1, 0),
            key(1, Place::Output, 0, 1),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[..i].iter().all(|b| a != b), "{keys:x?}");
        }
    }
}
