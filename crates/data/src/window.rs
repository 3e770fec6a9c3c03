//! Windows: `window` rows of input followed by `horizon` rows of target, at every start.
//!
//! ```text
//! input  = rows start .. start + p          p = window
//! target = rows start + p .. start + p + q  q = horizon
//! count  = Σ_s max(0, N_s - p - q + 1)      N_s = steps of series s
//! ```
//!
//! No window spans two series.

use std::iter::once;

use crate::{DataError, Series, SeriesSet};

/// Number of windows in series of the given lengths.
#[must_use]
pub fn count(lengths: &[usize], window: usize, horizon: usize) -> usize {
    lengths.iter().map(|steps| (steps + 1).saturating_sub(window + horizon)).sum()
}

/// Checks that `set` holds at least one window.
///
/// # Errors
/// [`DataError::InvalidParameter`] if `window` or `horizon` is zero, [`DataError::TooShort`] if no
/// series is long enough.
pub fn check(set: &SeriesSet, window: usize, horizon: usize) -> Result<(), DataError> {
    check_sizes(window, horizon)?;
    if count(&set.lengths(), window, horizon) > 0 {
        return Ok(());
    }
    let needed = window + horizon;
    Err(too_short(set, needed, "for one window and its horizon", window, horizon))
}

/// Checks that every series holds the input of one window, to be continued.
///
/// # Errors
/// [`DataError::InvalidParameter`] if `window` is zero, [`DataError::TooShortToContinue`] naming
/// the first series that is too short.
pub fn check_inputs(set: &SeriesSet, window: usize) -> Result<(), DataError> {
    check_sizes(window, 1)?;
    match set.series.iter().find(|series| series.steps() < window) {
        None => Ok(()),
        Some(series) => Err(DataError::TooShortToContinue {
            series: series.name.clone(),
            steps: series.steps(),
            window,
        }),
    }
}

/// The error for a set whose longest series has fewer than `needed` steps.
pub(crate) fn too_short(
    set: &SeriesSet,
    needed: usize,
    reason: &'static str,
    window: usize,
    horizon: usize,
) -> DataError {
    let longest = set.series.iter().max_by_key(|series| series.steps());
    DataError::TooShort {
        series: longest.map_or_else(String::new, |series| series.name.clone()),
        steps: longest.map_or(0, Series::steps),
        needed,
        reason,
        window,
        horizon,
    }
}

pub(crate) fn check_sizes(window: usize, horizon: usize) -> Result<(), DataError> {
    for (name, value) in [("window", window), ("horizon", horizon)] {
        if value == 0 {
            let (found, expected) = (value.to_string(), "at least 1");
            return Err(DataError::InvalidParameter { name, found, expected });
        }
    }
    Ok(())
}

/// The windows of a set, numbered by series, then by start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowIndex {
    window: usize,
    horizon: usize,
    /// Number of windows before each series, and of all at the end.
    offsets: Vec<usize>,
}

/// The rows of one window, row-major, borrowed from its series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window<'a> {
    /// `window × channels` values.
    pub input: &'a [f64],
    /// `horizon × channels` values.
    pub target: &'a [f64],
}

impl WindowIndex {
    /// Numbers the windows of series of the given lengths.
    #[must_use]
    pub fn new(lengths: &[usize], window: usize, horizon: usize) -> Self {
        let counts = lengths.iter().map(|&steps| count(&[steps], window, horizon));
        let total = counts.scan(0, |total, n| {
            *total += n;
            Some(*total)
        });
        Self { window, horizon, offsets: once(0).chain(total).collect() }
    }

    /// Number of windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// Whether there is no window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of input.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Rows of target.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The series and the first row of a window.
    ///
    /// # Panics
    /// If `index` is not below [`WindowIndex::len`].
    #[must_use]
    pub fn locate(&self, index: usize) -> (usize, usize) {
        assert!(index < self.len(), "window {index} of {}", self.len());
        let series = self.offsets.partition_point(|&offset| offset <= index) - 1;
        (series, index - self.offsets[series])
    }

    /// The rows of a window of `set`, whose lengths this index was made for.
    ///
    /// # Panics
    /// If `index` is not below [`WindowIndex::len`], or `set` is shorter.
    #[must_use]
    pub fn get<'a>(&self, set: &'a SeriesSet, index: usize) -> Window<'a> {
        let (series, start) = self.locate(index);
        let (series, middle) = (&set.series[series], start + self.window);
        Window {
            input: series.rows(start, middle),
            target: series.rows(middle, middle + self.horizon),
        }
    }

    /// Copies the windows `indices` of `set` one after another: inputs, then targets.
    ///
    /// # Shapes
    /// - returns: `[batch, window, channels]` and `[batch, horizon, channels]`, row-major
    ///
    /// # Panics
    /// As [`WindowIndex::get`].
    #[must_use]
    pub fn gather(&self, set: &SeriesSet, indices: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let row = indices.len() * set.channels();
        let mut inputs = Vec::with_capacity(row * self.window);
        let mut targets = Vec::with_capacity(row * self.horizon);
        for &index in indices {
            let Window { input, target } = self.get(set, index);
            inputs.extend_from_slice(input);
            targets.extend_from_slice(target);
        }
        (inputs, targets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values tell where they come from: series, step and channel in the digits.
    fn set(lengths: &[usize]) -> SeriesSet {
        let series = |(s, &steps): (usize, &usize)| {
            let values = (0..steps).flat_map(|t| [0, 1].map(|c| (s * 1000 + t * 10 + c) as f64));
            Series::new(format!("s{s}"), values.collect(), 2)
        };
        let series = lengths.iter().enumerate().map(series).collect();
        SeriesSet { columns: vec!["u".into(), "v".into()], series, dt: None }
    }

    #[test]
    fn twenty_series_of_a_thousand_steps_hold_19360_windows() {
        assert_eq!(count(&[1000; 20], 32, 1), 20 * (1000 - 32 - 1 + 1));
        assert_eq!(count(&[1000; 20], 32, 1), 19_360); // the number of the reference protocol
    }

    #[test]
    fn a_window_holds_its_rows() {
        let set = set(&[3, 7, 4]); // with p + q = 5: 0, 3 and 0 windows
        let windows = WindowIndex::new(&set.lengths(), 3, 2);
        assert_eq!((windows.len(), windows.locate(0), windows.locate(2)), (3, (1, 0), (1, 2)));
        let window = windows.get(&set, 1);
        assert_eq!(window.input, [1010.0, 1011.0, 1020.0, 1021.0, 1030.0, 1031.0]);
        assert_eq!(window.target, [1040.0, 1041.0, 1050.0, 1051.0]);
        let (inputs, targets) = windows.gather(&set, &[2, 1]);
        assert_eq!((inputs.len(), inputs[6]), (12, 1010.0));
        assert_eq!(targets, [1050.0, 1051.0, 1060.0, 1061.0, 1040.0, 1041.0, 1050.0, 1051.0]);
    }

    #[test]
    fn fewer_rows_than_one_window_are_named() {
        let error = check(&set(&[3, 6, 4]), 5, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "series \"s1\" has 6 steps, expected at least 7 for one window and its horizon; \
             give longer series, or lower window = 5 or horizon = 2"
        );
        check(&set(&[3, 7]), 5, 2).unwrap();
        let error = check(&set(&[7]), 5, 0).unwrap_err();
        assert_eq!(error.to_string(), "horizon = 0, expected at least 1");
    }

    proptest! {
        #[test]
        fn windows_are_all_the_starts_that_fit(
            lengths in prop::collection::vec(0_usize..12, 0..5),
            window in 1_usize..5,
            horizon in 1_usize..4,
        ) {
            let windows = WindowIndex::new(&lengths, window, horizon);
            let located: Vec<_> = (0..windows.len()).map(|index| windows.locate(index)).collect();
            let mut expected = Vec::new();
            for (series, &steps) in lengths.iter().enumerate() {
                let fits = |start: &usize| start + window + horizon <= steps;
                expected.extend((0..steps).filter(fits).map(|start| (series, start)));
            }
            prop_assert_eq!(&located, &expected);
            prop_assert_eq!(count(&lengths, window, horizon), expected.len());
        }
    }
}
