//! What the fused CPU forms share: SIMD vectors, small matrix products, exponentials, strided views.
//!
//! Everything here works on raw memory and is `unsafe` inside; the kernels above expose safe
//! functions on tensors. A kernel is written once, generic over [`simd::Vector`], and compiled
//! for every instruction set; [`dispatch::launch`] picks the best one the processor has.

pub(crate) mod aligned;
pub(crate) mod dispatch;
pub(crate) mod hash;
pub(crate) mod layout;
pub(crate) mod math;
pub(crate) mod matmul;
pub(crate) mod op;
pub(crate) mod simd;
pub(crate) mod view;
pub(crate) mod weight;
