//! What a reader is told about a file: which columns, which array, what to do where data is missing.

use serde::{Deserialize, Serialize};

/// How to read a file; the default suits a table whose columns are all channels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// The channels, in this order; all but the id, time and index columns by default.
    pub columns: Option<Vec<String>>,
    /// Column that tells series apart; [`ID_COLUMN`](super::ID_COLUMN) by default, where present.
    pub id_column: Option<String>,
    /// Column, or array of an `.npz` file, that holds the time of each step;
    /// [`TIME_COLUMN`](super::TIME_COLUMN), or the array `t`, by default, where present.
    pub time_column: Option<String>,
    /// Array of an `.npz` file to read; the only one that can be series by default.
    pub array: Option<String>,
    /// What to do where a value is missing or infinite.
    pub missing: Missing,
}

/// What to do where a value is missing: an empty cell, a null, NaN or an infinity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Refuse the file and say where.
    #[default]
    Error,
    /// Repeat the last value of the same channel and series.
    Previous,
    /// Interpolate between the neighbours in the same channel and series.
    Linear,
    /// Leave the row out and cut the series there, so that no window bridges the gap.
    DropRow,
    /// Leave NaN, for who can deal with it; no key of a configuration.
    #[serde(skip)]
    Keep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_have_the_names_that_messages_offer() {
        let names = [
            (Missing::Error, "\"error\""),
            (Missing::Previous, "\"previous\""),
            (Missing::Linear, "\"linear\""),
            (Missing::DropRow, "\"drop-row\""),
        ];
        for (policy, name) in names {
            assert_eq!(serde_json::to_string(&policy).unwrap(), name);
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<ReadOptions>(r#"{"colums": ["a"]}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `colums`"), "{error}");
        let options: ReadOptions = serde_json::from_str("{}").unwrap();
        assert_eq!(options, ReadOptions::default());
    }
}
