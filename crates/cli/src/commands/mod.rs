//! One file per command.

pub(crate) mod certify;
pub(crate) mod classify;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod data;
pub(crate) mod evaluate;
pub(crate) mod generate;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod predict;
pub(crate) mod presets;
pub(crate) mod reproduce;
pub(crate) mod runs;
pub(crate) mod stream;
pub(crate) mod sweep;
pub(crate) mod train;

mod dispatch;

pub(crate) use dispatch::run;
