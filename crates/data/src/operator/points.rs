//! The points at which functions are known.

use serde::{Deserialize, Serialize};

use super::OperatorError;

/// Where the points of an axis of `n` lie in the unit interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Centres of cells, `(i + ½)/n`.
    Cells,
    /// With both end points, `i/(n - 1)`.
    Nodes,
    /// Left edges of cells, `i/n`: all points of a periodic function.
    Edges,
}

/// The points of a function on a line or on the unit square.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Points {
    /// Coordinates that strictly increase, or strictly decrease, in the unit of the data.
    Line(Vec<f64>),
    /// A grid on the unit square, row by row.
    Grid {
        /// Points along the first axis.
        rows: usize,
        /// Points along the second axis.
        columns: usize,
        /// Where the points of both axes lie.
        placement: Placement,
    },
}

impl Placement {
    /// All placements.
    pub const ALL: [Self; 3] = [Self::Cells, Self::Nodes, Self::Edges];

    /// Name in files and configurations.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Nodes => "nodes",
            Self::Edges => "edges",
        }
    }

    /// The coordinates of an axis of `n` points.
    #[must_use]
    pub fn coordinates(self, n: usize) -> Vec<f64> {
        let coordinate = |i: usize| match self {
            Self::Cells => (i as f64 + 0.5) / n as f64,
            Self::Nodes => i as f64 / (n as f64 - 1.0),
            Self::Edges => i as f64 / n as f64,
        };
        (0..n).map(coordinate).collect()
    }
}

impl Points {
    /// Refuses points on which no function can be known.
    ///
    /// # Errors
    /// [`OperatorError::TooFewPoints`], [`OperatorError::CoordinateNotFinite`], or
    /// [`OperatorError::NotMonotone`] with the first coordinate that breaks the order.
    pub fn check(&self) -> Result<(), OperatorError> {
        let enough = |what, found, expected| {
            if found >= expected {
                Ok(())
            } else {
                Err(OperatorError::TooFewPoints { what, found, expected })
            }
        };
        match self {
            Self::Line(x) => {
                enough("points", x.len(), 2)?;
                check_order(x)
            }
            Self::Grid { rows, columns, placement } => {
                let least = if *placement == Placement::Nodes { 2 } else { 1 };
                enough("rows", *rows, least)?;
                enough("columns", *columns, least)
            }
        }
    }

    /// Number of points.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Line(x) => x.len(),
            Self::Grid { rows, columns, .. } => rows * columns,
        }
    }

    /// Coordinates of a point: one on a line, two on a grid.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Line(_) => 1,
            Self::Grid { .. } => 2,
        }
    }

    /// Both ends of every coordinate, in the order of [`Points::coordinates`].
    #[must_use]
    pub fn domain(&self) -> Vec<[f64; 2]> {
        match self {
            Self::Line(x) => {
                let [first, last] = [x[0], x[x.len() - 1]];
                vec![[first.min(last), first.max(last)]]
            }
            Self::Grid { .. } => vec![[0.0, 1.0]; 2],
        }
    }

    /// The sizes of the axes of an array on these points.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Line(x) => vec![x.len()],
            Self::Grid { rows, columns, .. } => vec![*rows, *columns],
        }
    }

    /// The coordinates of all points.
    ///
    /// # Shapes
    /// `[points, dimensions]`; on a grid the first coordinate varies along the columns, the second
    /// along the rows.
    #[must_use]
    pub fn coordinates(&self) -> Vec<f64> {
        match self {
            Self::Line(x) => x.clone(),
            Self::Grid { rows, columns, placement } => {
                let (x, y) = (placement.coordinates(*columns), placement.coordinates(*rows));
                y.iter().flat_map(|&y| x.iter().flat_map(move |&x| [x, y])).collect()
            }
        }
    }
}

fn check_order(x: &[f64]) -> Result<(), OperatorError> {
    if let Some(index) = x.iter().position(|x| !x.is_finite()) {
        return Err(OperatorError::CoordinateNotFinite { index, found: x[index] });
    }
    let increases = x[1] > x[0];
    let breaks = x
        .windows(2)
        .position(|pair| if increases { pair[1] <= pair[0] } else { pair[1] >= pair[0] });
    match breaks {
        None => Ok(()),
        Some(i) => Err(OperatorError::NotMonotone {
            index: i + 1,
            found: x[i + 1],
            before: x[i],
            direction: if increases || x[1] >= x[0] { "increase" } else { "decrease" },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_are_those_of_their_definitions() {
        assert_eq!(Placement::Cells.coordinates(4), [0.125, 0.375, 0.625, 0.875]);
        assert_eq!(Placement::Nodes.coordinates(5), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(Placement::Edges.coordinates(4), [0.0, 0.25, 0.5, 0.75]);
    }

    #[test]
    fn the_first_coordinate_varies_along_the_columns() {
        let grid = Points::Grid { rows: 2, columns: 3, placement: Placement::Nodes };
        let expected = [0.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0, 1.0, 0.5, 1.0, 1.0, 1.0];
        assert_eq!(grid.coordinates(), expected);
        assert_eq!((grid.count(), grid.dimensions(), grid.shape()), (6, 2, vec![2, 3]));
    }

    #[test]
    fn lines_run_one_way_and_the_first_breach_is_named() {
        for x in [vec![0.0, 0.1, 7.0], vec![3.0, 2.5, -1.0], vec![0.0, 1.0]] {
            Points::Line(x).check().unwrap();
        }
        let message = |x: &[f64]| Points::Line(x.to_vec()).check().unwrap_err().to_string();
        let remedy = "; sort the points and remove repeated ones";
        for (x, expected) in [
            (
                &[0.0, 0.5, 0.4, 0.3][..],
                "coordinate index 2: found 0.4 after 0.5, expected coordinates that strictly \
                 increase",
            ),
            (
                &[1.0, 0.5, 0.5],
                "coordinate index 2: found 0.5 after 0.5, expected coordinates that strictly \
                 decrease",
            ),
            (
                &[1.0, 1.0, 2.0],
                "coordinate index 1: found 1 after 1, expected coordinates that strictly \
                 increase",
            ),
        ] {
            assert_eq!(message(x), format!("{expected}{remedy}"));
        }
        assert_eq!(
            message(&[0.0, f64::NAN]),
            "coordinate index 1: found NaN, expected a finite number"
        );
        assert_eq!(message(&[0.0]), "found 1 points, expected at least 2");
        let grid = Points::Grid { rows: 3, columns: 1, placement: Placement::Nodes };
        assert_eq!(grid.check().unwrap_err().to_string(), "found 1 columns, expected at least 2");
    }
}
