//! Many tokens one by one: time and memory per token, and the distance from double precision.

use std::time::Instant;

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use regard_kernels::log_linear::{
    Context, LogLinear, LogState, LogStream, Values, attention_with_state,
};
use serde::Serialize;

use super::super::median;
use super::{D_HEAD, HEADS, apart, normal, process_bytes, rng};
use crate::observer::Observer;

/// Tokens between two comparisons.
const BLOCK: usize = 10_000;
/// Tokens that are timed together.
const GROUP: usize = 100;

/// What a long stream took.
#[derive(Debug, Serialize)]
pub struct Tokens {
    /// Tokens.
    pub n: usize,
    /// Microseconds per token of the first ten thousand, median over groups of a hundred.
    pub first: f64,
    /// Of the last ten thousand.
    pub last: f64,
    /// Least and largest of all blocks of ten thousand.
    pub range: (f64, f64),
    /// Largest distance of the stream, rounded to single precision, from chunks in f64.
    pub error: f64,
    /// The same of chunks in f32.
    pub error_chunks: f64,
    /// Resident memory after the last block, less that after the third, in bytes.
    pub growth: Option<i64>,
}

/// Eight heads of width 64, standard normal queries, keys and log-values of single precision; `None` if
/// it was stopped.
pub(super) fn measure(n: usize, observer: &mut dyn Observer) -> Option<Tokens> {
    let blocks = n / BLOCK;
    observer.phase("tokens one by one", Some(blocks as u64));
    let mut rng = rng(1);
    let mut stream = LogStream::new(HEADS, [D_HEAD, D_HEAD], Values::Log);
    let mut states: [Option<LogState>; 2] = [None, None];
    let (mut times, mut resident) = (Vec::new(), Vec::new());
    let (mut error, mut error_chunks) = (0.0_f64, 0.0_f64);
    for block in 0..blocks {
        let x = [0; 3].map(|_| normal(BLOCK * HEADS * D_HEAD, &mut rng));
        let (rows, time) = steps(&mut stream, &x);
        times.push(time * 1e6 / GROUP as f64);
        let [double, single] = [FloatDType::F64, FloatDType::F32].map(|dtype| {
            let state = &mut states[usize::from(dtype == FloatDType::F32)];
            let [q, k, v] = x.each_ref().map(|x| tensor(x).cast(dtype));
            let context = Context { state: state.take(), ..Context::default() };
            let (y, left) = attention_with_state(q, k, v, LogLinear::default(), context);
            *state = Some(left);
            let y = y.swap_dims(1, 2).into_data().convert::<f64>();
            y.iter::<f64>().collect::<Vec<f64>>()
        });
        error = error.max(apart(&rows, &double));
        error_chunks = error_chunks.max(apart(&single, &double));
        resident.push(process_bytes("VmRSS"));
        observer.advance(block as u64 + 1, None);
        if observer.stop() {
            return None;
        }
    }
    let of = |at: usize| times.get(at).copied().unwrap_or(f64::NAN);
    let growth = match (resident.get(2), resident.last()) {
        (Some(Some(early)), Some(Some(late))) => Some(late - early),
        _ => None,
    };
    Some(Tokens {
        n: blocks * BLOCK,
        first: of(0),
        last: of(blocks.saturating_sub(1)),
        range: times
            .iter()
            .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), &x| (low.min(x), high.max(x))),
        error,
        error_chunks,
        growth,
    })
}

/// `[BLOCK, HEADS, D_HEAD]` as `[1, HEADS, BLOCK, D_HEAD]`.
fn tensor(x: &[f64]) -> Tensor<4> {
    let data = TensorData::new(x.to_vec(), [1, BLOCK, HEADS, D_HEAD]);
    Tensor::<4>::from_data(data, (&Device::default(), DType::F64)).swap_dims(1, 2)
}

/// The results of a block token by token, rounded to single precision, and the median time of its groups
/// in seconds.
fn steps(stream: &mut LogStream, [q, k, v]: &[Vec<f64>; 3]) -> (Vec<f64>, f64) {
    let width = HEADS * D_HEAD;
    let mut rows = vec![0.0; BLOCK * width];
    let mut times = Vec::with_capacity(BLOCK / GROUP);
    for (group, rows) in rows.chunks_exact_mut(GROUP * width).enumerate() {
        let start = Instant::now();
        for (t, row) in rows.chunks_exact_mut(width).enumerate() {
            let at = (group * GROUP + t) * width;
            let token = at..at + width;
            stream.step([&q[token.clone()], &k[token.clone()], &v[token]], row);
        }
        times.push(start.elapsed().as_secs_f64());
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the point")]
    for y in &mut rows {
        *y = f64::from(*y as f32);
    }
    (rows, median(&times).unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Silent;

    #[test]
    fn an_error_that_does_not_grow() {
        let found = measure(20_000, &mut Silent).unwrap();
        assert_eq!(found.n, 20_000);
        assert!(found.error <= 1e-5 && found.error_chunks <= 1e-5, "{found:?}");
    }
}
