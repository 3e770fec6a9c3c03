//! Archives of NumPy arrays.

use std::fs::File;
use std::path::Path;

use npyz::{AutoSerialize, WriterBuilder};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// An archive in the making.
pub(crate) struct Archive(ZipWriter<File>);

impl Archive {
    pub(crate) fn create(path: &Path) -> Self {
        Self(ZipWriter::new(File::create(path).unwrap()))
    }

    /// Adds an array of numbers.
    pub(crate) fn numbers<T: AutoSerialize + Copy>(
        mut self,
        name: &str,
        shape: &[u64],
        values: &[T],
    ) -> Self {
        self.0.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut writer = options.writer(&mut self.0).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        self
    }

    /// Adds a list of texts of up to sixteen letters.
    pub(crate) fn texts(mut self, name: &str, values: &[&str]) -> Self {
        self.0.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        let dtype = npyz::DType::new_scalar("<U16".parse().unwrap());
        let options = npyz::WriteOptions::<str>::new().dtype(dtype).shape(&[values.len() as u64]);
        let mut writer = options.writer(&mut self.0).begin_nd().unwrap();
        for value in values {
            writer.push(*value).unwrap();
        }
        writer.finish().unwrap();
        self
    }

    pub(crate) fn finish(self) {
        self.0.finish().unwrap();
    }
}
