//! Images with one class each: IDX files as MNIST is given out in, and folders of PNG files.
//!
//! An image of `height × width` pixels is a series of `height · width` rows, left to right, then top
//! to bottom; its channels are grey, or red, green and blue, from 0 to 1 of full scale. The shape
//! `[height, width]` stands beside the set. All images of a source have one shape. Memory: 8 bytes
//! per value, 376 MB for the 60,000 images of MNIST.

mod decode;
mod error;
mod idx;
mod png;

use std::path::Path;

use super::part::{Part, Places};
use super::{LabelledError, LabelledOptions};
use crate::file::select;
use crate::{DataError, Series, SeriesSet};

pub use decode::Fault as PngFault;
pub use error::ImageError;
pub(super) use idx::is_images as is_idx;

/// What a folder of images holds.
pub(super) struct Parts {
    pub(super) train: Part,
    pub(super) test: Option<Part>,
}

/// Reads a folder of IDX files or of PNG files; `None` for a folder of other things.
pub(super) fn read_folder(
    folder: &Path,
    options: &LabelledOptions,
) -> Result<Option<Parts>, DataError> {
    if let Some([train, test]) = idx::find(folder) {
        let test = test.map(|images| read_idx(&images, options)).transpose()?;
        return match train {
            Some(train) => Ok(Some(Parts { train: read_idx(&train, options)?, test })),
            None => Ok(test.map(|train| Parts { train, test: None })),
        };
    }
    let Some((train, test)) = png::find(folder)? else { return Ok(None) };
    check_options(folder, options)?;
    let test = test.map(|classes| png::read(&classes, options)).transpose()?;
    Ok(Some(Parts { train: png::read(&train, options)?, test }))
}

/// Reads a file of images and the file of labels beside it.
pub(super) fn read_idx(images: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
    check_options(images, options)?;
    idx::read(images, options)
}

fn check_options(source: &Path, options: &LabelledOptions) -> Result<(), DataError> {
    let LabelledOptions { values, label, group, series, .. } = options;
    let foreign = [("values", values), ("label", label), ("group", group), ("series", series)];
    match foreign.into_iter().find_map(|(key, value)| Some((key, value.clone()?))) {
        None => Ok(()),
        Some((key, found)) => {
            Err(DataError::WrongOption { file: source.to_owned(), key, found, kind: "image" })
        }
    }
}

/// Images of one shape, as they are read.
struct Images {
    /// Height and width of an image.
    grid: [usize; 2],
    /// Values per pixel: 1 or 3.
    channels: usize,
    names: Vec<String>,
    /// Values of each image, from 0 to 1.
    values: Vec<Vec<f64>>,
}

impl Images {
    /// The part that these images are, with the channels asked for.
    fn into_part(
        self,
        source: &Path,
        labels: Vec<String>,
        places: Places,
        options: &LabelledOptions,
    ) -> Result<Part, DataError> {
        let names: &[&str] = if self.channels == 1 { &["grey"] } else { &["red", "green", "blue"] };
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let chosen = match &options.columns[..] {
            [] => (0..self.channels).collect(),
            asked => select(source, &names, asked)?,
        };
        let take_all = chosen.iter().copied().eq(0..self.channels);
        let series = self.names.into_iter().zip(self.values).map(|(name, values)| {
            let values = if take_all {
                values
            } else {
                let pixels = values.chunks_exact(self.channels);
                pixels.flat_map(|pixel| chosen.iter().map(|&channel| pixel[channel])).collect()
            };
            Series::new(name, values, chosen.len())
        });
        Ok(Part {
            source: source.display().to_string(),
            set: SeriesSet {
                series: series.collect(),
                columns: chosen.iter().map(|&channel| names[channel].clone()).collect(),
                dt: None,
            },
            labels,
            places,
            classes: Vec::new(),
            groups: None,
            grid: Some(self.grid),
        })
    }
}

/// Refuses a test part whose images have another shape than those of the training part.
pub(super) fn check_grids(train: &Part, test: &Part) -> Result<(), DataError> {
    if train.grid == test.grid {
        return Ok(());
    }
    let [expected, found] = [train, test].map(|part| part.grid.unwrap_or_default());
    let part = test.source.clone();
    Err(LabelledError::Image(ImageError::Parts { part, found, expected }).into())
}
