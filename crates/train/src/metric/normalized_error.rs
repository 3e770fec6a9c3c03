//! Error of a rollout at each step, in units of the size of the state.
//!
//! ```text
//! err_h = ‖pred_h − true_h‖₂ / rms‖x‖        rms‖x‖ = √(mean over test rows of ‖x‖₂²)
//! ```
//!
//! All rows are normalised with the statistics of the training part, so that no variable counts
//! for more because of its unit. There `rms‖x‖ ≈ √channels`, climatology has an error of about 1
//! and two unrelated states of about √2.

/// `rms‖x‖`, the typical length of a row of the test set, dimensionless.
///
/// # Shapes
/// - each of `series`: `[time, channels]` row-major, normalised
/// - returns: NaN if there is no row
///
/// # Panics
/// If a series does not consist of whole rows.
#[must_use]
pub fn rms_state<'a>(series: impl IntoIterator<Item = &'a [f64]>, channels: usize) -> f64 {
    let (mut sum, mut n_rows) = (0.0, 0);
    for values in series {
        assert_eq!(values.len() % channels, 0, "whole rows of {channels} values");
        sum += values.iter().map(|x| x * x).sum::<f64>();
        n_rows += values.len() / channels;
    }
    (sum / n_rows as f64).sqrt()
}

/// Error of each predicted step in units of `rms`; never NaN, infinite where a forecast is not finite.
///
/// # Shapes
/// - `pred`, `truth`: `[steps, channels]` row-major, normalised, predicted steps only
/// - returns: `[steps]`, the first for the first predicted row
///
/// # Panics
/// If the two differ in length or do not consist of whole rows, or `rms` is not above zero.
#[must_use]
pub fn normalized_error(pred: &[f64], truth: &[f64], channels: usize, rms: f64) -> Vec<f64> {
    assert_eq!(pred.len(), truth.len(), "one forecast for each true value");
    assert_eq!(pred.len() % channels, 0, "whole rows of {channels} values");
    assert!(rms > 0.0, "the error is measured in units of rms = {rms}");
    let rows = pred.chunks_exact(channels).zip(truth.chunks_exact(channels));
    rows.map(|(pred, truth)| {
        let square: f64 = pred.iter().zip(truth).map(|(p, t)| (p - t).powi(2)).sum();
        let error = square.sqrt() / rms;
        if error.is_nan() { f64::INFINITY } else { error }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rms_is_over_rows_of_all_series() {
        // Squared lengths 25, 0 and 50.
        let series: [&[f64]; 2] = [&[3.0, 4.0, 0.0, 0.0], &[5.0, -5.0]];
        assert!((rms_state(series, 2) - 5.0).abs() < 1e-15);
        assert!(rms_state([], 2).is_nan());
    }

    #[test]
    fn each_step_is_a_length_over_rms() {
        let (pred, truth) = ([3.0, 4.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(normalized_error(&pred, &truth, 2, 2.0), [2.5, 0.0]);
    }

    #[test]
    fn a_forecast_that_is_not_finite_is_infinitely_wrong() {
        let pred = [f64::NAN, 0.0, f64::INFINITY, 0.0, 1e200, 0.0];
        assert_eq!(normalized_error(&pred, &[0.0; 6], 2, 1.0), [f64::INFINITY; 3]);
    }

    #[test]
    #[should_panic(expected = "units of rms = 0")]
    fn a_state_without_size_is_refused() {
        let _ = normalized_error(&[1.0], &[1.0], 1, 0.0);
    }
}
