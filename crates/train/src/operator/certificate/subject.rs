//! The operator under test, with the functions that it reads.

use burn::tensor::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use regard_data::operator::Points;
use regard_kernels::quadrature::trapezoid;
use regard_nn::model::operator::{Operator, OperatorConfig, OperatorShape, Sites};

use super::mesh::Mesh;
use crate::model_file::OperatorCard;
use crate::operator::Quadrature;
use crate::precision::{Precision, tensor};

/// Functions that are read at once.
const FUNCTIONS: usize = 2;
/// Waves that a function is the sum of.
const WAVES: usize = 3;
/// Places along a line where results are compared.
const QUERIES: usize = 9;

/// An operator in double precision and functions for it.
pub(super) struct Subject {
    model: Operator,
    shape: OperatorShape,
    /// Both ends of every axis.
    domain: Vec<[f64; 2]>,
    pub(super) quadrature: Quadrature,
    /// Whether the first point is read in another way than all others.
    pub(super) first_output: bool,
    /// `[function][channel]`.
    functions: Vec<Vec<Waves>>,
}

/// `√(2/3) Σ_j sin(2π k_j · s + φ_j)`, `s` in the unit domain: of the size of normalised data, smooth, not periodic.
struct Waves([Wave; WAVES]);

struct Wave {
    frequency: [f64; 2],
    phase: f64,
}

impl Waves {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        Self(std::array::from_fn(|_| Wave {
            frequency: [(); 2].map(|()| rng.random_range(-0.9..0.9)),
            phase: rng.random_range(0.0..std::f64::consts::TAU),
        }))
    }

    fn value(&self, s: &[f64]) -> f64 {
        let wave = |wave: &Wave| {
            let product: f64 = s.iter().zip(wave.frequency).map(|(s, k)| s * k).sum();
            (std::f64::consts::TAU * product + wave.phase).sin()
        };
        (2.0 / WAVES as f64).sqrt() * self.0.iter().map(wave).sum::<f64>()
    }
}

impl Subject {
    pub(super) fn new(model: Operator, card: &OperatorCard, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut function = || (0..card.shape.d_in).map(|_| Waves::draw(&mut rng)).collect();
        let domain = match &card.points {
            Points::Line(t) => vec![[t[0], t[t.len() - 1]]],
            Points::Grid { .. } => vec![[0.0, 1.0]; 2],
        };
        Self {
            model: Precision::F64.cast(model),
            shape: card.shape,
            domain,
            quadrature: card.quadrature,
            first_output: matches!(&card.operator, OperatorConfig::Tno(tno) if tno.first_output),
            functions: (0..FUNCTIONS).map(|_| function()).collect(),
        }
    }

    pub(super) fn model(&self) -> &Operator {
        &self.model
    }

    /// Nodes of a line, weighed as the run weighs them.
    pub(super) fn weighed(&self, nodes: Vec<f64>) -> Mesh {
        match self.quadrature {
            Quadrature::Equal => Mesh::equal(nodes, 1),
            Quadrature::Rule => {
                let weights = trapezoid(&nodes).expect("the nodes ascend");
                Mesh { points: nodes, weights }
            }
        }
    }

    /// A mesh in the coordinates of the data.
    pub(super) fn sites(&self, mesh: &Mesh) -> Sites {
        let axes = self.domain.iter().cycle();
        let placed = mesh.points.iter().zip(axes).map(|(s, [low, high])| low + s * (high - low));
        Sites::scattered(placed.collect(), self.domain.len(), mesh.weights.clone())
    }

    /// The result at places that no mesh depends on, `[functions, queries, d_out]`.
    ///
    /// The places are points without weight: they are answered and change no other answer. So is the first
    /// point where it is read in another way than all others: the limit of every mesh.
    pub(super) fn at_queries(&self, mesh: &Mesh) -> Vec<f64> {
        let dimension = self.domain.len();
        let mut all = Mesh { points: Vec::new(), weights: Vec::new() };
        if self.first_output {
            all.points.extend(vec![0.0; dimension]);
            all.weights.push(0.0);
        }
        let before = all.weights.len();
        all.points.extend(&mesh.points);
        all.weights.extend(&mesh.weights);
        let queries = queries(dimension);
        all.points.extend(&queries);
        all.weights.extend(vec![0.0; queries.len() / dimension]);
        let first = before + mesh.weights.len();
        let found = self.results(&self.sites(&all));
        let per_function = all.weights.len() * self.shape.d_out;
        found.chunks(per_function).flat_map(|f| &f[first * self.shape.d_out..]).copied().collect()
    }

    /// The results on all points, `[functions, points, d_out]`.
    pub(super) fn results(&self, sites: &Sites) -> Vec<f64> {
        let dimension = self.domain.len();
        let device = Device::default();
        let of_function = |channels: &Vec<Waves>| -> Vec<f64> {
            let mut rows = Vec::with_capacity(sites.n_points() * channels.len());
            for place in sites.coordinates().chunks_exact(dimension) {
                let ends = place.iter().zip(&self.domain);
                let s: Vec<f64> = ends.map(|(x, [low, high])| (x - low) / (high - low)).collect();
                rows.extend(channels.iter().map(|waves| waves.value(&s)));
            }
            let shape = [1, sites.n_points(), self.shape.d_in];
            let x = tensor(&rows, shape, &device, Precision::F64);
            let y = self.model.forward(x, sites);
            y.try_into_vec_as::<f64>().expect("numbers convert to f64")
        };
        self.functions.iter().flat_map(of_function).collect()
    }

    /// Means of the results over `blocks` of a grid, `[functions, blocks, d_out]`.
    pub(super) fn block_means(
        &self,
        sites: &Sites,
        blocks: [usize; 2],
        grid: [usize; 2],
    ) -> Vec<f64> {
        let found = self.results(sites);
        let d = self.shape.d_out;
        let [rows, columns] = [0, 1].map(|axis| grid[axis] / blocks[axis]);
        let mut means = vec![0.0; FUNCTIONS * blocks[0] * blocks[1] * d];
        for (i, value) in found.iter().enumerate() {
            let (point, channel) = (i / d, i % d);
            let (row, column) = (point / grid[1], point % grid[1]);
            let (function, row) = (row / grid[0], row % grid[0]);
            let block = (function * blocks[0] + row / rows) * blocks[1] + column / columns;
            means[block * d + channel] += value / (rows * columns) as f64;
        }
        means
    }
}

/// Places in the unit domain, `[queries, dimension]`.
fn queries(dimension: usize) -> Vec<f64> {
    let along = |n: usize| (0..n).map(move |i| (i as f64 + 0.37) / n as f64);
    if dimension == 1 {
        return along(QUERIES).collect();
    }
    along(3).flat_map(|y| along(3).flat_map(move |x| [y, x])).collect()
}
