//! Kernel ridge regression from functions to functions.
//!
//! ```text
//! û(a) = ū + Σ_i k(a, a_i) c_i      (K + λ n I) C = U − ū      by Cholesky
//! k = κ(|a − a'| / ℓ)               κ(r): e^(−r²/2), (1 + √3 r) e^(−√3 r), (1 + √5 r + 5 r²/3) e^(−√5 r)
//! ```
//!
//! `|·|` is the root mean square over points and channels. Kernel, `ℓ` (as a multiple of the median distance of
//! training inputs) and `λ` are those with the least mean relative L2 error on functions held out.
//!
//! Source: Batlle et al. 2024, "Kernel methods are competitive for operator learning", J. Comput. Phys. 496,
//! arXiv:2304.13202. Cost: `n² p + n³/3` for `n` functions of `p` values, per kernel and `ℓ`.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

/// Kernels to choose among.
const KERNELS: [Kernel; 3] = [Kernel::Gauss, Kernel::Matern3, Kernel::Matern5];
/// Lengths, as multiples of the median distance.
const LENGTHS: [f64; 6] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0];
/// Penalties.
const PENALTIES: [f64; 6] = [1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3];

#[derive(Clone, Copy, Debug)]
enum Kernel {
    Gauss,
    Matern3,
    Matern5,
}

/// A fitted regression.
pub(super) struct KernelRidge {
    kernel: Kernel,
    length: f64,
    /// Training inputs, one after another.
    inputs: Vec<f64>,
    /// Values of one input.
    width: usize,
    mean: Vec<f64>,
    /// `[functions, values of an output]`
    coefficients: Mat<f64>,
}

/// Functions side by side: inputs and outputs, one after another.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub(super) inputs: &'a [f64],
    pub(super) outputs: &'a [f64],
    pub(super) count: usize,
}

impl Pairs<'_> {
    fn input_width(&self) -> usize {
        self.inputs.len() / self.count
    }

    fn output_width(&self) -> usize {
        self.outputs.len() / self.count
    }
}

impl Kernel {
    fn of(self, r: f64) -> f64 {
        match self {
            Self::Gauss => (-0.5 * r * r).exp(),
            Self::Matern3 => {
                let r = 3_f64.sqrt() * r;
                (1.0 + r) * (-r).exp()
            }
            Self::Matern5 => {
                let r = 5_f64.sqrt() * r;
                (1.0 + r + r * r / 3.0) * (-r).exp()
            }
        }
    }
}

impl KernelRidge {
    /// Chooses kernel, length and penalty on `held_out` and fits `train`; `None` if no system could be solved.
    pub(super) fn fit(train: Pairs<'_>, held_out: Pairs<'_>) -> Option<Self> {
        let width = train.input_width();
        let own = distances(train.inputs, train.inputs, width);
        let others = distances(held_out.inputs, train.inputs, width);
        let mut apart: Vec<f64> = (0..train.count)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| own[(i, j)])
            .collect();
        apart.sort_by(f64::total_cmp);
        let median = apart.get(apart.len() / 2).copied().filter(|d| *d > 0.0)?;
        let mean = mean(&train);
        let d_out = train.output_width();
        let centred =
            Mat::from_fn(train.count, d_out, |i, j| train.outputs[i * d_out + j] - mean[j]);
        let mut best: Option<(f64, Self)> = None;
        for kernel in KERNELS {
            for length in LENGTHS.map(|multiple| multiple * median) {
                let of = |d: &Mat<f64>| {
                    Mat::from_fn(d.nrows(), d.ncols(), |i, j| kernel.of(d[(i, j)] / length))
                };
                let (gram, cross) = (of(&own), of(&others));
                for penalty in PENALTIES {
                    let mut penalised = gram.clone();
                    for i in 0..train.count {
                        penalised[(i, i)] += penalty * train.count as f64;
                    }
                    let Ok(factor) = penalised.llt(Side::Lower) else { continue };
                    let coefficients = factor.solve(&centred);
                    let found = &cross * &coefficients;
                    let error = error(&found, &mean, &held_out);
                    if error.is_finite() && best.as_ref().is_none_or(|(least, _)| error < *least) {
                        let (inputs, mean) = (train.inputs.to_vec(), mean.clone());
                        let fitted = Self { kernel, length, inputs, width, mean, coefficients };
                        best = Some((error, fitted));
                    }
                }
            }
        }
        best.map(|(_, fitted)| fitted)
    }

    /// The outputs that belong to some inputs, one after another.
    pub(super) fn predict(&self, inputs: &[f64]) -> Vec<f64> {
        let d = distances(inputs, &self.inputs, self.width);
        let kernel =
            Mat::from_fn(d.nrows(), d.ncols(), |i, j| self.kernel.of(d[(i, j)] / self.length));
        let found = &kernel * &self.coefficients;
        (0..found.nrows())
            .flat_map(|i| self.mean.iter().enumerate().map(move |(j, mean)| (i, j, mean)))
            .map(|(i, j, mean)| found[(i, j)] + mean)
            .collect()
    }
}

/// Root mean squares of differences, one row per function of `a`.
fn distances(a: &[f64], b: &[f64], width: usize) -> Mat<f64> {
    let rows = |x: &[f64]| Mat::from_fn(x.len() / width, width, |i, j| x[i * width + j]);
    let (a, b) = (rows(a), rows(b));
    let squares = |x: &Mat<f64>| -> Vec<f64> {
        (0..x.nrows()).map(|i| (0..width).map(|j| x[(i, j)].powi(2)).sum()).collect()
    };
    let (of_a, of_b) = (squares(&a), squares(&b));
    let products = &a * b.transpose();
    Mat::from_fn(a.nrows(), b.nrows(), |i, j| {
        ((of_a[i] + of_b[j] - 2.0 * products[(i, j)]).max(0.0) / width as f64).sqrt()
    })
}

/// The mean output.
fn mean(pairs: &Pairs<'_>) -> Vec<f64> {
    let width = pairs.output_width();
    let mut mean = vec![0.0; width];
    for output in pairs.outputs.chunks_exact(width) {
        for (m, x) in mean.iter_mut().zip(output) {
            *m += x / pairs.count as f64;
        }
    }
    mean
}

/// Mean relative L2 error of `found + mean`.
fn error(found: &Mat<f64>, mean: &[f64], wanted: &Pairs<'_>) -> f64 {
    let of_function = |(i, wanted): (usize, &[f64])| {
        let (mut above, mut below) = (0.0, 0.0);
        for (j, (wanted, mean)) in wanted.iter().zip(mean).enumerate() {
            above += (found[(i, j)] + mean - wanted).powi(2);
            below += wanted.powi(2);
        }
        (above / below).sqrt()
    };
    let functions = wanted.outputs.chunks_exact(mean.len()).enumerate();
    functions.map(of_function).sum::<f64>() / wanted.count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `u = a²` at one point from `a` at one point, smooth enough for few examples.
    fn pairs(n: usize, shift: f64) -> (Vec<f64>, Vec<f64>) {
        let inputs: Vec<f64> = (0..n).map(|i| 1.0 + (i as f64 + shift) / n as f64).collect();
        let outputs = inputs.iter().map(|a| a * a).collect();
        (inputs, outputs)
    }

    #[test]
    fn a_smooth_map_is_learned_from_few_examples() {
        let (inputs, outputs) = pairs(20, 0.0);
        let (held_in, held_out) = pairs(19, 0.5);
        let train = Pairs { inputs: &inputs, outputs: &outputs, count: 20 };
        let held = Pairs { inputs: &held_in, outputs: &held_out, count: 19 };
        let fitted = KernelRidge::fit(train, held).unwrap();
        for (found, a) in fitted.predict(&[1.23, 1.77]).iter().zip([1.23_f64, 1.77]) {
            assert!((found - a * a).abs() < 1e-4, "{found} {}", a * a);
        }
    }

    #[test]
    fn equal_inputs_tell_nothing() {
        let (inputs, outputs) = (vec![1.0; 4], vec![0.0, 1.0, 2.0, 3.0]);
        let pairs = Pairs { inputs: &inputs, outputs: &outputs, count: 4 };
        assert!(KernelRidge::fit(pairs, pairs).is_none());
    }
}
