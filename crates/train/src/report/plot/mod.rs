//! Plots as inline SVG, drawn by hand.
//!
//! Every plot is drawn for a given width in CSS pixels, so that its text has the size of the page's
//! text on a phone and on a wide screen alike; the page shows the drawing that fits. Colours come
//! from classes of the page's style sheet, which knows light and dark. A value that is missing
//! breaks its line; a value outside the axes is clipped.

mod chart;
mod classes;
mod colour;
mod convergence;
mod eigenvalues;
mod forecast;
mod frame;
mod functions;
mod growth;
mod head_distances;
mod heat_map;
mod operators;
mod parallel;
mod path;
mod phase;
mod scale;
mod score_matrix;
mod singular_values;
mod space_time;
mod training;

pub(super) use chart::Look;
pub(super) use classes::{Curve, accuracy_curves, calibration, confusion};
pub(super) use colour::style_sheet;
pub(super) use convergence::convergence;
pub(super) use eigenvalues::eigenvalues;
pub(super) use forecast::{MAX_VARIABLES, forecast};
pub(super) use functions::function;
pub(super) use growth::{Growth, error_growth};
pub(super) use head_distances::head_distances;
pub(super) use heat_map::MAX_CELLS;
pub(super) use operators::{errors_by_resolution, spectra};
pub(super) use parallel::{best_so_far, parallel_coordinates};
pub(super) use phase::{phase_portrait, poincare_section};
pub(super) use score_matrix::{ScoreColours, score_colour_bar, score_matrix};
pub(super) use singular_values::singular_values;
pub(super) use space_time::{MAX_STEPS, space_time};
pub(super) use training::{
    LossCurve, MEAN_SQUARED, loss_curves, training_curves, validation_curves,
};
