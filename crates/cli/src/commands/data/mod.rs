//! `regard data`: files to train on, made or fetched.

mod command;
mod pairs;

pub(crate) use command::{DataCommand, EXAMPLES, run};
