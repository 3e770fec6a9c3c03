//! Runs one generic kernel with the best instructions this processor has.
//!
//! The choice is made once, at run time, so one binary runs on any x86-64 or aarch64 machine.
//! `REGARD_SIMD` is not read here: libraries do not look at the environment.
#![expect(unsafe_code, reason = "calls functions compiled for one instruction set")]

use super::simd::{Scalar, Vector};

/// A computation written once for every vector width.
pub(crate) trait Kernel<S: Scalar> {
    /// Runs with the instructions of `V`. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and the pointers inside `self` are valid.
    unsafe fn run<V: Vector<Scalar = S>>(self);
}

/// Instruction sets, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

/// The best level of this processor.
#[inline]
pub(crate) fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return Level::Avx512;
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            return Level::Avx2;
        }
    }
    #[cfg(target_arch = "aarch64")]
    return Level::Neon;
    #[allow(unreachable_code, reason = "reached on other processors")]
    Level::Portable
}

/// Numbers per register at the best level.
pub(crate) fn lanes<S: Scalar>() -> usize {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => S::Avx512::LANES,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => S::Avx2::LANES,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => S::Neon::LANES,
        Level::Portable => S::Portable::LANES,
    }
}

/// Runs `kernel` at the best level.
///
/// # Safety
/// The pointers inside `kernel` are valid.
#[inline]
pub(crate) unsafe fn launch<S: Scalar>(kernel: impl Kernel<S>) {
    unsafe { launch_at(level(), kernel) }
}

/// Runs `kernel` at a given level, which the processor must have.
///
/// # Safety
/// As [`launch`]; `level` is one that this processor has.
#[inline]
pub(crate) unsafe fn launch_at<S: Scalar>(level: Level, kernel: impl Kernel<S>) {
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512(kernel),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2(kernel),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => kernel.run::<S::Neon>(),
            Level::Portable => kernel.run::<S::Portable>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
unsafe fn avx512<S: Scalar>(kernel: impl Kernel<S>) {
    unsafe { kernel.run::<S::Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<S: Scalar>(kernel: impl Kernel<S>) {
    unsafe { kernel.run::<S::Avx2>() }
}
