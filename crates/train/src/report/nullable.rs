//! Numbers that JSON cannot hold: NaN and ±∞ are written as `null` and read back as NaN.
//!
//! Writing needs nothing, `serde_json` already writes `null`; these functions are the reading half,
//! for use as `#[serde(deserialize_with = "nullable::…")]`.

use serde::{Deserialize, Deserializer};

/// Reads a number or `null`.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(nan_from_null(Option::deserialize(deserializer)?))
}

/// Reads a list of numbers and `null`s.
pub(super) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let list = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(list.into_iter().map(nan_from_null).collect())
}

/// Reads a list of numbers and `null`s, or `null` for no list.
pub(super) fn optional_numbers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<f64>>, D::Error> {
    let list = Option::<Vec<Option<f64>>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(nan_from_null).collect()))
}

/// Reads lists of numbers and `null`s.
pub(super) fn table<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f64>>, D::Error> {
    let rows = Vec::<Vec<Option<f64>>>::deserialize(deserializer)?;
    Ok(rows.into_iter().map(|row| row.into_iter().map(nan_from_null).collect()).collect())
}

/// Reads a list of single-precision numbers and `null`s.
pub(super) fn singles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    let list = Vec::<Option<f32>>::deserialize(deserializer)?;
    Ok(list.into_iter().map(|value| value.unwrap_or(f32::NAN)).collect())
}

fn nan_from_null(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}
