//! Coordinates of places at which functions are asked for.

use std::path::Path;

use super::{OperatorError, Points};
use crate::DataError;
use crate::file::{Format, ReadOptions, column_names, read};

/// Names of the columns of coordinates, as [`Points::coordinates`] orders them.
const NAMES: [&str; 2] = ["x", "y"];

/// Reads places in the domain of functions, `[places, dimensions]`.
///
/// On a grid these are the columns `x` and `y` of a table, in the unit square; on a line the column `x`, or
/// the only one, between the ends of the line. An array is `[places, dimensions]`.
///
/// # Errors
/// [`OperatorError::Outside`] for a place outside the domain; [`DataError`] if the file cannot be read, a
/// column is missing, or a coordinate is no number.
pub fn read_places(path: &Path, points: &Points) -> Result<Vec<f64>, DataError> {
    let dimensions = points.dimensions();
    let mut options = ReadOptions::default();
    if Format::of(path)?.is_table() {
        let names = column_names(path)?;
        let columns = match &names[..] {
            [only] if dimensions == 1 => vec![only.clone()],
            _ => NAMES[..dimensions].iter().map(ToString::to_string).collect(),
        };
        options.columns = Some(columns);
    }
    let set = read(path, &options)?;
    if set.columns.len() != dimensions {
        return Err(OperatorError::Coordinates {
            file: path.to_owned(),
            found: set.columns.len(),
            expected: dimensions,
        }
        .into());
    }
    let places: Vec<f64> = set.series.into_iter().flat_map(|series| series.values).collect();
    let domain = points.domain();
    for (i, &found) in places.iter().enumerate() {
        let (place, axis) = (i / dimensions, i % dimensions);
        let [low, high] = domain[axis];
        if !(low..=high).contains(&found) {
            let (file, coordinate) = (path.to_owned(), NAMES[axis]);
            return Err(OperatorError::Outside { file, place, coordinate, found, low, high }.into());
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::super::Placement;
    use super::*;

    fn places(name: &str, text: &str, points: &Points) -> Result<Vec<f64>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let shown = path.display().to_string();
        read_places(&path, points).map_err(|error| error.to_string().replace(&shown, name))
    }

    #[test]
    fn columns_are_found_by_name() {
        let grid = Points::Grid { rows: 4, columns: 4, placement: Placement::Cells };
        assert_eq!(places("p.csv", "y,x\n0.5,0.25\n1,0\n", &grid).unwrap(), [0.25, 0.5, 0.0, 1.0]);
        let line = Points::Line(vec![2.0, 1.0, 0.0]);
        assert_eq!(places("p.csv", "time\n0.5\n2\n", &line).unwrap(), [0.5, 2.0]);
        assert_eq!(places("p.csv", "id,x\n7,0.5\n", &line).unwrap(), [0.5]);
    }

    #[test]
    fn what_is_no_place_is_named() {
        let grid = Points::Grid { rows: 4, columns: 4, placement: Placement::Cells };
        assert_eq!(
            places("p.csv", "x,y\n0.5,0.5\n0.5,1.25\n", &grid).unwrap_err(),
            "p.csv, place 1: found y = 1.25, expected a coordinate from 0 to 1, inside the domain of \
             the functions"
        );
        let error = places("p.csv", "x,z\n0.5,0.5\n", &grid).unwrap_err();
        assert!(error.contains("no column \"y\""), "{error}");
        let error = places("p.csv", "x,y\n0.5,high\n", &grid).unwrap_err();
        assert!(error.contains("\"high\""), "{error}");
        let line = Points::Line(vec![0.0, 1.0]);
        let error = places("p.csv", "x\nNaN\n", &line).unwrap_err();
        assert!(error.contains("NaN"), "{error}");
    }
}
