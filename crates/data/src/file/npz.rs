//! Series in NumPy arrays: `[steps]`, `[steps, channels]` or `[series, steps, channels]`.
//!
//! In an archive one array holds the series; `t` may hold the times, `columns` the names of the
//! channels and `series` those of the series. Other arrays are not read.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::array::{Header, encode, encode_texts, texts};
use super::columns::{index_of, select};
use super::format::{open, read_bytes, stem};
use super::missing::resolve;
use super::table::{finish, named_pieces};
use super::time::{Stamps, Times};
use super::{ReadOptions, write_atomically};
use crate::series::numbered_columns;
use crate::{Cell, DataError, Position, Series, SeriesSet};

const VALUES: &str = "values";
const TIMES: &str = "t";
const COLUMNS: &str = "columns";
const SERIES: &str = "series";

/// Reads a file that is one array.
pub(super) fn read_npy(path: &Path, options: &ReadOptions) -> Result<SeriesSet, DataError> {
    let bytes = read_bytes(path)?;
    let corrupt = corrupt(path, ".npy");
    let header = Header::read(&stem(path), &bytes[..]).map_err(&corrupt)?;
    let (n_series, steps, channels) = axes(path, &header)?;
    let values = header.numbers(&bytes).map_err(&corrupt)?;
    let names = Names { columns: numbered_columns(channels), series: series_names(path, n_series) };
    Block { path, steps, values, names, dt: None }.into_set(&header, options)
}

/// Reads the one array of an archive that holds series, and its companions.
pub(super) fn read_npz(path: &Path, options: &ReadOptions) -> Result<SeriesSet, DataError> {
    let mut archive = Archive::open(path)?;
    let header = archive.choose(options)?;
    let (n_series, steps, channels) = axes(path, &header)?;
    let values = archive.numbers(&header)?;
    let names = Names {
        columns: archive.channel_names(channels)?.unwrap_or_else(|| numbered_columns(channels)),
        series: match header.shape.len() {
            3 => archive.texts(SERIES, n_series)?,
            _ => None,
        }
        .unwrap_or_else(|| series_names(path, n_series)),
    };
    let dt = archive.dt(options, steps)?;
    Block { path, steps, values, names, dt }.into_set(&header, options)
}

/// Writes the values as one array.
pub(super) fn write_npy(path: &Path, set: &SeriesSet) -> Result<(), DataError> {
    let shape = common_shape(path, set)?;
    write_atomically(path, |file| {
        let mut out = BufWriter::new(file);
        encode(&shape, values(set), &mut out)?;
        out.flush()
    })
}

/// Writes the values and their companions; the same set gives the same bytes.
pub(super) fn write_npz(path: &Path, set: &SeriesSet) -> Result<(), DataError> {
    let shape = common_shape(path, set)?;
    write_atomically(path, |file| {
        let mut out = ZipWriter::new(BufWriter::new(file));
        start_stored(&mut out, VALUES)?;
        encode(&shape, values(set), &mut out)?;
        start_stored(&mut out, COLUMNS)?;
        encode_texts(&set.columns, &mut out)?;
        if shape.len() == 3 {
            let names: Vec<String> = set.series.iter().map(|series| series.name.clone()).collect();
            start_stored(&mut out, SERIES)?;
            encode_texts(&names, &mut out)?;
        }
        if let Some(dt) = set.dt {
            let steps = shape[shape.len() - 2];
            start_stored(&mut out, TIMES)?;
            encode(&[steps], (0..steps).map(|t| t as f64 * dt), &mut out)?;
        }
        out.finish()?.flush()
    })
}

/// Begins an array in an archive, with nothing that differs between two calls.
pub(crate) fn start_stored(
    out: &mut ZipWriter<impl Write + Seek>,
    array: &str,
) -> Result<(), ZipError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .large_file(true);
    out.start_file(format!("{array}.npy"), options)
}

/// `[steps, channels]` of a single series, `[series, steps, channels]` of any other number.
fn common_shape(path: &Path, set: &SeriesSet) -> Result<Vec<usize>, DataError> {
    let expected = set.series.first().map_or(0, Series::steps);
    if let Some(other) = set.series.iter().find(|series| series.steps() != expected) {
        return Err(DataError::UnequalLengths {
            file: path.to_owned(),
            series: other.name.clone(),
            found: other.steps(),
            expected,
        });
    }
    Ok(match set.series.len() {
        1 => vec![expected, set.channels()],
        n_series => vec![n_series, expected, set.channels()],
    })
}

fn values(set: &SeriesSet) -> impl Iterator<Item = f64> {
    set.series.iter().flat_map(|series| series.values.iter().copied())
}

fn corrupt(path: &Path, format: &'static str) -> impl Fn(io::Error) -> DataError {
    move |source| DataError::Corrupt { file: path.to_owned(), format, source: source.into() }
}

/// Numbers of series, steps and channels of a numeric array of one to three axes.
fn axes(path: &Path, header: &Header) -> Result<(usize, usize, usize), DataError> {
    header.check_numeric(path, "data.array")?;
    let (n_series, steps, channels) = match *header.shape {
        [steps] => (1, steps, 1),
        [steps, channels] => (1, steps, channels),
        [n_series, steps, channels] => (n_series, steps, channels),
        _ => {
            return Err(DataError::WrongShape {
                file: path.to_owned(),
                array: header.name.clone(),
                found: header.shape.clone(),
            });
        }
    };
    if n_series == 0 || steps == 0 {
        return Err(DataError::NoRows { file: path.to_owned() });
    }
    if channels == 0 {
        return Err(DataError::NoChannels { file: path.to_owned() });
    }
    Ok((n_series, steps, channels))
}

fn series_names(path: &Path, n_series: usize) -> Vec<String> {
    match n_series {
        1 => vec![stem(path)],
        _ => (0..n_series).map(|i| i.to_string()).collect(),
    }
}

/// The names that go with an array.
struct Names {
    columns: Vec<String>,
    series: Vec<String>,
}

/// The contents of an array, `[series, steps, channels]`, with what is known of it.
struct Block<'a> {
    path: &'a Path,
    steps: usize,
    values: Vec<f64>,
    names: Names,
    dt: Option<f64>,
}

impl Block<'_> {
    fn into_set(self, header: &Header, options: &ReadOptions) -> Result<SeriesSet, DataError> {
        let Names { columns, series: names } = self.names;
        let chosen = match &options.columns {
            Some(asked) if asked.is_empty() => {
                return Err(DataError::NoChannels { file: self.path.to_owned() });
            }
            Some(asked) => select(self.path, &columns, asked)?,
            None => (0..columns.len()).collect(),
        };
        let channels = columns.len();
        let columns: Vec<String> = chosen.iter().map(|&channel| columns[channel].clone()).collect();
        let mut series = Vec::with_capacity(names.len());
        for (index, block) in self.values.chunks_exact(self.steps * channels).enumerate() {
            let rows = block.chunks_exact(channels);
            let values = rows.flat_map(|row| chosen.iter().map(|&channel| row[channel])).collect();
            let cell = |row: usize, channel: usize| Cell {
                file: self.path.to_owned(),
                position: match header.shape.len() {
                    3 => Position::Entry { series: index, row },
                    _ => Position::Row(row),
                },
                column: columns[channel].clone(),
            };
            let pieces = resolve(values, columns.len(), options.missing, cell)?;
            series.extend(named_pieces(&names[index], pieces, columns.len()));
        }
        finish(self.path, columns, series, self.dt)
    }
}

/// An open archive and the headers of its arrays.
pub(crate) struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    headers: Vec<Header>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, DataError> {
        let corrupt = corrupt(path, ".npz");
        let mut zip =
            ZipArchive::new(BufReader::new(open(path)?)).map_err(|e| corrupt(e.into()))?;
        let mut headers = Vec::new();
        for index in 0..zip.len() {
            let entry = zip.by_index(index).map_err(|e| corrupt(e.into()))?;
            let name = entry.name().map_err(|e| corrupt(e.into()))?;
            if let Some(name) = name.strip_suffix(".npy").map(str::to_owned) {
                headers.push(Header::read(&name, entry).map_err(&corrupt)?);
            }
        }
        Ok(Self { path, zip, headers })
    }

    /// The names of all arrays.
    pub(crate) fn names(&self) -> Vec<String> {
        self.headers.iter().map(|header| header.name.clone()).collect()
    }

    /// The header of an array.
    pub(crate) fn header(&self, name: &str) -> Option<&Header> {
        self.headers.iter().find(|header| header.name == name)
    }

    /// The array asked for, else the only one that can be series: of two or three axes, or, where
    /// there is none, of one axis and not the times.
    fn choose(&self, options: &ReadOptions) -> Result<Header, DataError> {
        if let Some(name) = &options.array {
            let index = index_of(self.path, &self.names(), name, "array", "array")?;
            return Ok(self.headers[index].clone());
        }
        let times = options.time_column.as_deref().unwrap_or(TIMES);
        let with = |wanted: &[usize]| -> Vec<&Header> {
            let fits = |h: &&Header| h.is_numeric() && wanted.contains(&h.shape.len());
            self.headers.iter().filter(fits).filter(|h| h.name != times).collect()
        };
        let mut candidates = with(&[2, 3]);
        if candidates.is_empty() {
            candidates = with(&[1]);
        }
        match candidates[..] {
            [only] => Ok(only.clone()),
            _ => Err(DataError::AmbiguousArray {
                file: self.path.to_owned(),
                found: candidates.len(),
                arrays: self.headers.iter().map(Header::to_string).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    fn bytes(&mut self, name: &str) -> Result<Vec<u8>, DataError> {
        let corrupt = corrupt(self.path, ".npz");
        let entry = self.zip.by_name(&format!("{name}.npy"));
        let mut bytes = Vec::new();
        entry.map_err(|e| corrupt(e.into()))?.read_to_end(&mut bytes).map_err(&corrupt)?;
        Ok(bytes)
    }

    /// The elements of a numeric array in C order.
    pub(crate) fn numbers(&mut self, header: &Header) -> Result<Vec<f64>, DataError> {
        header.numbers(&self.bytes(&header.name)?).map_err(corrupt(self.path, ".npz"))
    }

    /// The elements of an array of texts.
    pub(crate) fn strings(&mut self, header: &Header) -> Result<Vec<String>, DataError> {
        texts(&self.bytes(&header.name)?).map_err(corrupt(self.path, ".npz"))
    }

    /// The names of the channels, if the archive has them.
    pub(crate) fn channel_names(
        &mut self,
        channels: usize,
    ) -> Result<Option<Vec<String>>, DataError> {
        self.texts(COLUMNS, channels)
    }

    /// The texts of an array, if it is there and holds `count` of them.
    pub(crate) fn texts(
        &mut self,
        name: &str,
        count: usize,
    ) -> Result<Option<Vec<String>>, DataError> {
        match self.header(name) {
            Some(header) if header.is_text() && header.shape == [count] => {
                let header = header.clone();
                self.strings(&header).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The step of the times, which must fit where they are asked for by name.
    pub(crate) fn dt(
        &mut self,
        options: &ReadOptions,
        steps: usize,
    ) -> Result<Option<f64>, DataError> {
        let path = self.path;
        let name = match &options.time_column {
            Some(name) => {
                let index = index_of(path, &self.names(), name, "array", "time_column")?;
                let header = &self.headers[index];
                axes(path, header)?;
                if header.shape != [steps] {
                    let (array, found) = (name.clone(), header.shape.iter().product());
                    return Err(DataError::WrongTimes { file: path.into(), array, found, steps });
                }
                name
            }
            None => TIMES,
        };
        let header = match self.header(name) {
            Some(header) if header.is_numeric() && header.shape == [steps] => header.clone(),
            _ => return Ok(None),
        };
        let numbers = self.numbers(&header)?;
        let cell = |row| Cell {
            file: path.to_owned(),
            position: Position::Row(row),
            column: name.to_owned(),
        };
        let rows: Vec<usize> = (0..steps).collect();
        let times = Times { column: name.to_owned(), stamps: Stamps::Numbers(numbers) };
        times.step(&rows, cell)
    }
}
