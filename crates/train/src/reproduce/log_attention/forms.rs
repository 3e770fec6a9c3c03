//! One function in five forms: pairwise, with summed maps, token by token, in chunks, in one stream.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use regard_kernels::log_linear::{
    Context, LogLinear, LogStream, Values, attention, attention_with_state, reference,
};
use serde::Serialize;

use super::{apart, normal, rng};

/// How far the forms are apart.
#[derive(Debug, Serialize)]
pub struct Forms {
    /// One entry per length and size of the numbers.
    pub rows: Vec<FormRow>,
}

/// Largest distances from the pairwise definition in f64, over one head of width 16.
#[derive(Debug, Serialize)]
pub struct FormRow {
    /// Tokens.
    pub length: usize,
    /// Deviation of queries, keys and log-values.
    pub size: f64,
    /// Equation (4), f64.
    pub linearised: f64,
    /// Equations (5) and (6), f64.
    pub sequential: f64,
    /// Chunks of 64, f64.
    pub chunked: f64,
    /// Chunks of 64, f32.
    pub chunked_single: f64,
    /// The same in chunks of 7 and in two parts with the state in between, f32.
    pub split_single: f64,
    /// Token by token, sums in f64.
    pub stream: f64,
}

const D: usize = 16;

pub(super) fn measure(longest: usize) -> Forms {
    let lengths = [64, 300, 1000].into_iter().filter(|&length| length <= longest);
    let pairs = lengths.flat_map(|length| [1.0, 3.0, 20.0].map(|size| (length, size)));
    Forms { rows: pairs.map(|(length, size)| row(length, size)).collect() }
}

fn row(length: usize, size: f64) -> FormRow {
    let mut rng = rng(length as u64);
    let single = |x: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "inputs of single precision")]
        let x = (size * x) as f32;
        f64::from(x)
    };
    let x =
        [0; 3].map(|_| normal(length * D, &mut rng).into_iter().map(single).collect::<Vec<_>>());
    let sizes = reference::Sizes { time_q: length, time_k: length, d_k: D, d_v: D };
    let inputs = x.each_ref().map(Vec::as_slice);
    let expected = reference::quadratic(sizes, inputs, |t, s| s <= t);
    let of = |dtype, chunk| chunked(&x, length, dtype, chunk);
    FormRow {
        length,
        size,
        linearised: apart(&reference::linearised(sizes, inputs, true), &expected),
        sequential: apart(&reference::sequential(sizes, inputs), &expected),
        chunked: apart(&of(FloatDType::F64, 64), &expected),
        chunked_single: apart(&of(FloatDType::F32, 64), &expected),
        split_single: apart(&split(&x, length), &expected),
        stream: apart(&stream(&x, length), &expected),
    }
}

fn tensors(x: &[Vec<f64>; 3], length: usize, dtype: FloatDType) -> [Tensor<4>; 3] {
    x.each_ref().map(|x| {
        let data = TensorData::new(x.clone(), [1, 1, length, D]);
        Tensor::<4>::from_data(data, (&Device::default(), DType::F64)).cast(dtype)
    })
}

fn values(x: Tensor<4>) -> Vec<f64> {
    x.into_data().convert::<f64>().iter::<f64>().collect()
}

fn chunked(x: &[Vec<f64>; 3], length: usize, dtype: FloatDType, chunk: usize) -> Vec<f64> {
    let [q, k, v] = tensors(x, length, dtype);
    let setting = LogLinear { chunk, ..LogLinear::default() };
    values(attention(q, k, v, setting, &Context::default()))
}

fn split(x: &[Vec<f64>; 3], length: usize) -> Vec<f64> {
    let setting = LogLinear { chunk: 7, ..LogLinear::default() };
    let (mut out, mut state) = (Vec::new(), None);
    for part in [0..length / 3, length / 3..length] {
        let [q, k, v] =
            tensors(x, length, FloatDType::F32).map(|x| x.narrow(2, part.start, part.len()));
        let context = Context { state: state.take(), ..Context::default() };
        let (y, left) = attention_with_state(q, k, v, setting, context);
        state = Some(left);
        out.extend(values(y));
    }
    out
}

fn stream([q, k, v]: &[Vec<f64>; 3], length: usize) -> Vec<f64> {
    let mut stream = LogStream::new(1, [D, D], Values::Log);
    let mut y = vec![0.0; length * D];
    for (t, row) in y.chunks_exact_mut(D).enumerate() {
        let token = t * D..(t + 1) * D;
        stream.step([&q[token.clone()], &k[token.clone()], &v[token]], row);
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_agree() {
        for row in measure(300).rows {
            let double = [row.linearised, row.sequential, row.chunked, row.stream];
            assert!(double.iter().all(|&x| x < 1e-10 * row.size), "{row:?}");
            assert!(row.chunked_single < 2e-5 * row.size, "{row:?}");
            assert!(row.split_single < 2e-5 * row.size, "{row:?}");
        }
    }
}
