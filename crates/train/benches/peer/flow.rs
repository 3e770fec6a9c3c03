//! Generators of data: one step of Kolmogorov flow.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use regard_data::fourier::Complex64;
use regard_data::operator::make::periodic_field::PeriodicField;
use regard_data::operator::make::vorticity::{KolmogorovFlow, VorticitySolver};

use super::Work;

/// A flow from a random start.
pub(super) struct FlowStep {
    solver: VorticitySolver,
    vorticity: Vec<Complex64>,
}

impl FlowStep {
    pub(super) fn new(points: usize) -> Self {
        let field = PeriodicField { alpha: 2.5, tau: 7.0 };
        let mut solver = KolmogorovFlow::default().init(points);
        let start = field.draw(points, &mut ChaCha8Rng::seed_from_u64(1));
        Self { vorticity: solver.coefficients(&start), solver }
    }
}

impl Work for FlowStep {
    fn run(&mut self) {
        self.solver.step(&mut self.vorticity);
    }
}
