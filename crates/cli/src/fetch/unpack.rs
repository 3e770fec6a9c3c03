//! A folder out of a zip archive, or out of a zip archive in one.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

/// Bytes that an archive may unpack to; five times the signal files of UCI HAR.
const LARGEST: u64 = 1 << 30;

/// Unpacks one folder of an archive, or of the archive in it.
pub(super) fn unpack(mut archive: File, folder: &str, into: &Path) -> Result<()> {
    let mut left = LARGEST;
    for _ in 0..2 {
        archive.rewind()?;
        let mut zip = ZipArchive::new(archive).context("it is not a whole zip archive")?;
        match inner(&mut zip, folder)? {
            None => return unpack_folder(&mut zip, folder, into, &mut left),
            Some(index) => {
                let mut file = temporary_file(into)?;
                copy_entry(&mut zip, index, &mut file, &mut left)?;
                archive = file;
            }
        }
    }
    bail!("it is an archive in an archive in an archive, expected the folder {folder:?} in one")
}

/// The archive in an archive that does not hold the folder itself.
fn inner(zip: &mut ZipArchive<File>, folder: &str) -> Result<Option<usize>> {
    let mut inner = None;
    for index in 0..zip.len() {
        let entry = zip.by_index(index)?;
        let name = entry.name()?;
        if name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) {
            return Ok(None);
        }
        let extension = Path::new(&*name).extension();
        if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("zip")) {
            inner = Some(index);
        }
    }
    inner.map(Some).with_context(|| format!("it holds no folder {folder:?}; give another --from"))
}

fn unpack_folder(
    zip: &mut ZipArchive<File>,
    folder: &str,
    into: &Path,
    left: &mut u64,
) -> Result<()> {
    for index in 0..zip.len() {
        let entry = zip.by_index(index)?;
        // A name that leads out of the folder is left out, and so is what systems add.
        let Some(name) = entry.enclosed_name().filter(|name| is_wanted(name, folder)) else {
            continue;
        };
        let is_file = entry.is_file();
        if !is_file && !entry.is_dir() {
            continue; // a link
        }
        drop(entry);
        let path = into.join(name);
        let parent = if is_file { path.parent().unwrap_or(into) } else { &path };
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        if is_file {
            let mut file =
                File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
            copy_entry(zip, index, &mut file, left)?;
        }
    }
    Ok(())
}

fn is_wanted(name: &Path, folder: &str) -> bool {
    name.starts_with(folder) && name.file_name().is_some_and(|name| name != ".DS_Store")
}

/// Writes one file of an archive, of which `left` bytes at most may still come.
fn copy_entry(
    zip: &mut ZipArchive<File>,
    index: usize,
    to: &mut File,
    left: &mut u64,
) -> Result<()> {
    let entry = zip.by_index(index)?;
    let name = entry.name()?.into_owned();
    let count = io::copy(&mut entry.take(*left + 1), to)
        .with_context(|| format!("{name:?} in it is cut short or damaged"))?;
    *left = left.checked_sub(count).with_context(|| {
        format!("it unpacks to more than {LARGEST} bytes, expected less; it is another archive")
    })?;
    Ok(())
}

/// A file that is gone when it is closed.
pub(super) fn temporary_file(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder)
        .with_context(|| format!("cannot make a file in {}", folder.display()))
}
