//! Pairs written to a file that grows draw by draw and goes on where it was stopped.
//!
//! While pairs are made, `FILE.part` beside the file holds a line that says what they are, then one
//! record per draw; the last record of a killed process may be cut short, and is made again. At the
//! end the records become the archive and the part is removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::draws::{Pairs, in_order};
use super::generator::{Generator, Request, Seeded};
use crate::DataError;
use crate::operator::{OperatorError, write_npz};

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Pairs that are made.
    pub done: usize,
    /// Pairs that were asked for.
    pub count: usize,
}

/// How writing a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The file is there.
    Whole {
        /// Pairs that were there before.
        resumed: usize,
    },
    /// It was asked to stop; the same call goes on from here.
    Stopped(Progress),
}

/// Makes pairs and writes them as an archive of NumPy arrays.
///
/// The same generator, seed and count give the same bytes, whatever the threads and however often
/// the process was stopped. `watch` sees the progress, at the start and after every draw, and may
/// stop.
///
/// # Errors
/// [`DataError::UnknownExtension`] if the file is not `.npz`; [`OperatorError::OtherSamples`] if
/// the file was begun with other parameters or another seed; [`DataError`] if a parameter is out of
/// range, an equation is not solved or the file cannot be written.
pub fn write_samples<G: Generator>(
    path: &Path,
    generator: &G,
    request: &Request,
    mut watch: impl FnMut(Progress) -> ControlFlow<()>,
) -> Result<Written, DataError> {
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("npz")) {
        let found = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        let (file, known) = (path.to_owned(), String::from(".npz"));
        return Err(DataError::UnknownExtension { file, found, known });
    }
    let seeded = Seeded::new(generator, request)?;
    let (count, pairs_per_draw) = (request.count, generator.pairs_per_draw());
    let progress = |draws: usize| Progress { done: (draws * pairs_per_draw).min(count), count };
    let title = format!(
        "regard {} {} {generator:?} seed {}\n",
        G::KIND,
        env!("CARGO_PKG_VERSION"),
        request.seed
    );
    let record = seeded.widths_of_draw().iter().sum();
    let mut part = Part::open(path, &title, record)?;
    let (draws, before) = (seeded.draws(count), part.records);
    let mut stopped = watch(progress(before)).is_break();
    if !stopped {
        in_order(&seeded, before.min(draws)..draws, request.threads, |values| {
            part.append(&values)?;
            stopped = watch(progress(part.records)).is_break() && part.records < draws;
            Ok(if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
    }
    if stopped {
        return Ok(Written::Stopped(progress(part.records)));
    }
    let mut pairs = Pairs::new(&seeded, count);
    part.read(draws, |values| pairs.append(values))?;
    write_npz(path, &[("", &pairs.into_set(seeded)?)])?;
    part.remove()?;
    Ok(Written::Whole { resumed: progress(before).done })
}

/// The begun file.
struct Part {
    path: PathBuf,
    file: File,
    title: usize,
    /// Values of a record.
    width: usize,
    records: usize,
}

impl Part {
    /// Opens the part of a file, or begins one; a record that is cut short is cut off.
    fn open(target: &Path, title: &str, width: usize) -> Result<Self, DataError> {
        let mut name = target.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                DataError::UnwritableFolder { file: target.to_owned(), folder, source }
            }
            _ => DataError::Io { file: path.clone(), action: "write", source },
        })?;
        let failed = |source| DataError::Io { file: path.clone(), action: "read", source };
        let mut begun = Vec::new();
        (&file).take(title.len() as u64).read_to_end(&mut begun).map_err(failed)?;
        if !title.as_bytes().starts_with(&begun) {
            return Err(OperatorError::OtherSamples { file: path }.into());
        }
        let length = file.metadata().map_err(failed)?.len();
        let after_title = length.saturating_sub(title.len() as u64);
        let bytes = 8 * width as u64;
        let whole = after_title / bytes;
        file.set_len(title.len() as u64 + whole * bytes).map_err(failed)?;
        file.rewind().map_err(failed)?;
        file.write_all(title.as_bytes()).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let records = usize::try_from(whole).unwrap_or(usize::MAX);
        Ok(Self { path, file, title: title.len(), width, records })
    }

    /// Writes a record in one call, so that no other can stand behind half of it.
    fn append(&mut self, values: &[f64]) -> Result<(), DataError> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.file.write_all(&bytes).map_err(|source| self.failed("write", source))?;
        self.records += 1;
        Ok(())
    }

    /// Hands on the first records.
    fn read(&mut self, records: usize, mut take: impl FnMut(&[f64])) -> Result<(), DataError> {
        let start = SeekFrom::Start(self.title as u64);
        self.file.seek(start).map_err(|source| self.failed("read", source))?;
        let mut reader = BufReader::new(&self.file);
        let (mut bytes, mut values) = (vec![0; 8 * self.width], Vec::with_capacity(self.width));
        for _ in 0..records {
            reader.read_exact(&mut bytes).map_err(|source| self.failed("read", source))?;
            values.clear();
            values.extend(bytes.as_chunks::<8>().0.iter().map(|word| f64::from_le_bytes(*word)));
            take(&values);
        }
        Ok(())
    }

    fn remove(self) -> Result<(), DataError> {
        fs::remove_file(&self.path).map_err(|source| self.failed("write", source))
    }

    fn failed(&self, action: &'static str, source: io::Error) -> DataError {
        DataError::Io { file: self.path.clone(), action, source }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ControlledOde, TimeGrid};
    use super::*;

    fn generator() -> ControlledOde {
        ControlledOde { times: TimeGrid { n_points: 11, ..TimeGrid::default() }, n_terms: 3 }
    }

    fn write(path: &Path, count: usize, stop_at: usize) -> Result<Written, DataError> {
        let request = Request { count, seed: 7, threads: 2 };
        write_samples(path, &generator(), &request, |progress| {
            if progress.done >= stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    #[test]
    fn a_stopped_and_cut_file_goes_on_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, cut) = (folder.path().join("whole.npz"), folder.path().join("cut.npz"));
        assert_eq!(write(&whole, 20, 99).unwrap(), Written::Whole { resumed: 0 });

        let stopped = Written::Stopped(Progress { done: 5, count: 20 });
        assert_eq!(write(&cut, 20, 5).unwrap(), stopped);
        let part = folder.path().join("cut.npz.part");
        let mut bytes = fs::read(&part).unwrap();
        bytes.truncate(bytes.len() - 13); // as after a kill in the middle of a record
        fs::write(&part, bytes).unwrap();
        assert_eq!(write(&cut, 20, 9).unwrap(), Written::Stopped(Progress { done: 9, count: 20 }));
        assert_eq!(write(&cut, 20, 99).unwrap(), Written::Whole { resumed: 9 });
        assert!(fs::read(&cut).unwrap() == fs::read(&whole).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_cut_in_its_title_and_one_with_too_many_pairs_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let [short, long, begun] =
            ["short.npz", "long.npz", "begun.npz"].map(|name| folder.path().join(name));
        write(&short, 4, 99).unwrap();
        write(&long, 9, 7).unwrap();
        fs::rename(folder.path().join("long.npz.part"), folder.path().join("begun.npz.part"))
            .unwrap();
        assert_eq!(write(&begun, 4, 99).unwrap(), Written::Whole { resumed: 4 });
        assert!(fs::read(&short).unwrap() == fs::read(&begun).unwrap());
        fs::write(folder.path().join("begun.npz.part"), "regard contr").unwrap();
        assert_eq!(write(&begun, 4, 99).unwrap(), Written::Whole { resumed: 0 });
        assert!(fs::read(&short).unwrap() == fs::read(&begun).unwrap());
    }

    #[test]
    fn samples_of_another_seed_are_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        write(&path, 20, 5).unwrap();
        let request = Request { count: 20, seed: 8, threads: 1 };
        let error = write_samples(&path, &generator(), &request, |_| ControlFlow::Continue(()));
        let message = error.unwrap_err().to_string();
        assert!(
            message.contains("a.npz.part holds samples that were begun with other"),
            "{message}"
        );
        let absent = folder.path().join("absent/a.npz");
        let message = write(&absent, 2, 99).unwrap_err().to_string();
        assert!(message.contains("absent does not exist or takes no new files"), "{message}");
    }
}
