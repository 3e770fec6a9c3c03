//! `report.html`: one file, no network, no scripts, for a phone and a wide screen, light and dark.

mod comparison;
mod inspection;
mod notes;
mod page;
mod run;
mod settings;
mod table;
#[cfg(test)]
mod testing;

pub use comparison::render_comparison;
pub use inspection::render_inspection;
pub use run::render;
