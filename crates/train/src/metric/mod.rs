//! Scores of forecasts, in `f64`.
//!
//! | module | question | values in | result in |
//! |---|---|---|---|
//! | [`one_step`] | how far off is the next row? | normalised | normalised, squared |
//! | [`relative_l2`] | … compared with its size? | physical | 1, shown in percent |
//! | [`normalized_error`] | how far off is a rollout at each step? | normalised | 1 |
//! | [`error_growth`] | … over many rollouts? | the above | 1 |
//! | [`valid_prediction_time`] | for how long is a rollout useful? | the above | [`TimeScale`] |
//! | [`climate`] | does a long rollout look like the system? | any | as the values |
//! | [`state_space`] | … in how often it is where? | normalised | nats |
//! | [`power_spectrum`] | … in its frequencies? | any | 1 |
//! | [`function_spectrum`] | how large are the waves of functions? | any | squared |
//! | [`poincare`] | … where it crosses a plane? | any | as the values |
//! | [`lyapunov`] | … in how fast its errors grow? | any | per time |
//! | [`profile`] | … in its mean profile? | physical | 1 |
//! | [`scaled_error`] | how far off, against a naive forecast or the values? | any | 1, percent |
//! | [`classification`] | how often is the class right, and the probability honest? | any | 1, nats |
//! | [`language`] | how well is the next token foreseen? | any | nats, bits |
//! | `confidence` | what do a few seeds say about a mean? | any | as the values |
//! | [`ensemble`] | how far off and how sharp is a set of forecasts? | any | as the values |
//!
//! Only predicted steps are scored, never the rows that a forecast was given. A forecast that is
//! NaN or infinite is never dropped in silence: it counts as an infinite error or is counted.
//!
//! [`TimeScale`]: valid_prediction_time::TimeScale

pub mod classification;
pub mod climate;
pub(crate) mod confidence;
pub mod ensemble;
pub mod error_growth;
pub mod function;
pub mod function_spectrum;
pub mod language;
pub mod lyapunov;
pub mod normalized_error;
pub mod one_step;
pub mod poincare;
pub mod power_spectrum;
pub mod profile;
pub mod quartiles;
pub mod relative_l2;
pub mod scaled_error;
pub mod state_space;
pub mod valid_prediction_time;
