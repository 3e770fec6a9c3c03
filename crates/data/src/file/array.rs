//! One NumPy array: its header, its numbers as `f64` in C order, its strings.

use std::io;
use std::path::Path;

use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar, WriterBuilder};

use crate::DataError;

/// What the header of an array says.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    /// Name of the array in its archive.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    dtype: DType,
    order: Order,
}

impl Header {
    /// Reads the header at the start of an array's bytes.
    pub(super) fn read(name: &str, bytes: impl io::Read) -> io::Result<Self> {
        let header = NpyHeader::from_reader(bytes)?;
        let shape: Option<Vec<usize>> =
            header.shape().iter().map(|&size| usize::try_from(size).ok()).collect();
        let shape = shape.filter(|sizes| {
            sizes.iter().try_fold(1_usize, |n, &size| n.checked_mul(size)).is_some()
        });
        Ok(Self {
            name: name.to_owned(),
            shape: shape.ok_or(io::ErrorKind::InvalidData)?,
            dtype: header.dtype(),
            order: header.order(),
        })
    }

    /// The kind of the elements and their size in bytes; `None` for records.
    fn element(&self) -> Option<(TypeChar, u64)> {
        match &self.dtype {
            DType::Plain(scalar) => Some((scalar.type_char(), scalar.size_field())),
            _ => None,
        }
    }

    /// Whether [`Header::numbers`] can read the array.
    pub(crate) fn is_numeric(&self) -> bool {
        matches!(
            self.element(),
            Some((TypeChar::Float, 4 | 8) | (TypeChar::Int | TypeChar::Uint, 1 | 2 | 4 | 8))
        )
    }

    /// Refuses an array that [`Header::numbers`] cannot read; `key` chose it.
    pub(crate) fn check_numeric(&self, file: &Path, key: &'static str) -> Result<(), DataError> {
        if self.is_numeric() {
            return Ok(());
        }
        Err(DataError::UnsupportedType {
            file: file.to_owned(),
            what: "array",
            name: self.name.clone(),
            found: self.type_name(),
            expected: "a float of 4 or 8 bytes, or an integer",
            key,
        })
    }

    /// Whether the array is a list of texts.
    pub(crate) fn is_text(&self) -> bool {
        self.shape.len() == 1 && matches!(self.element(), Some((TypeChar::UnicodeStr, _)))
    }

    /// The type in NumPy's words, such as `<f4`.
    pub(crate) fn type_name(&self) -> String {
        self.dtype.descr().trim_matches('\'').to_owned()
    }

    /// The elements in C order.
    ///
    /// # Panics
    /// If the array [is not numeric](Header::is_numeric).
    pub(super) fn numbers(&self, bytes: &[u8]) -> io::Result<Vec<f64>> {
        let values = match self.element() {
            Some((TypeChar::Float, 8)) => decode::<f64>(bytes, |v| v),
            Some((TypeChar::Float, 4)) => decode::<f32>(bytes, f64::from),
            Some((TypeChar::Int, 8)) => decode::<i64>(bytes, |v| v as f64),
            Some((TypeChar::Int, 4)) => decode::<i32>(bytes, f64::from),
            Some((TypeChar::Int, 2)) => decode::<i16>(bytes, f64::from),
            Some((TypeChar::Int, 1)) => decode::<i8>(bytes, f64::from),
            Some((TypeChar::Uint, 8)) => decode::<u64>(bytes, |v| v as f64),
            Some((TypeChar::Uint, 4)) => decode::<u32>(bytes, f64::from),
            Some((TypeChar::Uint, 2)) => decode::<u16>(bytes, f64::from),
            Some((TypeChar::Uint, 1)) => decode::<u8>(bytes, f64::from),
            _ => unreachable!("the caller asked is_numeric"),
        }?;
        Ok(match self.order {
            Order::C => values,
            Order::Fortran => c_from_fortran(&values, &self.shape),
        })
    }
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.name, self.shape, self.type_name())
    }
}

/// The texts of an array for which [`Header::is_text`] holds.
pub(super) fn texts(bytes: &[u8]) -> io::Result<Vec<String>> {
    NpyFile::new(bytes)?.into_vec()
}

/// The bytes of an `f64` array in C order.
pub(crate) fn encode(
    shape: &[usize],
    values: impl IntoIterator<Item = f64>,
    out: impl io::Write,
) -> io::Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&size| size as u64).collect();
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(out);
    let mut writer = options.begin_nd()?;
    writer.extend(values)?;
    writer.finish()
}

/// The bytes of a list of texts.
pub(crate) fn encode_texts(texts: &[String], out: impl io::Write) -> io::Result<()> {
    let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let scalar = format!("<U{longest}").parse().expect("a valid NumPy type");
    let options = npyz::WriteOptions::<str>::new().dtype(DType::new_scalar(scalar));
    let mut writer = options.shape(&[texts.len() as u64]).writer(out).begin_nd()?;
    for text in texts {
        writer.push(text)?;
    }
    writer.finish()
}

fn decode<T: Deserialize>(bytes: &[u8], to_f64: impl Fn(T) -> f64) -> io::Result<Vec<f64>> {
    let values = NpyFile::new(bytes)?.data::<T>().map_err(io::Error::other)?;
    values.map(|value| value.map(&to_f64)).collect()
}

/// Reorders an array whose first axis varies fastest.
fn c_from_fortran(values: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    (0..values.len())
        .map(|_| {
            let offset: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
            values[offset]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_is_undone() {
        // a[i, j, k] = 100 i + 10 j + k with sizes 2, 3, 2, the first index fastest.
        let fortran = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121].map(f64::from);
        let c = [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121].map(f64::from);
        assert_eq!(c_from_fortran(&fortran, &[2, 3, 2]), c);
    }

    #[test]
    fn a_size_beyond_memory_is_refused() {
        let header = b"\x93NUMPY\x01\x00\x4e\x00{'descr': '<f8', 'fortran_order': False, 'shape': \
                       (9000000000, 9000000000), } ";
        let mut header = header.to_vec();
        let length = u8::try_from(header.len() - 10).unwrap();
        header[8] = length;
        let error = Header::read("a", &header[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
