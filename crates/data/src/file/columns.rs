//! Which column of a table plays which part: id, time, channel, or none.

use std::collections::HashSet;
use std::path::Path;

use super::ReadOptions;
use crate::{DataError, SeriesSet, UnknownName};

/// The id column of a table that names no other; [`write`](super::write) makes it.
pub const ID_COLUMN: &str = "series";

/// The time column of a table that names no other; [`write`](super::write) makes it.
pub const TIME_COLUMN: &str = "time";

/// The parts of a table's columns, as indices.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) id: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) channels: Vec<usize>,
    /// The columns kept as they are written, which are no channels.
    pub(super) texts: Vec<usize>,
}

impl Roles {
    /// Gives each column of `names` its part; those in `texts` are to be kept as texts.
    ///
    /// A column asked for under `columns` is a channel whatever its name. The index that pandas
    /// writes, unnamed in CSV and `__index_level_0__` in Parquet, is nothing unless asked for.
    pub(super) fn assign(
        file: &Path,
        names: &[String],
        options: &ReadOptions,
        texts: &[String],
    ) -> Result<Self, DataError> {
        refuse_duplicates(file, names)?;
        let asked = |name: &str| options.columns.iter().flatten().any(|column| column == name);
        let find = |option: &Option<String>, key, default: &str| match option {
            Some(name) => index_of(file, names, name, "column", key).map(Some),
            None => Ok(names.iter().position(|name| name == default && !asked(name))),
        };
        let id = find(&options.id_column, "id_column", ID_COLUMN)?;
        let time = find(&options.time_column, "time_column", TIME_COLUMN)?;
        let texts = texts
            .iter()
            .map(|name| index_of(file, names, name, "column", "columns"))
            .collect::<Result<Vec<_>, _>>()?;
        let is_index = |name: &str| name.is_empty() || name.starts_with("__index_level_");
        let channels: Vec<usize> = match &options.columns {
            Some(columns) => select(file, names, columns)?,
            None => (0..names.len())
                .filter(|&i| Some(i) != id && Some(i) != time && !is_index(&names[i]))
                .filter(|i| !texts.contains(i))
                .collect(),
        };
        if channels.is_empty() {
            return Err(DataError::NoChannels { file: file.to_owned() });
        }
        Ok(Self { id, time, channels, texts })
    }
}

/// The indices of the `columns` that were asked for.
pub(crate) fn select(
    file: &Path,
    names: &[String],
    columns: &[String],
) -> Result<Vec<usize>, DataError> {
    refuse_duplicates(file, columns)?;
    columns.iter().map(|name| index_of(file, names, name, "column", "columns")).collect()
}

/// The index of a name that `data.<key>` asks for.
pub(crate) fn index_of(
    file: &Path,
    names: &[String],
    name: &str,
    what: &'static str,
    key: &'static str,
) -> Result<usize, DataError> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        let name = UnknownName { what, found: name.to_owned(), key, known: names.to_vec() };
        DataError::UnknownName { file: file.to_owned(), name: Box::new(name) }
    })
}

/// The columns that a written table gets before its channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra {
    /// Whether there is a column [`ID_COLUMN`].
    pub(super) id: bool,
    /// The time step of the column [`TIME_COLUMN`], if there is one.
    pub(super) dt: Option<f64>,
}

impl Extra {
    /// What `set` needs so that a reader gets it back, and the names of all columns.
    pub(super) fn of(file: &Path, set: &SeriesSet) -> Result<(Self, Vec<String>), DataError> {
        let extra = Self { id: set.series.len() != 1, dt: set.dt };
        let id = extra.id.then(|| ID_COLUMN.to_owned());
        let time = extra.dt.map(|_| TIME_COLUMN.to_owned());
        let names: Vec<_> = id.into_iter().chain(time).chain(set.columns.clone()).collect();
        refuse_duplicates(file, &names)?;
        Ok((extra, names))
    }
}

fn refuse_duplicates(file: &Path, names: &[String]) -> Result<(), DataError> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => {
            Err(DataError::DuplicateColumn { file: file.to_owned(), column: name.clone() })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(names: &[&str], options: &ReadOptions) -> Result<Roles, DataError> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Roles::assign(Path::new("a.csv"), &names, options, &[])
    }

    #[test]
    fn id_time_and_index_are_no_channels() {
        let roles = assign(&["", "u", "time", "series", "v"], &ReadOptions::default()).unwrap();
        assert_eq!(
            roles,
            Roles { id: Some(3), time: Some(2), channels: vec![1, 4], texts: vec![] }
        );
        let roles = assign(&["u", "__index_level_0__"], &ReadOptions::default()).unwrap();
        assert_eq!(roles, Roles { id: None, time: None, channels: vec![0], texts: vec![] });
    }

    #[test]
    fn what_is_asked_for_wins_over_the_defaults() {
        let options = ReadOptions {
            columns: Some(vec!["time".into(), "u".into()]),
            id_column: Some("run".into()),
            time_column: Some(String::new()),
            ..ReadOptions::default()
        };
        let roles = assign(&["", "u", "run", "time", "series"], &options).unwrap();
        assert_eq!(
            roles,
            Roles { id: Some(2), time: Some(0), channels: vec![3, 1], texts: vec![] }
        );
    }

    #[test]
    fn wrong_names_are_refused() {
        let message = |names: &[&str], columns: Option<&[&str]>| {
            let columns = columns.map(|names| names.iter().map(ToString::to_string).collect());
            assign(names, &ReadOptions { columns, ..Default::default() }).unwrap_err().to_string()
        };
        assert_eq!(
            message(&["u", "v", "u"], None),
            "a.csv: found the column \"u\" twice, expected distinct names; rename one"
        );
        assert_eq!(
            message(&["time", "series"], None),
            "a.csv has no channel: every column is an id, a time or an index"
        );
        assert_eq!(
            message(&["temp", "wind"], Some(&["wind", "tmep"])),
            "a.csv has no column \"tmep\", asked for by data.columns; did you mean \"temp\"? \
             it has temp, wind"
        );
    }
}
