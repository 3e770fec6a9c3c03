//! The ranges of a sweep's keys.
//!
//! Every range is a quantile function: it maps `u` in `[0, 1]`, uniform before anything is known, to a
//! value of the key.
//!
//! ```text
//! uniform      low + u (high − low)
//! log-uniform  low (high / low)^u                     centre · e^(uniform(−spread, spread)) is
//!                                                     low = centre e^(−spread), high = centre e^spread
//! integer      low + step ⌊u n⌋,  n = ⌊(high − low) / step⌋ + 1
//! log-integer  the nearest integer to (low − ½) ((high + ½) / (low − ½))^u
//! choice       entry ⌊u n⌋
//! ```
//!
//! An integer with `multiple_of` is rounded to the nearest multiple of that number, or of the value
//! that the trial has for that key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Value;

/// Values of the searched keys of one trial, by key.
pub(crate) type Parameters = BTreeMap<String, Value>;

/// Digits kept of a drawn real number, so that a command line stays readable.
const DIGITS: usize = 6;

/// A key of the configuration and the values it may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// Dotted key of the configuration.
    pub path: String,
    /// Its values.
    pub distribution: Distribution,
}

/// Values that a key may take, and how they are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// A real number.
    Real {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
        /// Whether its logarithm is uniform.
        log: bool,
        /// Values of a grid search.
        points: Option<usize>,
    },
    /// A whole number.
    Integer {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
        /// Distance of neighbours; 1 where the logarithm is uniform.
        step: i64,
        /// Whether its logarithm is uniform.
        log: bool,
        /// Rounded to a multiple of this.
        multiple_of: Option<Multiple>,
        /// Values of a grid search.
        points: Option<usize>,
    },
    /// One of some values.
    Choice(Vec<Value>),
}

/// What an integer is rounded to a multiple of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Multiple {
    /// A number.
    Number(i64),
    /// The value of another key.
    Key(String),
}

impl Distribution {
    /// The value at `u`, from 0 to 1.
    pub(crate) fn value(&self, u: f64) -> Value {
        match self {
            Self::Real { low, high, log, .. } => {
                let value = if *log { low * (high / low).powf(u) } else { low + u * (high - low) };
                Value::Float(rounded(value).clamp(*low, *high))
            }
            Self::Integer { low, high, step, log: false, .. } => {
                Value::Integer(low + step * integer(cell(u, (high - low) / step + 1)))
            }
            Self::Integer { low, high, .. } => {
                let (from, to) = log_ends(*low, *high);
                let nearest = (from * (to / from).powf(u)).round();
                #[expect(clippy::cast_possible_truncation, reason = "between two integers")]
                Value::Integer((nearest as i64).clamp(*low, *high))
            }
            Self::Choice(values) => {
                let at = cell(u, integer(values.len()));
                values[at].clone()
            }
        }
    }

    /// Where a value lies between 0 and 1, the middle of all `u` that lead to it; `None` for a value
    /// of another range.
    pub(crate) fn position(&self, value: &Value) -> Option<f64> {
        let at = match self {
            Self::Real { low, high, log, .. } => {
                let value = number(value)?;
                Some(if *log {
                    (value / low).ln() / (high / low).ln()
                } else {
                    (value - low) / (high - low)
                })
            }
            Self::Integer { low, high, step, log: false, .. } => {
                let n = ((high - low) / step + 1) as f64;
                Some(((number(value)? - *low as f64) / *step as f64 + 0.5) / n)
            }
            Self::Integer { low, high, .. } => {
                let (from, to) = log_ends(*low, *high);
                Some((number(value)? / from).ln() / (to / from).ln())
            }
            Self::Choice(values) => {
                let at = values.iter().position(|known| known == value)?;
                Some((at as f64 + 0.5) / values.len() as f64)
            }
        };
        // A multiple may lie a little outside.
        at.map(|u| u.clamp(0.0, 1.0))
    }

    /// Number of values, where they can be counted.
    pub(crate) fn n_values(&self) -> Option<usize> {
        match self {
            Self::Real { .. } => None,
            Self::Integer { low, high, step, .. } => usize::try_from((high - low) / step + 1).ok(),
            Self::Choice(values) => Some(values.len()),
        }
    }

    /// Values of a grid search, or `None` if `points` has to say how many of them.
    pub(crate) fn grid(&self) -> Option<Vec<Value>> {
        let spread = |points: usize| {
            let at = |i: usize| if points == 1 { 0.5 } else { i as f64 / (points - 1) as f64 };
            let mut values: Vec<Value> = (0..points).map(|i| self.value(at(i))).collect();
            values.dedup();
            values
        };
        match self {
            Self::Real { points, .. } => points.map(spread),
            Self::Integer { points: Some(points), .. } => Some(spread(*points)),
            Self::Integer { low, high, step, .. } => {
                let n = (high - low) / step + 1;
                Some((0..n).map(|i| Value::Integer(low + step * i)).collect())
            }
            Self::Choice(values) => Some(values.clone()),
        }
    }

    /// The range in words, as in `sweep.toml`.
    pub(crate) fn describe(&self) -> String {
        let log = |log: &bool| if *log { ", logarithmic" } else { "" };
        match self {
            Self::Real { low, high, log: is_log, .. } => format!("{low} to {high}{}", log(is_log)),
            Self::Integer { low, high, step, log: is_log, multiple_of, .. } => {
                let step = if *step == 1 { String::new() } else { format!(", step {step}") };
                let multiple = match multiple_of {
                    None => String::new(),
                    Some(Multiple::Number(n)) => format!(", multiples of {n}"),
                    Some(Multiple::Key(key)) => format!(", multiples of {key}"),
                };
                format!("integers {low} to {high}{step}{}{multiple}", log(is_log))
            }
            Self::Choice(values) => {
                let words: Vec<String> = values.iter().map(ToString::to_string).collect();
                words.join(", ")
            }
        }
    }
}

/// Rounds the integers that must be multiples; `fixed` gives keys that are not searched.
pub(crate) fn round_to_multiples(
    keys: &[Key],
    parameters: &mut Parameters,
    fixed: impl Fn(&str) -> Option<i64>,
) {
    for key in keys {
        let Distribution::Integer { low, high, multiple_of: Some(multiple), .. } =
            &key.distribution
        else {
            continue;
        };
        let of = match multiple {
            Multiple::Number(n) => Some(*n),
            Multiple::Key(other) => {
                parameters.get(other).and_then(Value::as_integer).or_else(|| fixed(other))
            }
        };
        let (Some(of), Some(Value::Integer(value))) =
            (of.filter(|n| *n > 0), parameters.get_mut(&key.path))
        else {
            continue;
        };
        *value = nearest_multiple(*value, of, *low, *high);
    }
}

/// The multiple of `of` nearest to `value`, inside `low` to `high` if one is, at least `of`.
fn nearest_multiple(value: i64, of: i64, low: i64, high: i64) -> i64 {
    let nearest = (value + of / 2).div_euclid(of) * of;
    let inside = |multiple: &i64| (low..=high).contains(multiple);
    [nearest, nearest - of, nearest + of].into_iter().find(inside).unwrap_or(nearest).max(of)
}

/// The `⌊u n⌋`-th of `n` cells; the last one for `u = 1`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of values times a number between 0 and 1"
)]
fn cell(u: f64, n: i64) -> usize {
    ((u * n as f64) as usize).min(usize::try_from(n - 1).unwrap_or(0))
}

fn integer(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn log_ends(low: i64, high: i64) -> (f64, f64) {
    (low as f64 - 0.5, high as f64 + 0.5)
}

/// An integer or a real number.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|n| n as f64))
}

fn rounded(value: f64) -> f64 {
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(low: f64, high: f64, log: bool) -> Distribution {
        Distribution::Real { low, high, log, points: None }
    }

    fn whole(low: i64, high: i64, step: i64, log: bool) -> Distribution {
        Distribution::Integer { low, high, step, log, multiple_of: None, points: None }
    }

    #[test]
    fn a_quantile_function_reaches_both_ends_and_is_undone() {
        let choice =
            Distribution::Choice(vec![Value::from("a"), Value::from(true), Value::from(3)]);
        for distribution in [
            real(-2.0, 3.0, false),
            real(1e-5, 1e-1, true),
            whole(3, 10, 1, false),
            whole(10, 50, 7, false),
            whole(1, 500, 1, true),
            choice,
        ] {
            let mut last = -1.0;
            for i in 0..=200 {
                let u = f64::from(i) / 200.0;
                let value = distribution.value(u);
                let at = distribution.position(&value).unwrap();
                assert!(at >= last - 1e-5, "{distribution:?} is monotone");
                last = at;
                // Drawing from the middle of all `u` that lead to a value gives it again.
                match distribution {
                    Distribution::Real { .. } => assert!((at - u).abs() < 1e-5),
                    _ => assert_eq!(distribution.value(at), value, "{distribution:?} at {u}"),
                }
            }
        }
        assert_eq!(real(1e-5, 1e-1, true).value(1.0), Value::Float(1e-1));
        assert_eq!(whole(10, 50, 7, false).value(1.0), Value::Integer(45));
        assert_eq!(whole(1, 500, 1, true).value(0.0), Value::Integer(1));
    }

    #[test]
    fn integers_are_equally_likely() {
        let mut counts = [0; 4];
        for i in 0..4000 {
            let Value::Integer(n) = whole(2, 5, 1, false).value((f64::from(i) + 0.5) / 4000.0)
            else {
                panic!("an integer")
            };
            counts[usize::try_from(n).unwrap() - 2] += 1;
        }
        assert_eq!(counts, [1000; 4]);
    }

    #[test]
    fn multiples_are_nearest_and_inside_where_they_can_be() {
        assert_eq!(nearest_multiple(81, 27, 40, 124), 81);
        assert_eq!(nearest_multiple(95, 27, 40, 124), 108);
        assert_eq!(nearest_multiple(120, 27, 40, 124), 108);
        assert_eq!(nearest_multiple(41, 27, 40, 124), 54);
        assert_eq!(nearest_multiple(5, 36, 4, 20), 36); // none inside: one head each
        let multiple_of = Some(Multiple::Key("heads".into()));
        let width = Distribution::Integer {
            low: 40,
            high: 124,
            step: 1,
            log: true,
            multiple_of,
            points: None,
        };
        let keys = [Key { path: "width".into(), distribution: width }];
        let mut parameters = Parameters::from([("width".into(), Value::from(95))]);
        round_to_multiples(&keys, &mut parameters, |key| (key == "heads").then_some(10));
        assert_eq!(parameters["width"], Value::from(100));
        parameters.insert("heads".into(), Value::from(27));
        round_to_multiples(&keys, &mut parameters, |_| None);
        assert_eq!(parameters["width"], Value::from(108));
    }

    #[test]
    fn a_grid_counts_every_value() {
        assert_eq!(real(0.0, 1.0, false).grid(), None);
        let five = Distribution::Real { low: 1e-4, high: 1.0, log: true, points: Some(5) };
        let values: Vec<f64> = five.grid().unwrap().iter().filter_map(number).collect();
        assert_eq!(values, [1e-4, 1e-3, 1e-2, 1e-1, 1.0]);
        assert_eq!(whole(1, 9, 4, false).grid().unwrap(), [1, 5, 9].map(Value::from));
    }
}
