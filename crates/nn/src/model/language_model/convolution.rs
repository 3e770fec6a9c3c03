//! A causal convolution of every channel by itself, over the last few rows.
//!
//! ```text
//! y_t = Σ_{j < n} w_j ⊙ x_{t−j}        rows before the first are zero
//! ```
//!
//! It starts as the identity. Source: Gu & Dao 2023, §3.4, arXiv:2312.00752, who have one in front of
//! their recurrence; theirs starts at random and ends in a `SiLU`. Cost: `n d` multiply-adds per row.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// The weights `w`, `[rows, d]`; the state is the last `rows − 1` rows.
#[derive(Module, Debug)]
pub(super) struct Convolution {
    weight: Param<Tensor<2>>,
}

impl Convolution {
    pub(super) fn new(rows: usize, d: usize, device: &Device) -> Self {
        let identity = Tensor::ones([1, d], device);
        let rest = Tensor::zeros([rows - 1, d], device);
        let weight = if rows == 1 { identity } else { Tensor::cat(vec![identity, rest], 0) };
        Self { weight: Param::from_tensor(weight) }
    }

    /// `[batch, time, d]` to the same.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.behind(x, None).0
    }

    /// Rows behind others, which are zero unless given, and the rows that the next one sees.
    pub(super) fn behind(
        &self,
        x: Tensor<3>,
        past: Option<Tensor<3>>,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let weight = self.weight.val();
        let [rows, d] = weight.dims();
        let [batch, time, _] = x.dims();
        let weight = |j: usize| weight.clone().narrow(0, j, 1).unsqueeze_dim::<3>(0);
        if rows == 1 {
            return (x * weight(0), None);
        }
        let past =
            past.unwrap_or_else(|| Tensor::zeros([batch, rows - 1, d], (&x.device(), x.dtype())));
        let all = Tensor::cat(vec![past, x], 1);
        let shifted = |j: usize| all.clone().narrow(1, rows - 1 - j, time);
        let y = (1..rows).fold(shifted(0) * weight(0), |y, j| y + shifted(j) * weight(j));
        (y, Some(all.narrow(1, time, rows - 1)))
    }
}
