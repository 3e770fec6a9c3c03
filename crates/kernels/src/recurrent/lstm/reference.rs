//! The definition, on host numbers in `f64`: slow and plain.

/// Hidden states and cells of every step of one sequence, from zero states.
///
/// `x` is `[time, d_in]`, `weight_input` `[d_in, 4 d_hidden]`, `weight_hidden`
/// `[d_hidden, 4 d_hidden]`, `bias` `[4 d_hidden]`, each row-major; so are both results,
/// `[time, d_hidden]`.
#[must_use]
pub fn lstm(x: &[f64], weight_input: &[f64], weight_hidden: &[f64], bias: &[f64]) -> [Vec<f64>; 2] {
    let gates = bias.len();
    let d_hidden = gates / 4;
    let d_in = weight_input.len() / gates;
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let (mut h, mut c) = (vec![0.0; d_hidden], vec![0.0; d_hidden]);
    let [mut hidden, mut cells] = [Vec::new(), Vec::new()];
    for x in x.chunks_exact(d_in) {
        let product = |row: &[f64], weight: &[f64], j: usize| -> f64 {
            row.iter().enumerate().map(|(i, x)| x * weight[i * gates + j]).sum()
        };
        let z: Vec<f64> = (0..gates)
            .map(|j| product(x, weight_input, j) + product(&h, weight_hidden, j) + bias[j])
            .collect();
        for j in 0..d_hidden {
            let [i, f, o] = [0, 1, 2].map(|gate| sigmoid(z[gate * d_hidden + j]));
            c[j] = f * c[j] + i * z[3 * d_hidden + j].tanh();
            h[j] = o * c[j].tanh();
        }
        hidden.extend_from_slice(&h);
        cells.extend_from_slice(&c);
    }
    [hidden, cells]
}
