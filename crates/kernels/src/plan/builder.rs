//! Puts a plan together, operation by operation, with the checks that running it relies on.
#![expect(unsafe_code, reason = "packs weights from raw memory")]

use burn::tensor::{DType, Tensor, assert_shape};

use super::{Op, Plan, Stage};
use crate::affine::Packed;
use crate::cpu::op::on_cpu;
use crate::cpu::view::Ptr;
use crate::mixing::Reach;
use crate::pointwise::Activation;

/// A result within a plan, `[rows, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub(super) index: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
}

/// Collects the operations of a [`Plan`].
///
/// Every method takes results of earlier ones and returns its own. They panic if a shape does not
/// fit, or if a result belongs to another plan.
#[derive(Debug)]
pub struct PlanBuilder {
    dtype: DType,
    slots: Vec<Slot>,
    stages: Vec<Stage>,
    /// In double precision, whatever the type: that is exact.
    constants: Vec<f64>,
}

impl PlanBuilder {
    /// Starts a plan in the precision of `like`; `None` unless `like` is on the CPU in `f32` or
    /// `f64`.
    #[must_use]
    pub fn new<const D: usize>(like: &Tensor<D>) -> Option<Self> {
        let (slots, stages, constants) = Default::default();
        on_cpu(like).then(|| Self { dtype: like.dtype(), slots, stages, constants })
    }

    /// The sequence that the plan will be given.
    ///
    /// # Panics
    /// If there is one already, or an operation.
    pub fn input(&mut self, [rows, width]: [usize; 2]) -> Slot {
        assert!(self.slots.is_empty(), "a plan begins with its one input");
        self.slot(rows, width)
    }

    /// `activation(x · weight + bias)`; see [`crate::affine::affine`].
    ///
    /// # Shapes
    /// - `x`: `[rows, d_in]`; `weight`: `[d_in, d_out]`; `bias`: `[d_out]`
    /// - returns: `[rows, d_out]`
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn affine(
        &mut self,
        x: Slot,
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
        activation: Activation,
    ) -> Slot {
        let [d_in, d_out] = weight.dims();
        assert_shape!(weight, [x.width, d_out]);
        let mut weight = values(weight);
        let packed = unsafe { Packed::new(Ptr(weight.as_mut_ptr()), d_in, d_out, d_out, 1) };
        let weight = self.constants(packed.into_panels());
        let bias = bias.map(|bias| {
            assert_shape!(bias, [d_out]);
            self.constants(values(bias))
        });
        self.push(Op::Affine { weight, bias, activation }, &[x], [x.rows, d_out])
    }

    /// `α_i x_i` for the columns `x_i` of every head; see [`crate::mixing::mix_within`].
    ///
    /// # Shapes
    /// - `alpha`: `[heads, rows, time]`; `x`: `[time, width]`
    /// - returns: `[rows, width]`
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn mix(&mut self, reach: Reach, alpha: Tensor<3>, x: Slot) -> Slot {
        let [heads, rows, _] = alpha.dims();
        assert_shape!(alpha, [heads, rows, x.rows]);
        assert!(
            heads > 0 && x.width.is_multiple_of(heads),
            "{heads} heads share {} columns",
            x.width
        );
        assert!(reach == Reach::FULL || rows == x.rows, "a limited reach needs a square matrix");
        let alpha = self.constants(values(alpha));
        self.push(Op::Mix { alpha, heads, reach }, &[x], [rows, x.width])
    }

    /// `x + offset`.
    ///
    /// # Shapes
    /// - `x`, `offset` and the result: `[rows, width]`
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn add(&mut self, x: Slot, offset: Tensor<2>) -> Slot {
        assert_shape!(offset, [x.rows, x.width]);
        let offset = self.constants(values(offset));
        self.push(Op::Add { offset }, &[x], [x.rows, x.width])
    }

    /// Mean and maximum of neighbouring features; see [`crate::pointwise::pair_pool`].
    ///
    /// # Shapes
    /// - `x` and the result: `[rows, width]`, `width` even
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn pair_pool(&mut self, x: Slot) -> Slot {
        assert!(x.width.is_multiple_of(2), "width = {} must be even", x.width);
        self.push(Op::PairPool, &[x], [x.rows, x.width])
    }

    /// `layer_norm(x + branch)`; see [`crate::pointwise::residual_norm`].
    ///
    /// # Shapes
    /// - `x`, `branch` and the result: `[rows, width]`; `gamma`, `beta`: `[width]`
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn residual_norm(
        &mut self,
        x: Slot,
        branch: Slot,
        gamma: Tensor<1>,
        beta: Tensor<1>,
        eps: f64,
    ) -> Slot {
        let shape = [x.rows, x.width];
        assert_eq!([branch.rows, branch.width], shape, "a sum needs two of one shape");
        assert_shape!(gamma, [x.width]);
        assert_shape!(beta, [x.width]);
        let (gamma, beta) = (self.constants(values(gamma)), self.constants(values(beta)));
        self.push(Op::ResidualNorm { gamma, beta, eps }, &[x, branch], shape)
    }

    /// Softmax attention of every head, whose columns lie side by side; see
    /// [`crate::softmax::attention`].
    ///
    /// # Shapes
    /// - each of `qkv` and the result: `[rows, width]`, `width` a multiple of `heads`
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn attention(&mut self, qkv: [Slot; 3], heads: usize, scale: f64, causal: bool) -> Slot {
        let shape = [qkv[0].rows, qkv[0].width];
        for x in qkv {
            assert_eq!([x.rows, x.width], shape, "queries, keys and values have one shape");
        }
        assert!(
            heads > 0 && shape[1].is_multiple_of(heads),
            "{heads} heads share {} columns",
            shape[1]
        );
        assert!(scale > 0.0, "scale = {scale} must be positive");
        self.push(Op::Attention { heads, scale, causal }, &qkv, shape)
    }

    /// The last row of `x` plus `scale ∘ net`.
    ///
    /// # Shapes
    /// - `x`: `[time, width]`; `net` and the result: `[rows, width]`; `scale`: `width` numbers
    ///
    /// # Panics
    /// If the shapes disagree.
    pub fn increment(&mut self, x: Slot, net: Slot, scale: &[f64]) -> Slot {
        assert!(x.rows > 0 && x.width == net.width, "rows of {} and {}", x.width, net.width);
        assert_eq!(scale.len(), x.width, "one scale per column");
        let scale = self.constants(scale.to_vec());
        self.push(Op::Increment { scale }, &[x, net], [net.rows, net.width])
    }

    /// The plan whose result is `output`.
    ///
    /// # Panics
    /// If the plan has no input.
    #[must_use]
    pub fn finish(self, output: Slot) -> Plan {
        self.check(output);
        let (places, memory) = self.places(output);
        let ends = [self.slots[0], output];
        Plan::new(self.dtype, self.stages, &self.constants, (places, memory), ends)
    }

    /// Where every result lies, and the length of the memory: the lowest place that is free from
    /// when it is written until it is read for the last time.
    fn places(&self, output: Slot) -> (Vec<usize>, usize) {
        let mut last_use = vec![0; self.slots.len()];
        for (i, stage) in self.stages.iter().enumerate() {
            for slot in &stage.inputs {
                last_use[slot.index] = i;
            }
        }
        last_use[output.index] = usize::MAX;
        let len = |slot: &Slot| slot.rows * slot.width;
        let mut places = vec![0; self.slots.len()];
        let mut memory = len(&self.slots[0]);
        let mut live = vec![self.slots[0]];
        for (i, stage) in self.stages.iter().enumerate() {
            live.retain(|slot| last_use[slot.index] >= i);
            live.sort_by_key(|slot| places[slot.index]);
            let mut at = 0;
            for slot in &live {
                if at + len(&stage.output) <= places[slot.index] {
                    break;
                }
                at = at.max(places[slot.index] + len(slot));
            }
            places[stage.output.index] = at;
            memory = memory.max(at + len(&stage.output));
            live.push(stage.output);
        }
        (places, memory)
    }

    fn slot(&mut self, rows: usize, width: usize) -> Slot {
        let slot = Slot { index: self.slots.len(), rows, width };
        self.slots.push(slot);
        slot
    }

    fn constants(&mut self, values: Vec<f64>) -> usize {
        let at = self.constants.len();
        self.constants.extend(values);
        at
    }

    fn push(&mut self, op: Op, inputs: &[Slot], [rows, width]: [usize; 2]) -> Slot {
        for &slot in inputs {
            self.check(slot);
        }
        let output = self.slot(rows, width);
        self.stages.push(Stage { op, inputs: inputs.to_vec(), output });
        output
    }

    fn check(&self, slot: Slot) {
        assert_eq!(self.slots.get(slot.index), Some(&slot), "a result of another plan");
    }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    let values = x.into_data().convert::<f64>().try_into_vec::<f64>();
    values.expect("converted to f64 above")
}
