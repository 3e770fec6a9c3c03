//! Flex tensors as raw memory: strided views in, fresh tensors out.
#![expect(unsafe_code, reason = "raw pointers shared between threads that write disjoint parts")]

use burn::backend::{Flex, tensor::FloatTensor};
use burn::tensor::TensorData;

use super::simd::Scalar;

/// The CPU backend's tensor.
pub(crate) type FlexTensor = FloatTensor<Flex>;

/// Makes the last axis contiguous and all strides non-negative; free for the usual views.
pub(crate) fn with_contiguous_rows(x: FlexTensor) -> FlexTensor {
    let strides = x.layout().strides();
    let (last, rest) = strides.split_last().expect("tensors have at least one axis");
    let unit = *last == 1 || x.layout().shape().last() == Some(&1);
    if unit && rest.iter().all(|&s| s >= 0) { x } else { x.to_contiguous() }
}

/// Makes the whole tensor contiguous; free when it is.
pub(crate) fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() && x.layout().start_offset() == 0 { x } else { x.to_contiguous() }
}

/// Axis lengths of a tensor of known rank.
pub(crate) fn dims<const D: usize>(x: &FlexTensor) -> [usize; D] {
    let shape = x.layout().shape();
    std::array::from_fn(|i| shape[i])
}

/// Pointer and strides (in elements) of a tensor of known rank.
#[derive(Clone, Copy)]
pub(crate) struct View<S, const D: usize> {
    pub(crate) ptr: Ptr<S>,
    pub(crate) strides: [usize; D],
}

impl<S: Scalar, const D: usize> View<S, D> {
    /// Views `x`, which must outlive the view; see [`with_contiguous_rows`].
    pub(crate) fn new(x: &FlexTensor) -> Self
    where
        S: Storage,
    {
        let ptr = S::storage(x).as_ptr().wrapping_add(x.layout().start_offset()).cast_mut();
        let strides = std::array::from_fn(|i| x.layout().strides()[i].unsigned_abs());
        Self { ptr: Ptr(ptr), strides }
    }
}

/// Scalars whose Flex storage can be read.
pub(crate) trait Storage: Scalar {
    fn storage(x: &FlexTensor) -> &[Self];
}

impl Storage for f32 {
    fn storage(x: &FlexTensor) -> &[f32] {
        x.storage::<f32>()
    }
}

impl Storage for f64 {
    fn storage(x: &FlexTensor) -> &[f64] {
        x.storage::<f64>()
    }
}

/// A pointer that threads may share; each writes its own part.
pub(crate) struct Ptr<S>(pub(crate) *mut S);

impl<S> Clone for Ptr<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Ptr<S> {}

unsafe impl<S> Send for Ptr<S> {}
unsafe impl<S> Sync for Ptr<S> {}

impl<S> Ptr<S> {
    /// The pointer `offset` elements on.
    #[inline(always)]
    pub(crate) fn at(self, offset: usize) -> *mut S {
        self.0.wrapping_add(offset)
    }
}

/// Memory for a result, filled through [`Output::ptr`] and then turned into a tensor.
pub(crate) struct Output<S> {
    memory: Vec<S>,
    len: usize,
}

impl<S: Scalar> Output<S> {
    /// Uninitialized memory for `len` elements.
    pub(crate) fn new(len: usize) -> Self {
        Self { memory: Vec::with_capacity(len), len }
    }

    /// Zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self { memory: vec![S::ZERO; len], len }
    }

    pub(crate) fn ptr(&mut self) -> Ptr<S> {
        Ptr(self.memory.as_mut_ptr())
    }

    /// The tensor of shape `dims`.
    ///
    /// # Safety
    /// Every element has been written, and `dims` multiply to the length.
    pub(crate) unsafe fn finish<const D: usize>(mut self, dims: [usize; D]) -> FlexTensor {
        debug_assert_eq!(dims.iter().product::<usize>(), self.len);
        unsafe { self.memory.set_len(self.len) };
        FlexTensor::from_data(TensorData::new(self.memory, dims))
    }
}

impl<S: Scalar> Output<S> {
    /// The tensor of shape `dims`, made of the first elements; the rest was scratch.
    ///
    /// # Safety
    /// These elements have been written.
    pub(crate) unsafe fn finish_first<const D: usize>(mut self, dims: [usize; D]) -> FlexTensor {
        self.len = dims.iter().product();
        assert!(self.len <= self.memory.capacity(), "scratch is larger than the result");
        unsafe { self.finish(dims) }
    }
}

/// Calls `$f::<f32>` or `$f::<f64>` by the tensor's type.
macro_rules! by_dtype {
    ($x:expr, $f:ident($($arg:expr),* $(,)?)) => {
        match $x.dtype() {
            burn::tensor::DType::F32 => $f::<f32>($($arg),*),
            burn::tensor::DType::F64 => $f::<f64>($($arg),*),
            other => panic!("the CPU kernels take f32 and f64, not {other:?}"),
        }
    };
}
pub(crate) use by_dtype;
