//! Dropout: in training, features are left out at random and the others made larger.
//!
//! Source: Srivastava et al. 2014, Journal of Machine Learning Research 15:1929–1958, in the form that
//! scales in training.

use burn::tensor::{Device, Distribution, Tensor};

/// Sets each value to zero with probability `rate` and divides the others by `1 − rate`, where `x` is
/// on a device with autodiff; elsewhere `x`.
///
/// Which values those are follows from a seed that comes from the stream of the device.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64) -> Tensor<D> {
    if rate == 0.0 || !x.device().is_autodiff() {
        return x;
    }
    let seed = drawn_seed(&x.device());
    regard_kernels::dropout::dropout(x, rate, seed)
}

/// A seed of 48 bits out of the stream of a device.
#[must_use]
pub(crate) fn drawn_seed(device: &Device) -> u64 {
    // Whole numbers below 2²⁴ are exact in every precision.
    let drawn = Tensor::<1>::random([2], Distribution::Uniform(0.0, 16_777_216.0), device);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers from 0 to below 2²⁴"
    )]
    let whole = |x: f64| x as u64;
    drawn.into_data().iter::<f64>().fold(0, |seed, x| (seed << 24) | whole(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn training_keeps_the_mean_and_evaluation_the_values() {
        let device = Device::default().autodiff();
        let ones = Tensor::<2>::ones([100, 100], &device);
        let dropped = dropout(ones.clone(), 0.2).into_data().try_into_vec::<f32>().unwrap();
        assert!(dropped.iter().all(|&y| y == 0.0 || (y - 1.25).abs() < 1e-6));
        let kept = dropped.iter().filter(|&&y| y > 0.0).count();
        // Standard deviation of the count: √(10⁴ · 0.8 · 0.2) = 40; seven of them.
        assert!((7720..8280).contains(&kept), "{kept}");
        let same = dropout(ones.inner(), 0.2).into_data().try_into_vec::<f32>().unwrap();
        assert!(same.iter().all(|&y| (y - 1.0).abs() < f32::EPSILON));
    }
}
