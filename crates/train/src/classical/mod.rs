//! Forecasters without gradients: the rows that no table may lack.
//!
//! | type | forecast | parameters |
//! |---|---|---|
//! | [`Persistence`] | the last row again | 0 |
//! | [`Climatology`] | the training mean | `channels` |
//! | [`LinearAr`] | linear in the last `lags` rows | `channels (lags·channels + 1)` |
//! | [`DLinear`] | linear in trend and remainder of a window, channel by channel | `channels (2·window + 1)` |
//! | [`Nvar`] | polynomial in delayed rows | `channels · C(lags·channels + degree, degree)` |
//! | [`Polynomial`] | polynomial of high degree in the last row | the same |
//! | [`Esn`] | linear in the state of a random recurrent network | `channels (1 + channels + nodes)` |
//!
//! All of them work in `f64` on normalised values and roll out freely: a forecast row becomes an
//! input of the next. [`baselines`] fits the standard set; a method that does not fit the data is
//! an error of that row only.
//!
//! Classes have baselines of their own, in `f64` on normalised series as well:
//!
//! | type | class of a series |
//! |---|---|
//! | [`NearestNeighbour`] | that of the nearest training series, straight or warped |
//! | [`RidgeClassifier`] | the largest of linear functions of features: values, summaries or [`MiniRocket`] |
//!
//! Texts have [`NGrams`]: counts of tokens and of what follows them.

#[cfg(test)]
mod anchor_protocol;
mod baselines;
mod climatology;
mod dlinear;
mod dtw;
mod error;
mod esn;
mod forecast;
mod increment;
pub(crate) mod least_squares;
mod linear_ar;
#[cfg(test)]
mod lorenz_protocol;
mod minirocket;
mod monomials;
mod nearest_neighbour;
mod ngram;
mod normal_equations;
mod nvar;
mod persistence;
mod polynomial;
mod ridge_classifier;
mod series;
mod summary_features;

pub use baselines::{Baseline, BaselinesConfig, baselines};
pub use climatology::Climatology;
pub use dlinear::{DLinear, DLinearConfig};
pub use error::ClassicalError;
pub use esn::{Esn, EsnConfig};
pub use forecast::{Classical, rollouts};
pub use linear_ar::{LinearAr, LinearArConfig};
pub use minirocket::{MiniRocket, N_FEATURES};
pub use nearest_neighbour::NearestNeighbour;
pub use ngram::{NGrams, Order};
pub use nvar::{Nvar, NvarConfig};
pub use persistence::Persistence;
pub use polynomial::{Polynomial, PolynomialConfig};
pub use ridge_classifier::{PENALTIES, RidgeClassifier};
pub use series::SeriesView;
pub(crate) use summary_features::summary_features;
