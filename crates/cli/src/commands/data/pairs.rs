//! `regard data make` for pairs of functions: one subcommand per generator.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use regard_data::operator::Placement;
use regard_data::operator::make::gaussian_field::GaussianField;
use regard_data::operator::make::vorticity::KolmogorovFlow;
use regard_data::operator::make::{
    Burgers, Coefficient, ControlledOde, Darcy, Generator, Kolmogorov, LorenzComponents, Request,
    Spacing, TimeGrid, Written, write_samples,
};
use regard_train::Observer;

use crate::interrupt::stop_flag;
use crate::message::command_line;
use crate::progress::Progress;

const DARCY_EXAMPLES: &str = "\
Examples:
  regard data make darcy --count 1000 --size 64 --out darcy.npz
  regard data make darcy --count 400 --coefficient piecewise --placement cells --out two.npz

Writes arrays input (permeability a) and output (pressure u). After Ctrl-C or a crash the same
command goes on, to the same bytes.";

const KOLMOGOROV_EXAMPLES: &str = "\
Examples:
  regard data make kolmogorov --count 200 --size 64 --out flow.npz
  regard data make kolmogorov --count 200 --size 64 --resolution 128 --lag 0.5 --out fine.npz

Writes arrays input and output: the vorticity now and after the lag. After Ctrl-C or a crash the
same command goes on, to the same bytes.";

const CONTROLLED_ODE_EXAMPLES: &str = "\
Examples:
  regard data make controlled-ode --count 1000 --out ode.npz
  regard data make controlled-ode --count 200 --spacing sorted-normal --out uneven.npz

Writes arrays input (signal u), output (response z) and coordinates (times).";

const LORENZ_OPERATOR_EXAMPLES: &str = "\
Examples:
  regard data make lorenz-operator --count 1000 --out x-to-y.npz
  regard data make lorenz-operator --count 1000 --with-z --dt 0.02 --points 100 --out x-to-yz.npz

Writes arrays input (x), output (y, or y and z) and coordinates (times).";

const BURGERS_EXAMPLES: &str = "\
Examples:
  regard data make burgers --count 1000 --size 128 --out burgers.npz
  regard data make burgers --count 100 --viscosity 0.1 --out smooth.npz

Writes arrays input (u at time 0), output (u at the end) and coordinates.";

/// What all generators of pairs share.
#[derive(Args, Debug)]
pub(crate) struct PairArgs {
    /// File to write (.npz).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of pairs.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    count: usize,
    /// Seed; a pair depends on it and on its number alone.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Where the points of a grid lie.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum PlacementName {
    Cells,
    Nodes,
    Edges,
}

/// What the permeability is.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum CoefficientName {
    LogNormal,
    Piecewise,
}

/// How times are spaced.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SpacingName {
    Uniform,
    HalfRate,
    SortedNormal,
}

/// Make Darcy flows: from a random permeability to the pressure.
#[derive(Args, Debug)]
#[command(after_help = DARCY_EXAMPLES)]
pub(crate) struct DarcyArgs {
    #[command(flatten)]
    pairs: PairArgs,
    /// Points along each side.
    #[arg(long, value_name = "N", default_value_t = 64)]
    size: usize,
    /// Centres of cells, nodes with both edges, or left edges of cells.
    #[arg(long, value_name = "P", default_value = "nodes")]
    placement: PlacementName,
    /// Exponential of a Gaussian function, or two values.
    #[arg(long, value_name = "C", default_value = "log-normal")]
    coefficient: CoefficientName,
    /// The larger of the two values.
    #[arg(long, value_name = "X", default_value_t = 12.0)]
    high: f64,
    /// The smaller of the two values.
    #[arg(long, value_name = "X", default_value_t = 3.0)]
    low: f64,
    /// Nodes along each side on which the equation is solved; 2 size + 1 by default.
    #[arg(long, value_name = "N")]
    solve_nodes: Option<usize>,
    /// Smoothness of the Gaussian function.
    #[arg(long, value_name = "X", default_value_t = GaussianField::default().alpha)]
    alpha: f64,
    /// Inverse length of the Gaussian function.
    #[arg(long, value_name = "X", default_value_t = GaussianField::default().tau)]
    tau: f64,
}

/// Make Kolmogorov flows: from the vorticity now to the vorticity later.
#[derive(Args, Debug)]
#[command(after_help = KOLMOGOROV_EXAMPLES)]
pub(crate) struct KolmogorovArgs {
    #[command(flatten)]
    pairs: PairArgs,
    /// Points along each side.
    #[arg(long, value_name = "N", default_value_t = 64)]
    size: usize,
    /// Points along each side of the solver, an even number; by default that of size or more, and
    /// at least 64.
    #[arg(long, value_name = "N")]
    resolution: Option<usize>,
    /// Reynolds number.
    #[arg(long, value_name = "X", default_value_t = KolmogorovFlow::default().reynolds)]
    reynolds: f64,
    /// Waves of the force; 0 for none.
    #[arg(long, value_name = "N", default_value_t = KolmogorovFlow::default().wave_number)]
    wave_number: usize,
    /// Time step.
    #[arg(long, value_name = "X", default_value_t = KolmogorovFlow::default().dt)]
    dt: f64,
    /// Time left out at the start of each trajectory.
    #[arg(long, value_name = "X", default_value_t = Kolmogorov::default().burn_in)]
    burn_in: f64,
    /// Time between the two fields of a pair.
    #[arg(long, value_name = "X", default_value_t = Kolmogorov::default().lag)]
    lag: f64,
    /// Pairs of each trajectory.
    #[arg(long, value_name = "N", default_value_t = Kolmogorov::default().pairs)]
    pairs_per_trajectory: usize,
    /// Time between the starts of two pairs.
    #[arg(long, value_name = "X", default_value_t = Kolmogorov::default().spacing)]
    spacing: f64,
}

/// Times of functions of time.
#[derive(Args, Debug)]
pub(crate) struct TimeArgs {
    /// Time step.
    #[arg(long, value_name = "X", default_value_t = TimeGrid::default().dt)]
    dt: f64,
    /// Number of equally spaced times; they last N dt.
    #[arg(long, value_name = "N", default_value_t = TimeGrid::default().n_points)]
    points: usize,
    /// Equal steps, double steps in the second half, or sorted normal draws.
    #[arg(long, value_name = "S", default_value = "uniform")]
    spacing: SpacingName,
}

/// Make responses of a differential equation to random signals.
#[derive(Args, Debug)]
#[command(after_help = CONTROLLED_ODE_EXAMPLES)]
pub(crate) struct ControlledOdeArgs {
    #[command(flatten)]
    pairs: PairArgs,
    #[command(flatten)]
    times: TimeArgs,
    /// Sines of a signal.
    #[arg(long, value_name = "N", default_value_t = ControlledOde::default().n_terms)]
    terms: usize,
}

/// Make pairs of components of the Lorenz system of 1963: from x to y, or to y and z.
#[derive(Args, Debug)]
#[command(after_help = LORENZ_OPERATOR_EXAMPLES)]
pub(crate) struct LorenzOperatorArgs {
    #[command(flatten)]
    pairs: PairArgs,
    #[command(flatten)]
    times: TimeArgs,
    /// Write z beside y.
    #[arg(long)]
    with_z: bool,
    /// Longest step of the numerical method.
    #[arg(long, value_name = "X", default_value_t = LorenzComponents::default().max_step)]
    max_step: f64,
}

/// Make solutions of the viscous Burgers equation: from the initial state to the end.
#[derive(Args, Debug)]
#[command(after_help = BURGERS_EXAMPLES)]
pub(crate) struct BurgersArgs {
    #[command(flatten)]
    pairs: PairArgs,
    /// Points; divides the resolution.
    #[arg(long, value_name = "N", default_value_t = Burgers::default().size)]
    size: usize,
    /// Points of the solver, an even number.
    #[arg(long, value_name = "N", default_value_t = Burgers::default().resolution)]
    resolution: usize,
    /// Viscosity.
    #[arg(long, value_name = "X", default_value_t = Burgers::default().viscosity)]
    viscosity: f64,
    /// Time between input and output.
    #[arg(long, value_name = "X", default_value_t = Burgers::default().duration)]
    duration: f64,
    /// Longest step of the numerical method.
    #[arg(long, value_name = "X", default_value_t = Burgers::default().max_step)]
    max_step: f64,
}

impl From<PlacementName> for Placement {
    fn from(name: PlacementName) -> Self {
        match name {
            PlacementName::Cells => Self::Cells,
            PlacementName::Nodes => Self::Nodes,
            PlacementName::Edges => Self::Edges,
        }
    }
}

impl From<&TimeArgs> for TimeGrid {
    fn from(&TimeArgs { dt, points, spacing }: &TimeArgs) -> Self {
        let spacing = match spacing {
            SpacingName::Uniform => Spacing::Uniform,
            SpacingName::HalfRate => Spacing::HalfRate,
            SpacingName::SortedNormal => Spacing::SortedNormal,
        };
        Self { dt, n_points: points, spacing }
    }
}

/// Makes Darcy flows.
pub(super) fn darcy(args: &DarcyArgs, out: &mut impl Write) -> Result<()> {
    let &DarcyArgs { size, high, low, alpha, tau, .. } = args;
    let darcy = Darcy {
        coefficient: match args.coefficient {
            CoefficientName::LogNormal => Coefficient::LogNormal,
            CoefficientName::Piecewise => Coefficient::Piecewise { high, low },
        },
        field: GaussianField { alpha, tau, ..GaussianField::default() },
        size,
        placement: args.placement.into(),
        solve_nodes: args.solve_nodes.unwrap_or_else(|| Darcy::nodes_for(size)),
    };
    make(&args.pairs, &darcy, out)
}

/// Makes Kolmogorov flows.
pub(super) fn kolmogorov(args: &KolmogorovArgs, out: &mut impl Write) -> Result<()> {
    let &KolmogorovArgs { size, reynolds, wave_number, dt, burn_in, lag, spacing, .. } = args;
    let kolmogorov = Kolmogorov {
        size,
        resolution: args.resolution.unwrap_or_else(|| Kolmogorov::resolution_for(size)),
        flow: KolmogorovFlow { reynolds, wave_number, dt },
        burn_in,
        lag,
        pairs: args.pairs_per_trajectory,
        spacing,
    };
    make(&args.pairs, &kolmogorov, out)
}

/// Makes responses of the controlled equation.
pub(super) fn controlled_ode(args: &ControlledOdeArgs, out: &mut impl Write) -> Result<()> {
    let ode = ControlledOde { times: (&args.times).into(), n_terms: args.terms };
    make(&args.pairs, &ode, out)
}

/// Makes components of the Lorenz system.
pub(super) fn lorenz_operator(args: &LorenzOperatorArgs, out: &mut impl Write) -> Result<()> {
    let &LorenzOperatorArgs { with_z, max_step, .. } = args;
    let times = (&args.times).into();
    let components = LorenzComponents { times, with_z, max_step, ..LorenzComponents::default() };
    make(&args.pairs, &components, out)
}

/// Makes solutions of the Burgers equation.
pub(super) fn burgers(args: &BurgersArgs, out: &mut impl Write) -> Result<()> {
    let &BurgersArgs { size, resolution, viscosity, duration, max_step, .. } = args;
    make(&args.pairs, &Burgers { size, resolution, viscosity, duration, max_step }, out)
}

fn make<G: Generator>(args: &PairArgs, generator: &G, out: &mut impl Write) -> Result<()> {
    let &PairArgs { out: ref path, count, seed } = args;
    let request = Request { count, seed, threads: rayon::current_num_threads() };
    let mut progress = Progress::new(stop_flag()?);
    progress.phase(G::KIND, Some(count as u64));
    let written = write_samples(path, generator, &request, |state| {
        progress.advance(state.done as u64, None);
        if progress.stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    drop(progress);
    match written {
        Written::Whole { resumed } => {
            let before = match resumed {
                0 => String::new(),
                some => format!(", {some} of them from before"),
            };
            writeln!(out, "wrote {}: {count} pairs of functions{before}", path.display())?;
            Ok(())
        }
        Written::Stopped(state) => Err(anyhow!(
            "stopped after {} of {count} pairs, which are kept in {}.part; continue with: {}",
            state.done,
            path.display(),
            command_line()
        )),
    }
}
