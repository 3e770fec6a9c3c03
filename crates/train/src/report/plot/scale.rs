//! Axes: from values to positions between 0 and 1, and round numbers to mark on them.

use super::super::format::{Notation, power_of_ten};

/// Part of the range left free at each end, so that no curve touches the frame.
const PADDING: f64 = 0.04;
/// A logarithmic axis is worth its price from this ratio of largest to smallest value on.
const LOG_FROM_RATIO: f64 = 30.0;

/// An axis from `low` to `high`; both are logarithms to base 10 on a logarithmic axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    is_log: bool,
    low: f64,
    high: f64,
}

/// A marked value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Position along the axis, 0 to 1.
    pub(super) position: f64,
    pub(super) label: String,
}

impl Scale {
    /// Linear from `low` to `high` exactly.
    pub(super) fn exact(low: f64, high: f64) -> Self {
        Self::between(false, low, high, 0.0)
    }

    /// Linear over the finite ones of `values`.
    pub(super) fn linear(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        Self::between(false, low, high, PADDING)
    }

    /// Logarithmic over the positive ones of `values`.
    pub(super) fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|value| *value > 0.0);
        let (low, high) = range(positive).unwrap_or((0.1, 1.0));
        Self::between(true, low.log10(), high.log10(), PADDING)
    }

    /// Logarithmic where `values` span orders of magnitude, otherwise linear from zero.
    pub(super) fn log_or_linear(values: &[f64]) -> Self {
        let positive = values.iter().copied().filter(|value| *value > 0.0);
        match range(positive) {
            Some((low, high)) if high / low >= LOG_FROM_RATIO => Self::log(values.iter().copied()),
            Some((_, high)) => Self::exact(0.0, high * (1.0 + PADDING)),
            None => Self::exact(0.0, 1.0),
        }
    }

    /// The same axis, linear, reaching at most the fraction `reach` of its length further at each
    /// end to hold `values`. A diverging forecast must not flatten the truth.
    pub(super) fn stretched(self, values: impl IntoIterator<Item = f64>, reach: f64) -> Self {
        let Some((low, high)) = range(values) else { return self };
        let limit = reach * (self.high - self.low);
        let low = low.clamp(self.low - limit, self.low);
        let high = high.clamp(self.high, self.high + limit);
        Self { low, high, ..self }
    }

    /// Position of `value`; outside 0 to 1 when off the axis, `None` when it has no place at all.
    pub(super) fn position(self, value: f64) -> Option<f64> {
        let value = if self.is_log { value.log10() } else { value };
        value.is_finite().then(|| (value - self.low) / (self.high - self.low))
    }

    /// About `wanted` round values on the axis, at least three where it can be, in order.
    pub(super) fn ticks(self, wanted: usize) -> Vec<Tick> {
        if self.is_log && self.high - self.low >= 1.0 {
            let decades = self.decades(wanted);
            return if decades.len() < 3 { self.within_decades() } else { decades };
        }
        let (low, high) = if self.is_log {
            (10f64.powf(self.low), 10f64.powf(self.high))
        } else {
            (self.low, self.high)
        };
        let span = high - low;
        let wide = round_step(span / wanted.max(1) as f64);
        let steps = [wide, round_step(wide / 2.5), round_step(wide / 5.0)];
        let ends = |step: f64| ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let count = |step: &f64| ends(*step).1 - ends(*step).0 + 1.0;
        // Two marks tell nothing about an axis that could hold three.
        let step = steps.into_iter().find(|step| count(step) >= 3.0).unwrap_or(wide);
        let (first, last) = ends(step);
        let label = labels(step, low.abs().max(high.abs()));
        // Eight times as many as wanted never happens; the bound keeps a broken range finite.
        (0..8 * wanted.max(1))
            .map(|i| first + i as f64)
            .take_while(|multiple| *multiple <= last)
            .filter_map(|multiple| {
                let value = multiple * step;
                Some(Tick { position: self.position(value)?, label: label(value) })
            })
            .collect()
    }

    fn decades(self, wanted: usize) -> Vec<Tick> {
        #[expect(clippy::cast_possible_truncation, reason = "exponents of f64 are below 400")]
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        let stride = usize::try_from(last - first).unwrap_or(0) / wanted.max(1) + 1;
        (first..=last)
            .step_by(stride)
            .map(|exponent| Tick {
                position: (f64::from(exponent) - self.low) / (self.high - self.low),
                label: power_of_ten(exponent),
            })
            .collect()
    }

    /// 1, 2 and 5 times the powers of ten.
    fn within_decades(self) -> Vec<Tick> {
        #[expect(clippy::cast_possible_truncation, reason = "exponents of f64 are below 400")]
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        let values =
            (first..=last).flat_map(|exponent| [1.0, 2.0, 5.0].map(|m| m * 10f64.powi(exponent)));
        let tick = |value: f64| {
            let position = self.position(value).filter(|at| (0.0..=1.0).contains(at))?;
            Some(Tick { position, label: labels(value, value)(value) })
        };
        values.filter_map(tick).collect()
    }

    fn between(is_log: bool, low: f64, high: f64, padding: f64) -> Self {
        // A constant still needs an axis with a length.
        let smallest = 1e-9 * low.abs().max(high.abs());
        if high - low <= smallest {
            let half = if low == 0.0 { 0.5 } else { 0.1 * low.abs() };
            return Self { is_log, low: low - half, high: high + half };
        }
        let margin = padding * (high - low);
        Self { is_log, low: low - margin, high: high + margin }
    }
}

/// Smallest and largest finite value.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|value| value.is_finite()).fold(None, |range, value| {
        let (low, high) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `raw`.
fn round_step(raw: f64) -> f64 {
    let magnitude = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * magnitude)
        .into_iter()
        .find(|step| *step >= raw * (1.0 - 1e-9))
        .unwrap_or(10.0 * magnitude)
}

/// Labels that distinguish neighbours: enough decimals for `step`, powers of ten when far from 1.
fn labels(step: f64, largest: f64) -> impl Fn(f64) -> String {
    let decimals = (-step.log10().floor()).max(0.0);
    let is_far = !(1e-3..1e5).contains(&largest);
    let digits = (largest / step).log10().max(0.0).floor() + 1.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are small and not negative"
    )]
    let (decimals, digits) = (decimals as usize, digits as usize);
    move |value| {
        if is_far && value.abs() > step / 2.0 {
            Notation::Typeset.significant(value, digits)
        } else {
            Notation::Typeset.decimals(value, if is_far { 0 } else { decimals })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels_of(scale: Scale, wanted: usize) -> Vec<String> {
        scale.ticks(wanted).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(labels_of(Scale::exact(-18.3, 19.1), 4), ["−10", "0", "10"]);
        assert_eq!(
            labels_of(Scale::exact(0.0, 1.0), 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels_of(Scale::exact(0.0, 3.2e-6), 3), ["0", "1×10⁻⁶", "2×10⁻⁶", "3×10⁻⁶"]);
        for scale in [Scale::linear([3.0, 3.0]), Scale::linear([]), Scale::exact(0.0, 0.0)] {
            let ticks = scale.ticks(5);
            assert!((3..=10).contains(&ticks.len()), "{scale:?}");
            assert!(ticks.iter().all(|tick| (-1e-9..=1.0 + 1e-9).contains(&tick.position)));
        }
    }

    #[test]
    fn logarithmic_ticks_are_powers_of_ten() {
        assert_eq!(labels_of(Scale::log([2e-4, 30.0]), 6), ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹"]);
        assert_eq!(labels_of(Scale::log([1e-12, 1.0]), 4), ["10⁻¹²", "10⁻⁸", "10⁻⁴", "10⁰"]);
        assert_eq!(labels_of(Scale::log([0.2, 0.6]), 4), ["0.2", "0.4", "0.6"]);
        let points = ["10", "20", "50", "100", "200"];
        assert_eq!(labels_of(Scale::log([10.0, 200.0]), 4), points);
        assert_eq!(labels_of(Scale::log([4e-3, 0.06]), 4), ["0.005", "0.01", "0.02", "0.05"]);
        assert_eq!(labels_of(Scale::log([2e5, 4e6]), 4), ["2×10⁵", "5×10⁵", "1×10⁶", "2×10⁶"]);
    }

    #[test]
    fn zero_and_non_finite_values_have_no_place() {
        assert_eq!(Scale::log([0.1, 10.0]).position(0.0), None);
        assert_eq!(Scale::log([0.1, 10.0]).position(-1.0), None);
        assert_eq!(Scale::exact(0.0, 1.0).position(f64::NAN), None);
        assert_eq!(Scale::exact(0.0, 4.0).position(1.0), Some(0.25));
    }

    #[test]
    fn a_diverging_forecast_stretches_the_axis_only_so_far() {
        let scale = Scale::exact(0.0, 10.0).stretched([-1.0, 5.0, 1e300, f64::NAN], 0.3);
        assert_eq!(scale, Scale::exact(-1.0, 13.0));
    }

    #[test]
    fn wide_ranges_get_a_logarithmic_axis() {
        assert!(Scale::log_or_linear(&[1e-3, 1.0]).is_log);
        assert!(!Scale::log_or_linear(&[0.2, 1.0, 0.0]).is_log);
        assert!(!Scale::log_or_linear(&[f64::NAN]).is_log);
    }
}
