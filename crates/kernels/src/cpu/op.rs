//! How a fused CPU form becomes a Burn operation with a hand-written gradient.
//!
//! A kernel implements [`FusedOp`]; [`apply`] runs it on tensors of the Flex backend, with or
//! without automatic differentiation. This is the only place that names backends.

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, DispatchDevice, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{DType, GradientCheckpointingStrategy, Tensor};

use super::view::FlexTensor;

/// What [`apply`] takes: a tensor of any rank, by [`Tensor::into_dispatch`].
pub(crate) type Input = DispatchTensor;

/// A function of `N` tensors with a hand-written gradient.
pub(crate) trait FusedOp<const N: usize>: Clone + Debug + Send + 'static {
    /// How many of the last inputs are in `f64`, whatever the type of the others.
    const DOUBLE: usize = 0;

    /// What the backward pass needs from the forward pass.
    type Saved: Clone + Debug + Send + 'static;

    /// The result, and what to keep.
    fn forward(&self, inputs: [FlexTensor; N]) -> (FlexTensor, Self::Saved);

    /// The gradient of every input that is `wanted`.
    fn backward(
        &self,
        saved: Self::Saved,
        grad: FlexTensor,
        wanted: [bool; N],
    ) -> [Option<FlexTensor>; N];
}

/// Whether the fused form can run: the CPU backend, in `f32` or `f64`.
pub(crate) fn on_cpu<const D: usize>(x: &Tensor<D>) -> bool {
    let device = x.device().without_autodiff();
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
        && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// Runs `op` on Flex tensors; tracked if any input is.
///
/// # Panics
/// If a tensor is not on the CPU backend, or the types differ.
pub(crate) fn apply<O: FusedOp<N>, const N: usize, const D: usize>(
    op: O,
    inputs: [Input; N],
) -> Tensor<D> {
    // The rank of the wrapper does not matter: the primitive carries its own shape.
    let inputs = inputs.map(Tensor::<1>::from_dispatch);
    let dtype = inputs[0].dtype();
    for (i, input) in inputs.iter().enumerate() {
        let found = input.dtype();
        let dtype = if i + O::DOUBLE >= N { DType::F64 } else { dtype };
        assert!(found == dtype, "the inputs have different types: {found:?} and {dtype:?}");
    }
    let strategy = inputs.iter().find_map(|x| x.device().gradient_checkpointing_strategy());
    match strategy {
        None => tensor(op.forward(inputs.map(flex)).0),
        Some(GradientCheckpointingStrategy::Disabled) => {
            record::<O, N, D, NoCheckpointing>(op, inputs)
        }
        Some(GradientCheckpointingStrategy::Balanced) => {
            record::<O, N, D, BalancedCheckpointing>(op, inputs)
        }
    }
}

/// [`apply`] to a `Vec` of inputs: an operation is compiled for every length that it can have.
macro_rules! apply_to_list {
    ($op:expr, $inputs:expr, lengths: $($n:literal)*) => {
        match $inputs.len() {
            $($n => {
                let inputs: Result<[$crate::cpu::op::Input; $n], _> = $inputs.try_into();
                $crate::cpu::op::apply($op, inputs.ok().expect("the length was matched"))
            })*
            n => unreachable!("an operation of {n} inputs"),
        }
    };
}
pub(crate) use apply_to_list;

/// The primitive of an untracked tensor on the CPU backend.
pub(crate) fn flex<const D: usize>(x: Tensor<D>) -> FlexTensor {
    x.try_into_primitive::<Flex>().expect("the caller has checked that the tensor is on Flex")
}

/// The tensor of a primitive.
pub(crate) fn tensor<const D: usize>(x: FlexTensor) -> Tensor<D> {
    Tensor::from_primitive::<Flex>(x)
}

/// A Flex tensor with its node in the graph.
type Tracked = burn::backend::tensor::FloatTensor<Autodiff<Flex>>;

/// Runs `op` and records its gradient.
fn record<O: FusedOp<N>, const N: usize, const D: usize, C: CheckpointStrategy>(
    op: O,
    inputs: [Tensor<1>; N],
) -> Tensor<D>
where
    DispatchTensor: DispatchKindConversion<Autodiff<Flex, C>>,
{
    let inputs: [Tracked; N] = inputs.map(|x| {
        if x.device().is_autodiff() {
            x.try_into_primitive::<Autodiff<Flex, C>>()
                .expect("all tracked inputs share one checkpointing strategy")
        } else {
            Tracked::new(flex(x))
        }
    });
    let nodes = std::array::from_fn(|i| inputs[i].node());
    let (out, saved) = op.forward(inputs.map(Tracked::into_primitive));
    let out = match Recorded(op).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(saved, out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    };
    Tensor::from_primitive::<Autodiff<Flex, C>>(out)
}

#[derive(Debug)]
struct Recorded<O>(O);

impl<const N: usize, O: FusedOp<N>> Backward<Flex, N> for Recorded<O> {
    type State = O::Saved;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<Flex>(&ops.node);
        let wanted = std::array::from_fn(|i| ops.parents[i].is_some());
        let found = self.0.backward(ops.state, grad, wanted);
        for (parent, grad) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                let grad = grad.expect("a wanted gradient was computed");
                grads.register::<Flex>(node.id, grad);
            }
        }
    }
}
