//! What was measured of an operator as its mesh is refined.

use serde::{Deserialize, Serialize};

use super::format::Notation;
use super::nullable;
use super::text::push_note;

/// Properties of an operator between functions, measured on a trained one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// One line per property.
    pub lines: Vec<CertificateLine>,
}

/// One property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateLine {
    /// Its name.
    pub property: String,
    /// What is measured.
    pub measure: Measure,
    /// The figure; NaN where no error was large enough to have an order.
    #[serde(deserialize_with = "nullable::number")]
    pub measured: f64,
    /// Least figure that is expected.
    pub at_least: Option<f64>,
    /// Largest figure that is expected.
    pub at_most: Option<f64>,
    /// Numbers of points, from coarse to fine; along an axis where the points are a grid.
    pub sizes: Vec<usize>,
    /// Error at each of them, in the unit of the largest value.
    #[serde(deserialize_with = "nullable::numbers")]
    pub errors: Vec<f64>,
}

/// What is measured of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// `p` where the error falls as `N^(−p)`.
    Order,
    /// A difference that should be rounding, in the unit of the largest value.
    Difference,
}

/// Errors below this have no order: they are rounding.
const ROUNDING: f64 = 1e-11;

impl CertificateLine {
    /// The slope of `−ln error` against `ln N`, fitted by least squares.
    #[must_use]
    pub fn order(
        property: &str,
        sizes: Vec<usize>,
        errors: Vec<f64>,
        at_least: f64,
        at_most: Option<f64>,
    ) -> Self {
        let measured = if errors.iter().all(|&error| error < ROUNDING) {
            f64::NAN
        } else {
            -slope(&sizes, &errors)
        };
        let (property, at_least) = (property.to_owned(), Some(at_least));
        Self { property, measure: Measure::Order, measured, at_least, at_most, sizes, errors }
    }

    /// A difference that should be no more than this.
    #[must_use]
    pub fn difference(property: &str, measured: f64, at_most: f64) -> Self {
        Self {
            property: property.to_owned(),
            measure: Measure::Difference,
            measured,
            at_least: None,
            at_most: Some(at_most),
            sizes: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Whether the property is as expected.
    #[must_use]
    pub fn holds(&self) -> bool {
        let exact = self.measure == Measure::Order && self.errors.iter().all(|&e| e < ROUNDING);
        let enough = self.at_least.is_none_or(|least| self.measured >= least);
        exact || (enough && self.at_most.is_none_or(|most| self.measured <= most))
    }

    /// The figure as text.
    pub(super) fn measured_text(&self, notation: Notation) -> String {
        if self.measured.is_nan() && self.holds() {
            return "no error".to_owned();
        }
        self.text(self.measured, notation)
    }

    /// What is expected, as text.
    pub(super) fn expected_text(&self, notation: Notation) -> String {
        let text = |x: f64| self.text(x, notation);
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) => format!("{} to {}", text(least), text(most)),
            (Some(least), None) => format!("≥ {}", text(least)),
            (None, Some(most)) => format!("≤ {}", text(most)),
            (None, None) => String::new(),
        }
    }

    fn text(&self, x: f64, notation: Notation) -> String {
        match self.measure {
            Measure::Order => notation.decimals(x, 2),
            Measure::Difference => notation.significant(x, 2),
        }
    }
}

/// Slope of `ln y` against `ln x`.
fn slope(x: &[usize], y: &[f64]) -> f64 {
    let logarithm = |y: f64| if y == 0.0 { f64::MIN_POSITIVE.ln() } else { y.ln() };
    let points: Vec<[f64; 2]> =
        x.iter().zip(y).map(|(&x, &y)| [(x as f64).ln(), logarithm(y)]).collect();
    let mean = |axis: usize| points.iter().map(|p| p[axis]).sum::<f64>() / points.len() as f64;
    let [mean_x, mean_y] = [mean(0), mean(1)];
    let (mut above, mut below) = (0.0, 0.0);
    for [x, y] in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x).powi(2);
    }
    above / below
}

impl Certificate {
    /// Whether all properties are as expected.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lines.iter().all(CertificateLine::holds)
    }

    /// A table for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let plain = Notation::Plain;
        let rows: Vec<[String; 4]> = self
            .lines
            .iter()
            .map(|line| {
                let verdict = if line.holds() { "pass" } else { "FAIL" };
                let (measured, expected) = (line.measured_text(plain), line.expected_text(plain));
                [line.property.clone(), measured, expected, verdict.to_owned()]
            })
            .collect();
        let head = ["property", "measured", "expected", ""].map(str::to_owned);
        let width = |column: usize| {
            let cells = std::iter::once(&head).chain(&rows).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: [usize; 3] = std::array::from_fn(width);
        let mut out = String::new();
        for (i, row) in std::iter::once(&head).chain(&rows).enumerate() {
            let [name, measured, expected, verdict] = row;
            let [a, b, c] = widths;
            let line = format!("{name:<a$}  {measured:>b$}  {expected:<c$}  {verdict}");
            out += line.trim_end();
            out.push('\n');
            if i == 0 {
                out += &"─".repeat(a + b + c + 10);
                out.push('\n');
            }
        }
        out.push('\n');
        push_note(&mut out, NOTE);
        out
    }
}

/// What the figures mean.
pub(super) const NOTE: &str = "Order p: the error at fixed points falls as N^(-p), N the number of points, along an axis where \
     they are a grid; fitted to errors in double precision against a mesh that is much finer, for two \
     smooth functions. Other figures: largest difference, over the largest value.";

#[cfg(test)]
mod tests {
    use super::*;

    fn order(errors: [f64; 3]) -> CertificateLine {
        CertificateLine::order("p", vec![10, 20, 40], errors.to_vec(), 1.85, Some(2.2))
    }

    #[test]
    fn an_order_is_a_slope_between_two_bounds() {
        let second = order([4e-2, 1e-2, 2.5e-3]);
        assert!((second.measured - 2.0).abs() < 1e-12 && second.holds());
        assert!(!order([4e-2, 2e-2, 1e-2]).holds());
        assert!(!order([4e-2, 5e-3, 6e-4]).holds(), "faster than it can be");
        assert!(!order([f64::NAN; 3]).holds());
        let none = order([0.0, 1e-16, 0.0]);
        assert!(none.holds() && none.measured.is_nan());
    }

    #[test]
    fn lines_come_back_from_json() {
        let (fails, holds) = (order([f64::NAN; 3]), CertificateLine::difference("d", 1e-13, 1e-10));
        let certificate = Certificate { lines: vec![fails, holds] };
        let json = serde_json::to_string(&certificate).unwrap();
        let back: Certificate = serde_json::from_str(&json).unwrap();
        assert_eq!(back.lines[1], certificate.lines[1]);
        assert!(back.lines[0].measured.is_nan() && !back.holds());
        insta::assert_snapshot!(certificate.text());
    }
}
