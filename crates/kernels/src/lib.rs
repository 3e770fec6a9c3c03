//! Attention kernels: pure functions on tensors, with their gradients.
//!
//! Each kernel has a plain reference form, a form composed of Burn operations that runs on any
//! device, and a fused form for the CPU with a hand-written backward pass.

#![expect(
    clippy::inline_always,
    reason = "a kernel takes on the instruction set of its caller only if it is inlined there"
)]

pub mod adam;
pub mod affine;
pub mod convolution;
mod cpu;
pub mod dropout;
#[cfg(test)]
mod golden_tests;
pub mod heads;
pub mod linear;
pub mod log_linear;
pub mod mask;
pub mod mixing;
pub mod plan;
pub mod pointwise;
pub mod pooling;
pub mod quadrature;
pub mod recurrent;
pub mod softmax;
pub mod spectral;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
