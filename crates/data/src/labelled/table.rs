//! Windows in a table: runs of rows that share an id, with their label, and their group, in each row.

use std::path::Path;

use super::npz::{GROUP, LABEL};
use super::part::{Part, Places, complete};
use super::{LabelledError, LabelledOptions};
use crate::file::{ReadOptions, Table, column_names, index_of, read_table};
use crate::{DataError, SeriesSet};

const SERIES: &[&str] = &["series", "window"];

/// Reads one table.
pub(super) fn read(path: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
    if let Some(found) = &options.values {
        let (file, found) = (path.to_owned(), found.clone());
        return Err(DataError::WrongOption { file, key: "values", found, kind: "table" });
    }
    let names = column_names(path)?;
    let find = |asked: &Option<String>, usual: &[&str], key| {
        if let Some(name) = asked {
            return index_of(path, &names, name, "column", key).map(|_| Some(name.clone()));
        }
        let known = |name: &&&str| names.iter().any(|known| known == **name);
        Ok(usual.iter().find(known).map(ToString::to_string))
    };
    let require = |column: Option<String>, holds, key, tried| {
        let missing = || LabelledError::NotFound {
            file: path.to_owned(),
            what: "column",
            holds,
            tried,
            key,
            known: names.clone(),
        };
        column.ok_or_else(|| DataError::from(missing()))
    };
    let id = require(find(&options.series, SERIES, "series")?, "windows", "series", SERIES)?;
    let label = require(find(&options.label, LABEL, "label")?, "labels", "label", LABEL)?;
    let group = find(&options.group, GROUP, "group")?;

    let read = ReadOptions {
        columns: (!options.columns.is_empty()).then(|| options.columns.clone()),
        id_column: Some(id.clone()),
        missing: options.missing.unwrap_or_default(),
        ..ReadOptions::default()
    };
    let texts: Vec<String> = std::iter::once(label).chain(group).collect();
    Windows { table: read_table(path, &read, &texts)?, id, texts }.into_part(path, options)
}

struct Windows<'a> {
    table: Table<'a>,
    id: String,
    /// Names of the columns of the labels and, where there are any, of the groups.
    texts: Vec<String>,
}

impl Windows<'_> {
    fn into_part(self, path: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
        let Self { table, id, texts } = &self;
        let windows = table.groups()?;
        let dt = table.dt(&windows)?;
        let mut places = Places { within: path.display().to_string(), positions: Vec::new() };
        let mut series = Vec::with_capacity(windows.len());
        let mut constants = vec![Vec::new(); texts.len()];
        for (name, rows) in &windows {
            if let Some(gap) = rows.windows(2).find(|pair| pair[1] != pair[0] + 1) {
                let (cell, window) = (table.cell(gap[1], id), name.clone());
                return Err(LabelledError::SplitWindow { cell, window }.into());
            }
            for (column, constants) in constants.iter_mut().enumerate() {
                constants.push(self.constant(column, name, rows)?);
            }
            let cell = |row: usize, channel: usize| table.cell(rows[row], &table.columns[channel]);
            let values = table.gather(rows);
            let channels = table.columns.len();
            series.push(complete(
                name.clone(),
                values,
                channels,
                options.missing.unwrap_or_default(),
                cell,
            )?);
            places.positions.push(table.cell(rows[0], id).position);
        }
        let mut constants = constants.into_iter();
        Ok(Part {
            source: path.display().to_string(),
            set: SeriesSet { columns: self.table.columns, series, dt },
            labels: constants.next().expect("the labels come first"),
            places,
            classes: Vec::new(),
            groups: constants.next(),
            grid: None,
        })
    }

    /// The text that a column has in all rows of a window.
    fn constant(&self, column: usize, name: &str, rows: &[usize]) -> Result<String, DataError> {
        let texts = &self.table.texts[column];
        let expected = &texts[rows[0]];
        match rows.iter().find(|&&row| texts[row] != *expected) {
            None => Ok(plain(expected).to_owned()),
            Some(&row) => Err(LabelledError::MixedWindow {
                cell: self.table.cell(row, &self.texts[column]),
                what: ["label", "group"][column],
                found: texts[row].clone(),
                expected: expected.clone(),
                window: name.to_owned(),
            }
            .into()),
        }
    }
}

/// A whole number without the fraction that a column of floats gives it.
fn plain(text: &str) -> &str {
    let whole = text.strip_suffix(".0").filter(|whole| whole.parse::<i64>().is_ok());
    whole.unwrap_or(text)
}
