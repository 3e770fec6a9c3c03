//! `regard stream`: a trained model on standard input, line by line.

mod command;
mod input;
mod live;
mod rows;
mod text;
mod verify;

pub(crate) use command::{StreamArgs, run};
