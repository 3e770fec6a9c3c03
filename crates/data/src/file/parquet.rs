//! Apache Parquet tables, as pandas, polars and other Arrow programs write them.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::arrow::arrow_writer::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit};

use super::columns::{Extra, Roles};
use super::format::open;
use super::table::{Table, absent};
use super::time::{Stamps, Times};
use super::{Missing, ReadOptions, write_atomically};
use crate::{Cell, DataError, Position, SeriesSet};

/// Reads the columns that `options` choose, and the columns `texts` as texts; the others are not
/// decoded.
pub(super) fn read<'a>(
    path: &'a Path,
    options: &ReadOptions,
    texts: &[String],
) -> Result<Table<'a>, DataError> {
    let corrupt = |source| DataError::Corrupt { file: path.to_owned(), format: "Parquet", source };
    let builder = builder(path)?;
    let schema = builder.schema().clone();
    let names = names(&schema);
    let roles = Roles::assign(path, &names, options, texts)?;
    for &column in &roles.channels {
        let field = schema.field(column);
        if !field.data_type().is_numeric() {
            return Err(unsupported(path, field, "a numeric type", "data.columns"));
        }
    }

    let wanted: Vec<usize> = roles
        .channels
        .iter()
        .chain(&roles.texts)
        .copied()
        .chain(roles.id)
        .chain(roles.time)
        .collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
    let reader = builder.with_projection(mask).build().map_err(|e| corrupt(Box::new(e)))?;
    // The decoder panics on some damaged pages; it owns all it works on, and is gone afterwards.
    let batches =
        catch_unwind(AssertUnwindSafe(|| reader.collect::<Result<Vec<RecordBatch>, _>>()))
            .map_err(|_| corrupt("a page cannot be decoded".into()))?
            .map_err(|e| corrupt(Box::new(e)))?;
    // One array per column, whatever the row groups.
    let column = |index: usize| -> Result<ArrayRef, DataError> {
        let name = &names[index];
        let parts: Vec<&dyn Array> = batches
            .iter()
            .map(|batch| {
                batch.column_by_name(name).expect("the projection holds the column").as_ref()
            })
            .collect();
        if parts.is_empty() {
            return Err(DataError::NoRows { file: path.to_owned() });
        }
        concat(&parts).map_err(|error| corrupt(Box::new(error)))
    };

    let columns: Vec<String> = roles.channels.iter().map(|&index| names[index].clone()).collect();
    let arrays =
        roles.channels.iter().map(|&index| column(index)).collect::<Result<Vec<_>, _>>()?;
    let text = |&index: &usize| texts_of(path, &schema, index, column(index)?, "data.label");
    Ok(Table {
        file: path,
        values: interleave(path, &columns, &arrays, options.missing)?,
        columns,
        ids: match roles.id {
            Some(index) => {
                let ids = texts_of(path, &schema, index, column(index)?, "data.id_column")?;
                Some((names[index].clone(), ids))
            }
            None => None,
        },
        times: match roles.time {
            Some(index) => Some(times(path, schema.field(index), &column(index)?)?),
            None => None,
        },
        texts: roles.texts.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        lines: None,
    })
}

/// The names of all columns.
pub(super) fn column_names(path: &Path) -> Result<Vec<String>, DataError> {
    Ok(names(builder(path)?.schema()))
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, DataError> {
    ParquetRecordBatchReaderBuilder::try_new(open(path)?).map_err(|error| DataError::Corrupt {
        file: path.to_owned(),
        format: "Parquet",
        source: Box::new(error),
    })
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// Writes one `f64` column per channel.
pub(super) fn write(path: &Path, set: &SeriesSet) -> Result<(), DataError> {
    let (extra, names) = Extra::of(path, set)?;
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(names.len());
    if extra.id {
        let ids = set.series.iter().flat_map(|s| std::iter::repeat_n(s.name.as_str(), s.steps()));
        arrays.push(Arc::new(StringArray::from_iter_values(ids)));
    }
    if let Some(dt) = extra.dt {
        let times = set.series.iter().flat_map(|s| (0..s.steps()).map(|t| t as f64 * dt));
        arrays.push(Arc::new(Float64Array::from_iter_values(times)));
    }
    for channel in 0..set.channels() {
        let rows = set.series.iter().flat_map(|s| s.values.chunks_exact(s.channels));
        arrays.push(Arc::new(Float64Array::from_iter_values(rows.map(|row| row[channel]))));
    }
    let fields: Vec<Field> = names
        .into_iter()
        .zip(&arrays)
        .map(|(name, array)| Field::new(name, array.data_type().clone(), false))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    write_atomically(path, |file| {
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(std::io::Error::other)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let mut writer = ArrowWriter::try_new(file, schema, Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    })
}

fn unsupported(path: &Path, field: &Field, expected: &'static str, key: &'static str) -> DataError {
    DataError::UnsupportedType {
        file: path.to_owned(),
        what: "column",
        name: field.name().clone(),
        found: field.data_type().to_string(),
        expected,
        key,
    }
}

/// The columns as one row-major array.
fn interleave(
    path: &Path,
    columns: &[String],
    arrays: &[ArrayRef],
    policy: Missing,
) -> Result<Vec<f64>, DataError> {
    let (channels, n_rows) = (arrays.len(), arrays[0].len());
    let mut values = vec![0.0; n_rows * channels];
    for (channel, (array, column)) in arrays.iter().zip(columns).enumerate() {
        let array = cast(array, &DataType::Float64).expect("every numeric type casts to f64");
        let array = array.as_primitive::<Float64Type>();
        for row in 0..n_rows {
            values[row * channels + channel] = if array.is_null(row) {
                absent(policy, "a null", || cell(path, row, column))?
            } else {
                array.value(row)
            };
        }
    }
    Ok(values)
}

/// A column as texts, such as the series of each row; a null is the empty text.
fn texts_of(
    path: &Path,
    schema: &Schema,
    index: usize,
    array: ArrayRef,
    key: &'static str,
) -> Result<Vec<String>, DataError> {
    let text = cast(&array, &DataType::Utf8)
        .map_err(|_| unsupported(path, schema.field(index), "a text or an integer type", key))?;
    let texts = text.as_string::<i32>().iter();
    Ok(texts.map(|id| id.unwrap_or_default().to_owned()).collect())
}

fn times(path: &Path, field: &Field, array: &ArrayRef) -> Result<Times, DataError> {
    let column = field.name().clone();
    let wrong = || unsupported(path, field, "a number, a date or a text", "data.time_column");
    let nanoseconds = |zone| DataType::Timestamp(TimeUnit::Nanosecond, zone);
    let kind = match array.data_type() {
        kind if kind.is_numeric() => DataType::Float64,
        DataType::Timestamp(_, zone) => nanoseconds(zone.clone()),
        DataType::Date32 | DataType::Date64 => nanoseconds(None),
        _ => DataType::Utf8,
    };
    let array = cast(array, &kind).map_err(|_| wrong())?;
    let row_cell = |row| cell(path, row, &column);
    if let Some(row) = (0..array.len()).find(|&row| array.is_null(row)) {
        return Err(DataError::NotATime {
            cell: row_cell(row),
            found: "a null".into(),
            expected: "a time in every row",
        });
    }
    let stamps = match kind {
        DataType::Float64 => Stamps::Numbers(array.as_primitive::<Float64Type>().values().to_vec()),
        DataType::Utf8 => Stamps::parse(array.as_string::<i32>().iter().flatten(), row_cell)?,
        _ => {
            let nanos = cast(&array, &DataType::Int64).map_err(|_| wrong())?;
            Stamps::Dates(nanos.as_primitive::<Int64Type>().values().to_vec())
        }
    };
    Ok(Times { column, stamps })
}

fn cell(path: &Path, row: usize, column: &str) -> Cell {
    Cell { file: path.to_owned(), position: Position::Row(row), column: column.to_owned() }
}
