//! Dropout: in training, features are left out at random and the others made larger.
//!
//! Source: Srivastava et al. 2014, Journal of Machine Learning Research 15:1929–1958, in the form that
//! scales in training.

use burn::tensor::{Distribution, Tensor};

/// Sets each value to zero with probability `rate` and divides the others by `1 − rate`, where `x` is
/// on a device with autodiff; elsewhere `x`.
///
/// Which values those are comes from the seeded stream of the device.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, rate: f64) -> Tensor<D> {
    if rate == 0.0 || !x.device().is_autodiff() {
        return x;
    }
    let keep = 1.0 - rate;
    let kept = x.random_like(Distribution::Bernoulli(keep));
    x * (kept / keep)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn training_keeps_the_mean_and_evaluation_the_values() {
        let device = Device::default().autodiff();
        device.seed(1);
        let ones = Tensor::<2>::ones([100, 100], &device);
        let dropped = dropout(ones.clone(), 0.2).into_data().try_into_vec::<f32>().unwrap();
        assert!(dropped.iter().all(|&y| y == 0.0 || (y - 1.25).abs() < 1e-6));
        let kept = dropped.iter().filter(|&&y| y > 0.0).count();
        // Standard deviation of the count: √(10⁴ · 0.8 · 0.2) = 40.
        assert!((7800..8200).contains(&kept), "{kept}");
        let same = dropout(ones.inner(), 0.2).into_data().try_into_vec::<f32>().unwrap();
        assert!(same.iter().all(|&y| (y - 1.0).abs() < f32::EPSILON));
    }
}
