//! Initial values of parameters.

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};

/// A parameter drawn uniformly from `[−bound, bound)`, now, from the seeded stream of `device`.
#[must_use]
pub fn uniform<const D: usize>(shape: [usize; D], bound: f64, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::random(shape, Distribution::Uniform(-bound, bound), device))
}

/// A parameter filled with one value.
#[must_use]
pub fn constant<const D: usize>(
    shape: [usize; D],
    value: f64,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::full(shape, value, device))
}

/// `√(6 / (fan_in + fan_out))`, the bound of a uniform law that keeps variances level.
///
/// Source: Glorot & Bengio 2010, eq. (16).
#[must_use]
pub fn xavier_bound(fan_in: usize, fan_out: usize) -> f64 {
    (6.0 / (fan_in + fan_out) as f64).sqrt()
}

/// `1 / √fan_in`, the bound PyTorch uses for its linear layers, weight and bias.
#[must_use]
pub fn fan_in_bound(fan_in: usize) -> f64 {
    1.0 / (fan_in as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_fill_the_interval_and_stay_inside() {
        let drawn = uniform([50, 40], 0.25, &Device::default()).val();
        let largest = drawn.abs().max().into_scalar::<f32>();
        assert!((0.24..=0.25).contains(&largest), "{largest}");
    }

    #[test]
    fn values_are_drawn_at_once() {
        assert!(uniform([2, 3], 1.0, &Device::default()).is_initialized());
    }

    #[test]
    fn bounds_follow_their_formulas() {
        assert!((xavier_bound(2, 1) - 2.0_f64.sqrt()).abs() < 1e-15); // √(6/3)
        assert!((fan_in_bound(16) - 0.25).abs() < 1e-15); // 1/√16
    }
}
