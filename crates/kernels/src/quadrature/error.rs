//! What points can be wrong about.

use std::fmt;

/// Points that no rule can weigh; the message names the point and the value found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum QuadratureError {
    /// There are not enough points for the rule.
    TooFew {
        /// How many there are.
        found: usize,
        /// How many the rule needs.
        needed: usize,
    },
    /// A coordinate is infinite or not a number.
    NotFinite {
        /// Index of the point.
        point: usize,
        /// Its coordinate.
        value: f64,
    },
    /// A node lies on the wrong side of the one before it.
    Unsorted {
        /// Index of the node.
        point: usize,
        /// Its coordinate.
        value: f64,
        /// The coordinate before it.
        before: f64,
    },
    /// A point lies outside the domain.
    Outside {
        /// Index of the point.
        point: usize,
        /// Its coordinate.
        value: f64,
        /// The axis of this coordinate.
        axis: usize,
        /// The domain along this axis.
        domain: [f64; 2],
    },
    /// The domain has no length.
    EmptyDomain {
        /// The domain along one axis.
        domain: [f64; 2],
    },
}

impl fmt::Display for QuadratureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { found, needed } => {
                write!(f, "found {found} points, but the rule needs at least {needed}")
            }
            Self::NotFinite { point, value } => {
                write!(f, "point {point} has the coordinate {value}: use finite coordinates")
            }
            Self::Unsorted { point, value, before } => write!(
                f,
                "node {point} at {value} turns back from {before}: sort the nodes, ascending or descending"
            ),
            Self::Outside { point, value, axis, domain: [low, high] } => write!(
                f,
                "point {point} at {value} lies outside the domain from {low} to {high} of axis {axis}"
            ),
            Self::EmptyDomain { domain: [low, high] } => {
                write!(
                    f,
                    "the domain from {low} to {high} is empty: its end must lie above its start"
                )
            }
        }
    }
}

impl std::error::Error for QuadratureError {}

/// Checks that a domain has a finite, positive length along an axis.
pub(super) fn not_empty(domain: [f64; 2]) -> Result<(), QuadratureError> {
    let length = domain[1] - domain[0];
    if length > 0.0 && length.is_finite() {
        return Ok(());
    }
    Err(QuadratureError::EmptyDomain { domain })
}

/// Checks that a coordinate of a point lies in the domain along its axis.
pub(super) fn inside(
    point: usize,
    value: f64,
    axis: usize,
    domain: [f64; 2],
) -> Result<(), QuadratureError> {
    if !value.is_finite() {
        return Err(QuadratureError::NotFinite { point, value });
    }
    if value < domain[0] || value > domain[1] {
        return Err(QuadratureError::Outside { point, value, axis, domain });
    }
    Ok(())
}

/// Checks that there are points enough.
pub(super) fn at_least(needed: usize, found: usize) -> Result<(), QuadratureError> {
    if found < needed { Err(QuadratureError::TooFew { found, needed }) } else { Ok(()) }
}
