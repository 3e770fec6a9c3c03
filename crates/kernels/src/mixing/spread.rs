//! Score matrices whose entries are looked up in a shorter table: bands, triangles, lag kernels.
//!
//! ```text
//! α_i[r, c] = κ_i[slot(r, c)], or 0 without a slot      ∂κ_i[s] = Σ_{slot(r, c) = s} ∂α_i[r, c]
//! ```
//!
//! Cost: `heads · rows · cols` copies forward, as many additions backward; saves nothing. Sums run
//! in the order of rows and columns on one thread, so that they do not depend on threads.
#![expect(unsafe_code, reason = "results are written into fresh memory")]

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, assert_shape};

use crate::cpu::math::Tables;
use crate::cpu::op::{FusedOp, apply, on_cpu};
use crate::cpu::view::{FlexTensor, Output, Storage, by_dtype, contiguous, dims};

/// Where the entries of a matrix are found in a table.
#[derive(Debug, Clone)]
pub struct Lookup {
    rows: usize,
    cols: usize,
    n_slots: usize,
    /// Row after row.
    slots: Arc<[Option<u32>]>,
}

impl Lookup {
    /// Asks `slot` for the place of every entry, row after row.
    ///
    /// # Panics
    /// If a slot is not below `n_slots`, or does not fit 32 bits.
    #[must_use]
    pub fn new(
        [rows, cols]: [usize; 2],
        n_slots: usize,
        mut slot: impl FnMut(usize, usize) -> Option<usize>,
    ) -> Self {
        let slots = (0..rows * cols).map(|i| {
            let slot = slot(i / cols, i % cols)?;
            assert!(slot < n_slots, "slot {slot} of a table with {n_slots}");
            Some(u32::try_from(slot).expect("a table has fewer than 2^32 slots"))
        });
        Self { rows, cols, n_slots, slots: slots.collect() }
    }

    /// The slot of an entry, if it has one.
    ///
    /// # Panics
    /// If the entry lies outside the matrix.
    #[must_use]
    pub fn slot(&self, row: usize, col: usize) -> Option<usize> {
        assert!(row < self.rows && col < self.cols, "entry ({row}, {col}) lies outside");
        self.slots[row * self.cols + col].map(|slot| slot as usize)
    }

    /// How many entries have a slot.
    #[must_use]
    pub fn n_entries(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

/// Spreads the table of every head over a matrix.
///
/// # Shapes
/// - `table`: `[heads, slots]`
/// - returns: `[heads, rows, cols]`
///
/// # Panics
/// If the table does not have the slots of `lookup`.
#[must_use]
pub fn spread(table: Tensor<2>, lookup: &Lookup) -> Tensor<3> {
    let [heads, _] = table.dims();
    assert_shape!(table, [heads, lookup.n_slots]);
    if !on_cpu(&table) {
        return composed_spread(table, lookup);
    }
    apply(Spread(lookup.clone()), [table.into_dispatch()])
}

/// The same out of Burn operations.
///
/// # Shapes
/// As [`spread`].
///
/// # Panics
/// As [`spread`].
#[must_use]
pub fn composed_spread(table: Tensor<2>, lookup: &Lookup) -> Tensor<3> {
    let [heads, _] = table.dims();
    let zero = Tensor::zeros([heads, 1], (&table.device(), table.dtype()));
    let none = u32::try_from(lookup.n_slots).expect("a table has fewer than 2^32 slots");
    let slots: Vec<i32> =
        lookup.slots.iter().map(|slot| slot.unwrap_or(none).cast_signed()).collect();
    let data = TensorData::new(slots, [lookup.rows * lookup.cols]);
    let slots = Tensor::<1, Int>::from_data(data, &table.device().without_autodiff());
    let table = Tensor::cat(vec![table, zero], 1);
    table.select(1, slots).reshape([heads, lookup.rows, lookup.cols])
}

#[derive(Clone, Debug)]
struct Spread(Lookup);

impl FusedOp<1> for Spread {
    type Saved = ();

    fn forward(&self, [table]: [FlexTensor; 1]) -> (FlexTensor, ()) {
        let table = contiguous(table);
        (by_dtype!(table, forward(&table, &self.0)), ())
    }

    fn backward(&self, (): (), grad: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let grad = contiguous(grad);
        [Some(by_dtype!(grad, backward(&grad, &self.0)))]
    }
}

fn forward<S: Storage + Tables>(table: &FlexTensor, lookup: &Lookup) -> FlexTensor {
    let [heads, n_slots] = dims(table);
    let size = lookup.rows * lookup.cols;
    let mut out = Output::<S>::new(heads * size);
    let to = out.ptr();
    let values = S::storage(table);
    for head in 0..heads {
        let table = &values[head * n_slots..(head + 1) * n_slots];
        for (i, slot) in lookup.slots.iter().enumerate() {
            let value = slot.map_or(S::ZERO, |slot| table[slot as usize]);
            unsafe { *to.at(head * size + i) = value };
        }
    }
    unsafe { out.finish([heads, lookup.rows, lookup.cols]) }
}

fn backward<S: Storage + Tables>(grad: &FlexTensor, lookup: &Lookup) -> FlexTensor {
    let [heads, rows, cols] = dims(grad);
    let n_slots = lookup.n_slots;
    let mut out = Output::<S>::zeros(heads * n_slots);
    let to = out.ptr();
    for (head, grad) in
        S::storage(grad)[..heads * rows * cols].chunks_exact(rows * cols).enumerate()
    {
        for (slot, &grad) in lookup.slots.iter().zip(grad) {
            let Some(slot) = slot else { continue };
            let at = to.at(head * n_slots + *slot as usize);
            unsafe { *at = (*at).add(grad) };
        }
    }
    unsafe { out.finish([heads, n_slots]) }
}
