//! Scratch memory that begins at a cache line.
#![expect(unsafe_code, reason = "hands out memory that the caller fills")]

use super::simd::Scalar;
use super::view::Ptr;

/// Bytes of a cache line, and of the widest register: a load that crosses one takes twice as long.
const LINE: usize = 64;

/// Numbers that begin at a cache line.
pub(crate) struct Aligned<S> {
    #[expect(dead_code, reason = "owns what `first` points to")]
    memory: Vec<S>,
    /// Where the cache line begins.
    first: Ptr<S>,
    len: usize,
}

impl<S: Scalar> Aligned<S> {
    /// Uninitialized memory for `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        Self::at_line(Vec::with_capacity(len + LINE / size_of::<S>()), len)
    }

    /// Zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self::at_line(vec![S::ZERO; len + LINE / size_of::<S>()], len)
    }

    fn at_line(mut memory: Vec<S>, len: usize) -> Self {
        let first = Ptr(memory.as_mut_ptr());
        let first = Ptr(first.at(first.0.align_offset(LINE)));
        Self { memory, first, len }
    }

    pub(crate) fn ptr(&self) -> Ptr<S> {
        self.first
    }

    /// # Safety
    /// Every element has been written.
    pub(crate) unsafe fn as_slice(&self) -> &[S] {
        unsafe { std::slice::from_raw_parts(self.first.0, self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_a_cache_line() {
        for len in [0, 1, 7, 100] {
            let zeros = Aligned::<f32>::zeros(len);
            assert_eq!(zeros.ptr().0.align_offset(LINE), 0);
            assert_eq!(unsafe { zeros.as_slice() }, vec![0.0; len]);
            assert_eq!(Aligned::<f64>::new(len).ptr().0.align_offset(LINE), 0);
        }
    }
}
