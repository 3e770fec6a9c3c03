//! `report.html`: one file, no network, no scripts, for a phone and a wide screen, light and dark.

mod classification;
mod comparison;
mod inspection;
mod language;
mod notes;
mod operator;
mod page;
mod run;
mod settings;
mod sweep;
mod table;
#[cfg(test)]
mod testing;

pub use classification::render_classification;
pub use comparison::{render_comparison, render_runs};
pub use inspection::render_inspection;
pub use language::render_language;
pub use operator::render_operator;
pub use run::render;
pub use sweep::render_sweep;
