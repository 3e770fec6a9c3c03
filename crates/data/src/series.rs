//! The one type that every reader and simulator returns: trajectories that share their columns.

use crate::error::DataError;

/// One trajectory: `steps × channels` values, row-major with time along the rows, physical units.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What the source calls it: an id, or the name of its file.
    pub name: String,
    /// `steps × channels` values; row `t` is `values[t * channels..(t + 1) * channels]`.
    pub values: Vec<f64>,
    /// Values per time step.
    pub channels: usize,
}

/// All trajectories of one source.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSet {
    /// Name of each channel.
    pub columns: Vec<String>,
    /// The trajectories; each has one channel per column.
    pub series: Vec<Series>,
    /// Time between two steps where it is known: seconds for dates, else the source's own unit.
    pub dt: Option<f64>,
}

impl Series {
    /// A trajectory from its values.
    ///
    /// # Panics
    /// If `channels` is zero or does not divide the number of values.
    #[must_use]
    pub fn new(name: impl Into<String>, values: Vec<f64>, channels: usize) -> Self {
        assert!(
            channels > 0 && values.len().is_multiple_of(channels),
            "{} values are not rows of {channels} channels",
            values.len()
        );
        Self { name: name.into(), values, channels }
    }

    /// Number of time steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.values.len() / self.channels
    }

    /// The values at time step `t`.
    ///
    /// # Panics
    /// If `t` is not below [`Series::steps`].
    #[must_use]
    pub fn row(&self, t: usize) -> &[f64] {
        self.rows(t, t + 1)
    }

    /// The rows of the time steps `start..end`, row-major.
    ///
    /// # Panics
    /// If `start` exceeds `end`, or `end` exceeds [`Series::steps`].
    #[must_use]
    pub fn rows(&self, start: usize, end: usize) -> &[f64] {
        &self.values[start * self.channels..end * self.channels]
    }
}

impl SeriesSet {
    /// Values per time step.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.columns.len()
    }

    /// Number of time steps of all series together.
    #[must_use]
    pub fn n_steps(&self) -> usize {
        self.series.iter().map(Series::steps).sum()
    }

    /// Number of time steps of each series.
    #[must_use]
    pub fn lengths(&self) -> Vec<usize> {
        self.series.iter().map(Series::steps).collect()
    }

    /// Checks that the columns are the `expected` ones in the expected order, as a model needs.
    ///
    /// # Errors
    /// [`DataError::ColumnMismatch`] if they are not.
    pub fn check_columns(&self, expected: &[String]) -> Result<(), DataError> {
        if self.columns == expected {
            return Ok(());
        }
        Err(DataError::ColumnMismatch { found: self.columns.clone(), expected: expected.to_vec() })
    }
}

/// `x0, x1, …`: names for channels that have none.
pub(crate) fn numbered_columns(channels: usize) -> Vec<String> {
    (0..channels).map(|channel| format!("x{channel}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_time_steps() {
        let series = Series::new("a", vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3);
        assert_eq!((series.steps(), series.row(1)), (2, &[4.0, 5.0, 6.0][..]));
        let set = SeriesSet {
            columns: numbered_columns(3),
            series: vec![series.clone(), Series::new("b", vec![0.0; 15], 3), series],
            dt: None,
        };
        assert_eq!((set.channels(), set.n_steps(), set.lengths()), (3, 9, vec![2, 5, 2]));
        assert_eq!(set.columns, ["x0", "x1", "x2"]);
    }

    #[test]
    #[should_panic(expected = "5 values are not rows of 2 channels")]
    fn half_a_row_is_refused() {
        let _ = Series::new("a", vec![0.0; 5], 2);
    }

    #[test]
    fn other_columns_are_named() {
        let set = SeriesSet { columns: vec!["b".into(), "a".into()], series: vec![], dt: None };
        set.check_columns(&["b".into(), "a".into()]).unwrap();
        let error = set.check_columns(&["a".into(), "b".into()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data has the columns b, a, expected a, b in this order; \
             choose and order them with data.columns"
        );
    }
}
