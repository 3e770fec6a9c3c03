//! The fused form: memory, threads, and the two passes as one operation.
#![expect(unsafe_code, reason = "calls kernels on raw memory")]

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::TensorData;
use rayon::prelude::*;

use super::backward::{Backward, BackwardScan, Common, Grads};
use super::forward::{Forward, ForwardScan};
use super::plan::{Memory, Sizes};
use super::prepare::{Masks, plan};
use super::products::{WeightGrads, gradients};
use super::setting::{LarnnSetting, Norm};
use super::statistics::{Now, Partials};
use super::team::{Team, together};
use crate::cpu::dispatch::launch;
use crate::cpu::math::Tables;
use crate::cpu::op::FusedOp;
use crate::cpu::view::{FlexTensor, Output, Ptr, Storage, View, by_dtype, contiguous, dims};

/// Below this many multiply-adds a scan is not worth a second thread.
const SERIAL: usize = 1 << 18;

/// Number of inputs: `x`, ten weights, the two of the start.
pub(super) const INPUTS: usize = 13;

/// A scan as an operation.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) setting: LarnnSetting,
    /// Whether there may be a backward pass, for which every step is kept.
    pub(super) tracked: bool,
    /// What the norms saw, `[2, time, n_norms, d]`: filled by the forward pass.
    pub(super) seen: Arc<Mutex<Vec<f64>>>,
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    inputs: [FlexTensor; INPUTS],
    sizes: Sizes,
    /// Taken by the backward pass, which writes gradients into it.
    kept: Arc<Mutex<Option<Kept>>>,
}

#[derive(Debug)]
enum Kept {
    Single(Memory<f32>),
    Double(Memory<f64>),
}

/// Scalars whose memory can be kept between the passes.
trait Keep: Storage + Tables {
    fn wrap(memory: Memory<Self>) -> Kept;
    fn unwrap(kept: Kept) -> Option<Memory<Self>>;
}

impl Keep for f32 {
    fn wrap(memory: Memory<f32>) -> Kept {
        Kept::Single(memory)
    }
    fn unwrap(kept: Kept) -> Option<Memory<f32>> {
        if let Kept::Single(memory) = kept { Some(memory) } else { None }
    }
}

impl Keep for f64 {
    fn wrap(memory: Memory<f64>) -> Kept {
        Kept::Double(memory)
    }
    fn unwrap(kept: Kept) -> Option<Memory<f64>> {
        if let Kept::Double(memory) = kept { Some(memory) } else { None }
    }
}

impl FusedOp<INPUTS> for Scan {
    type Saved = Saved;

    fn forward(&self, inputs: [FlexTensor; INPUTS]) -> (FlexTensor, Saved) {
        let inputs = inputs.map(contiguous);
        let sizes = self.sizes(&inputs);
        let (out, kept) = by_dtype!(inputs[0], forward(self, sizes, &inputs));
        (out, Saved { inputs, sizes, kept: Arc::new(Mutex::new(kept)) })
    }

    fn backward(
        &self,
        saved: Saved,
        grad: FlexTensor,
        wanted: [bool; INPUTS],
    ) -> [Option<FlexTensor>; INPUTS] {
        let grad = contiguous(grad);
        by_dtype!(grad, backward(self, &saved, &grad, wanted))
    }
}

impl Scan {
    fn sizes(&self, inputs: &[FlexTensor; INPUTS]) -> Sizes {
        let [batch, time, d_in] = dims(&inputs[0]);
        let [d, _] = dims(&inputs[7]);
        let [_, n_start, _] = dims(&inputs[12]);
        Sizes {
            batch,
            time,
            d_in,
            d,
            n_heads: self.setting.n_heads,
            window: self.setting.window,
            n_position: self.setting.n_position(),
            n_start,
        }
    }

    pub(super) fn coupled(&self) -> bool {
        matches!(self.setting.norm, Norm::Batch)
    }

    /// Threads of a team; one where rows are independent, for then the chunks are tasks.
    fn members(&self, sizes: &Sizes) -> usize {
        let work = sizes.batch * sizes.time * 17 * sizes.d * sizes.d;
        if !self.coupled() || work < SERIAL {
            return 1;
        }
        rayon::current_num_threads().min(sizes.chunks())
    }
}

fn forward<S: Keep>(
    scan: &Scan,
    sizes: Sizes,
    inputs: &[FlexTensor; INPUTS],
) -> (FlexTensor, Option<Kept>) {
    let masks = Masks::new(&scan.setting.dropout);
    let plan = plan::<S>(scan, &sizes, inputs, &masks);
    let Sizes { batch, time, d, .. } = sizes;
    let mut out = Output::<S>::new(batch * sizes.out_rows() * d);
    let coupled = scan.coupled();
    let n_seen = if coupled { 2 * time * scan.setting.n_norms() * d } else { 0 };
    let mut seen = vec![0.0; n_seen];
    let slots = match (coupled && plan.normalises_keys, plan.ages.is_some()) {
        (true, false) => sizes.slots(),
        (true, true) => 1,
        (false, _) => 0,
    };
    let mut partials = Partials::new(&sizes, slots);
    let (partials, seen_ptr) = (partials.ptr(), Ptr(seen.as_mut_ptr()));
    let (x, to) = (View::<S, 3>::new(&inputs[0]).ptr, out.ptr());
    let start = [View::<S, 2>::new(&inputs[11]).ptr, View::<S, 3>::new(&inputs[12]).ptr];
    let chunks = 0..sizes.chunks();
    let kept: Option<Memory<S>>;
    let run = |memory: &Memory<S>, now: Ptr<Now<S>>, team: &Team, member| unsafe {
        let plan = &plan;
        let scan = ForwardScan { sizes, plan, memory, partials, now, x, start, out: to };
        launch(Forward { scan, team, member });
    };
    if coupled {
        let mut now = Now::new(&plan, &sizes, Some(seen_ptr));
        let now = Ptr(&raw mut now);
        let memory = Memory::new(&sizes, chunks.clone(), scan.tracked);
        together(scan.members(&sizes), chunks, |member, team| run(&memory, now, team, member));
        kept = Some(memory);
    } else {
        kept = scan.tracked.then(|| Memory::new(&sizes, chunks, true));
        each_chunk(&sizes, |chunk| {
            let mut now = Now::new(&plan, &sizes, None);
            let now = Ptr(&raw mut now);
            let chunks = chunk..chunk + 1;
            together(1, chunks.clone(), |member, team| match &kept {
                Some(memory) => run(memory, now, team, member),
                None => run(&Memory::new(&sizes, chunks.clone(), false), now, team, member),
            });
        });
    }
    *scan.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    let out = unsafe { out.finish([batch, sizes.out_rows(), d]) };
    (out, kept.filter(|_| scan.tracked).map(S::wrap))
}

/// Chunks that do not depend on each other, on all threads of the pool.
fn each_chunk(sizes: &Sizes, f: impl Fn(usize) + Sync) {
    if sizes.chunks() < 2 {
        (0..sizes.chunks()).for_each(f);
    } else {
        (0..sizes.chunks()).into_par_iter().with_max_len(1).for_each(&f);
    }
}

fn backward<S: Keep>(
    scan: &Scan,
    saved: &Saved,
    grad: &FlexTensor,
    wanted: [bool; INPUTS],
) -> [Option<FlexTensor>; INPUTS] {
    let Saved { inputs, sizes, kept } = saved;
    let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let memory =
        kept.and_then(S::unwrap).expect("a tracked scan keeps its steps for one pass back");
    let masks = Masks::new(&scan.setting.dropout);
    let plan = plan::<S>(scan, sizes, inputs, &masks);
    let seen = scan.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Sizes { batch, time, d, d_in, window, n_start, .. } = *sizes;

    let mut more = Vec::new();
    let mut blocks = |n, steps| Memory::<S>::more(sizes, n, steps, &mut more);
    let aged = if plan.ages.is_some() { window } else { 0 };
    let mut norms = vec![0.0; sizes.chunks() * 10 * d];
    let grads = Grads {
        hidden: blocks(d, 1),
        cell: blocks(d, 1),
        attention: blocks(d, 1),
        output: blocks(d, time),
        key_value: blocks(2 * d, sizes.slots()),
        aged: blocks(2 * d, aged),
        ages: blocks(2 * d, aged),
        norms: Ptr(norms.as_mut_ptr()),
    };
    let mut d_hidden = Output::<S>::new(batch * d);
    let mut d_cells = Output::<S>::new(batch * n_start * d);
    let start = [d_hidden.ptr(), d_cells.ptr()];
    let mut partials = Partials::new(sizes, 1);
    let partials = partials.ptr();
    let out = View::<S, 3>::new(grad).ptr;
    let run = |common, team: &Team, member| unsafe {
        let (sizes, plan, memory, grads) = (*sizes, &plan, &memory, &grads);
        let seen = &seen[..];
        let scan = BackwardScan { sizes, plan, memory, grads, partials, common, seen, out, start };
        launch(Backward { scan, team, member });
    };
    if plan.coupled {
        let mut common = Common::new(&plan, sizes);
        let common = Ptr(&raw mut common);
        let chunks = 0..sizes.chunks();
        together(scan.members(sizes), chunks, |member, team| run(common, team, member));
    } else {
        each_chunk(sizes, |chunk| {
            let mut common = Common::new(&plan, sizes);
            let common = Ptr(&raw mut common);
            together(1, chunk..chunk + 1, |member, team| run(common, team, member));
        });
    }

    let [want_x, ..] = wanted;
    let mut dx = Output::<S>::new(if want_x { batch * time * d_in } else { 0 });
    let dx_ptr = want_x.then(|| dx.ptr());
    let x = View::<S, 3>::new(&inputs[0]).ptr;
    let weights = gradients(sizes, &plan, &memory, &grads, x, dx_ptr);
    let WeightGrads { gates, gates_bias, query, query_bias, .. } = weights;
    let WeightGrads { key_value, key_value_bias, output, output_bias, .. } = weights;
    let n_norms = scan.setting.n_norms();
    let norm = |part: usize| {
        let rows = (0..n_norms * d).map(|i| {
            let of = |chunk: usize| norms[(2 * chunk + part) * 5 * d + i];
            S::from_f64((0..sizes.chunks()).map(of).sum())
        });
        rows.collect::<Vec<S>>()
    };
    let tensors = [
        (gates, dims::<2>(&inputs[1]).to_vec()),
        (gates_bias, vec![4 * d]),
        (query, dims::<2>(&inputs[3]).to_vec()),
        (query_bias, vec![d]),
        (key_value, dims::<2>(&inputs[5]).to_vec()),
        (key_value_bias, vec![2 * d]),
        (output, vec![d, d]),
        (output_bias, vec![d]),
        (norm(0), vec![n_norms, d]),
        (norm(1), vec![n_norms, d]),
    ];
    let mut found: [Option<FlexTensor>; INPUTS] = [const { None }; INPUTS];
    for (i, (values, shape)) in tensors.into_iter().enumerate() {
        found[i + 1] = wanted[i + 1].then(|| FlexTensor::from_data(TensorData::new(values, shape)));
    }
    found[0] = want_x.then(|| unsafe { dx.finish([batch, time, d_in]) });
    found[11] = Some(unsafe { d_hidden.finish([batch, d]) });
    found[12] = Some(unsafe { d_cells.finish([batch, n_start, d]) });
    found
}
