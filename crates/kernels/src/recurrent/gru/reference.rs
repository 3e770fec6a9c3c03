//! The definition, on host numbers in `f64`: slow and plain.

/// Hidden states of every step of one sequence, from a zero state.
///
/// `x` is `[time, d_in]`, `weight_input` `[d_in, 3 d_hidden]`, `weight_hidden`
/// `[d_hidden, 3 d_hidden]`, each bias `[3 d_hidden]`, row-major; so is the result,
/// `[time, d_hidden]`.
#[must_use]
pub fn gru(
    x: &[f64],
    weight_input: &[f64],
    weight_hidden: &[f64],
    bias_input: &[f64],
    bias_hidden: &[f64],
) -> Vec<f64> {
    let gates = bias_input.len();
    let d_hidden = gates / 3;
    let d_in = weight_input.len() / gates;
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let affine = |row: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
        let column = |j| {
            let product = row.iter().enumerate().map(|(i, x)| x * weight[i * gates + j]);
            bias[j] + product.sum::<f64>()
        };
        (0..gates).map(column).collect()
    };
    let mut h = vec![0.0; d_hidden];
    let mut hidden = Vec::new();
    for x in x.chunks_exact(d_in) {
        let u = affine(x, weight_input, bias_input);
        let v = affine(&h, weight_hidden, bias_hidden);
        for j in 0..d_hidden {
            let [r, z] = [j, d_hidden + j].map(|gate| sigmoid(u[gate] + v[gate]));
            let n = (u[2 * d_hidden + j] + r * v[2 * d_hidden + j]).tanh();
            h[j] = (1.0 - z) * n + z * h[j];
        }
        hidden.extend_from_slice(&h);
    }
    hidden
}
