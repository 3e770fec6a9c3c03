//! `regard presets`: configurations that come with the program.

use std::io::Write;

use anyhow::Result;
use clap::{Args, Subcommand};
use regard_train::preset;

/// Shown by `regard presets --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  regard presets list
  regard presets show lorenz > my.toml && regard train my.toml";

const LIST_EXAMPLES: &str = "\
Examples:
  regard presets list";

const SHOW_EXAMPLES: &str = "\
Examples:
  regard presets show lorenz
  regard presets show lorenz > my.toml && regard train my.toml";

/// List the presets, or print one.
#[derive(Debug, Subcommand)]
pub(crate) enum PresetsCommand {
    /// List the presets, one line each.
    #[command(after_help = LIST_EXAMPLES)]
    List,
    Show(ShowArgs),
}

/// Print a preset: a whole configuration to read, redirect and edit.
#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Name of the preset.
    preset: String,
}

/// Prints what is embedded in the program.
pub(crate) fn run(command: &PresetsCommand, out: &mut impl Write) -> Result<()> {
    match command {
        PresetsCommand::List => {
            let presets = preset::all();
            let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
            for preset in presets {
                writeln!(out, "{:<width$}  {}", preset.name, preset.title())?;
            }
        }
        PresetsCommand::Show(args) => write!(out, "{}", preset::find(&args.preset)?.toml)?,
    }
    Ok(())
}
