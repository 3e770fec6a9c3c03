//! Series with one class each: windows of sensors and their activity, recordings and their verdict.
//!
//! [`read`] tells by the path what it is:
//!
//! - an `.npz` archive: windows `[series, steps, channels]`, one label each, and the group (the
//!   person, the machine) of each where it is known;
//! - a table (`.csv`, `.tsv`, `.parquet`) of rows, with columns that say which window a row belongs
//!   to and which label the window has;
//! - a text file of the UEA and UCR archives (`.ts`, `.arff`, plain or `.gz`), a problem's folder
//!   with `NAME_TRAIN.ts` and `NAME_TEST.ts`, or the folder of many problems;
//! - a folder with a file `train` and a file `test` of one of these kinds;
//! - a folder of images: IDX files as of MNIST, or PNG files in a folder per class;
//! - the folder of text files in which UCI HAR is given out, or the folder that holds it.
//!
//! [`HoldOut`] takes validation and test parts out of the training part: whole groups, so that no
//! person is in two parts, or windows of every class.

mod archive;
mod classes;
mod error;
mod hold_out;
mod image;
mod npz;
mod part;
mod read;
mod set;
mod table;
mod uci_har;

pub use archive::{ArchiveError, ArchiveProblem};
pub use error::LabelledError;
pub use hold_out::{HoldOut, LabelledSplit};
pub use image::{ImageError, PngFault};
pub use read::{ClassOrder, LabelledOptions, read, read_from, read_series};
pub use set::{LabelledData, LabelledSet};
