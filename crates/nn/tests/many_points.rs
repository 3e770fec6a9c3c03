//! Attention over very many points: exact, in memory that does not grow with their square.
//!
//! A process of its own, so that no other test adds to the peak of its memory.

use burn::tensor::{Device, Distribution, Tensor};
use regard_nn::mechanism::{ContinuumConfig, ContinuumKernel};

const POINTS: usize = 100_000;
const WIDTH: usize = 16;
/// All scores would take 40 GB.
const MOST_BYTES: u64 = 200 << 20;

/// Bytes of a line of `/proc/self/status`; none where there is no such file.
fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    Some(1024 * line.split_whitespace().nth(1)?.parse::<u64>().ok()?)
}

#[test]
#[ignore = "some seconds per kernel: ten thousand million pairs of points"]
fn a_hundred_thousand_points_fit() {
    let device = Device::default();
    device.seed(1);
    let x = Tensor::<3>::random([1, POINTS, WIDTH], Distribution::Normal(0.0, 1.0), &device);
    // Every point stands for another part of the domain.
    let weights: Vec<f64> = (0..POINTS).map(|i| 1.0 + (i % 7) as f64).collect();
    let before = status("VmRSS");
    for kernel in [ContinuumKernel::Softmax, ContinuumKernel::Linear, ContinuumKernel::Log] {
        let config = ContinuumConfig { kernel, ..ContinuumConfig::new(1) };
        let attention = config.init(WIDTH, &device).unwrap();
        let all = attention.forward(x.clone(), &weights, None);
        for first in [0, 54_321, POINTS - 3] {
            let queries = x.clone().narrow(1, first, 3);
            let few = attention.cross(queries, x.clone(), &weights, None);
            let difference = (few - all.clone().narrow(1, first, 3)).abs().max();
            let difference = difference.into_scalar::<f32>();
            assert!(difference < 1e-4, "{kernel:?}, point {first}: {difference}");
        }
    }
    if let (Some(before), Some(peak)) = (before, status("VmHWM")) {
        let grown = peak - before;
        assert!(grown < MOST_BYTES, "{} MB", grown >> 20);
    }
}
