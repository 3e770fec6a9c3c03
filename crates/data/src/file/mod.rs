//! Files of trajectories: one reader and one writer per format, one [`SeriesSet`] out.
//!
//! - Tables (`.csv`, `.tsv`, `.parquet`): rows are time steps, columns are variables; an id column
//!   tells series apart, a time column gives the time step and is no channel.
//! - Arrays (`.npy`, `.npz`): `[steps]`, `[steps, channels]` or `[series, steps, channels]`.
//!
//! [`SeriesSet`]: crate::SeriesSet

mod array;
mod columns;
mod csv;
mod format;
mod missing;
mod npz;
mod options;
mod parquet;
mod persist;
mod table;
mod time;

pub(crate) use array::{Header, encode, encode_texts};
pub use columns::{ID_COLUMN, TIME_COLUMN};
pub(crate) use columns::{index_of, select};
pub use format::{Format, read, write};
pub(crate) use format::{column_names, read_table};
pub(crate) use missing::resolve;
pub(crate) use npz::{Archive, start_stored};
pub use options::{Missing, ReadOptions};
pub use persist::write_atomically;
pub(crate) use table::Table;
