//! A table as read, and how its rows become series: grouped by id, checked in time, completed.

use std::collections::HashMap;
use std::path::Path;

use super::format::stem;
use super::missing::resolve;
use super::time::Times;
use super::{Missing, ReadOptions};
use crate::{Cell, DataError, Position, Series, SeriesSet};

/// The rows of a file; a missing value is NaN or an infinity.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(super) file: &'a Path,
    /// Name of each channel.
    pub(crate) columns: Vec<String>,
    /// Row-major, one value per channel.
    pub(super) values: Vec<f64>,
    /// The id column: its name, and the series of each row.
    pub(super) ids: Option<(String, Vec<String>)>,
    pub(super) times: Option<Times>,
    /// The columns that are kept as they are written, one text per row.
    pub(crate) texts: Vec<Vec<String>>,
    /// Line of each row, where the file is a text.
    pub(super) lines: Option<Vec<u64>>,
}

impl Table<'_> {
    /// Turns the rows into series, in order of their first row.
    pub(super) fn into_set(self, options: &ReadOptions) -> Result<SeriesSet, DataError> {
        let groups = self.groups()?;
        let dt = self.dt(&groups)?;
        let mut series = Vec::with_capacity(groups.len());
        for (name, rows) in groups {
            let cell = |row: usize, channel: usize| self.cell(rows[row], &self.columns[channel]);
            let pieces = resolve(self.gather(&rows), self.columns.len(), options.missing, cell)?;
            series.extend(named_pieces(&name, pieces, self.columns.len()));
        }
        finish(self.file, self.columns, series, dt)
    }

    /// The rows of each series, in order of the file.
    ///
    /// # Errors
    /// [`DataError::NoRows`] if there is no row, [`DataError::EmptyId`] if a row does not say which series it belongs to.
    pub(crate) fn groups(&self) -> Result<Vec<(String, Vec<usize>)>, DataError> {
        if self.values.is_empty() {
            return Err(DataError::NoRows { file: self.file.to_owned() });
        }
        let Some((column, ids)) = &self.ids else {
            let n_rows = self.values.len() / self.columns.len();
            return Ok(vec![(stem(self.file), (0..n_rows).collect())]);
        };
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        let mut index = HashMap::new();
        for (row, id) in ids.iter().enumerate() {
            if id.is_empty() {
                return Err(DataError::EmptyId { cell: self.cell(row, column) });
            }
            let group = *index.entry(id.as_str()).or_insert(groups.len());
            if group == groups.len() {
                groups.push((id.clone(), Vec::new()));
            }
            groups[group].1.push(row);
        }
        Ok(groups)
    }

    /// The time step that all series share.
    pub(crate) fn dt(&self, groups: &[(String, Vec<usize>)]) -> Result<Option<f64>, DataError> {
        let Some(times) = &self.times else { return Ok(None) };
        let mut first: Option<(&String, f64)> = None;
        for (name, rows) in groups {
            let Some(dt) = times.step(rows, |row| self.cell(row, &times.column))? else { continue };
            match first {
                None => first = Some((name, dt)),
                Some((first, expected)) if (dt - expected).abs() > 1e-3 * expected => {
                    return Err(DataError::UnequalTimeSteps {
                        file: self.file.to_owned(),
                        series: name.clone(),
                        found: dt,
                        first: first.clone(),
                        expected,
                    });
                }
                Some(_) => {}
            }
        }
        Ok(first.map(|(_, dt)| dt))
    }

    /// The values of some rows, row-major.
    pub(crate) fn gather(&self, rows: &[usize]) -> Vec<f64> {
        let channels = self.columns.len();
        rows.iter().flat_map(|row| &self.values[row * channels..][..channels]).copied().collect()
    }

    /// The place of a row in a column.
    pub(crate) fn cell(&self, row: usize, column: &str) -> Cell {
        let position = match &self.lines {
            Some(lines) => Position::Line(lines[row]),
            None => Position::Row(row),
        };
        Cell { file: self.file.to_owned(), position, column: column.to_owned() }
    }
}

/// The pieces of one series: its name if it is whole, `name#1`, `name#2`, … if it was cut.
pub(super) fn named_pieces(
    name: &str,
    pieces: Vec<Vec<f64>>,
    channels: usize,
) -> impl Iterator<Item = Series> {
    let whole = pieces.len() == 1;
    pieces.into_iter().enumerate().map(move |(i, values)| {
        let name = if whole { name.to_owned() } else { format!("{name}#{}", i + 1) };
        Series::new(name, values, channels)
    })
}

/// The set, unless [`Missing::DropRow`] left nothing of it.
pub(super) fn finish(
    file: &Path,
    columns: Vec<String>,
    series: Vec<Series>,
    dt: Option<f64>,
) -> Result<SeriesSet, DataError> {
    if series.is_empty() {
        return Err(DataError::AllRowsDropped { file: file.to_owned() });
    }
    Ok(SeriesSet { columns, series, dt })
}

/// NaN for a cell that holds nothing, unless the policy refuses it.
pub(super) fn absent(
    policy: Missing,
    found: &str,
    cell: impl FnOnce() -> Cell,
) -> Result<f64, DataError> {
    match policy {
        Missing::Error => Err(DataError::MissingValue { cell: cell(), found: found.to_owned() }),
        Missing::Previous | Missing::Linear | Missing::DropRow | Missing::Keep => Ok(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::super::time::Stamps;
    use super::*;

    fn table(ids: &[&str], times: &[f64], values: &[f64]) -> Table<'static> {
        Table {
            file: Path::new("runs/a.parquet"),
            columns: vec!["u".into()],
            values: values.to_vec(),
            ids: (!ids.is_empty())
                .then(|| ("run".into(), ids.iter().map(ToString::to_string).collect())),
            times: (!times.is_empty())
                .then(|| Times { column: "t".into(), stamps: Stamps::Numbers(times.to_vec()) }),
            texts: vec![],
            lines: None,
        }
    }

    #[test]
    fn interleaved_rows_fall_into_their_series() {
        let table = table(
            &["b", "a", "b", "a", "b"],
            &[0.0, 5.0, 0.5, 5.5, 1.0],
            &[1.0, 10.0, 2.0, 20.0, 3.0],
        );
        let set = table.into_set(&ReadOptions::default()).unwrap();
        assert_eq!(set.dt, Some(0.5));
        assert_eq!(
            set.series,
            [Series::new("b", vec![1.0, 2.0, 3.0], 1), Series::new("a", vec![10.0, 20.0], 1),]
        );
    }

    #[test]
    fn without_ids_the_file_gives_the_name() {
        let set = table(&[], &[], &[1.0, 2.0]).into_set(&ReadOptions::default()).unwrap();
        assert_eq!((set.series[0].name.as_str(), set.dt), ("a", None));
    }

    #[test]
    fn a_gap_is_found_within_its_series_at_the_row_of_the_file() {
        let ids = ["a", "b", "a", "b", "a", "b"];
        let table = table(&ids, &[0.0, 0.0, 1.0, 1.0, 2.0, 4.0], &[0.0; 6]);
        let message = table.into_set(&ReadOptions::default()).unwrap_err().to_string();
        assert!(
            message.starts_with(
                "runs/a.parquet, row index 5, column \"t\": time goes from 1 to 4, a step of 3"
            ),
            "{message}"
        );
    }

    #[test]
    fn series_with_different_steps_are_named() {
        let ids = ["a", "a", "b", "b"];
        let table = table(&ids, &[0.0, 1.0, 0.0, 2.0], &[0.0; 4]);
        assert_eq!(
            table.into_set(&ReadOptions::default()).unwrap_err().to_string(),
            "runs/a.parquet: series \"b\" has a time step of 2, expected 1 as in series \"a\"; \
             resample the data to one step"
        );
    }

    #[test]
    fn a_row_without_id_is_named() {
        let error = table(&["a", ""], &[], &[0.0; 2]).into_set(&ReadOptions::default());
        assert_eq!(
            error.unwrap_err().to_string(),
            "runs/a.parquet, row index 1, column \"run\": found an empty cell, expected the name \
             of the row's series"
        );
    }

    #[test]
    fn the_pieces_of_a_cut_series_are_numbered() {
        let options = ReadOptions { missing: Missing::DropRow, ..ReadOptions::default() };
        let set = table(&[], &[], &[1.0, f64::NAN, 2.0]).into_set(&options).unwrap();
        let names: Vec<_> = set.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["a#1", "a#2"]);
        let error = table(&[], &[], &[f64::NAN; 3]).into_set(&options).unwrap_err();
        assert_eq!(
            error.to_string(),
            "runs/a.parquet: data.missing = \"drop-row\" drops every row, expected rows without a \
             missing value; list the complete columns under data.columns"
        );
    }
}
