//! Errors of point forecasts relative to a naive forecast (MASE) and to the values (sMAPE).
//!
//! ```text
//! MASE  = mean |pred_t − true_t| / mean over training rows of |x_t − x_{t−m}|        m = season
//! sMAPE = 200 % · mean of |pred_t − true_t| / (|pred_t| + |true_t|)                  0/0 counts as 0
//! ```
//!
//! Source: MASE Hyndman and Koehler 2006, International Journal of Forecasting 22:679–688,
//! doi 10.1016/j.ijforecast.2006.03.001; sMAPE in the form of the M4 competition, Makridakis,
//! Spiliotis and Assimakopoulos 2020, doi 10.1016/j.ijforecast.2019.04.014.

/// Mean absolute error of the naive forecast `x_{t−season}` over training series, per variable.
///
/// # Shapes
/// - each of `series`: `[time, channels]` row-major
/// - returns: `[channels]`, in the unit of the values; NaN if no series is longer than `season`
///
/// # Panics
/// If `season` is zero or a series does not consist of whole rows.
#[must_use]
pub fn naive_error(series: &[&[f64]], channels: usize, season: usize) -> Vec<f64> {
    assert!(season > 0, "a naive forecast looks back at least one row");
    let (mut sums, mut n_rows) = (vec![0.0; channels], 0);
    for values in series {
        assert_eq!(values.len() % channels, 0, "whole rows of {channels} values");
        let lag = season * channels;
        for i in lag..values.len() {
            sums[i % channels] += (values[i] - values[i - lag]).abs();
        }
        n_rows += (values.len() / channels).saturating_sub(season);
    }
    sums.into_iter().map(|sum| sum / n_rows as f64).collect()
}

/// Mean absolute scaled error of each variable, 1 where the forecast is as wrong as `naive`.
///
/// # Shapes
/// - `pred`, `truth`: `[time, channels]` row-major, in the unit of `naive`
/// - `naive`: `[channels]`, from [`naive_error`]
/// - returns: `[channels]`, dimensionless; `None` where the naive forecast has no error
///
/// # Panics
/// If `pred` and `truth` differ in length or do not consist of whole rows.
#[must_use]
pub fn mase(pred: &[f64], truth: &[f64], naive: &[f64]) -> Vec<Option<f64>> {
    let errors = means(pred, truth, naive.len(), |p, t| (p - t).abs());
    errors.iter().zip(naive).map(|(error, naive)| (*naive > 0.0).then(|| error / naive)).collect()
}

/// Symmetric mean absolute percentage error of each variable, in percent, at most 200.
///
/// Says little about values that cross zero, normalised ones among them.
///
/// # Shapes
/// - `pred`, `truth`: `[time, channels]` row-major, physical units
/// - returns: `[channels]`
///
/// # Panics
/// If `pred` and `truth` differ in length or do not consist of whole rows.
#[must_use]
pub fn smape_percent(pred: &[f64], truth: &[f64], channels: usize) -> Vec<f64> {
    means(pred, truth, channels, |p, t| {
        let size = p.abs() + t.abs();
        if size == 0.0 {
            0.0
        } else if p.is_infinite() {
            200.0
        } else {
            200.0 * (p - t).abs() / size
        }
    })
}

fn means(pred: &[f64], truth: &[f64], channels: usize, f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    assert_eq!(pred.len(), truth.len(), "one forecast for each true value");
    assert_eq!(pred.len() % channels, 0, "whole rows of {channels} values");
    let mut sums = vec![0.0; channels];
    for (i, (p, t)) in pred.iter().zip(truth).enumerate() {
        sums[i % channels] += f(*p, *t);
    }
    let n_rows = (pred.len() / channels) as f64;
    sums.into_iter().map(|sum| sum / n_rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_naive_forecast_itself_has_a_mase_of_one() {
        // Steps of 1 and 3 in the first variable, of 10 in the second.
        let series = [0.0, 0.0, 1.0, 10.0, 4.0, 0.0, 5.0, 10.0];
        let naive = naive_error(&[&series], 2, 1);
        assert!((naive[0] - 5.0 / 3.0).abs() < 1e-15 && (naive[1] - 10.0).abs() < 1e-15);
        let (pred, truth) = (&series[..6], &series[2..]);
        for ratio in mase(pred, truth, &naive) {
            assert!((ratio.unwrap() - 1.0).abs() < 1e-15);
        }
        // Two rows back: |4 − 0|, |5 − 1|, and |0 − 0|, |10 − 10|.
        let naive = naive_error(&[&series], 2, 2);
        assert_eq!(naive, [4.0, 0.0]);
        assert_eq!(mase(&[6.0, 1.0], &[4.0, 0.0], &naive), [Some(0.5), None]);
    }

    #[test]
    fn no_example_straddles_two_series() {
        assert_eq!(naive_error(&[&[0.0, 1.0], &[100.0, 103.0]], 1, 1), [2.0]);
        assert!(naive_error(&[&[1.0]], 1, 1)[0].is_nan());
    }

    #[test]
    fn smape_is_symmetric_and_bounded() {
        // |1| / 3 and |−2| / 4, each times 200 %.
        assert!((smape_percent(&[1.0], &[2.0], 1)[0] - 200.0 / 3.0).abs() < 1e-12);
        assert!((smape_percent(&[2.0], &[1.0], 1)[0] - 200.0 / 3.0).abs() < 1e-12);
        assert_eq!(smape_percent(&[0.0, 3.0], &[0.0, 1.0], 1), [50.0]);
        assert_eq!(smape_percent(&[f64::INFINITY, -1.0], &[5.0, 5.0], 1), [200.0]);
        assert!(smape_percent(&[f64::NAN], &[5.0], 1)[0].is_nan());
    }
}
