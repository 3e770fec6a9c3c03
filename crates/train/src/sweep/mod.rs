//! Hyper-parameter search: many short runs of one configuration with other values of some keys.
//!
//! The way of a sweep: [`SweepConfig`] (`sweep.toml`: base, keys with ranges, budget) → the journal, a
//! `SQLite` file in the sweep's folder → trials, each a run that is trained but not scored → a report.
//! A trial is judged by what validates it, never by the test part: that is scored once, when the
//! chosen trial is finished by `regard train --resume`.
//!
//! - `space`: ranges as quantile functions, so that every method draws numbers between 0 and 1.
//! - `suggest`, `tpe`: the keys of the next trial: random, a grid, or tree-structured Parzen
//!   estimators.
//! - `prune`: which trial is not worth its remaining epochs.
//! - `journal`, `lock`: what several processes on one machine agree on, and what survives a kill.
//! - `tasks`: the same sweep as an array job, by files alone.

mod command;
mod config;
mod config_check;
mod importance;
mod journal;
mod lock;
mod objective;
mod observer;
mod prune;
mod report;
mod run;
mod space;
mod suggest;
mod tasks;
mod tpe;
mod trial;

pub use config::{Method, SearchConfig, SweepConfig};
pub use prune::PruneConfig;
pub use run::{SweepOutcome, sweep};
pub use space::{Distribution, Key, Multiple};
pub use tasks::{collect, plan, run_task};
