//! Which keys a query sees, by position.

use std::ops::Range;

use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Which keys a query sees, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMask {
    /// All keys.
    All,
    /// Query `t` sees keys `s ≤ t + time_k − time_q`: the last query sees all keys.
    Causal,
    /// Query `t` sees keys `s` with `|s − ⌊t/rate⌋| ≤ reach`: a key stands for `rate` consecutive
    /// positions.
    Window {
        /// Keys on either side.
        reach: usize,
        /// Positions per key, at least 1.
        rate: usize,
    },
}

impl KeyMask {
    /// The keys that query `t` sees.
    #[must_use]
    #[inline(always)]
    pub fn visible_keys(self, t: usize, [time_q, time_k]: [usize; 2]) -> Range<usize> {
        match self {
            Self::All => 0..time_k,
            Self::Causal => 0..(t + 1 + time_k).saturating_sub(time_q).min(time_k),
            Self::Window { reach, rate } => {
                let centre = t / rate;
                let end = centre.saturating_add(reach).saturating_add(1);
                centre.saturating_sub(reach).min(time_k)..end.min(time_k)
            }
        }
    }

    /// `[time_q, time_k]`, `true` where a key is not seen; `None` if all are.
    #[must_use]
    pub fn blocked(self, time: [usize; 2], device: &Device) -> Option<Tensor<2, Bool>> {
        if self == Self::All {
            return None;
        }
        let row = |t| {
            let seen = self.visible_keys(t, time);
            (0..time[1]).map(move |s| !seen.contains(&s))
        };
        let blocked: Vec<bool> = (0..time[0]).flat_map(row).collect();
        Some(Tensor::from_data(TensorData::new(blocked, time), device))
    }
}
