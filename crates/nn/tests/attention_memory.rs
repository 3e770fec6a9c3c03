//! Memory of attention weights, measured by an allocator that counts.
//!
//! One test, so that nothing else allocates meanwhile.
#![expect(unsafe_code, reason = "an allocator that counts what it passes on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Distribution, Tensor};
use regard_nn::mechanism::{MechanismConfig, PrimalDualConfig, ScaledHeadsConfig};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(now, Ordering::SeqCst);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::SeqCst);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The result of `f`, the bytes that it keeps, and the most bytes in use meanwhile.
fn measured<T>(f: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = NOW.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let result = f();
    let bytes = |counter: &AtomicUsize| counter.load(Ordering::SeqCst) - before;
    (result, bytes(&NOW), bytes(&PEAK))
}

/// Heads, rows and width of a layer, and the share of its weights that scaled heads have, by the rates alone.
const LAYERS: [(usize, usize, usize, f64); 2] = [
    // m = (1 + 1/2 + 1/4 + 1/8)/4.
    (8, 1024, 32, 0.46875),
    // Preset `mnist`: m = (1 + 1/2)/2.
    (4, 36, 64, 0.75),
];

fn bytes(numbers: u64) -> f64 {
    numbers as f64 * size_of::<f32>() as f64
}

#[test]
fn stored_weights_take_what_is_counted_and_the_fused_form_stores_none() {
    let device = Device::default();
    for (n_heads, time, width, share) in LAYERS {
        let softmax = PrimalDualConfig::new(n_heads);
        let scaled = PrimalDualConfig {
            scaled_heads: Some(ScaledHeadsConfig::default()),
            ..softmax.clone()
        };
        let mut stored = Vec::new();
        for config in [&softmax, &scaled] {
            let attention = MechanismConfig::PrimalDual(config.clone());
            let attention = attention.init(width, time, &device).expect("valid");
            let x: Tensor<3> = Tensor::random([1, time, width], Distribution::Default, &device);
            let counted = bytes(config.stored_weights(time));
            // Threads and tables are made by the first call.
            drop((attention.head_weights(x.clone()), attention.head_outputs(x.clone(), None)));
            let (weights, kept, _) = measured(|| attention.head_weights(x.clone()));
            assert!(weights.is_some());
            assert!((kept as f64 / counted - 1.0).abs() < 0.1, "{kept} bytes, counted {counted}");
            stored.push(kept as f64);
            drop(weights);
            let (_, _, fused) = measured(|| attention.head_outputs(x.clone(), None));
            // Where rows are many, the weights would be most of the memory.
            if time > 16 * width {
                assert!(
                    (fused as f64) < 0.25 * counted,
                    "{fused} bytes beside {counted} of weights"
                );
            }
        }
        let ratio = stored[1] / stored[0];
        println!("{n_heads} heads, {time} rows: scaled heads keep {ratio:.4} of the bytes");
        assert!((ratio / share - 1.0).abs() < 0.1, "{ratio}");
    }
}
