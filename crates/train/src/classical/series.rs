//! A borrowed trajectory and the checks that every fit begins with.

use super::ClassicalError;

/// One trajectory as rows of `channels` values, normalised (dimensionless), time along rows.
#[derive(Clone, Copy, Debug)]
pub struct SeriesView<'a> {
    values: &'a [f64],
    channels: usize,
}

impl<'a> SeriesView<'a> {
    /// Views `values`, row-major, as rows of `channels`.
    ///
    /// # Panics
    /// If `channels` is zero or does not divide the number of values.
    #[must_use]
    pub fn new(values: &'a [f64], channels: usize) -> Self {
        assert!(channels > 0, "a series has at least one channel");
        assert_eq!(values.len() % channels, 0, "a series consists of whole rows");
        Self { values, channels }
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Values per row.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Number of rows.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.values.len() / self.channels
    }

    /// Rows `start..start + n`, row-major.
    ///
    /// # Panics
    /// If the series has fewer than `start + n` rows.
    #[must_use]
    pub fn rows(&self, start: usize, n: usize) -> &'a [f64] {
        &self.values[start * self.channels..(start + n) * self.channels]
    }
}

/// Counts the examples of `window` input rows and one target row that lie inside one series.
///
/// # Errors
/// If there is none, or a value is not finite.
///
/// # Panics
/// If the series differ in their number of channels.
pub(super) fn count_examples(
    method: &'static str,
    series: &[SeriesView],
    window: usize,
) -> Result<usize, ClassicalError> {
    for (index, one) in series.iter().enumerate() {
        assert_eq!(one.channels, series[0].channels, "all series share their columns");
        if let Some(at) = one.values.iter().position(|x| !x.is_finite()) {
            return Err(ClassicalError::NotFinite {
                method,
                series: index,
                row: at / one.channels,
                column: at % one.channels,
                value: one.values[at],
            });
        }
    }
    let examples = series.iter().map(|one| one.steps().saturating_sub(window)).sum();
    if examples == 0 {
        return Err(ClassicalError::TooShort {
            method,
            needed: window.saturating_add(1),
            n_series: series.len(),
            longest: series.iter().map(SeriesView::steps).max().unwrap_or(0),
        });
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_never_straddle_two_series() {
        let (long, short) = ([0.0; 10], [0.0; 4]);
        let series = [SeriesView::new(&long, 2), SeriesView::new(&short, 2)];
        // 5 rows give 5 - 3 examples, 2 rows give none; joined they would give 4.
        assert_eq!(count_examples("test", &series, 3), Ok(2));
    }

    #[test]
    fn a_short_series_is_named_with_what_it_lacks() {
        let values = [0.0; 6];
        let error = count_examples("nvar", &[SeriesView::new(&values, 2)], 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "nvar needs a training series of at least 4 rows; the longest of 1 has 3"
        );
    }

    #[test]
    fn a_value_that_is_not_finite_is_located() {
        let (good, bad) = ([0.0; 6], [0.0, 0.0, 0.0, f64::NAN, 0.0, 0.0]);
        let series = [SeriesView::new(&good, 2), SeriesView::new(&bad, 2)];
        let error = count_examples("nvar", &series, 1).unwrap_err();
        assert_eq!(error.to_string(), "nvar: training series 1 holds NaN at row 1, column 1");
    }
}
