//! The pairs of functions of every problem, made once per folder.

use std::path::{Path, PathBuf};

use regard_data::DataError;
use regard_data::operator::make::{
    Coefficient, ControlledOde, Darcy, Generator, Kolmogorov, LorenzComponents, Request, Spacing,
    TimeGrid, samples,
};
use regard_data::operator::{FunctionSet, Placement, write_npz};

/// Length of the functions of time.
const DURATION: f64 = 2.0;
/// Solver of the flow: the same for all sizes that it can give.
const FLOW_RESOLUTION: usize = 64;

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// From `x(t)` and the first output to `y(t)`.
    LorenzA,
    /// From `x(t)` and the first outputs to `y(t)` and `z(t)`.
    LorenzB,
    /// From the control to the solution.
    ControlledOde,
    /// From `e^g` to the pressure.
    DarcyLogNormal,
    /// From two values to the pressure.
    DarcyPiecewise,
    /// From the vorticity to that a tenth of a time unit later.
    Kolmogorov,
}

impl Source {
    /// Names of the test parts; the first has the points of the training part.
    pub(super) fn parts(self) -> &'static [&'static str] {
        match self {
            Self::LorenzA | Self::LorenzB | Self::ControlledOde => {
                &["dt 0.02", "dt 0.01", "dt 0.015", "dt 0.03", "dt 0.04", "half rate", "uneven"]
            }
            Self::DarcyLogNormal | Self::DarcyPiecewise => &["64", "32", "96"],
            Self::Kolmogorov => &["64", "32"],
        }
    }

    /// Makes the archive where it is not there yet.
    pub(super) fn archive(
        self,
        folder: &Path,
        name: &str,
        quick: bool,
    ) -> Result<PathBuf, DataError> {
        let file = folder.join(format!("{name}.npz"));
        if file.exists() {
            return Ok(file);
        }
        let mut parts = vec![("train".to_owned(), self.train(0, quick)?)];
        parts.push(("validation".to_owned(), self.train(1, quick)?));
        for name in self.parts() {
            parts.push(((*name).to_owned(), self.test(name, quick)?));
        }
        let parts: Vec<(&str, &FunctionSet)> =
            parts.iter().map(|(name, set)| (name.as_str(), set)).collect();
        write_npz(&file, &parts)?;
        Ok(file)
    }

    /// The training part, or with seed 1 the validation part.
    fn train(self, seed: u64, quick: bool) -> Result<FunctionSet, DataError> {
        let (train, validation) = if self.is_field() { (320, 40) } else { (1000, 100) };
        let count = if seed == 0 { train } else { validation };
        self.make(self.parts()[0], if quick { count / 10 } else { count }, seed)
    }

    /// All parts show the same functions where points are refined, and fresh ones at other times.
    fn test(self, part: &str, quick: bool) -> Result<FunctionSet, DataError> {
        let count = if self.is_field() { 40 } else { 200 };
        self.make(part, if quick { count / 10 } else { count }, 2)
    }

    fn is_field(self) -> bool {
        matches!(self, Self::DarcyLogNormal | Self::DarcyPiecewise | Self::Kolmogorov)
    }

    fn make(self, part: &str, count: usize, seed: u64) -> Result<FunctionSet, DataError> {
        let request = Request { count, seed, threads: rayon::current_num_threads() };
        let size = || part.parse().expect("the name of a part of fields is a size");
        let darcy = |coefficient| {
            let placement = Placement::Cells;
            // One fine solution for all sizes.
            let solve_nodes = Darcy::nodes_for(96);
            Darcy { coefficient, size: size(), placement, solve_nodes, ..Darcy::default() }
        };
        let lorenz =
            |with_z| LorenzComponents { times: times(part), with_z, ..LorenzComponents::default() };
        match self {
            Self::LorenzA => made(&lorenz(false), &request),
            Self::LorenzB => made(&lorenz(true), &request),
            Self::ControlledOde => {
                let times = times(part);
                made(&ControlledOde { times, ..ControlledOde::default() }, &request)
            }
            Self::DarcyLogNormal => made(&darcy(Coefficient::LogNormal), &request),
            Self::DarcyPiecewise => made(&darcy(Coefficient::PIECEWISE), &request),
            Self::Kolmogorov => {
                let flow = Kolmogorov {
                    size: size(),
                    resolution: FLOW_RESOLUTION,
                    ..Kolmogorov::default()
                };
                made(&flow, &request)
            }
        }
    }
}

fn made<G: Generator>(generator: &G, request: &Request) -> Result<FunctionSet, DataError> {
    samples(generator, request)
}

/// Times of a part: those of the training part, another rate, or uneven ones.
fn times(part: &str) -> TimeGrid {
    let uniform = |dt: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some hundreds"
        )]
        let n_points = (DURATION / dt).round() as usize;
        TimeGrid { dt, n_points, spacing: Spacing::Uniform }
    };
    match part.strip_prefix("dt ") {
        Some(dt) => uniform(dt.parse().expect("a time step")),
        None if part == "half rate" => TimeGrid { spacing: Spacing::HalfRate, ..uniform(0.02) },
        None => TimeGrid { spacing: Spacing::SortedNormal, ..uniform(0.02) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_points() {
        let n = |part: &str| times(part).n_points;
        let found = Source::LorenzA.parts().iter().map(|part| n(part)).collect::<Vec<_>>();
        assert_eq!(found, [100, 200, 133, 67, 50, 100, 100]);
        let set = Source::DarcyPiecewise.make("32", 2, 2).unwrap();
        assert_eq!(set.points().shape(), [32, 32]);
        // The same functions at every size: the mean pressure barely changes.
        let mean =
            |set: &FunctionSet| set.output(1).iter().sum::<f64>() / set.output(1).len() as f64;
        let fine = Source::DarcyPiecewise.make("96", 2, 2).unwrap();
        assert!((mean(&set) / mean(&fine) - 1.0).abs() < 0.01);
    }
}
