//! Folders of PNG files: a folder for each class, in `train` and `test` or in the folder itself.
//!
//! Hidden files and files that are no images are passed over.

use std::path::{Path, PathBuf};

use super::decode::{Fault, Pixels, decode};
use super::{ImageError, Images};
use crate::labelled::part::{Part, Places};
use crate::labelled::{LabelledError, LabelledOptions};
use crate::{DataError, Position};

/// Extensions of images in other formats.
const OTHER: [&str; 8] = ["jpg", "jpeg", "bmp", "gif", "tif", "tiff", "webp", "ppm"];

/// The folders of a part, one for each class.
pub(super) struct Classes {
    folder: PathBuf,
    folders: Vec<PathBuf>,
}

/// The training part and, where present, the test part of a folder with a PNG file in a folder.
pub(super) fn find(folder: &Path) -> Result<Option<(Classes, Option<Classes>)>, DataError> {
    let part = |name: &str| {
        let inner = folder.join(name);
        if inner.is_dir() { classes(&inner) } else { Ok(None) }
    };
    if let Some(train) = part("train")? {
        return Ok(Some((train, part("test")?)));
    }
    Ok(classes(folder)?.map(|all| (all, None)))
}

/// The inner folders, if one of them holds a PNG file.
fn classes(folder: &Path) -> Result<Option<Classes>, DataError> {
    let mut folders = entries(folder)?;
    folders.retain(|entry| entry.is_dir());
    for inner in &folders {
        if entries(inner)?.iter().any(|file| extension(file) == "png") {
            return Ok(Some(Classes { folder: folder.to_owned(), folders }));
        }
    }
    Ok(None)
}

/// What a folder holds, but for hidden files, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Io { file: folder.to_owned(), action: "read", source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn extension(path: &Path) -> String {
    path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_ascii_lowercase())
}

/// Reads all images of a part.
pub(super) fn read(classes: &Classes, options: &LabelledOptions) -> Result<Part, DataError> {
    let mut labels = Vec::new();
    let mut images: Option<(Images, PathBuf)> = None;
    for folder in &classes.folders {
        let class = name(folder);
        for file in entries(folder)? {
            let found = extension(&file);
            if OTHER.contains(&&*found) {
                return Err(error(ImageError::OtherFormat { file, found }));
            }
            if found != "png" {
                continue;
            }
            let Pixels { grid, channels, values } = read_pixels(&file)?;
            let (images, first) = images.get_or_insert_with(|| {
                (Images { grid, channels, names: vec![], values: vec![] }, file.clone())
            });
            if (grid, channels) != (images.grid, images.channels) {
                return Err(error(ImageError::Shape {
                    file,
                    found: grid,
                    found_channels: channels,
                    expected: images.grid,
                    expected_channels: images.channels,
                    first: first.clone(),
                }));
            }
            images.names.push(format!("{class}/{}", name(&file)));
            images.values.push(values);
            labels.push(class.clone());
        }
    }
    let (images, _) = images.expect("a folder of classes holds a PNG file");
    let positions = (0..labels.len()).map(Position::Row).collect();
    let places = Places { within: classes.folder.display().to_string(), positions };
    images.into_part(&classes.folder, labels, places, options)
}

fn read_pixels(file: &Path) -> Result<Pixels, DataError> {
    let unreadable = |source| DataError::Io { file: file.to_owned(), action: "read", source };
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let faulty = |fault: Fault| ImageError::Png { file: file.to_owned(), fault };
    decode(&bytes).map_err(faulty).map_err(error)
}

fn error(error: ImageError) -> DataError {
    LabelledError::Image(error).into()
}
