//! Matrices whose entries are looked up in a table: bands, triangles and lag kernels.
//!
//! ```text
//! lag(r, c) = (r − rows) − (c − cols)        0 for the newest row and column
//! band:      free where |lag| ≤ o            diagonal: o = 0
//! triangle:  free where lag ≥ 0
//! lags:      κ[lag], causal: only lag ≥ 0    a Toeplitz matrix
//! ```
//!
//! The table of a band or triangle holds the free entries row after row; that of lags is sorted by
//! lag. Ours, not the paper's.

use burn::tensor::{Int, Tensor, TensorData};
use regard_kernels::mixing::{Lookup, Reach};

use super::Size;

/// Which entries there are, and which of them are equal.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pattern {
    Band { offset: usize },
    Triangle,
    Lags { causal: bool },
}

/// A lag: into the past, or into the future.
enum Lag {
    Past(usize),
    Future(usize),
}

impl Pattern {
    /// Where every entry is found.
    pub(super) fn lookup(self, size: Size) -> Lookup {
        let [rows, _] = size;
        let mut free = 0;
        Lookup::new(size, self.n_slots(size), |r, c| match (self, lag(size, r, c)) {
            (Self::Lags { causal: true }, Lag::Past(lag)) => Some(lag),
            (Self::Lags { causal: true }, Lag::Future(_)) => None,
            (Self::Lags { causal: false }, Lag::Past(lag)) => Some(rows - 1 + lag),
            (Self::Lags { causal: false }, Lag::Future(lead)) => Some(rows - 1 - lead),
            (_, lag) => self.holds(&lag).then(|| {
                free += 1;
                free - 1
            }),
        })
    }

    /// Length of the table.
    pub(super) fn n_slots(self, size: Size) -> usize {
        match self {
            Self::Lags { causal: false } => size[0] + size[1] - 1,
            Self::Lags { causal: true } => size[1],
            _ => self.n_entries(size),
        }
    }

    /// How many entries are not zero by construction.
    pub(super) fn n_entries(self, size: Size) -> usize {
        let [rows, cols] = size;
        let holds = |i: &usize| self.holds(&lag(size, i / cols, i % cols));
        (0..rows * cols).filter(holds).count()
    }

    /// How far a row looks.
    pub(super) fn reach(self) -> Reach {
        match self {
            Self::Band { offset } => Reach { back: offset, ahead: offset },
            Self::Triangle | Self::Lags { causal: true } => Reach { ahead: 0, ..Reach::FULL },
            Self::Lags { causal: false } => Reach::FULL,
        }
    }

    /// The table for another size; an entry without a place in the old one is zero.
    pub(super) fn resized(self, stored: Tensor<3>, from: Size, to: Size) -> Tensor<3> {
        let [heads, _, n_old] = stored.dims();
        let (old, new) = (self.lookup(from), self.lookup(to));
        let mut places = vec![n_old; self.n_slots(to)]; // the place of a zero
        for i in 0..to[0] * to[1] {
            let at = [i / to[1], i % to[1]];
            let Some(slot) = new.slot(at[0], at[1]) else { continue };
            // The same distance from the newest row and column.
            let place = |axis: usize| (at[axis] + from[axis]).checked_sub(to[axis]);
            if let (Some(r), Some(c)) = (place(0), place(1))
                && let Some(found) = old.slot(r, c)
            {
                places[slot] = found;
            }
        }
        let zero = Tensor::zeros([heads, 1, 1], (&stored.device(), stored.dtype()));
        let places: Vec<i64> =
            places.into_iter().map(|i| i64::try_from(i).expect("a table fits memory")).collect();
        let data = TensorData::new(places, [self.n_slots(to)]);
        let places = Tensor::<1, Int>::from_data(data, &stored.device().without_autodiff());
        Tensor::cat(vec![stored, zero], 2).select(2, places)
    }

    fn holds(self, lag: &Lag) -> bool {
        match (self, lag) {
            (Self::Band { offset }, Lag::Past(lag) | Lag::Future(lag)) => *lag <= offset,
            (Self::Triangle | Self::Lags { causal: true }, lag) => matches!(lag, Lag::Past(_)),
            (Self::Lags { causal: false }, _) => true,
        }
    }
}

fn lag([rows, cols]: Size, r: usize, c: usize) -> Lag {
    let (row, col) = (r + cols, c + rows);
    if row >= col { Lag::Past(row - col) } else { Lag::Future(col - row) }
}
