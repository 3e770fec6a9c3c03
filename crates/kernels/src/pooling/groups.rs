//! Which rows are averaged into one.

use std::sync::Arc;

/// Which rows of a sequence are averaged into one; a row belongs to one group or to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Group of each row.
    of_row: Arc<[Option<usize>]>,
    /// Rows of group `g`: `rows[starts[g]..starts[g + 1]]`.
    rows: Arc<[usize]>,
    starts: Arc<[usize]>,
    /// Whether a group counts while any of its rows is seen, or only while all are.
    partial: bool,
}

/// Groups of one sequence with some of its rows blocked.
#[derive(Debug, Clone)]
pub(super) struct Weighted {
    /// Weight of each row in the mean of its group; 0 for rows that do not count.
    pub(super) weights: Vec<f64>,
    /// Groups without a row that counts.
    pub(super) blocked: Vec<bool>,
}

impl Groups {
    /// Windows of `rate` consecutive rows. An incomplete last window is kept if `partial`, else
    /// dropped; there is at least one group: all rows, where `rate` exceeds `time`.
    ///
    /// The same holds where rows are blocked. If `partial`, a window counts while any of its rows is
    /// seen. Else it counts while all are, unless there is no such window; then the first one of which
    /// any row is seen counts. Either way a padded sequence has the groups of the unpadded one.
    ///
    /// # Panics
    /// If `time` or `rate` is zero.
    #[must_use]
    pub fn windows(time: usize, rate: usize, partial: bool) -> Self {
        let n = pieces(time, rate, partial);
        let of_row = (0..time).map(|t| piece(t, rate, n)).collect();
        Self::new(of_row, n, partial)
    }

    /// Blocks of `rows × cols` cells of a grid, whose cells are the rows of a sequence, line by line;
    /// with `class_token` the first row stands before the grid and is a group of its own.
    ///
    /// Remainders are treated along each side as in [`Groups::windows`].
    ///
    /// # Panics
    /// If a size is zero.
    #[must_use]
    pub fn blocks(
        [height, width]: [usize; 2],
        [rows, cols]: [usize; 2],
        partial: bool,
        class_token: bool,
    ) -> Self {
        let (n_rows, n_cols) = (pieces(height, rows, partial), pieces(width, cols, partial));
        let first = usize::from(class_token);
        let cell = |cell: usize| {
            let row = piece(cell / width, rows, n_rows)?;
            Some(first + row * n_cols + piece(cell % width, cols, n_cols)?)
        };
        let of_row = class_token.then_some(Some(0)).into_iter();
        let of_row = of_row.chain((0..height * width).map(cell)).collect();
        Self::new(of_row, first + n_rows * n_cols, partial)
    }

    fn new(of_row: Vec<Option<usize>>, n: usize, partial: bool) -> Self {
        let mut members = vec![Vec::new(); n];
        for (t, group) in of_row.iter().enumerate() {
            if let Some(group) = group {
                members[*group].push(t);
            }
        }
        let mut starts = Vec::with_capacity(n + 1);
        starts.push(0);
        for group in &members {
            starts.push(starts[starts.len() - 1] + group.len());
        }
        let starts = starts.into();
        Self { of_row: of_row.into(), rows: members.concat().into(), starts, partial }
    }

    /// Rows of the sequence.
    #[must_use]
    pub fn time(&self) -> usize {
        self.of_row.len()
    }

    /// Number of groups.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of a group, in order.
    #[must_use]
    pub fn rows(&self, group: usize) -> &[usize] {
        &self.rows[self.starts[group]..self.starts[group + 1]]
    }

    /// The group of a row.
    #[must_use]
    pub fn of_row(&self, t: usize) -> Option<usize> {
        self.of_row[t]
    }

    /// Whether every group is one row, in order.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.n_groups() == self.time() && (0..self.time()).all(|t| self.of_row[t] == Some(t))
    }

    /// What counts where `seen` says which rows are not blocked.
    pub(super) fn weighted(&self, seen: impl Fn(usize) -> bool) -> Weighted {
        let count = |g: usize| self.rows(g).iter().filter(|t| seen(**t)).count();
        let counts: Vec<usize> = (0..self.n_groups()).map(count).collect();
        let complete = |g: usize| counts[g] > 0 && counts[g] == self.rows(g).len();
        let only = if (0..self.n_groups()).any(complete) {
            None
        } else {
            counts.iter().position(|n| *n > 0)
        };
        let live = |g: usize| match only {
            _ if self.partial => counts[g] > 0,
            Some(only) => g == only,
            None => complete(g),
        };
        let weight = |t: usize| match self.of_row[t] {
            Some(g) if live(g) && seen(t) => 1.0 / counts[g] as f64,
            _ => 0.0,
        };
        Weighted {
            weights: (0..self.time()).map(weight).collect(),
            blocked: (0..self.n_groups()).map(|g| !live(g)).collect(),
        }
    }
}

/// Into how many pieces of `rate` a length is cut.
fn pieces(length: usize, rate: usize, partial: bool) -> usize {
    assert!(length > 0 && rate > 0, "length = {length} and rate = {rate} must be positive");
    if partial { length.div_ceil(rate) } else { (length / rate).max(1) }
}

/// The piece that holds position `t`, of `n`.
fn piece(t: usize, rate: usize, n: usize) -> Option<usize> {
    // A single piece may be shorter than the rate, or be followed by a remainder.
    (t / rate < n).then_some(t / rate)
}
