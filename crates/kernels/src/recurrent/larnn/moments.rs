//! Means and variances of the norms: of every step of a sequence, and running over sequences.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Weight of the newest statistics in the running ones.
const MOMENTUM: f64 = 0.1;

/// Means and variances of the norms, for use where there is no batch to take them from.
#[derive(Clone, Debug)]
pub struct Moments {
    /// `[n_norms, d_hidden]`
    pub mean: Tensor<2>,
    /// `[n_norms, d_hidden]`
    pub var: Tensor<2>,
}

/// What the norms saw at each step of a sequence.
#[derive(Clone, Debug)]
pub struct StepMoments {
    /// `[time, n_norms, d_hidden]`
    pub mean: Tensor<3>,
    /// Mean squared deviation, `[time, n_norms, d_hidden]`.
    pub var: Tensor<3>,
    /// Sequences in the batch.
    pub batch: usize,
    /// Cells in the window of each step.
    pub n_cells: Vec<usize>,
}

/// How running moments follow those of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningUpdate {
    /// `running ← 0.9 running + 0.1 step`, at every step.
    PerStep,
    /// The same once, with the moments of all steps together.
    Pooled,
}

impl Moments {
    /// Mean zero, variance one.
    #[must_use]
    pub fn new(n_norms: usize, d_hidden: usize, device: &Device) -> Self {
        let shape = [n_norms, d_hidden];
        Self { mean: Tensor::zeros(shape, device), var: Tensor::ones(shape, device) }
    }

    /// These moments after one more sequence. Variances are unbiased where there are two rows.
    #[must_use]
    pub fn updated(&self, steps: &StepMoments, rule: RunningUpdate) -> Self {
        let [n_norms, d_hidden] = self.mean.dims();
        let [mut mean, mut var] = [&self.mean, &self.var].map(|x| host(x.clone()));
        let [step_mean, step_var] = [&steps.mean, &steps.var].map(|x| host(x.clone()));
        let size = n_norms * d_hidden;
        let follow = |running: &mut f64, x: f64| *running += MOMENTUM * (x - *running);
        for i in 0..size {
            let at = |t: usize| {
                let n = steps.rows(i / d_hidden, t);
                (n, step_mean[t * size + i], step_var[t * size + i])
            };
            let all = (0..steps.n_cells.len()).map(at);
            match rule {
                RunningUpdate::PerStep => {
                    for (n, m, v) in all {
                        follow(&mut mean[i], m);
                        follow(&mut var[i], v * unbiased(n));
                    }
                }
                RunningUpdate::Pooled => {
                    let n: f64 = all.clone().map(|(n, _, _)| n).sum();
                    let m = all.clone().map(|(n, m, _)| n * m).sum::<f64>() / n;
                    let v = all.map(|(n, x, v)| n * (v + (x - m).powi(2))).sum::<f64>() / n;
                    follow(&mut mean[i], m);
                    follow(&mut var[i], v * unbiased(n));
                }
            }
        }
        let (device, dtype) = (self.mean.device(), self.mean.dtype());
        let [mean, var] = [mean, var].map(|values| {
            let data = TensorData::new(values, [n_norms, d_hidden]);
            Tensor::from_data(data, (&device, dtype))
        });
        Self { mean, var }
    }
}

impl StepMoments {
    /// Rows that a norm saw at a step.
    fn rows(&self, norm: usize, t: usize) -> f64 {
        let cells = if norm < 3 { 1 } else { self.n_cells[t] };
        (self.batch * cells) as f64
    }
}

fn unbiased(n: f64) -> f64 {
    if n > 1.0 { n / (n - 1.0) } else { 1.0 }
}

/// The numbers of a tensor, row-major, in `f64`.
pub(super) fn host<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    let data = x.into_data().convert_dtype(DType::F64);
    data.try_into_vec::<f64>().expect("converted to f64 above")
}
