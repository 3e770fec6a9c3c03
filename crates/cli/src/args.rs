//! The command line as a whole: global options and the list of commands.

use clap::{Parser, Subcommand};

use crate::commands::certify::CertifyArgs;
use crate::commands::classify::ClassifyArgs;
use crate::commands::compare::CompareArgs;
use crate::commands::completions::CompletionsArgs;
use crate::commands::data::DataCommand;
use crate::commands::evaluate::EvaluateArgs;
use crate::commands::generate::GenerateArgs;
use crate::commands::inspect::InspectArgs;
use crate::commands::man::ManArgs;
use crate::commands::predict::PredictArgs;
use crate::commands::presets::PresetsCommand;
use crate::commands::reproduce::ReproduceArgs;
use crate::commands::runs::RunsCommand;
use crate::commands::stream::StreamArgs;
use crate::commands::sweep::SweepArgs;
use crate::commands::train::TrainArgs;

const EXAMPLES: &str = "\
Examples:
  regard train lorenz                          train, score and report in a few minutes
  regard train series --data sensors.csv       learn to forecast your own table
  regard train uci-har --data DIR              learn to tell activities apart
  regard train text --data plays.txt           learn to go on with a text
  regard compare lorenz --mechanisms easy,softmax,lstm
  regard reproduce easy-attention --quick      a paper's experiments and a verdict per claim
  regard sweep rate.toml                       search over learning rate, width, …
  regard runs list
  regard presets show lorenz > my.toml         a configuration to edit, then
  regard train my.toml

Results go to standard output, progress and messages to standard error.
Exit codes: 0 done, 1 done with a bad verdict (a trained model is not better than repeating the
last value, naming the most frequent class, or the frequencies of single tokens), 2 failed.";

/// Attention for sequences and dynamics: train, predict, evaluate, compare.
#[derive(Debug, Parser)]
#[command(name = "regard", version, after_help = EXAMPLES)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// Number of threads; all cores by default. Results do not depend on it.
    #[arg(long, global = true, value_name = "N", display_order = 900)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One variant per file in `commands`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Train(TrainArgs),
    Predict(PredictArgs),
    Classify(ClassifyArgs),
    Stream(StreamArgs),
    Generate(GenerateArgs),
    Evaluate(EvaluateArgs),
    Compare(CompareArgs),
    Reproduce(ReproduceArgs),
    Sweep(SweepArgs),
    Certify(CertifyArgs),
    Inspect(InspectArgs),
    #[command(subcommand, after_help = crate::commands::runs::EXAMPLES)]
    Runs(RunsCommand),
    #[command(subcommand, after_help = crate::commands::presets::EXAMPLES)]
    Presets(PresetsCommand),
    #[command(subcommand, after_help = crate::commands::data::EXAMPLES)]
    Data(DataCommand),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }
}
