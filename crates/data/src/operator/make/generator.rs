//! What a generator of pairs of functions is, whatever its equations.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::DataError;
use crate::operator::Points;

/// The stream of random numbers that places the points; draws have those from 0.
const POINTS_STREAM: u64 = u64::MAX;

/// Makes pairs of functions.
///
/// A draw is what one stream of random numbers gives: one pair, or several that share a trajectory.
pub trait Generator: std::fmt::Debug + Sync {
    /// Name on the command line: `darcy`.
    const KIND: &'static str;

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for one outside its range.
    fn check(&self) -> Result<(), DataError>;

    /// Where the functions are known; `rng` places points that are random.
    fn points(&self, rng: &mut ChaCha8Rng) -> Points;

    /// Names of the channels of the inputs and of the outputs.
    fn channels(&self) -> [Vec<String>; 2];

    /// Pairs of a draw.
    fn pairs_per_draw(&self) -> usize {
        1
    }

    /// Appends the inputs and the outputs of a draw, `[pairs, points, channels]` each.
    ///
    /// # Errors
    /// [`DataError`] if an equation is not solved at these parameters.
    fn draw(
        &self,
        points: &Points,
        rng: &mut ChaCha8Rng,
        inputs: &mut Vec<f64>,
        outputs: &mut Vec<f64>,
    ) -> Result<(), DataError>;
}

/// Which pairs to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number of pairs.
    pub count: usize,
    /// Seed of all random numbers; pair `i` depends on it and on `i` alone.
    pub seed: u64,
    /// Threads that make them; the pairs do not depend on it.
    pub threads: usize,
}

/// A generator with a seed: what says everything about each pair.
pub(super) struct Seeded<'a, G> {
    pub(super) generator: &'a G,
    pub(super) points: Points,
    seed: u64,
    /// Values of an input and of an output of one pair.
    widths: [usize; 2],
}

impl<'a, G: Generator> Seeded<'a, G> {
    /// Checks the parameters and places the points.
    pub(super) fn new(generator: &'a G, request: &Request) -> Result<Self, DataError> {
        generator.check()?;
        if request.count == 0 {
            let found = request.count.to_string();
            return Err(DataError::InvalidParameter {
                name: "count",
                found,
                expected: "at least 1",
            });
        }
        let seed = request.seed;
        let points = generator.points(&mut stream(seed, POINTS_STREAM));
        points.check()?;
        let widths = generator.channels().map(|channels| channels.len() * points.count());
        Ok(Self { generator, points, seed, widths })
    }

    /// Draws that give `count` pairs.
    pub(super) fn draws(&self, count: usize) -> usize {
        count.div_ceil(self.generator.pairs_per_draw())
    }

    /// Values of all inputs and of all outputs of a draw.
    pub(super) fn widths_of_draw(&self) -> [usize; 2] {
        self.widths.map(|width| width * self.generator.pairs_per_draw())
    }

    /// Values of an input and of an output.
    pub(super) fn widths(&self) -> [usize; 2] {
        self.widths
    }

    /// The inputs, then the outputs, of draw `i`.
    pub(super) fn draw(&self, i: usize) -> Result<Vec<f64>, DataError> {
        let [inputs, outputs] = self.widths_of_draw();
        let (mut values, mut others) = (Vec::with_capacity(inputs + outputs), Vec::new());
        let mut rng = stream(self.seed, i as u64);
        self.generator.draw(&self.points, &mut rng, &mut values, &mut others)?;
        values.append(&mut others);
        assert_eq!(values.len(), inputs + outputs, "values of a draw of {}", G::KIND);
        Ok(values)
    }
}

fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}
