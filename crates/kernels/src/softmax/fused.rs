//! The fused form as a Burn operation: dispatch, gradient.
#![expect(unsafe_code, reason = "hands finished buffers to the tensor type")]

use std::sync::Arc;

use burn::tensor::{Bool, Tensor};

use super::backward::{Rows, Saved, backward};
use super::centring::Centring;
use super::forward::{Inputs, forward};
use super::{HeadKeys, KeyMask, KeyWeight, Part, Problem};
use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, Input, apply_to_list};
use crate::cpu::view::{
    FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims, with_contiguous_rows,
};

/// Runs of one operation: its inputs are an array of known length, compiled for every length. Four
/// hold the rates of eight heads.
pub(super) const MAX_RUNS: usize = 4;

/// Attention of at most [`MAX_RUNS`] runs on the CPU.
pub(super) fn fused(
    tensors: Vec<Tensor<4>>,
    q: Part,
    keys: Vec<HeadKeys<Part>>,
    scale: f64,
) -> Tensor<4> {
    let n_tensors = tensors.len();
    let mut inputs: Vec<Input> = tensors.into_iter().map(Tensor::into_dispatch).collect();
    let run = |HeadKeys { k, v, weight, mask }| {
        let weight = match weight {
            KeyWeight::None => Weight::None,
            KeyWeight::Log(w) => {
                inputs.push(w.into_dispatch());
                Weight::Log
            }
            KeyWeight::Centred { beta, blocked } => {
                inputs.push(beta.into_dispatch());
                let seen = |blocked: Tensor<2, Bool>| {
                    blocked.into_data().iter::<bool>().map(|blocked| !blocked).collect()
                };
                Weight::Centred(blocked.map(seen))
            }
        };
        Run { k, v, mask, weight }
    };
    let runs = keys.into_iter().map(run).collect();
    let op = Heads { scale, q, n_tensors, runs };
    apply_to_list!(op, inputs, lengths: 1 2 3 4 5 6 7 8 9 10 11 12 13)
}

/// Attention of all runs of heads; inputs are the tensors, then the weight of each run.
#[derive(Clone, Debug)]
struct Heads {
    scale: f64,
    q: Part,
    n_tensors: usize,
    runs: Vec<Run>,
}

#[derive(Clone, Debug)]
struct Run {
    k: Part,
    v: Part,
    mask: KeyMask,
    weight: Weight,
}

/// [`KeyWeight`] without its tensors.
#[derive(Clone, Debug)]
enum Weight {
    None,
    Log,
    /// `false` where a key is blocked.
    Centred(Option<Arc<[bool]>>),
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Kept {
    tensors: Vec<FlexTensor>,
    o: FlexTensor,
    runs: Vec<KeptRun>,
}

#[derive(Clone, Debug)]
struct KeptRun {
    log_weight: Option<FlexTensor>,
    beta: Option<FlexTensor>,
    lse: FlexTensor,
}

impl<const N: usize> FusedOp<N> for Heads {
    type Saved = Kept;

    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Kept) {
        let mut inputs = inputs.into_iter().map(with_contiguous_rows);
        let tensors: Vec<FlexTensor> = inputs.by_ref().take(self.n_tensors).collect();
        let weights = inputs.collect();
        by_dtype!(tensors[0], forward_of(self, tensors, weights))
    }

    fn backward(&self, kept: Kept, grad: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N] {
        let grad = with_contiguous_rows(grad);
        let of_weights = &wanted[self.n_tensors..];
        let found = by_dtype!(grad, backward_of(self, &kept, &grad, of_weights));
        let mut found = found.into_iter();
        std::array::from_fn(|_| found.next().flatten())
    }
}

/// The view from one head on.
fn from_head<S: Storage>(x: &FlexTensor, head: usize) -> View<S, 4> {
    let view = View::<S, 4>::new(x);
    View { ptr: Ptr(view.ptr.at(head * view.strides[1])), strides: view.strides }
}

impl Heads {
    /// The queries of a run, given how many heads come before it.
    fn queries(&self, run: &Run, head: usize) -> Part {
        Part { first: self.q.first + head, heads: run.k.heads, ..self.q }
    }

    fn problem(&self, run: &Run, tensors: &[FlexTensor]) -> Problem {
        let [batch, _, time_q, d_k] = dims(&tensors[self.q.tensor]);
        let [_, _, time_k, d_v] = dims(&tensors[run.v.tensor]);
        let (heads, row_heads) = (run.k.heads, self.q.heads);
        let (scale, mask) = (self.scale, run.mask);
        Problem { batch, heads, time_q, time_k, d_k, d_v, scale, mask, row_heads }
    }

    fn inputs<S: Storage>(
        &self,
        run: &Run,
        head: usize,
        tensors: &[FlexTensor],
        w: Option<&FlexTensor>,
    ) -> Inputs<S> {
        let [q, k, v] = [self.queries(run, head), run.k, run.v]
            .map(|part| from_head(&tensors[part.tensor], part.first));
        Inputs { q, k, v, log_weight: w.map(View::new) }
    }
}

fn forward_of<S: Storage + Tables>(
    op: &Heads,
    tensors: Vec<FlexTensor>,
    weights: Vec<FlexTensor>,
) -> (FlexTensor, Kept) {
    let [batch, _, time_q, _] = dims(&tensors[op.q.tensor]);
    let [_, _, _, d_v] = dims(&tensors[op.runs[0].v.tensor]);
    let heads = op.q.heads;
    let mut o = Output::<S>::new(batch * time_q * heads * d_v);
    let o_ptr = o.ptr();
    let mut weights = weights.into_iter();
    let mut head = 0;
    let mut runs = Vec::with_capacity(op.runs.len());
    for run in &op.runs {
        let mut next = || weights.next().expect("every run brings its weight");
        let p = op.problem(run, &tensors);
        let (log_weight, beta) = match &run.weight {
            Weight::None => (None, None),
            Weight::Log => (Some(next()), None),
            Weight::Centred(seen) => {
                let beta = next();
                let centring =
                    Centring { beta: View::<S, 1>::new(&beta).ptr, seen: seen.as_deref() };
                let w = centring.forward(&p, &op.inputs(run, head, &tensors, None));
                (Some(unsafe { w.finish([p.batch, p.heads, p.time_k]) }), Some(beta))
            }
        };
        let from = op.inputs(run, head, &tensors, log_weight.as_ref());
        let lse = forward(&p, &from, Ptr(o_ptr.at(head * d_v)));
        let lse = unsafe { lse.finish([p.batch, p.heads, p.time_q]) };
        runs.push(KeptRun { log_weight, beta, lse });
        head += p.heads;
    }
    let o = unsafe { o.finish([batch, time_q, heads, d_v]) }.transpose(1, 2);
    (o.clone(), Kept { tensors, o, runs })
}

/// Memory for the gradient of a tensor, `[batch, time, heads, d]`; zero if not all heads are written.
fn gradient_of<S: Storage>(op: &Heads, tensor: usize, x: &FlexTensor) -> Output<S> {
    let [batch, heads, time, d] = dims(x);
    let parts = op.runs.iter().flat_map(|run| [run.k, run.v]).chain([op.q]);
    let written = parts.filter(|part| part.tensor == tensor).map(|part| part.heads).sum::<usize>();
    let len = batch * heads * time * d;
    if written == heads { Output::new(len) } else { Output::zeros(len) }
}

/// The gradients of all inputs, in their order; those of log-weights where they are wanted.
fn backward_of<S: Storage + Tables>(
    op: &Heads,
    kept: &Kept,
    grad: &FlexTensor,
    wanted: &[bool],
) -> Vec<Option<FlexTensor>> {
    let tensors = &kept.tensors;
    let mut gradients: Vec<Output<S>> =
        tensors.iter().enumerate().map(|(i, x)| gradient_of(op, i, x)).collect();
    let mut rows = |part: Part| {
        let [_, heads, _, d] = dims(&tensors[part.tensor]);
        let first = Ptr(gradients[part.tensor].ptr().at(part.first * d));
        Rows { first, row: heads * d, d }
    };
    let mut head = 0;
    let mut of_weights = Vec::new();
    for (run, KeptRun { log_weight, beta, lse }) in op.runs.iter().zip(&kept.runs) {
        let p = op.problem(run, tensors);
        let lse = contiguous(lse.clone());
        let saved = Saved {
            o: from_head(&kept.o, head),
            lse: View::<S, 3>::new(&lse).ptr,
            grad: from_head(grad, head),
        };
        let from = op.inputs(run, head, tensors, log_weight.as_ref());
        let to = [op.queries(run, head), run.k, run.v].map(&mut rows);
        let sum_weights = match run.weight {
            Weight::None => false,
            Weight::Log => wanted[of_weights.len()],
            Weight::Centred(_) => true,
        };
        let mut weight = backward(&p, &from, &saved, to, sum_weights);
        match (&run.weight, beta) {
            (Weight::None, _) => {}
            (Weight::Log, _) => of_weights
                .push(sum_weights.then(|| unsafe { weight.finish([p.batch, p.heads, p.time_k]) })),
            (Weight::Centred(seen), beta) => {
                let beta = beta.as_ref().expect("centring keeps β");
                let beta = View::<S, 1>::new(beta).ptr;
                let centring = Centring { beta, seen: seen.as_deref() };
                let beta = centring.backward(&p, &from, (to[1], weight.ptr()));
                of_weights.push(Some(unsafe { beta.finish([p.heads]) }));
            }
        }
        head += p.heads;
    }
    let gradients = gradients.into_iter().zip(tensors).map(|(gradient, x)| {
        let [batch, heads, time, d] = dims(x);
        Some(unsafe { gradient.finish([batch, time, heads, d]) }.transpose(1, 2))
    });
    gradients.chain(of_weights).collect()
}
