//! Time against length, beside softmax attention with the same inputs.
//!
//! Lengths at which log attention overtakes softmax attention, by counting operations and stored numbers for
//! heads of width `d` and chunks of `C`:
//!
//! ```text
//! state        d² + d = 2 d n        n = (d + 1)/2
//! next token   4 d² = 4 d n          n = d
//! forward      4 C d + 4 d² = 2 d n  n = 2 C + 2 d
//! ```

use std::time::{Duration, Instant};

use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use regard_kernels::log_linear::{Context, LogLinear, LogStream, Values, attention};
use regard_kernels::softmax;
use serde::Serialize;

use super::super::median;
use super::{D_HEAD, HEADS, normal, rng};
use crate::observer::Observer;

/// What lengths cost.
#[derive(Debug, Serialize)]
pub struct Scaling {
    /// One entry per length.
    pub rows: Vec<LengthRow>,
    /// Exponents `b` of `time ∝ n^b` between the last two lengths.
    pub exponents: Costs<f64>,
    /// Lengths from which log attention is faster, by interpolation of logarithms.
    pub crossovers: Crossovers,
}

/// Log attention and softmax attention at one length, batch 1, eight heads of width 64, f32, causal.
#[derive(Debug, Clone, Serialize)]
pub struct LengthRow {
    /// Tokens.
    pub length: usize,
    /// Milliseconds of the forward pass.
    pub forward: Pair<f64>,
    /// Of forward and backward.
    pub train: Pair<f64>,
    /// Microseconds of one more token behind so many: a stream, and one query over stored keys and values.
    pub step: Pair<f64>,
}

/// One number per attention.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pair<T> {
    /// Log attention.
    pub log: T,
    /// Softmax attention.
    pub softmax: T,
}

/// One number per attention and quantity.
#[derive(Debug, Clone, Serialize)]
pub struct Costs<T> {
    /// Of the forward pass.
    pub forward: Pair<T>,
    /// Of forward and backward.
    pub train: Pair<T>,
    /// Of one more token.
    pub step: Pair<T>,
}

/// Lengths from which log attention is faster; `None` where it never or always is.
#[derive(Debug, Clone, Serialize)]
pub struct Crossovers {
    /// Of the forward pass.
    pub forward: Option<f64>,
    /// Of forward and backward.
    pub train: Option<f64>,
    /// Of one more token.
    pub step: Option<f64>,
}

/// Least time that one figure is measured for.
const LEAST: Duration = Duration::from_millis(300);

/// Lengths from 64 on, four times as long each; `None` if it was stopped.
pub(super) fn measure(longest: usize, observer: &mut dyn Observer) -> Option<Scaling> {
    let lengths: Vec<usize> =
        std::iter::successors(Some(64), |n| Some(4 * n)).take_while(|&n| n <= longest).collect();
    observer.phase("time against length", Some(lengths.len() as u64));
    let mut rows = Vec::new();
    for (at, &length) in lengths.iter().enumerate() {
        rows.push(row(length));
        observer.advance(at as u64 + 1, None);
        if observer.stop() {
            return None;
        }
    }
    let pairs = |of: fn(&LengthRow) -> Pair<f64>| -> Vec<(f64, Pair<f64>)> {
        rows.iter().map(|row| (row.length as f64, of(row))).collect()
    };
    let [forward, train, step] = [pairs(|r| r.forward), pairs(|r| r.train), pairs(|r| r.step)];
    let exponents =
        Costs { forward: exponents(&forward), train: exponents(&train), step: exponents(&step) };
    let crossovers = Crossovers {
        forward: crossover(&forward),
        train: crossover(&train),
        step: crossover(&step),
    };
    Some(Scaling { rows, exponents, crossovers })
}

fn row(length: usize) -> LengthRow {
    let mut rng = rng(length as u64);
    let shape = [1, HEADS, length, D_HEAD];
    let [q, k, v, g] = [0; 4].map(|_| {
        let data = TensorData::new(normal(HEADS * length * D_HEAD, &mut rng), shape);
        Tensor::<4>::from_data(data, &Device::default()).cast(FloatDType::F32)
    });
    let log =
        |[q, k, v]: [Tensor<4>; 3]| attention(q, k, v, LogLinear::default(), &Context::default());
    let scale = (D_HEAD as f64).powf(-0.5);
    let softmax = |[q, k, v]: [Tensor<4>; 3]| softmax::attention(q, k, v, None, scale, true);
    let inputs = || [q.clone(), k.clone(), v.clone()];
    let forward = Pair {
        log: 1e3 * seconds(|| drop(log(inputs()))),
        softmax: 1e3 * seconds(|| drop(softmax(inputs()))),
    };
    let backward = |attend: &dyn Fn([Tensor<4>; 3]) -> Tensor<4>| {
        let tracked = inputs().map(|x| x.autodiff().require_grad());
        let loss = (attend(tracked.clone()) * g.clone().autodiff()).sum();
        let grads = loss.backward();
        drop(tracked.map(|x| x.grad(&grads)));
    };
    let train = Pair {
        log: 1e3 * seconds(|| backward(&log)),
        softmax: 1e3 * seconds(|| backward(&softmax)),
    };
    LengthRow { length, forward, train, step: step(length, [&q, &k, &v]) }
}

/// Microseconds of one token.
fn step(length: usize, [q, k, v]: [&Tensor<4>; 3]) -> Pair<f64> {
    let token = |x: &Tensor<4>| -> Vec<f64> {
        let x = x.clone().narrow(2, length - 1, 1).into_data().convert::<f64>();
        x.iter::<f64>().collect()
    };
    let x = [q, k, v].map(token);
    let mut stream = LogStream::new(HEADS, [D_HEAD, D_HEAD], Values::Log);
    let mut y = vec![0.0; HEADS * D_HEAD];
    let last = q.clone().narrow(2, length - 1, 1);
    let scale = (D_HEAD as f64).powf(-0.5);
    Pair {
        log: 1e6 * seconds(|| stream.step(x.each_ref().map(Vec::as_slice), &mut y)),
        softmax: 1e6
            * seconds(|| {
                drop(softmax::attention(last.clone(), k.clone(), v.clone(), None, scale, false));
            }),
    }
}

/// Median time of one call.
fn seconds(mut run: impl FnMut()) -> f64 {
    run();
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || start.elapsed() < LEAST {
        let call = Instant::now();
        run();
        times.push(call.elapsed().as_secs_f64());
    }
    median(&times).unwrap_or(f64::NAN)
}

/// Slope of the last two points in logarithms.
fn exponents(points: &[(f64, Pair<f64>)]) -> Pair<f64> {
    let [.., (n, a), (m, b)] = points else { return Pair { log: f64::NAN, softmax: f64::NAN } };
    let slope = |a: f64, b: f64| (b / a).ln() / (m / n).ln();
    Pair { log: slope(a.log, b.log), softmax: slope(a.softmax, b.softmax) }
}

/// Length at which both take the same time, before log attention is faster for good.
fn crossover(points: &[(f64, Pair<f64>)]) -> Option<f64> {
    let excess = |pair: Pair<f64>| (pair.log / pair.softmax).ln();
    let last_slower = points.iter().rposition(|(_, pair)| excess(*pair) > 0.0)?;
    let (n, a) = points[last_slower];
    let (m, b) = *points.get(last_slower + 1)?;
    let share = excess(a) / (excess(a) - excess(b));
    Some((n.ln() + share * (m / n).ln()).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Silent;

    #[test]
    fn exponents_and_crossovers_of_power_laws() {
        // 8 n against n²/32: equal at 256.
        let points: Vec<_> = [64.0, 128.0, 512.0, 1024.0]
            .map(|n: f64| (n, Pair { log: 8.0 * n, softmax: n * n / 32.0 }))
            .to_vec();
        let found = exponents(&points);
        assert!((found.log - 1.0).abs() < 1e-12 && (found.softmax - 2.0).abs() < 1e-12);
        assert!((crossover(&points).unwrap() - 256.0).abs() < 1e-9);
        assert_eq!(crossover(&points[..2]), None, "softmax attention is always faster");
        assert_eq!(crossover(&points[2..]), None, "it is always slower");
    }

    #[test]
    fn every_length_has_its_figures() {
        let found = measure(256, &mut Silent).unwrap();
        assert_eq!(found.rows.iter().map(|row| row.length).collect::<Vec<_>>(), [64, 256]);
        for row in &found.rows {
            for pair in [row.forward, row.train, row.step] {
                assert!(pair.log > 0.0 && pair.softmax > 0.0, "{row:?}");
            }
        }
    }
}
