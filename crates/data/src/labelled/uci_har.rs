//! The text files of UCI HAR: smartphone signals of thirty people and six activities.
//!
//! Each part `train`, `test` is a folder with one file per channel under `Inertial Signals`: a line
//! is a window, its 128 numbers are the steps at 50 Hz. `y_PART.txt` and `subject_PART.txt` have one
//! number per window, `activity_labels.txt` the name of each activity. Lines end in LF or CRLF.
//!
//! Source: Anguita et al. 2013, ESANN; the notes that come with the files.

use std::path::{Path, PathBuf};

use super::part::{Part, Places, check_count, complete};
use super::{LabelledError, LabelledOptions};
use crate::file::select;
use crate::{Cell, DataError, Position, SeriesSet};

const FOLDER: &str = "UCI HAR Dataset";
const STEPS: usize = 128;
/// Time between two steps, in seconds.
const DT_S: f64 = 0.02;
/// Accelerations in units of gravity, angular rates in radians per second.
const CHANNELS: [&str; 9] = [
    "body_acc_x",
    "body_acc_y",
    "body_acc_z",
    "body_gyro_x",
    "body_gyro_y",
    "body_gyro_z",
    "total_acc_x",
    "total_acc_y",
    "total_acc_z",
];

/// The folder of the files, if `path` is that folder or holds it.
pub(super) fn find(path: &Path) -> Option<PathBuf> {
    let is_it = |folder: &Path| {
        folder.join("activity_labels.txt").is_file()
            || ["train", "test"]
                .iter()
                .any(|part| folder.join(part).join("Inertial Signals").is_dir())
    };
    let inner = path.join(FOLDER);
    if is_it(path) { Some(path.to_owned()) } else { inner.is_dir().then_some(inner) }
}

/// Reads the part `train` or `test`.
pub(super) fn read(
    folder: &Path,
    part: &str,
    options: &LabelledOptions,
) -> Result<Part, DataError> {
    let LabelledOptions { values, label, group, series, .. } = options;
    let foreign = [("values", values), ("label", label), ("group", group), ("series", series)];
    if let Some((key, Some(found))) = foreign.into_iter().find(|(_, value)| value.is_some()) {
        let (file, found) = (folder.to_owned(), found.clone());
        return Err(DataError::WrongOption { file, key, found, kind: "UCI HAR text" });
    }
    let activities = Activities::read(&folder.join("activity_labels.txt"))?;
    let path = folder.join(part);
    let label_file = path.join(format!("y_{part}.txt"));
    let subject_file = path.join(format!("subject_{part}.txt"));
    let labels = activities.names_of(&label_file)?;
    let subjects = lines(&subject_file, "the person of each window")?;
    let signals = Signals::read(&path.join("Inertial Signals"), part, options)?;
    for (file, what, found) in
        [(&label_file, "labels", labels.len()), (&subject_file, "groups", subjects.len())]
    {
        let place = file.display().to_string();
        check_count(place, what, found, signals.windows.len(), || {
            signals.files[0].display().to_string()
        })?;
    }
    Ok(Part {
        source: folder.display().to_string(),
        set: signals.into_set(options)?,
        places: Places::lines(label_file.display().to_string(), labels.len()),
        labels,
        classes: activities.names,
        groups: Some(subjects),
        grid: None,
    })
}

/// The lines of a file, without the blanks around them and blank lines at the end.
fn lines(file: &Path, holds: &'static str) -> Result<Vec<String>, DataError> {
    Ok(text(file, holds)?.trim_end().lines().map(|line| line.trim().to_owned()).collect())
}

fn text(file: &Path, holds: &'static str) -> Result<String, DataError> {
    if !file.exists() {
        let remedy = "unpack the archive again, or get it with `regard data fetch uci-har`";
        return Err(LabelledError::MissingFile { file: file.to_owned(), holds, remedy }.into());
    }
    let action = "read";
    std::fs::read_to_string(file).map_err(|source| {
        let file = file.to_owned();
        DataError::Io { file, action, source }
    })
}

/// The numbers of the activities and their names, in the order of the file.
struct Activities {
    numbers: Vec<String>,
    names: Vec<String>,
}

impl Activities {
    fn read(file: &Path) -> Result<Self, DataError> {
        let mut activities = Self { numbers: vec![], names: vec![] };
        for (i, line) in lines(file, "the name of each activity")?.iter().enumerate() {
            let (number, name) = line.split_once(char::is_whitespace).ok_or_else(|| {
                let (file, line, found) = (file.to_owned(), i + 1, line.clone());
                LabelledError::NotAnActivity { file, line, found }
            })?;
            activities.numbers.push(number.to_owned());
            activities.names.push(name.trim().to_owned());
        }
        Ok(activities)
    }

    /// The name of the activity in each line of a file of numbers.
    fn names_of(&self, file: &Path) -> Result<Vec<String>, DataError> {
        let numbers = lines(file, "the activity of each window")?;
        let name = |(i, number): (usize, &String)| {
            let known = self.numbers.iter().position(|known| known == number);
            known.map(|activity| self.names[activity].clone()).ok_or_else(|| {
                let describe = |(number, name)| format!("{number} ({name})");
                LabelledError::UnknownClass {
                    place: format!("{}, line {}", file.display(), i + 1),
                    found: number.clone(),
                    known: self.numbers.iter().zip(&self.names).map(describe).collect(),
                    remedy: "correct it, or add the activity to activity_labels.txt",
                }
                .into()
            })
        };
        numbers.iter().enumerate().map(name).collect()
    }
}

/// The windows of one part, `[steps, channels]` each.
struct Signals {
    files: Vec<PathBuf>,
    columns: Vec<String>,
    windows: Vec<Vec<f64>>,
}

impl Signals {
    fn read(folder: &Path, part: &str, options: &LabelledOptions) -> Result<Self, DataError> {
        let names = CHANNELS.map(String::from);
        let columns = match &options.columns[..] {
            [] => names.to_vec(),
            asked => select(folder, &names, asked)?.into_iter().map(|i| names[i].clone()).collect(),
        };
        let file = |column: &String| folder.join(format!("{column}_{part}.txt"));
        let files: Vec<PathBuf> = columns.iter().map(file).collect();
        let mut signals = Self { files, columns, windows: Vec::new() };
        for channel in 0..signals.columns.len() {
            signals.read_channel(channel)?;
        }
        Ok(signals)
    }

    fn read_channel(&mut self, channel: usize) -> Result<(), DataError> {
        let file = &self.files[channel];
        let channels = self.columns.len();
        let text = text(file, "a line of numbers for each window")?;
        let mut count = 0;
        for (window, line) in text.trim_end().lines().enumerate() {
            if channel == 0 {
                self.windows.push(vec![0.0; STEPS * channels]);
            }
            let mut found = 0;
            for (step, field) in line.split_ascii_whitespace().enumerate() {
                found += 1;
                let value: f64 = field.parse().map_err(|_| DataError::NotANumber {
                    cell: cell(file, window, step),
                    found: field.to_owned(),
                })?;
                if step < STEPS && window < self.windows.len() {
                    self.windows[window][step * channels + channel] = value;
                }
            }
            if found != STEPS {
                let (file, line, expected) = (file.clone(), window + 1, STEPS);
                return Err(LabelledError::WindowLength { file, line, found, expected }.into());
            }
            count += 1;
        }
        if count == 0 {
            return Err(DataError::NoRows { file: file.clone() });
        }
        let place = file.display().to_string();
        check_count(place, "windows", count, self.windows.len(), || {
            self.files[0].display().to_string()
        })
    }

    fn into_set(self, options: &LabelledOptions) -> Result<SeriesSet, DataError> {
        let Self { files, columns, windows } = self;
        let series = windows.into_iter().enumerate().map(|(window, values)| {
            let cell = |step: usize, channel: usize| cell(&files[channel], window, step);
            complete(
                window.to_string(),
                values,
                columns.len(),
                options.missing.unwrap_or_default(),
                cell,
            )
        });
        let series = series.collect::<Result<Vec<_>, _>>()?;
        Ok(SeriesSet { columns, series, dt: Some(DT_S) })
    }
}

/// A number of a file of signals: a line is a window, a column a step.
fn cell(file: &Path, window: usize, step: usize) -> Cell {
    Cell {
        file: file.to_owned(),
        position: Position::Line(window as u64 + 1),
        column: (step + 1).to_string(),
    }
}
