//! Windows in an archive of NumPy arrays: `[series, steps, channels]`, or `[series, steps]` for one
//! channel, with an array of labels and, where it is there, one of groups.

use std::path::Path;

use super::part::{Part, Places, array_place, check_count, complete};
use super::{LabelledError, LabelledOptions};
use crate::file::{Archive, Header, ReadOptions, index_of, select};
use crate::series::numbered_columns;
use crate::{Cell, DataError, Position, SeriesSet};

const VALUES: &[&str] = &["X", "x", "values"];
/// Names of labels, in an archive or a table, that need not be given.
pub(super) const LABEL: &[&str] = &["y", "label", "labels"];
/// Names of groups, in an archive or a table, that need not be given.
pub(super) const GROUP: &[&str] = &["subject", "group", "groups"];

/// Reads one archive.
pub(super) fn read(path: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
    if let Some(found) = &options.series {
        let (file, found) = (path.to_owned(), found.clone());
        return Err(DataError::WrongOption { file, key: "series", found, kind: ".npz" });
    }
    let mut archive = Archive::open(path)?;
    let arrays = archive.names();
    let require = |header: Option<Header>, holds, key, tried| {
        let missing = || LabelledError::NotFound {
            file: path.to_owned(),
            what: "array",
            holds,
            tried,
            key,
            known: arrays.clone(),
        };
        header.ok_or_else(|| DataError::from(missing()))
    };
    let values = find(&archive, path, options.values.as_deref(), VALUES, "values")?;
    let values = require(values, "windows", "values", VALUES)?;
    let labels = find(&archive, path, options.label.as_deref(), LABEL, "label")?;
    let labels = require(labels, "labels", "label", LABEL)?;
    let groups = find(&archive, path, options.group.as_deref(), GROUP, "group")?;

    let windows = Windows::of(path, &values)?;
    let label_texts = texts(&mut archive, path, &labels, "labels", &windows)?;
    let groups =
        groups.map(|groups| texts(&mut archive, path, &groups, "groups", &windows)).transpose()?;
    let set = windows.read(&mut archive, options)?;
    Ok(Part {
        source: path.display().to_string(),
        set,
        places: Places::rows(array_place(path, &labels.name), label_texts.len()),
        labels: label_texts,
        classes: Vec::new(),
        groups,
        grid: None,
    })
}

/// The array asked for, else the first of the usual names.
fn find(
    archive: &Archive,
    path: &Path,
    asked: Option<&str>,
    usual: &[&str],
    key: &'static str,
) -> Result<Option<Header>, DataError> {
    let name = match asked {
        Some(name) => {
            let names = archive.names();
            index_of(path, &names, name, "array", key)?;
            Some(name)
        }
        None => usual.iter().copied().find(|name| archive.header(name).is_some()),
    };
    Ok(name.and_then(|name| archive.header(name)).cloned())
}

/// The array of the windows.
struct Windows<'a> {
    path: &'a Path,
    header: &'a Header,
    count: usize,
    steps: usize,
    channels: usize,
}

impl<'a> Windows<'a> {
    fn of(path: &'a Path, header: &'a Header) -> Result<Self, DataError> {
        let (count, steps, channels) = match header.shape[..] {
            [count, steps] => (count, steps, 1),
            [count, steps, channels] => (count, steps, channels),
            _ => {
                return Err(LabelledError::WindowShape {
                    file: path.to_owned(),
                    array: header.name.clone(),
                    found: header.shape.clone(),
                }
                .into());
            }
        };
        header.check_numeric(path, "data.values")?;
        if count == 0 || steps == 0 {
            return Err(DataError::NoRows { file: path.to_owned() });
        }
        if channels == 0 {
            return Err(DataError::NoChannels { file: path.to_owned() });
        }
        Ok(Self { path, header, count, steps, channels })
    }

    fn read(
        &self,
        archive: &mut Archive,
        options: &LabelledOptions,
    ) -> Result<SeriesSet, DataError> {
        let named = archive.channel_names(self.channels)?;
        let (names, chosen) = choose(self.path, named, self.channels, &options.columns)?;
        let columns: Vec<String> = chosen.iter().map(|&channel| names[channel].clone()).collect();
        let dt = archive.dt(&ReadOptions::default(), self.steps)?;
        let values = archive.numbers(self.header)?;
        let take_all = chosen.iter().copied().eq(0..self.channels);
        let windows = values.chunks_exact(self.steps * self.channels).enumerate();
        let series = windows.map(|(index, window)| {
            let values = if take_all {
                window.to_vec()
            } else {
                let rows = window.chunks_exact(self.channels);
                rows.flat_map(|row| chosen.iter().map(|&channel| row[channel])).collect()
            };
            let cell = |row: usize, channel: usize| Cell {
                file: self.path.to_owned(),
                position: Position::Entry { series: index, row },
                column: columns[channel].clone(),
            };
            complete(
                index.to_string(),
                values,
                columns.len(),
                options.missing.unwrap_or_default(),
                cell,
            )
        });
        let series = series.collect::<Result<Vec<_>, _>>()?;
        Ok(SeriesSet { columns, series, dt })
    }
}

/// The names of all channels, and the indices of those asked for.
///
/// Channels without names take the names asked for if there is one for each.
pub(super) fn choose(
    path: &Path,
    named: Option<Vec<String>>,
    channels: usize,
    asked: &[String],
) -> Result<(Vec<String>, Vec<usize>), DataError> {
    let is_named = named.is_some();
    let names = named.unwrap_or_else(|| numbered_columns(channels));
    if asked.is_empty() {
        return Ok((names, (0..channels).collect()));
    }
    let are_known = asked.iter().any(|name| names.contains(name));
    if is_named || are_known || asked.len() != channels {
        let chosen = select(path, &names, asked)?;
        return Ok((names, chosen));
    }
    select(path, asked, asked)?; // refuses a name that comes twice
    Ok((asked.to_vec(), (0..channels).collect()))
}

/// One text for each window: the labels or the groups.
fn texts(
    archive: &mut Archive,
    path: &Path,
    header: &Header,
    what: &'static str,
    windows: &Windows,
) -> Result<Vec<String>, DataError> {
    let place = array_place(path, &header.name);
    let found: usize = header.shape.iter().product();
    if found != header.shape.first().copied().unwrap_or(1) {
        return Err(LabelledError::LabelShape { place, what, found: header.shape.clone() }.into());
    }
    check_count(place.clone(), what, found, windows.count, || {
        array_place(windows.path, &windows.header.name)
    })?;
    if header.is_text() {
        return archive.strings(header);
    }
    header.check_numeric(path, if what == "labels" { "data.label" } else { "data.group" })?;
    let numbers = archive.numbers(header)?.into_iter().enumerate();
    numbers
        .map(|(i, number)| {
            if number.fract() == 0.0 {
                return Ok(number.to_string());
            }
            let place = format!("{place}, {}", Position::Row(i));
            Err(LabelledError::NotALabel { place, found: number }.into())
        })
        .collect()
}
