//! What a configuration can be wrong about.

use thiserror::Error;

/// A configuration that describes no model; the message names the field and the value found.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A count or a width is zero.
    #[error("{name} = 0, expected at least 1")]
    Zero {
        /// The field.
        name: &'static str,
    },
    /// One number has to be a multiple of another.
    #[error("{name} = {value} is not a multiple of {divisor_name} = {divisor}")]
    NotDivisible {
        /// The field that has to be a multiple.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The field that has to divide it.
        divisor_name: &'static str,
        /// Its value.
        divisor: usize,
    },
    /// A width that is pooled in pairs is odd.
    #[error("{name} = {value} is odd, but its features are pooled in pairs: use an even number")]
    Odd {
        /// The field.
        name: &'static str,
        /// Its value.
        value: usize,
    },
    /// A length that needs a middle is even.
    #[error("{name} = {value} is even, but its middle stands on a step: use an odd number")]
    Even {
        /// The field.
        name: &'static str,
        /// Its value.
        value: usize,
    },
    /// A polynomial of so many variables is too large.
    #[error(
        "degree = {degree} with {channels} channels gives more than {limit} monomials: lower the degree or use fewer columns"
    )]
    TooManyFeatures {
        /// Degree of the polynomial.
        degree: usize,
        /// Its variables.
        channels: usize,
        /// Most monomials.
        limit: usize,
    },
    /// A number is larger than another one allows.
    #[error("{name} = {value} is more than {limit_name} = {limit}: use at most {limit}")]
    TooLarge {
        /// The field.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The field that limits it.
        limit_name: &'static str,
        /// Its value.
        limit: usize,
    },
    /// Two fields exclude each other.
    #[error("{name} = {value} does not go with {other}: {remedy}")]
    Excluded {
        /// The field.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The other field.
        other: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Two settings exclude each other.
    #[error("{name} does not go with {other}: {remedy}")]
    Incompatible {
        /// The setting, as it is written.
        name: &'static str,
        /// The other one.
        other: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A list does not have one entry per head.
    #[error("{name} has {found} values, expected one per head: {expected}")]
    NotPerHead {
        /// The list.
        name: &'static str,
        /// How many values it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A grid does not hold the rows of the sequence.
    #[error("grid = [{rows}, {cols}] (class_token = {class_token}) holds {} rows, the sequence {time}: give the sizes of the image in patches", rows * cols + usize::from(*class_token))]
    WrongGrid {
        /// Lines of the grid.
        rows: usize,
        /// Cells of a line.
        cols: usize,
        /// Whether a row stands before the grid.
        class_token: bool,
        /// Rows of the sequence.
        time: usize,
    },
    /// A trained model cannot be used for a window of this length.
    #[error(
        "{part} was trained for windows of {trained} steps and cannot be used for {wanted}: \
         give at most {trained}, or {remedy}"
    )]
    FixedWindow {
        /// The part of the model that is fixed.
        part: &'static str,
        /// Steps it was trained for.
        trained: usize,
        /// Steps asked for.
        wanted: usize,
        /// What else can be done.
        remedy: &'static str,
    },
    /// A list does not have one entry per channel.
    #[error("{name} has {found} values, expected one per channel: {expected}")]
    WrongLength {
        /// The list.
        name: &'static str,
        /// How many values it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A number is outside its range.
    #[error("{name} = {value}, expected {expected}")]
    OutOfRange {
        /// The field.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A model of images is asked to read series.
    #[error(
        "model kind \"vision\" reads images, but the data are series without height and width: give \
         IDX or PNG files, or use kind \"classifier\""
    )]
    NoGrid,
    /// A model of grids is given other points.
    #[error(
        "model kind {model} reads grids, not {points} points in any order: give fields on rows and \
         columns, or use kind \"tno\""
    )]
    NotOnGrid {
        /// The model.
        model: &'static str,
        /// How many points there are.
        points: usize,
    },
    /// A grid cannot be cut into as many patches as the model has.
    #[error(
        "a grid of {} × {} points cannot be cut into patches = [{}, {}]: use a grid whose rows and \
         columns are multiples of them, or other patches",
        grid[0], grid[1], patches[0], patches[1]
    )]
    NoWholePatches {
        /// Rows and columns of the grid.
        grid: [usize; 2],
        /// Patches down and across.
        patches: [usize; 2],
    },
    /// Points have another number of coordinates than the model's.
    #[error("points with {found} coordinates, the model reads functions of {expected}")]
    WrongDimension {
        /// Coordinates that the model reads.
        expected: usize,
        /// Coordinates found.
        found: usize,
    },
    /// A standard deviation is negative, infinite or not a number.
    #[error("{name}[{index}] = {value} is not a standard deviation (finite, at least 0)")]
    NotADeviation {
        /// The list.
        name: &'static str,
        /// Where in the list.
        index: usize,
        /// The value found.
        value: f64,
    },
}

/// Accepts a count or width of at least one.
pub(crate) fn positive((name, value): (&'static str, usize)) -> Result<(), InvalidConfig> {
    if value == 0 { Err(InvalidConfig::Zero { name }) } else { Ok(()) }
}

/// Accepts `value` if it is a positive multiple of `divisor`.
pub(crate) fn divides(
    (name, value): (&'static str, usize),
    (divisor_name, divisor): (&'static str, usize),
) -> Result<(), InvalidConfig> {
    positive((name, value))?;
    positive((divisor_name, divisor))?;
    if value.is_multiple_of(divisor) {
        Ok(())
    } else {
        Err(InvalidConfig::NotDivisible { name, value, divisor_name, divisor })
    }
}

/// Accepts the share of values that dropout leaves out.
pub(crate) fn rate((name, value): (&'static str, f64)) -> Result<(), InvalidConfig> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    let expected = "a rate of at least 0 and below 1";
    Err(InvalidConfig::OutOfRange { name, value, expected })
}

/// Accepts an even positive width.
pub(crate) fn even((name, value): (&'static str, usize)) -> Result<(), InvalidConfig> {
    positive((name, value))?;
    if value.is_multiple_of(2) { Ok(()) } else { Err(InvalidConfig::Odd { name, value }) }
}

/// Accepts an odd length.
pub(crate) fn odd((name, value): (&'static str, usize)) -> Result<(), InvalidConfig> {
    positive((name, value))?;
    if value.is_multiple_of(2) { Err(InvalidConfig::Even { name, value }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_both_fields_and_both_values() {
        let error = divides(("d_model", 6), ("n_heads", 4)).unwrap_err();
        assert_eq!(error.to_string(), "d_model = 6 is not a multiple of n_heads = 4");
    }

    #[test]
    fn zero_heads_are_refused_before_dividing_by_them() {
        let error = divides(("d_model", 6), ("n_heads", 0)).unwrap_err();
        assert_eq!(error.to_string(), "n_heads = 0, expected at least 1");
    }

    #[test]
    fn an_odd_width_comes_with_the_remedy() {
        let error = even(("d_model", 7)).unwrap_err();
        assert!(error.to_string().starts_with("d_model = 7 is odd"), "{error}");
        assert!(even(("d_model", 8)).is_ok());
    }
}
