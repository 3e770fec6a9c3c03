//! The certificate of an operator: what it does as the mesh is refined, measured on a trained run.
//!
//! ```text
//! error(N) = max_q |A_N u(q) − A u(q)| / max_q |A u(q)| ~ N^(−p)      q fixed places, A by a mesh much finer
//! ```
//!
//! On points the places `q` are added to every mesh without weight, so that they are answered and change no
//! answer; on grids means over blocks are compared instead. Everything is computed in double precision, for
//! functions made of a few waves in normalised units. An operator that depends on where its points lie, or on
//! how many there are, does not converge and fails.
//!
//! Source: Calvello et al. 2025, §2, arXiv:2406.06486, for the rules and their orders; the bands are those of
//! single attention measured with the published program's modules, the study is ours.

mod mesh;
mod subject;
#[cfg(test)]
mod tests;

use std::path::Path;

use burn::tensor::Device;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use regard_data::operator::{Placement, Points};
use regard_kernels::quadrature::voronoi;
use regard_nn::model::operator::{OperatorConfig, PatchedConfig, Sites};

use self::mesh::{Mesh, centres, nodes, sorted, squared};
use self::subject::Subject;
use super::data::sites;
use crate::error::TrainError;
use crate::model_file::{self, OperatorCard};
use crate::observer::Observer;
use crate::report::{Certificate, CertificateLine, RunReport};
use crate::run::in_pool;
use crate::run_folder::RunFolder;

/// Seed of the functions and of random meshes.
const SEED: u64 = 7;
/// Largest difference, over the largest value, that is rounding.
const ROUNDING: f64 = 1e-10;
/// Points of a line.
const LINE: [usize; 4] = [33, 65, 129, 257];
/// Points along an axis of a square.
const SQUARE: [usize; 3] = [12, 24, 48];
/// Independent random points.
const RANDOM: [usize; 3] = [32, 128, 512];
/// Draws of them whose root mean square is the error: its order is known to ±0.03.
const DRAWS: usize = 256;
/// Random points with the areas of their cells.
const SCATTERED: [usize; 3] = [64, 256, 1024];
/// Draws of sorted random points whose median is the error.
const SORTED_DRAWS: usize = 20;

/// Measures a trained operator, and puts what was found into the report of its run.
///
/// # Errors
/// [`TrainError`] if the run cannot be read, learns no operator, or is not finished.
pub fn certify(run: &Path, observer: &mut dyn Observer) -> Result<Certificate, TrainError> {
    let folder = RunFolder::open(run)?;
    folder.operator_config()?;
    if !folder.model().exists() {
        return Err(folder.error("has no model yet; finish the run with `regard train --resume`"));
    }
    let (model, card) = model_file::load_operator(&folder.model(), &Device::default())?;
    let subject = Subject::new(model, &card, SEED);
    let certificate = in_pool(|| measure(&subject, &card, observer))?;
    if let Some(RunReport::Operator(mut report)) = folder.report()? {
        report.certificate = Some(certificate.clone());
        folder.write_report(&RunReport::Operator(report))?;
    }
    Ok(certificate)
}

type Lines = Vec<CertificateLine>;

fn measure(
    subject: &Subject,
    card: &OperatorCard,
    observer: &mut dyn Observer,
) -> Result<Certificate, TrainError> {
    let mut lines = Lines::new();
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let dimension = card.shape.dimension;
    let anywhere = subject.model().accepts(&subject.sites(&Mesh::random(4, dimension, &mut rng)));
    if anywhere.is_ok() {
        observer.phase("refining meshes of points", None);
        if dimension == 1 {
            lines.extend(on_line(subject, &mut rng));
        } else {
            lines.extend(on_square(subject, &mut rng));
        }
        observer.phase("drawing random points", None);
        lines.push(independent(subject, dimension, &mut rng));
        lines.extend(of_points(subject, dimension, &mut rng));
    }
    if let Points::Grid { placement, .. } = card.points {
        observer.phase("refining grids", None);
        lines.push(on_grids(subject, card, placement)?);
        lines.extend(of_patches(subject, card));
    }
    Ok(Certificate { lines })
}

/// Largest difference over the largest value.
fn apart(found: &[f64], expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
    // `max` would pass over a value that is no number.
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most: f64, x| if x > most || x.is_nan() { x } else { most }) / scale
}

fn on_line(subject: &Subject, rng: &mut ChaCha8Rng) -> Lines {
    let exact = subject.at_queries(&Mesh::gauss(400, 1));
    let error = |mesh: &Mesh| apart(&subject.at_queries(mesh), &exact);
    let line = |name: &str, least: f64, most: f64, mesh: &dyn Fn(usize) -> Mesh| {
        let errors = LINE.map(|n| error(&mesh(n))).to_vec();
        CertificateLine::order(name, LINE.to_vec(), errors, least, Some(most))
    };
    // A first point that is read in another way has a weight on every mesh with end points, and none in
    // the limit: first order.
    let (least, most) = if subject.first_output { (0.85, 2.2) } else { (1.85, 2.2) };
    let ends = if subject.first_output { 0.8 } else { 0.9 };
    let mut lines = vec![
        line("its own weights, equal steps", least, most, &|n| subject.weighed(nodes(n))),
        line("its own weights, steps that grow", least, most, &|n| subject.weighed(squared(n))),
        line("equal weights, centres of cells", 1.85, 2.15, &|n| Mesh::equal(centres(n), 1)),
        line("equal weights, both end points", ends, 1.1, &|n| Mesh::equal(nodes(n), 1)),
    ];
    let mut median = |n: usize| {
        let mut errors: Vec<f64> =
            (0..SORTED_DRAWS).map(|_| error(&subject.weighed(sorted(n, rng)))).collect();
        errors.sort_by(f64::total_cmp);
        0.5 * (errors[SORTED_DRAWS / 2 - 1] + errors[SORTED_DRAWS / 2])
    };
    let errors = LINE.iter().map(|&n| median(n)).collect();
    let least = if subject.first_output { 0.8 } else { 1.3 };
    let name = "its own weights, sorted random points, median of 20";
    lines.insert(2, CertificateLine::order(name, LINE.to_vec(), errors, least, None));
    lines
}

fn on_square(subject: &Subject, rng: &mut ChaCha8Rng) -> Lines {
    let exact = subject.at_queries(&Mesh::gauss(48, 2));
    let error = |mesh: &Mesh| apart(&subject.at_queries(mesh), &exact);
    let line = |name: &str, least: f64, most: f64, axis: &dyn Fn(usize) -> Mesh| {
        let errors = SQUARE.map(|n| error(&Mesh::grid(&axis(n), &axis(n)))).to_vec();
        CertificateLine::order(name, SQUARE.to_vec(), errors, least, Some(most))
    };
    let mut lines = vec![
        line("equal weights, centres of cells", 1.85, 2.15, &|n| Mesh::equal(centres(n), 1)),
        line("its own weights, both end points", 1.85, 2.2, &|n| subject.weighed(nodes(n))),
        line("its own weights, steps that grow", 1.85, 2.2, &|n| subject.weighed(squared(n))),
    ];
    let mut scattered = |n: usize| {
        let mut errors: Vec<f64> = (0..SORTED_DRAWS)
            .map(|_| {
                let mut mesh = Mesh::random(n, 2, rng);
                let points: Vec<[f64; 2]> =
                    mesh.points.chunks_exact(2).map(|p| [p[0], p[1]]).collect();
                mesh.weights = voronoi(&points, [[0.0, 1.0]; 2]).expect("points of the square");
                error(&mesh)
            })
            .collect();
        errors.sort_by(f64::total_cmp);
        0.5 * (errors[SORTED_DRAWS / 2 - 1] + errors[SORTED_DRAWS / 2])
    };
    let errors = SCATTERED.iter().map(|&n| scattered(n)).collect();
    let name = "areas of Voronoi cells, random points, median of 20";
    lines.push(CertificateLine::order(name, SCATTERED.to_vec(), errors, 0.65, None));
    lines
}

/// The rate of Monte Carlo.
fn independent(subject: &Subject, dimension: usize, rng: &mut ChaCha8Rng) -> CertificateLine {
    let exact = subject.at_queries(&Mesh::gauss(if dimension == 1 { 400 } else { 48 }, dimension));
    let scale = exact.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
    let mut error = |n: usize| {
        let squares = (0..DRAWS).flat_map(|_| {
            let found = subject.at_queries(&Mesh::random(n, dimension, rng));
            found.into_iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).collect::<Vec<_>>()
        });
        let sum: f64 = squares.sum();
        (sum / (DRAWS * exact.len()) as f64).sqrt() / scale
    };
    let errors = RANDOM.iter().map(|&n| error(n)).collect();
    let name = "equal weights, independent random points, RMS of 256";
    CertificateLine::order(name, RANDOM.to_vec(), errors, 0.42, Some(0.6))
}

/// What must not matter to an operator on points.
fn of_points(subject: &Subject, dimension: usize, rng: &mut ChaCha8Rng) -> Lines {
    let mut mesh = Mesh::random(40, dimension, rng);
    for (i, weight) in mesh.weights.iter_mut().enumerate() {
        *weight = 1.0 + i as f64 / 40.0;
    }
    let expected = subject.at_queries(&mesh);
    let mut order: Vec<usize> = (0..40).collect();
    order.shuffle(rng);
    let shuffled = Mesh {
        points: order
            .iter()
            .flat_map(|&i| &mesh.points[i * dimension..(i + 1) * dimension])
            .copied()
            .collect(),
        weights: order.iter().map(|&i| mesh.weights[i]).collect(),
    };
    let mut cut = mesh.clone();
    cut.points.extend_from_within(..dimension);
    cut.weights[0] *= 0.25;
    cut.weights.push(3.0 * cut.weights[0]);
    let scaled = Mesh { weights: mesh.weights.iter().map(|w| 3.0 * w).collect(), ..mesh };
    let line = |name: &str, mesh: &Mesh| {
        CertificateLine::difference(name, apart(&subject.at_queries(mesh), &expected), ROUNDING)
    };
    vec![
        line("points in another order", &shuffled),
        line("a point cut in two", &cut),
        line("all weights three times as large", &scaled),
    ]
}

/// Means over blocks of finer and finer grids, placed as the training grid is.
fn on_grids(
    subject: &Subject,
    card: &OperatorCard,
    placement: Placement,
) -> Result<CertificateLine, TrainError> {
    let (blocks, per_block) = blocks_of(&card.operator);
    let means = |k: usize| -> Result<Vec<f64>, TrainError> {
        let grid = blocks.map(|n| n * k);
        let points = Points::Grid { rows: grid[0], columns: grid[1], placement };
        let sites = sites(&points, card.quadrature)?;
        Ok(subject.block_means(&sites, blocks, grid))
    };
    let fine = means(8 * per_block)?;
    let sizes = [1, 2, 4].map(|k| k * per_block);
    let errors =
        sizes.iter().map(|&k| Ok(apart(&means(k)?, &fine))).collect::<Result<_, TrainError>>()?;
    // Errors fall by 3.5 where points are centres of cells and by 1.8 elsewhere, when there are twice as many.
    let least = if placement == Placement::Cells { 3.5_f64.log2() } else { 1.8_f64.log2() };
    let name =
        format!("means over {} × {} blocks of grids of {}", blocks[0], blocks[1], placement.name());
    let sizes = sizes.iter().map(|k| k * blocks[0]).collect();
    Ok(CertificateLine::order(&name, sizes, errors, least, None))
}

/// Blocks down and across, and points along a side of the smallest that holds all modes.
fn blocks_of(operator: &OperatorConfig) -> ([usize; 2], usize) {
    match operator {
        OperatorConfig::Vitno(config) | OperatorConfig::Fano(config) => {
            let PatchedConfig { patches, modes, smoothing, field_modes, .. } = config;
            let [m1, m2] = modes.map(|m| 2 * m);
            let field = field_modes.map_or(0, |modes| modes[0].max(modes[1]));
            let whole = 2 * smoothing.unwrap_or(0).max(field);
            let whole = whole.div_ceil(patches[0]).max(whole.div_ceil(patches[1]));
            (*patches, m1.max(m2).max(whole).max(8))
        }
        OperatorConfig::Fno(config) => {
            let modes = config.modes[0].max(config.modes[1]);
            ([4, 4], (2 * modes).div_ceil(4).max(8))
        }
        // All points see each other: smaller grids.
        OperatorConfig::Tno(_) => ([4, 4], 2),
    }
}

/// Patches in another order, each with its coordinates.
fn of_patches(subject: &Subject, card: &OperatorCard) -> Option<CertificateLine> {
    let (OperatorConfig::Vitno(config) | OperatorConfig::Fano(config)) = &card.operator else {
        return None;
    };
    if config.smoothing.is_some() || config.field_modes.is_some() {
        return None; // a convolution over the whole field knows the neighbours of a patch
    }
    let (blocks, per_block) = blocks_of(&card.operator);
    let [rows, columns] = blocks.map(|n| n * per_block);
    let sites = Sites::grid(&centres(rows), &centres(columns));
    let expected = subject.results(&sites);
    // The last patch becomes the first, and all others follow.
    let n = blocks[0] * blocks[1];
    let from = |point: usize| {
        let (row, column) = (point / columns, point % columns);
        let patch = (row / per_block) * blocks[1] + column / per_block;
        let patch = (patch + n - 1) % n;
        let row = patch / blocks[1] * per_block + row % per_block;
        row * columns + patch % blocks[1] * per_block + column % per_block
    };
    let points = rows * columns;
    let places = (0..points).flat_map(|i| &sites.coordinates()[2 * from(i)..2 * from(i) + 2]);
    let moved = sites.clone().with_coordinates(places.copied().collect());
    let found = subject.results(&moved);
    let d = card.shape.d_out;
    let expected: Vec<f64> = (0..found.len())
        .map(|i| {
            let (point, function) = (i / d % points, i / d / points);
            expected[(function * points + from(point)) * d + i % d]
        })
        .collect();
    let name = "patches in another order";
    Some(CertificateLine::difference(name, apart(&found, &expected), ROUNDING))
}
