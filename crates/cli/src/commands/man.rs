//! `regard man`: the manual page, or one page for every command.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory};

use crate::args::Cli;

const EXAMPLES: &str = "\
Examples:
  regard man | man -l -
  regard man --out ~/.local/share/man/man1";

/// Print the manual page, or write the pages of all commands to a folder.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// Write one page for every command to this folder instead.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Renders the pages from the definition of the command line.
pub(crate) fn run(args: &ManArgs, out: &mut impl Write) -> Result<()> {
    let Some(folder) = &args.out else {
        clap_mangen::Man::new(Cli::command()).render(out)?;
        return Ok(());
    };
    let pages = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    pages().with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
    writeln!(out, "wrote manual pages to {}", folder.display())?;
    Ok(())
}
