//! Where functions are known: points of a domain, and how much of it each stands for.

use crate::error::InvalidConfig;

/// Points of a domain, the same for all functions of a batch.
///
/// A grid keeps its rows and columns, which patches and Fourier multipliers need; its points are
/// ordered row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Sites {
    /// `[points, dimension]`.
    coordinates: Vec<f64>,
    dimension: usize,
    /// `[points]`.
    weights: Vec<f64>,
    /// Rows and columns.
    grid: Option<[usize; 2]>,
    /// Whether the rows, and the columns, have both ends of the unit interval.
    closed: bool,
}

impl Sites {
    /// Points `[points, dimension]` with quadrature weights, one per point.
    ///
    /// # Panics
    /// If there is not one weight per point.
    #[must_use]
    pub fn scattered(coordinates: Vec<f64>, dimension: usize, weights: Vec<f64>) -> Self {
        assert_eq!(coordinates.len(), dimension * weights.len(), "one weight per point");
        Self { coordinates, dimension, weights, grid: None, closed: false }
    }

    /// Points of a line with quadrature weights.
    ///
    /// # Panics
    /// If there is not one weight per point.
    #[must_use]
    pub fn line(coordinates: Vec<f64>, weights: Vec<f64>) -> Self {
        Self::scattered(coordinates, 1, weights)
    }

    /// Every row with every column, `(y, x)` at each; all points weigh the same. The domain is the unit square.
    #[must_use]
    pub fn grid(rows: &[f64], columns: &[f64]) -> Self {
        let coordinates = rows.iter().flat_map(|&y| columns.iter().flat_map(move |&x| [y, x]));
        let n = rows.len() * columns.len();
        Self {
            coordinates: coordinates.collect(),
            dimension: 2,
            weights: vec![1.0 / n as f64; n],
            grid: Some([rows.len(), columns.len()]),
            closed: has_both_ends(rows) && has_both_ends(columns),
        }
    }

    /// Whether the points are a grid with both ends of the unit interval along either axis: the last row and
    /// column of a periodic function are its first ones.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Number of points.
    #[must_use]
    pub fn n_points(&self) -> usize {
        self.weights.len()
    }

    /// Number of coordinates of a point.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// `[points, dimension]`.
    #[must_use]
    pub fn coordinates(&self) -> &[f64] {
        &self.coordinates
    }

    /// `[points]`.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The same points with other weights.
    ///
    /// # Panics
    /// If there is not one weight per point.
    #[must_use]
    pub fn with_weights(self, weights: Vec<f64>) -> Self {
        assert_eq!(self.weights.len(), weights.len(), "one weight per point");
        Self { weights, ..self }
    }

    /// The same points, or grid, at other places.
    ///
    /// # Panics
    /// If there is not one place per point.
    #[must_use]
    pub fn with_coordinates(self, coordinates: Vec<f64>) -> Self {
        assert_eq!(self.coordinates.len(), coordinates.len(), "one place per point");
        Self { coordinates, ..self }
    }

    /// Rows and columns.
    ///
    /// # Errors
    /// [`InvalidConfig::NotOnGrid`] if the points are no grid.
    pub fn rows_and_columns(&self, model: &'static str) -> Result<[usize; 2], InvalidConfig> {
        self.grid.ok_or(InvalidConfig::NotOnGrid { model, points: self.n_points() })
    }
}

fn has_both_ends(axis: &[f64]) -> bool {
    let is = |x: Option<&f64>, end: f64| x.is_some_and(|x| (x - end).abs() < 1e-9);
    axis.len() > 1 && is(axis.first(), 0.0) && is(axis.last(), 1.0)
}
