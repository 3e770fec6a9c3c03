//! `regard data`: files of trajectories to train on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use regard_data::simulate::lorenz::LorenzConfig;

/// Shown by `regard data --help` and `regard data make --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  regard data make lorenz --out lorenz.csv";

const LORENZ_EXAMPLES: &str = "\
Examples:
  regard data make lorenz --out lorenz.csv
  regard data make lorenz --out long.parquet --series 1 --steps 100000 --seed 3
  regard data make lorenz --out other.npz --rho 35 --dt 0.005

Formats by extension: .csv .tsv .parquet .npz .npy.";

/// Make files to train on or to forecast from.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Simulate a known system and write its trajectories to a file.
    #[command(subcommand, after_help = EXAMPLES)]
    Make(MakeCommand),
}

/// One variant per simulated system.
#[derive(Debug, Subcommand)]
pub(crate) enum MakeCommand {
    Lorenz(LorenzArgs),
}

/// Simulate the Lorenz system of 1963: columns x, y, z.
#[derive(Args, Debug)]
#[command(after_help = LORENZ_EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct LorenzArgs {
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of trajectories.
    #[arg(long, value_name = "N", default_value_t = LorenzConfig::default().n_series)]
    series: usize,
    /// Time steps of each trajectory.
    #[arg(long, value_name = "N", default_value_t = LorenzConfig::default().n_steps)]
    steps: usize,
    /// Time step.
    #[arg(long, value_name = "X", default_value_t = LorenzConfig::default().dt)]
    dt: f64,
    /// Time steps left out at the start of each trajectory.
    #[arg(long, value_name = "N", default_value_t = LorenzConfig::default().burn_in)]
    burn_in: usize,
    /// Seed of the initial states.
    #[arg(long, value_name = "N", default_value_t = LorenzConfig::default().seed)]
    seed: u64,
    /// Prandtl number.
    #[arg(long, value_name = "X", default_value_t = LorenzConfig::default().sigma)]
    sigma: f64,
    /// Rayleigh number over its critical value.
    #[arg(long, value_name = "X", default_value_t = LorenzConfig::default().rho)]
    rho: f64,
    /// Aspect ratio of the convection rolls; 8/3 by default.
    #[arg(long, value_name = "X", default_value_t = LorenzConfig::default().beta)]
    #[arg(hide_default_value = true)]
    beta: f64,
}

/// Simulates, writes the file and says what is in it.
pub(crate) fn run(command: &DataCommand, out: &mut impl Write) -> Result<()> {
    let DataCommand::Make(MakeCommand::Lorenz(args)) = command;
    let config = LorenzConfig {
        n_series: args.series,
        n_steps: args.steps,
        dt: args.dt,
        burn_in: args.burn_in,
        seed: args.seed,
        sigma: args.sigma,
        rho: args.rho,
        beta: args.beta,
    };
    regard_train::make_lorenz(&config, &args.out)?;
    writeln!(
        out,
        "wrote {}: {} series of {} steps, dt = {}",
        args.out.display(),
        config.n_series,
        config.n_steps,
        config.dt
    )?;
    Ok(())
}
