//! `regard data`: files of trajectories to train on.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Arg, Args, Subcommand};
use regard_data::simulate::{
    KuramotoSivashinsky, Lorenz, Lorenz96, Reactor, Rossler, SamplingConfig, ShearFlow, Simulate,
    Simulation, Sinusoids, System, VanDerPol,
};

use super::pairs::{
    self, BurgersArgs, ControlledOdeArgs, DarcyArgs, KolmogorovArgs, LorenzOperatorArgs,
};
use crate::fetch::{ADDRESS, UciHar};

/// Shown by `regard data --help`.
pub(crate) const EXAMPLES: &str = "\
Examples:
  regard data make lorenz --out lorenz.csv
  regard data make shear-flow --out shear.npz --series 100 --steps 4000
  regard data fetch uci-har --out uci-har";

const MAKE_EXAMPLES: &str = "\
Examples:
  regard data make lorenz --out lorenz.csv
  regard data make darcy --count 1000 --size 64 --out darcy.npz
  regard data make shear-flow --out shear.npz --series 100 --steps 4000";

const UCI_HAR_EXAMPLES: &str = "\
Examples:
  regard data fetch uci-har
  regard data fetch uci-har --out data --from archive.zip

Publications cite Anguita et al. 2013; the notes in the folder state the terms.";

const LORENZ_EXAMPLES: &str = "\
Examples:
  regard data make lorenz --out lorenz.csv
  regard data make lorenz --out long.parquet --series 1 --steps 100000 --seed 3
  regard data make lorenz --out other.npz --rho 35 --dt 0.005

Formats by extension: .csv .tsv .parquet .npz .npy.";

const ROSSLER_EXAMPLES: &str = "\
Examples:
  regard data make rossler --out rossler.csv
  regard data make rossler --out other.npz --c 14 --b 0.1 --a 0.1

Formats by extension: .csv .tsv .parquet .npz .npy.";

const LORENZ96_EXAMPLES: &str = "\
Examples:
  regard data make lorenz96 --out waves.parquet
  regard data make lorenz96 --out small.csv --n-variables 5

Formats by extension: .csv .tsv .parquet .npz .npy.";

const KURAMOTO_SIVASHINSKY_EXAMPLES: &str = "\
Examples:
  regard data make kuramoto-sivashinsky --out field.npz
  regard data make kuramoto-sivashinsky --out long.npz --length 200 --n-points 512

Formats by extension: .csv .tsv .parquet .npz .npy.";

const VAN_DER_POL_EXAMPLES: &str = "\
Examples:
  regard data make van-der-pol --out cycle.csv
  regard data make van-der-pol --out stiff.csv --mu 10 --substeps 100

Formats by extension: .csv .tsv .parquet .npz .npy.";

const SHEAR_FLOW_EXAMPLES: &str = "\
Examples:
  regard data make shear-flow --out shear.npz --series 100 --steps 4000
  regard data make shear-flow --out slow.csv --reynolds 200 --steps 500

Formats by extension: .csv .tsv .parquet .npz .npy.";

const REACTOR_EXAMPLES: &str = "\
Examples:
  regard data make reactor --out reactor.csv
  regard data make reactor --out cycle.csv --gain 1.1

Formats by extension: .csv .tsv .parquet .npz .npy.";

const SINUSOIDS_EXAMPLES: &str = "\
Examples:
  regard data make sinusoids --out waves.csv
  regard data make sinusoids --out two.csv --amplitudes 1,0.3 --frequencies 1,2.6 --phases 0,0

Formats by extension: .csv .tsv .parquet .npz .npy.";

/// Make or fetch files to train on or to forecast from.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Simulate a known system, or make pairs of functions, and write them to a file.
    #[command(subcommand, after_help = MAKE_EXAMPLES)]
    Make(MakeCommand),
    /// Download a data set of others from its official address, and check it.
    #[command(subcommand)]
    Fetch(FetchCommand),
}

/// One variant per data set.
#[derive(Debug, Subcommand)]
pub(crate) enum FetchCommand {
    UciHar(UciHarArgs),
}

/// Fetch UCI HAR: smartphone signals of thirty people and six activities.
#[derive(Args, Debug)]
#[command(after_help = UCI_HAR_EXAMPLES)]
pub(crate) struct UciHarArgs {
    /// Folder that gets the folder "UCI HAR Dataset".
    #[arg(long, value_name = "DIR", default_value = "uci-har")]
    out: PathBuf,
    /// Another address, or a file, of the archive; that of the UCI repository by default.
    #[arg(long, value_name = "URL|FILE", default_value = ADDRESS, hide_default_value = true)]
    from: String,
    /// SHA-256 that the archive must have.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
}

/// One variant per simulated system, then one per generator of pairs of functions.
#[derive(Debug, Subcommand)]
pub(crate) enum MakeCommand {
    Lorenz(LorenzArgs),
    Rossler(RosslerArgs),
    Lorenz96(Lorenz96Args),
    KuramotoSivashinsky(KuramotoSivashinskyArgs),
    VanDerPol(VanDerPolArgs),
    ShearFlow(ShearFlowArgs),
    Reactor(ReactorArgs),
    Sinusoids(SinusoidsArgs),
    Darcy(DarcyArgs),
    Kolmogorov(KolmogorovArgs),
    ControlledOde(ControlledOdeArgs),
    LorenzOperator(LorenzOperatorArgs),
    Burgers(BurgersArgs),
}

/// What all systems share; each has its own defaults, which [`with_defaults`] shows.
#[derive(Args, Debug)]
pub(crate) struct SamplingArgs {
    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of trajectories
    #[arg(long, value_name = "N")]
    series: Option<usize>,
    /// Time steps of each trajectory
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Time step
    #[arg(long, value_name = "X")]
    dt: Option<f64>,
    /// Steps of the numerical method in one time step
    #[arg(long, value_name = "N")]
    substeps: Option<usize>,
    /// Time steps left out at the start of each trajectory
    #[arg(long, value_name = "N")]
    burn_in: Option<usize>,
    /// Seed of the initial states
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Simulate the Lorenz system of 1963: columns x, y, z.
#[derive(Args, Debug)]
#[command(after_help = LORENZ_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<Lorenz>)]
pub(crate) struct LorenzArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Prandtl number.
    #[arg(long, value_name = "X", default_value_t = Lorenz::default().sigma)]
    sigma: f64,
    /// Rayleigh number over its critical value.
    #[arg(long, value_name = "X", default_value_t = Lorenz::default().rho)]
    rho: f64,
    /// Aspect ratio of the convection rolls; 8/3 by default.
    #[arg(long, value_name = "X", default_value_t = Lorenz::default().beta)]
    #[arg(hide_default_value = true)]
    beta: f64,
}

/// Simulate the Rössler system: columns x, y, z.
#[derive(Args, Debug)]
#[command(after_help = ROSSLER_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<Rossler>)]
pub(crate) struct RosslerArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Growth rate of the spiral.
    #[arg(long, value_name = "X", default_value_t = Rossler::default().a)]
    a: f64,
    /// Feed of z.
    #[arg(long, value_name = "X", default_value_t = Rossler::default().b)]
    b: f64,
    /// The x from which z grows.
    #[arg(long, value_name = "X", default_value_t = Rossler::default().c)]
    c: f64,
}

/// Simulate the Lorenz system of 1996, waves on a circle: columns x1, x2, …
#[derive(Args, Debug)]
#[command(after_help = LORENZ96_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<Lorenz96>)]
pub(crate) struct Lorenz96Args {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Number of variables, at least 4.
    #[arg(long, value_name = "N", default_value_t = Lorenz96::default().n_variables)]
    n_variables: usize,
    /// Forcing.
    #[arg(long, value_name = "X", default_value_t = Lorenz96::default().forcing)]
    forcing: f64,
}

/// Simulate the Kuramoto–Sivashinsky equation on a periodic line: columns u0, u1, …
#[derive(Args, Debug)]
#[command(after_help = KURAMOTO_SIVASHINSKY_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<KuramotoSivashinsky>)]
pub(crate) struct KuramotoSivashinskyArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Length of the period.
    #[arg(long, value_name = "X", default_value_t = KuramotoSivashinsky::default().length)]
    length: f64,
    /// Grid points, an even number from 16.
    #[arg(long, value_name = "N", default_value_t = KuramotoSivashinsky::default().n_points)]
    n_points: usize,
}

/// Simulate the oscillator of van der Pol: columns x, y.
#[derive(Args, Debug)]
#[command(after_help = VAN_DER_POL_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<VanDerPol>)]
pub(crate) struct VanDerPolArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Damping, negative near rest.
    #[arg(long, value_name = "X", default_value_t = VanDerPol::default().mu)]
    mu: f64,
}

/// Simulate a turbulent shear flow in nine equations: columns a1 to a9.
#[derive(Args, Debug)]
#[command(after_help = SHEAR_FLOW_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<ShearFlow>)]
pub(crate) struct ShearFlowArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Reynolds number.
    #[arg(long, value_name = "X", default_value_t = ShearFlow::default().reynolds)]
    reynolds: f64,
    /// Streamwise period; 4π by default.
    #[arg(long, value_name = "X", default_value_t = ShearFlow::default().length_x)]
    #[arg(hide_default_value = true)]
    length_x: f64,
    /// Spanwise period; 2π by default.
    #[arg(long, value_name = "X", default_value_t = ShearFlow::default().length_z)]
    #[arg(hide_default_value = true)]
    length_z: f64,
}

/// Simulate a boiling-water reactor in five equations: power as ln(1 + n) first.
#[derive(Args, Debug)]
#[command(after_help = REACTOR_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<Reactor>)]
pub(crate) struct ReactorArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Gain of the void feedback: steady to 1, a cycle to 1.6, then irregular.
    #[arg(long, value_name = "X", default_value_t = Reactor::default().gain)]
    gain: f64,
}

/// Simulate a sum of sinusoids: column x.
#[derive(Args, Debug)]
#[command(after_help = SINUSOIDS_EXAMPLES, allow_negative_numbers = true)]
#[command(mut_args = with_defaults::<Sinusoids>)]
pub(crate) struct SinusoidsArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Amplitudes.
    #[arg(long, value_name = "X,…", value_delimiter = ',')]
    #[arg(default_values_t = Sinusoids::default().amplitudes)]
    amplitudes: Vec<f64>,
    /// Frequencies, in radians per time unit.
    #[arg(long, value_name = "X,…", value_delimiter = ',')]
    #[arg(default_values_t = Sinusoids::default().frequencies)]
    frequencies: Vec<f64>,
    /// Phases, in radians.
    #[arg(long, value_name = "X,…", value_delimiter = ',')]
    #[arg(default_values_t = Sinusoids::default().phases)]
    phases: Vec<f64>,
    /// Series start at a random time below this.
    #[arg(long, value_name = "X", default_value_t = Sinusoids::default().max_start)]
    max_start: f64,
}

/// Shows the sampling of a system where the user gives none.
fn with_defaults<S: System>(arg: Arg) -> Arg {
    let SamplingConfig { n_series, n_steps, dt, substeps, burn_in, seed } = S::SAMPLING;
    let default = match arg.get_id().as_str() {
        "series" => n_series.to_string(),
        "steps" => n_steps.to_string(),
        "dt" => dt.to_string(),
        "substeps" => substeps.to_string(),
        "burn_in" => burn_in.to_string(),
        "seed" => seed.to_string(),
        _ => return arg,
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} [default: {default}]"))
}

/// Simulates or fetches, and says what was written.
pub(crate) fn run(command: &DataCommand, out: &mut impl Write) -> Result<()> {
    match command {
        DataCommand::Make(command) => simulate(command, out),
        DataCommand::Fetch(FetchCommand::UciHar(args)) => {
            let UciHarArgs { out: folder, from, sha256 } = args;
            let data = UciHar { from, sha256: sha256.as_deref(), out: folder };
            let description = data.fetch()?;
            writeln!(out, "{}: {description}", folder.display())?;
            Ok(())
        }
    }
}

fn simulate(command: &MakeCommand, out: &mut impl Write) -> Result<()> {
    match command {
        MakeCommand::Lorenz(args) => {
            let LorenzArgs { ref sampling, sigma, rho, beta } = *args;
            make(sampling, Lorenz { sigma, rho, beta }, out)
        }
        MakeCommand::Rossler(args) => {
            let RosslerArgs { ref sampling, a, b, c } = *args;
            make(sampling, Rossler { a, b, c }, out)
        }
        MakeCommand::Lorenz96(args) => {
            let Lorenz96Args { ref sampling, n_variables, forcing } = *args;
            make(sampling, Lorenz96 { n_variables, forcing }, out)
        }
        MakeCommand::KuramotoSivashinsky(args) => {
            let KuramotoSivashinskyArgs { ref sampling, length, n_points } = *args;
            make(sampling, KuramotoSivashinsky { length, n_points }, out)
        }
        MakeCommand::VanDerPol(args) => make(&args.sampling, VanDerPol { mu: args.mu }, out),
        MakeCommand::ShearFlow(args) => {
            let ShearFlowArgs { ref sampling, reynolds, length_x, length_z } = *args;
            make(sampling, ShearFlow { reynolds, length_x, length_z }, out)
        }
        MakeCommand::Reactor(args) => make(&args.sampling, Reactor { gain: args.gain }, out),
        MakeCommand::Sinusoids(args) => {
            let SinusoidsArgs { amplitudes, frequencies, phases, .. } = args;
            let system = Sinusoids {
                amplitudes: amplitudes.clone(),
                frequencies: frequencies.clone(),
                phases: phases.clone(),
                max_start: args.max_start,
            };
            make(&args.sampling, system, out)
        }
        MakeCommand::Darcy(args) => pairs::darcy(args, out),
        MakeCommand::Kolmogorov(args) => pairs::kolmogorov(args, out),
        MakeCommand::ControlledOde(args) => pairs::controlled_ode(args, out),
        MakeCommand::LorenzOperator(args) => pairs::lorenz_operator(args, out),
        MakeCommand::Burgers(args) => pairs::burgers(args, out),
    }
}

fn make<S: System>(args: &SamplingArgs, system: S, out: &mut impl Write) -> Result<()> {
    let default = S::SAMPLING;
    let sampling = SamplingConfig {
        n_series: args.series.unwrap_or(default.n_series),
        n_steps: args.steps.unwrap_or(default.n_steps),
        dt: args.dt.unwrap_or(default.dt),
        substeps: args.substeps.unwrap_or(default.substeps),
        burn_in: args.burn_in.unwrap_or(default.burn_in),
        seed: args.seed.unwrap_or(default.seed),
    };
    let simulation = Simulation { sampling, system };
    let n_rejected = regard_train::make_data(&simulation, &args.out)?;
    writeln!(
        out,
        "wrote {}: {} series of {} steps, dt = {}",
        args.out.display(),
        sampling.n_series,
        sampling.n_steps,
        sampling.dt
    )?;
    if n_rejected > 0 {
        writeln!(out, "rejected {n_rejected} other series, which left the attractor")?;
    }
    if let Some(exponent) = simulation.lyapunov_exponent() {
        writeln!(out, "largest Lyapunov exponent {exponent} per time unit")?;
    }
    Ok(())
}
