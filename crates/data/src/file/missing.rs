//! The policies for missing values, applied to one series.
//!
//! A value is missing where it is not finite; readers store empty cells and nulls as NaN.

use super::Missing;
use crate::{Cell, DataError};

/// Applies the policy; returns the pieces that the series falls into, all values finite.
///
/// `cell` tells the place of a row and a channel.
pub(crate) fn resolve(
    mut values: Vec<f64>,
    channels: usize,
    policy: Missing,
    cell: impl Fn(usize, usize) -> Cell,
) -> Result<Vec<Vec<f64>>, DataError> {
    let Some(first) = values.iter().position(|value| !value.is_finite()) else {
        return Ok(vec![values]);
    };
    match policy {
        Missing::Error => Err(DataError::MissingValue {
            cell: cell(first / channels, first % channels),
            found: values[first].to_string(),
        }),
        Missing::Previous => {
            carry(&mut values, channels, &cell)?;
            Ok(vec![values])
        }
        Missing::Linear => {
            interpolate(&mut values, channels, &cell)?;
            Ok(vec![values])
        }
        Missing::DropRow => Ok(cut(&values, channels)),
        Missing::Keep => {
            values.iter_mut().filter(|x| !x.is_finite()).for_each(|x| *x = f64::NAN);
            Ok(vec![values])
        }
    }
}

fn carry(
    values: &mut [f64],
    channels: usize,
    cell: &impl Fn(usize, usize) -> Cell,
) -> Result<(), DataError> {
    for i in 0..values.len() {
        if !values[i].is_finite() {
            let previous = i.checked_sub(channels).map(|i| values[i]);
            values[i] = previous.ok_or_else(|| DataError::UnfillableValue {
                cell: cell(0, i),
                side: "before",
                policy: "previous",
            })?;
        }
    }
    Ok(())
}

fn interpolate(
    values: &mut [f64],
    channels: usize,
    cell: &impl Fn(usize, usize) -> Cell,
) -> Result<(), DataError> {
    let steps = values.len() / channels;
    for channel in 0..channels {
        let mut known: Option<usize> = None; // the last finite row
        for row in 0..steps {
            let right = values[row * channels + channel];
            if !right.is_finite() {
                let unfillable = |side| DataError::UnfillableValue {
                    cell: cell(row, channel),
                    side,
                    policy: "linear",
                };
                known.ok_or_else(|| unfillable("before"))?;
                if row + 1 == steps {
                    return Err(unfillable("after"));
                }
                continue;
            }
            if let Some(start) = known {
                let left = values[start * channels + channel];
                for between in start + 1..row {
                    let weight = (between - start) as f64 / (row - start) as f64;
                    values[between * channels + channel] = left * (1.0 - weight) + right * weight;
                }
            }
            known = Some(row);
        }
    }
    Ok(())
}

/// The runs of rows without a missing value.
fn cut(values: &[f64], channels: usize) -> Vec<Vec<f64>> {
    let rows: Vec<&[f64]> = values.chunks_exact(channels).collect();
    rows.split(|row| row.iter().any(|value| !value.is_finite()))
        .filter(|run| !run.is_empty())
        .map(<[&[f64]]>::concat)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    const NAN: f64 = f64::NAN;

    fn apply(values: &[f64], policy: Missing) -> Result<Vec<Vec<f64>>, DataError> {
        resolve(values.to_vec(), 2, policy, |row, channel| Cell {
            file: "a.npy".into(),
            position: Position::Row(row),
            column: format!("x{channel}"),
        })
    }

    // Two channels, five steps; the second channel misses rows 1 and 2, the first row 3.
    const HOLES: [f64; 10] = [0.0, 3.0, 1.0, NAN, 2.0, f64::INFINITY, NAN, 9.0, 4.0, 12.0];

    #[test]
    fn previous_repeats_the_last_value() {
        let filled = apply(&HOLES, Missing::Previous).unwrap();
        assert_eq!(filled, [[0.0, 3.0, 1.0, 3.0, 2.0, 3.0, 2.0, 9.0, 4.0, 12.0]]);
    }

    #[test]
    fn linear_interpolates_between_the_neighbours() {
        let filled = apply(&HOLES, Missing::Linear).unwrap();
        assert_eq!(filled, [[0.0, 3.0, 1.0, 5.0, 2.0, 7.0, 3.0, 9.0, 4.0, 12.0]]);
    }

    #[test]
    fn drop_row_cuts_the_series() {
        let pieces = apply(&HOLES, Missing::DropRow).unwrap();
        assert_eq!(pieces, [[0.0, 3.0], [4.0, 12.0]]);
        let none = apply(&[NAN, 1.0, 1.0, NAN], Missing::DropRow).unwrap();
        assert_eq!(none, Vec::<Vec<f64>>::new());
    }

    #[test]
    fn an_edge_that_cannot_be_filled_is_named() {
        let message = |values, policy| apply(values, policy).unwrap_err().to_string();
        assert_eq!(
            message(&[1.0, NAN, 2.0, 3.0], Missing::Previous),
            "a.npy, row index 0, column \"x1\": found a missing value, expected a finite one \
             before it in the series for data.missing = \"previous\"; complete the data, or set \
             data.missing = \"drop-row\""
        );
        assert!(message(&[1.0, NAN, 2.0, 3.0], Missing::Linear).contains("before it"));
        assert!(message(&[1.0, 2.0, 2.0, NAN], Missing::Linear).contains(
            "a.npy, row index 1, column \"x1\": found a missing value, expected a finite one after"
        ));
    }

    #[test]
    fn an_infinity_is_refused_by_default() {
        assert_eq!(
            apply(&[1.0, 2.0, 3.0, f64::NEG_INFINITY], Missing::Error).unwrap_err().to_string(),
            "a.npy, row index 1, column \"x1\": found -inf, expected a finite number; complete \
             the data, or set data.missing = \"previous\" | \"linear\" | \"drop-row\""
        );
    }
}
