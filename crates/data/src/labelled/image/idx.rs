//! IDX files, plain or gzip: images as bytes `[images, height, width]`, and a label for each.
//!
//! Two zeros, the type of the numbers (8 for bytes), the number of axes, the length of each axis as
//! 32-bit numbers, the highest byte first; then the bytes.
//!
//! Source: the notes on the page of MNIST, `LeCun`, Cortes and Burges.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{ImageError, Images};
use crate::DataError;
use crate::labelled::part::{Part, Places, check_count};
use crate::labelled::{LabelledError, LabelledOptions};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Type of the numbers: bytes without a sign.
const BYTES: u8 = 8;
/// Beginnings of the file names of the training part and of the test part.
const PARTS: [&[&str]; 2] = [&["train"], &["t10k", "test"]];
/// Rest of the file names of images and of labels.
const NAMES: [(&str, &str); 2] =
    [("images-idx3-ubyte", "labels-idx1-ubyte"), ("images.idx3-ubyte", "labels.idx1-ubyte")];

/// Whether the name is that of a file of images.
pub(in crate::labelled) fn is_images(path: &Path) -> bool {
    labels_of(path).is_some()
}

/// The files of images of the training part and of the test part, if there is one of them.
pub(super) fn find(folder: &Path) -> Option<[Option<PathBuf>; 2]> {
    let files = PARTS.map(|prefixes| {
        let names = prefixes.iter().flat_map(|prefix| {
            NAMES.iter().flat_map(move |(images, _)| {
                ["", ".gz"].map(|end| format!("{prefix}-{images}{end}"))
            })
        });
        names.map(|name| folder.join(name)).find(|file| file.is_file())
    });
    files.iter().any(Option::is_some).then_some(files)
}

/// The file of labels that belongs to a file of images.
fn labels_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let stem = name.strip_suffix(".gz").unwrap_or(name);
    let (part, labels) =
        NAMES.iter().find_map(|(images, labels)| Some((stem.strip_suffix(images)?, labels)))?;
    let file = |end| images.with_file_name(format!("{part}{labels}{end}"));
    let ends = if stem == name { ["", ".gz"] } else { [".gz", ""] };
    Some(ends.map(file).into_iter().find(|file| file.is_file()).unwrap_or_else(|| file(ends[0])))
}

/// Reads a file of images and the file of labels beside it.
pub(super) fn read(images: &Path, options: &LabelledOptions) -> Result<Part, DataError> {
    let labels_file = labels_of(images).expect("the name is that of a file of images");
    if !labels_file.exists() {
        let (holds, remedy) = ("the label of each image", "put it beside the images");
        return Err(LabelledError::MissingFile { file: labels_file, holds, remedy }.into());
    }
    let ([_, height, width], bytes) = read_bytes::<3>(images, "images")?;
    let ([_], labels) = read_bytes::<1>(&labels_file, "labels")?;
    let pixels = height * width;
    let count = bytes.len() / pixels;
    check_count(labels_file.display().to_string(), "labels", labels.len(), count, || {
        images.display().to_string()
    })?;
    let full_scale = f64::from(u8::MAX);
    let read = Images {
        grid: [height, width],
        channels: 1,
        names: (0..count).map(|image| image.to_string()).collect(),
        values: bytes
            .chunks_exact(pixels)
            .map(|image| image.iter().map(|&byte| f64::from(byte) / full_scale).collect())
            .collect(),
    };
    let places = Places::rows(labels_file.display().to_string(), labels.len());
    read.into_part(images, labels.iter().map(u8::to_string).collect(), places, options)
}

/// The shape and the bytes of a file with `AXES` axes; sets nothing aside for what is only declared.
fn read_bytes<const AXES: usize>(
    file: &Path,
    holds: &'static str,
) -> Result<([usize; AXES], Vec<u8>), DataError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
            error(ImageError::Damaged { file: file.to_owned() })
        }
        _ => DataError::Io { file: file.to_owned(), action: "read", source },
    };
    let mut input = BufReader::new(File::open(file).map_err(failed)?);
    let is_packed = input.fill_buf().map_err(failed)?.starts_with(&GZIP);
    let mut input: Box<dyn Read> =
        if is_packed { Box::new(MultiGzDecoder::new(input)) } else { Box::new(input) };

    let mut found = [0; 4];
    input.read_exact(&mut found).map_err(failed)?;
    let axes = u8::try_from(AXES).expect("there are few axes");
    let expected = [0, 0, BYTES, axes];
    if found != expected {
        let (file, found) = (file.to_owned(), found.to_vec());
        return Err(error(ImageError::NotIdx { file, found, expected, holds }));
    }
    let mut shape = [0_u32; AXES];
    for length in &mut shape {
        let mut bytes = [0; 4];
        input.read_exact(&mut bytes).map_err(failed)?;
        *length = u32::from_be_bytes(bytes);
    }
    if shape.contains(&0) {
        return Err(error(ImageError::Empty { file: file.to_owned(), shape: shape.to_vec() }));
    }
    let size = shape.iter().try_fold(1_u64, |size, &axis| size.checked_mul(u64::from(axis)));
    let expected = size.unwrap_or(u64::MAX - 1);
    let mut bytes = Vec::new();
    input.take(expected + 1).read_to_end(&mut bytes).map_err(failed)?;
    let found = bytes.len() as u64;
    if found != expected {
        let (file, shape) = (file.to_owned(), shape.to_vec());
        return Err(error(ImageError::IdxLength { file, shape, found, expected }));
    }
    Ok((shape.map(|axis| axis as usize), bytes))
}

fn error(error: ImageError) -> DataError {
    LabelledError::Image(error).into()
}
