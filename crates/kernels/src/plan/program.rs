//! Runs the operations of a plan, all with the instructions of one dispatch.
#![expect(unsafe_code, reason = "SIMD kernels on raw memory")]

use std::sync::Arc;

use burn::tensor::DType;

use super::Slot;
use crate::affine::Packed;
use crate::cpu::dispatch::{Kernel, launch};
use crate::cpu::math::Tables;
use crate::cpu::matmul::MatMul;
use crate::cpu::simd::{Scalar, Vector};
use crate::cpu::view::{Ptr, Storage, View};
use crate::mixing::Reach;
use crate::pointwise::{Activation, Epilogue, NormRows, pool_row};
use crate::softmax::{Inputs, KeyMask, Problem, forward_here};

/// A network for one sequence; build with [`super::PlanBuilder`].
#[derive(Debug, Clone)]
pub struct Plan(Typed);

#[derive(Debug, Clone)]
enum Typed {
    F32(Runner<f32>),
    F64(Runner<f64>),
}

/// What is to be done: results are read and written where `places` says.
#[derive(Debug)]
struct Program<S> {
    stages: Vec<Stage>,
    constants: Vec<S>,
    places: Vec<usize>,
    input: Slot,
    output: Slot,
}

/// A program with memory of its own.
#[derive(Debug, Clone)]
struct Runner<S> {
    program: Arc<Program<S>>,
    memory: Vec<S>,
}

/// One operation, from earlier results to a new one, which overlaps none of them.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) op: Op,
    pub(super) inputs: Vec<Slot>,
    pub(super) output: Slot,
}

/// Operations; matrices and vectors are places among the constants.
#[derive(Debug)]
pub(super) enum Op {
    /// The weight lies in panels.
    Affine {
        weight: usize,
        bias: Option<usize>,
        activation: Activation,
    },
    Mix {
        alpha: usize,
        heads: usize,
        reach: Reach,
    },
    Add {
        offset: usize,
    },
    PairPool,
    ResidualNorm {
        gamma: usize,
        beta: usize,
        eps: f64,
    },
    Attention {
        heads: usize,
        scale: f64,
        causal: bool,
    },
    Increment {
        scale: usize,
    },
}

impl Plan {
    pub(super) fn new(
        dtype: DType,
        stages: Vec<Stage>,
        constants: &[f64],
        (places, memory): (Vec<usize>, usize),
        [input, output]: [Slot; 2],
    ) -> Self {
        fn runner<S: Scalar>(
            stages: Vec<Stage>,
            constants: &[f64],
            (places, memory): (Vec<usize>, usize),
            [input, output]: [Slot; 2],
        ) -> Runner<S> {
            let constants = constants.iter().map(|&x| S::from_f64(x)).collect();
            let program = Program { stages, constants, places, input, output };
            Runner { program: Arc::new(program), memory: vec![S::ZERO; memory] }
        }
        let (places, ends) = ((places, memory), [input, output]);
        Self(match dtype {
            DType::F64 => Typed::F64(runner(stages, constants, places, ends)),
            _ => Typed::F32(runner(stages, constants, places, ends)),
        })
    }

    /// Numbers of memory per clone.
    #[cfg(test)]
    pub(super) fn memory_len(&self) -> usize {
        match &self.0 {
            Typed::F32(runner) => runner.memory.len(),
            Typed::F64(runner) => runner.memory.len(),
        }
    }

    /// The result for one sequence, in the precision of the plan.
    ///
    /// # Shapes
    /// - `x`: `[rows, width]` of the input, row after row; `y`: the same of the output
    ///
    /// # Panics
    /// If a length is another one.
    pub fn forward(&mut self, x: &[f64], y: &mut [f64]) {
        match &mut self.0 {
            Typed::F32(runner) => runner.forward(x, y),
            Typed::F64(runner) => runner.forward(x, y),
        }
    }
}

impl<S: Storage + Tables> Runner<S> {
    fn forward(&mut self, x: &[f64], y: &mut [f64]) {
        let Self { program, memory } = self;
        let Slot { rows, width, index } = program.input;
        assert_eq!(x.len(), rows * width, "the input is {rows} x {width}");
        for (to, &x) in memory[program.places[index]..].iter_mut().zip(x) {
            *to = S::from_f64(x);
        }
        // The builder has checked that every stage stays within the constants and the memory.
        unsafe { launch(Run { program, memory: Ptr(memory.as_mut_ptr()) }) };
        let Slot { rows, width, index } = program.output;
        assert_eq!(y.len(), rows * width, "the output is {rows} x {width}");
        for (y, from) in y.iter_mut().zip(&memory[program.places[index]..]) {
            *y = from.to_f64();
        }
    }
}

struct Run<'a, S> {
    program: &'a Program<S>,
    memory: Ptr<S>,
}

impl<S: Storage + Tables> Kernel<S> for Run<'_, S> {
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = S>>(self) {
        for stage in &self.program.stages {
            unsafe { self.stage::<V>(stage) };
        }
    }
}

impl<S: Storage + Tables> Run<'_, S> {
    #[inline(always)]
    unsafe fn stage<V: Vector<Scalar = S>>(&self, stage: &Stage) {
        let at = |slot: Slot| self.memory.at(self.program.places[slot.index]);
        let constant = |at: usize| Ptr(self.program.constants.as_ptr().cast_mut().wrapping_add(at));
        let (x, y) = (stage.inputs[0], stage.output);
        let (from, to) = (at(x), at(y));
        match stage.op {
            Op::Affine { weight, bias, activation } => unsafe {
                let weight = Packed::of_panels(constant(weight), x.width, y.width);
                weight.multiply::<V>(x.rows, (from, x.width), (to, y.width));
                if bias.is_some() || activation != Activation::Identity {
                    let bias = bias.map(constant);
                    let (rows, d) = (y.rows, y.width);
                    Epilogue { rows, d, bias, z: to, y: to, activation }.run::<V>();
                }
            },
            Op::Mix { alpha, heads, reach } => {
                let d = y.width / heads;
                for head in 0..heads {
                    for [rows, cols] in reach.blocks(y.rows, x.rows) {
                        let a = constant(alpha).at((head * y.rows + rows.start) * x.rows);
                        let product = MatMul {
                            m: rows.len(),
                            n: d,
                            k: cols.len(),
                            a: a.wrapping_add(cols.start),
                            a_row: x.rows,
                            a_col: 1,
                            b: from.wrapping_add(cols.start * x.width + head * d),
                            b_row: x.width,
                            c: to.wrapping_add(rows.start * y.width + head * d),
                            c_row: y.width,
                            accumulate: false,
                        };
                        unsafe { V::matmul(product) };
                    }
                }
            }
            Op::Add { offset } => {
                let offset = constant(offset);
                for i in 0..y.rows * y.width {
                    unsafe { *to.add(i) = (*from.add(i)).add(*offset.at(i)) };
                }
            }
            Op::PairPool => {
                for r in 0..y.rows {
                    unsafe { pool_row(y.width, from.add(r * y.width), to.add(r * y.width)) };
                }
            }
            Op::ResidualNorm { gamma, beta, eps } => unsafe {
                let rows = NormRows {
                    first: 0,
                    rows: y.rows,
                    d: y.width,
                    eps,
                    x: Ptr(from),
                    branch: Some(Ptr(at(stage.inputs[1]))),
                    gamma: constant(gamma),
                    beta: constant(beta),
                    y: Ptr(to),
                    s: Some(Ptr(to)),
                    moments: None,
                };
                rows.run::<V>();
            },
            Op::Attention { heads, scale, causal } => {
                let (time, d) = (y.rows, y.width / heads);
                let view = |x: Slot| View { ptr: Ptr(at(x)), strides: [0, d, x.width, 1] };
                let inputs = &stage.inputs;
                let (q, k, v) = (view(inputs[0]), view(inputs[1]), view(inputs[2]));
                let problem = Problem {
                    batch: 1,
                    heads,
                    time_q: time,
                    time_k: time,
                    d_k: d,
                    d_v: d,
                    scale,
                    mask: if causal { KeyMask::Causal } else { KeyMask::All },
                    row_heads: heads,
                };
                let inputs = Inputs { q, k, v, log_weight: None };
                unsafe { forward_here::<V>(&problem, &inputs, Ptr(to)) };
            }
            Op::Increment { scale } => {
                let (last, scale) = (from.wrapping_add((x.rows - 1) * x.width), constant(scale));
                let net = at(stage.inputs[1]);
                for i in 0..y.rows * y.width {
                    let column = i % y.width;
                    unsafe {
                        let rise = (*net.add(i)).mul(*scale.at(column));
                        *to.add(i) = (*last.add(column)).add(rise);
                    }
                }
            }
        }
    }
}
