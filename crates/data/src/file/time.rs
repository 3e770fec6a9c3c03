//! The time column: numbers or ISO 8601 dates, increasing in equal steps.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use arrow::temporal_conversions::timestamp_ns_to_datetime;

use crate::{Cell, DataError, TimeStep};

/// Part of the median step by which a step may differ from it.
///
/// A missing row doubles a step, and single-precision times `t` are off by `6e-8 t`: 1 % tells the
/// two apart up to about 10⁵ steps from zero.
const TOLERANCE: f64 = 0.01;

/// The times of all rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Times {
    /// Name of the column.
    pub(super) column: String,
    /// The times.
    pub(super) stamps: Stamps,
}

/// Times in the file's own unit, or dates.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stamps {
    /// The file's own unit.
    Numbers(Vec<f64>),
    /// Nanoseconds since 1970-01-01 in UTC.
    Dates(Vec<i64>),
}

impl Stamps {
    /// Reads texts, all numbers or all dates as the first one is; `cell` tells the place of a row.
    pub(super) fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        cell: impl Fn(usize) -> Cell,
    ) -> Result<Self, DataError> {
        let mut texts = texts.into_iter().enumerate().peekable();
        let wrong = |(row, text): (usize, &str), expected| DataError::NotATime {
            cell: cell(row),
            found: text.to_owned(),
            expected,
        };
        let first = texts.peek().map_or("0", |(_, text)| text);
        if first.parse::<f64>().is_ok() {
            let expected = "a number, as in the first row of the time column";
            texts
                .map(|at| at.1.parse().map_err(|_| wrong(at, expected)))
                .collect::<Result<_, _>>()
                .map(Self::Numbers)
        } else {
            let expected = "a time: a number, or a date such as 2026-01-31 or 2026-01-31T12:00:00";
            texts
                .map(|at| string_to_timestamp_nanos(at.1).map_err(|_| wrong(at, expected)))
                .collect::<Result<_, _>>()
                .map(Self::Dates)
        }
    }

    fn show(&self, row: usize) -> String {
        match self {
            Self::Numbers(times) => times[row].to_string(),
            Self::Dates(nanos) => timestamp_ns_to_datetime(nanos[row])
                .map_or_else(|| nanos[row].to_string(), |date| date.to_string()),
        }
    }

    /// Time from one row to another; seconds for dates.
    fn elapsed(&self, from: usize, to: usize) -> f64 {
        match self {
            Self::Numbers(times) => times[to] - times[from],
            Self::Dates(nanos) => (i128::from(nanos[to]) - i128::from(nanos[from])) as f64 / 1e9,
        }
    }

    /// What rounding may do to a time of these rows.
    fn rounding(&self, rows: &[usize]) -> f64 {
        match self {
            Self::Numbers(times) => {
                let largest = rows.iter().map(|&row| times[row].abs()).fold(0.0, f64::max);
                4.0 * f64::EPSILON * largest
            }
            Self::Dates(_) => 0.0,
        }
    }
}

impl Times {
    /// The time step of the series made of `rows`, in order; `None` if it is a single row.
    ///
    /// The first step where it explains every time to rounding, else the mean step.
    ///
    /// # Errors
    /// [`DataError::UnevenTime`] at the first row whose step is not the usual one.
    pub(super) fn step(
        &self,
        rows: &[usize],
        cell: impl Fn(usize) -> Cell,
    ) -> Result<Option<f64>, DataError> {
        let [origin, .., last] = *rows else { return Ok(None) };
        let stamps = &self.stamps;
        let steps: Vec<f64> =
            rows.windows(2).map(|pair| stamps.elapsed(pair[0], pair[1])).collect();
        let mut sorted = steps.clone();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted[(sorted.len() - 1) / 2]; // the lower of two: a gap lengthens a step
        let even = |step: f64| step > 0.0 && (step - usual).abs() <= TOLERANCE * usual;
        if let Some(uneven) = steps.iter().position(|&step| !even(step)) {
            let (before, after) = (rows[uneven], rows[uneven + 1]);
            let step = TimeStep {
                before: stamps.show(before),
                after: stamps.show(after),
                found: steps[uneven],
                usual,
            };
            return Err(DataError::UnevenTime { cell: cell(after), step: Box::new(step) });
        }
        let rounding = stamps.rounding(rows);
        let exact = rows
            .iter()
            .enumerate()
            .all(|(i, &row)| (stamps.elapsed(origin, row) - i as f64 * steps[0]).abs() <= rounding);
        let mean = stamps.elapsed(origin, last) / steps.len() as f64;
        Ok(Some(if exact { steps[0] } else { mean }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;

    fn cell(row: usize) -> Cell {
        Cell { file: "a.csv".into(), position: Position::Row(row), column: "time".into() }
    }

    fn step(texts: &[&str]) -> Result<Option<f64>, DataError> {
        let stamps = Stamps::parse(texts.iter().copied(), cell)?;
        let rows: Vec<usize> = (0..texts.len()).collect();
        Times { column: "time".into(), stamps }.step(&rows, cell)
    }

    #[test]
    fn equal_steps_give_the_time_step() {
        assert_eq!(step(&["0", "0.1", "0.2", "0.30000000000000004"]).unwrap(), Some(0.1));
        assert_eq!(step(&["7"]).unwrap(), None);
        // Hourly, across a change of the date; seconds.
        let hours = ["2024-02-28 22:00:00", "2024-02-28 23:00:00", "2024-02-29 00:00:00"];
        assert_eq!(step(&hours).unwrap(), Some(3600.0));
        assert_eq!(step(&["2024-02-28", "2024-02-29", "2024-03-01"]).unwrap(), Some(86400.0));
    }

    #[test]
    fn rounded_times_give_the_mean_step() {
        let thirds: Vec<String> = (0..7).map(|i| format!("{:.3}", f64::from(i) / 3.0)).collect();
        let thirds: Vec<&str> = thirds.iter().map(String::as_str).collect();
        assert_eq!(step(&thirds).unwrap(), Some(2.0 / 6.0)); // the last time is 2.000
    }

    #[test]
    fn a_gap_is_named_even_where_it_is_the_first_step() {
        let message = |texts: &[&str]| step(texts).unwrap_err().to_string();
        let gap = message(&["0", "1", "2", "4", "5"]);
        assert!(gap.starts_with(
            "a.csv, row index 3, column \"time\": time goes from 2 to 4, a step of 2, \
             expected equal steps of 1;"
        ));
        assert!(message(&["0", "3", "4", "5", "6"]).contains("row index 1, column \"time\""));
        assert!(message(&["0", "1", "1", "2"]).contains("time goes from 1 to 1, a step of 0"));
        assert!(
            message(&["2", "1", "0"])
                .contains("time goes from 2 to 1, a step of -1, expected increasing")
        );
        assert!(message(&["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-05"]).contains(
            "time goes from 2024-01-03 00:00:00 to 2024-01-05 00:00:00, a step of 172800, \
             expected equal steps of 86400"
        ));
    }

    #[test]
    fn what_is_no_time_is_named() {
        let message = |texts: &[&str]| step(texts).unwrap_err().to_string();
        assert_eq!(
            message(&["0", "1", "noon"]),
            "a.csv, row index 2, column \"time\": found \"noon\", expected a number, as in the \
             first row of the time column"
        );
        assert_eq!(
            message(&["Monday"]),
            "a.csv, row index 0, column \"time\": found \"Monday\", expected a time: a number, or \
             a date such as 2026-01-31 or 2026-01-31T12:00:00"
        );
    }
}
