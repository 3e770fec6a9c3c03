//! What can be wrong with files of images, one variant per cause.

use std::path::PathBuf;

use thiserror::Error;

use super::decode::Fault;

/// What is wrong with a file of images, and how to mend it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ImageError {
    /// A file that does not begin as an IDX file of its kind.
    #[error(
        "{file}: found {found:?} as its first bytes, expected {expected:?}, those of an IDX file \
         of {holds}; get the file again"
    )]
    NotIdx {
        /// The file.
        file: PathBuf,
        /// Its first bytes.
        found: Vec<u8>,
        /// Those of an IDX file of bytes with so many axes.
        expected: [u8; 4],
        /// `images` or `labels`.
        holds: &'static str,
    },
    /// A file with more or fewer bytes than its header says.
    #[error(
        "{file}: found {} bytes behind the header, expected {expected} for the shape {shape:?}; \
         get the file again",
        if *.found > *.expected { format!("more than {expected}") } else { found.to_string() }
    )]
    IdxLength {
        /// The file.
        file: PathBuf,
        /// The shape that the header declares.
        shape: Vec<u32>,
        /// Bytes, at most one more than expected.
        found: u64,
        /// Bytes of the shape.
        expected: u64,
    },
    /// A file that ends in its header, or compressed data that cannot be unpacked.
    #[error("{file}: the file ends early or is damaged; get the file again")]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// No image, or images without pixels.
    #[error("{file} holds images of the shape {shape:?}, expected at least one pixel of one image")]
    Empty {
        /// The file.
        file: PathBuf,
        /// Number, height and width.
        shape: Vec<u32>,
    },
    /// A file that is no PNG image, or one that is not read.
    #[error("{file}: {fault}")]
    Png {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and how to mend it.
        fault: Fault,
    },
    /// An image of another kind among PNG files.
    #[error("{file}: found the extension {found:?}, expected png; convert the image to PNG")]
    OtherFormat {
        /// The file.
        file: PathBuf,
        /// Its extension.
        found: String,
    },
    /// An image of another shape than the first one.
    #[error(
        "{file}: found {} × {} pixels of {found_channels} values, expected {} × {} of \
         {expected_channels} as in {first}; scale or convert all images alike",
        .found[1], .found[0], .expected[1], .expected[0]
    )]
    Shape {
        /// The file.
        file: PathBuf,
        /// Its height and width.
        found: [usize; 2],
        /// 1 if it is grey, 3 in colours.
        found_channels: usize,
        /// Height and width of the first image.
        expected: [usize; 2],
        /// 1 if the first image is grey, 3 in colours.
        expected_channels: usize,
        /// The first image.
        first: PathBuf,
    },
    /// Parts with images of different shapes.
    #[error(
        "{part}: found images of {} × {} pixels, expected {} × {} as in the training part; \
         scale all images alike",
        .found[1], .found[0], .expected[1], .expected[0]
    )]
    Parts {
        /// The file or folder of the test part.
        part: String,
        /// Height and width of its images.
        found: [usize; 2],
        /// Those of the training part.
        expected: [usize; 2],
    },
}
