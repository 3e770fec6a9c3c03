//! Which frequencies a grid has, and which multiplier belongs to each.

use burn::tensor::Tensor;

/// Sizes of one grid and of the modes on it.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Columns of multipliers.
    pub(super) n_columns: usize,
    /// The multipliers of frequencies `f` and `−f` along rows, for `f = 0, 1, …`
    pub(super) pairs: Vec<Pair>,
}

/// Rows of multipliers, where there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) plus: Option<usize>,
    pub(super) minus: Option<usize>,
}

impl Grid {
    /// # Panics
    /// If the grid is too small for the modes.
    pub(super) fn new([rows, columns]: [usize; 2], [n_rows, n_columns]: [usize; 2]) -> Self {
        let half = n_rows.div_ceil(2);
        assert!(n_rows > 0 && n_columns > 0, "there are {n_rows} × {n_columns} modes");
        assert!(
            half <= rows && n_columns <= columns / 2 + 1,
            "multipliers of {n_rows} × {n_columns} modes need at least {half} rows and {} columns, \
             the grid has {rows} × {columns}: `truncate` them",
            2 * n_columns.saturating_sub(1),
        );
        let mut of_row = vec![None; rows];
        for mode in 0..n_rows {
            let row = if mode < half { mode } else { rows + mode - n_rows };
            of_row[row] = Some(mode);
        }
        let pair = |f: usize| Pair {
            plus: of_row[f],
            minus: if f == 0 || 2 * f == rows { None } else { of_row[rows - f] },
        };
        let pairs: Vec<Pair> = (0..=rows / 2).map(pair).collect();
        let used = pairs.iter().rposition(|pair| pair.plus.or(pair.minus).is_some());
        let n_pairs = used.map_or(0, |last| last + 1);
        Self { rows, columns, n_columns, pairs: pairs[..n_pairs].to_vec() }
    }

    /// Rows of multipliers that are used, in ascending order, and the row of the grid of each.
    pub(super) fn used(&self) -> Vec<(usize, usize)> {
        let mut used: Vec<(usize, usize)> = Vec::new();
        for (f, pair) in self.pairs.iter().enumerate() {
            used.extend(pair.plus.map(|mode| (mode, f)));
            used.extend(pair.minus.map(|mode| (mode, self.rows - f)));
        }
        used.sort_unstable();
        used
    }

    /// `α_k / RC`, the share of each column in the inverse transform.
    pub(super) fn shares(&self) -> Vec<f64> {
        let points = (self.rows * self.columns) as f64;
        let twice = |k: usize| k != 0 && 2 * k != self.columns;
        (0..self.n_columns).map(|k| if twice(k) { 2.0 } else { 1.0 } / points).collect()
    }
}

/// The multipliers of those frequencies that a grid has, each once: to apply a model on a grid that is too
/// coarse for all its modes.
///
/// # Shapes
/// - `weight`: `[n_rows, n_columns, 2, d_in, d_out]`; `grid`: rows and columns
/// - returns: `[min(n_rows, rows), min(n_columns, columns / 2 + 1), 2, d_in, d_out]`
#[must_use]
pub fn truncate(weight: Tensor<5>, [rows, columns]: [usize; 2]) -> Tensor<5> {
    let [n_rows, n_columns, ..] = weight.dims();
    let weight = weight.narrow(1, 0, n_columns.min(columns / 2 + 1));
    if n_rows <= rows {
        return weight;
    }
    let (first, second) = (rows.div_ceil(2), rows / 2);
    let start = weight.clone().narrow(0, 0, first);
    if second == 0 {
        return start;
    }
    Tensor::cat(vec![start, weight.narrow(0, n_rows - second, second)], 0)
}
