//! The same out of Burn operations.

use burn::tensor::{Int, Tensor, TensorData};

use super::grid::Grid;
use super::waves::{cosine, sine};

/// [`super::spectral`] as products with the matrices of the transform, without a shortcut.
///
/// # Shapes
/// As [`super::spectral`].
///
/// # Panics
/// If the grid is too small for the modes.
#[must_use]
pub fn composed(x: Tensor<4>, weight: Tensor<5>) -> Tensor<4> {
    let [batch, rows, columns, d_in] = x.dims();
    let [n_rows, n_columns, _, _, d_out] = weight.dims();
    let grid = Grid::new([rows, columns], [n_rows, n_columns]);
    let used = grid.used();
    let n_used = used.len();
    let matrix = |wave: fn(usize, usize) -> f64, frequencies: &[usize], n: usize, scale: &[f64]| {
        let row = |(&k, scale): (&usize, &f64)| {
            let scale = *scale;
            (0..n).map(move |j| scale * wave(k * j % n, n))
        };
        let values: Vec<f64> = frequencies.iter().zip(scale).flat_map(row).collect();
        let data = TensorData::new(values, [frequencies.len(), n]);
        Tensor::<2>::from_data(data, (&x.device(), x.dtype()))
    };
    let column_waves: Vec<usize> = (0..n_columns).collect();
    let row_waves: Vec<usize> = used.iter().map(|(_, row)| *row).collect();
    let ones = vec![1.0; n_used.max(n_columns)];
    let of_rows = [cosine, sine].map(|wave| matrix(wave, &row_waves, rows, &ones));
    let of_columns = [cosine, sine].map(|wave| matrix(wave, &column_waves, columns, &ones));
    let to_columns =
        [cosine, sine].map(|wave| matrix(wave, &column_waves, columns, &grid.shares()));

    // Along columns x is real, along rows complex: (c − is)(u − iv).
    let [u, v] = of_columns.map(|wave| {
        wave.unsqueeze::<4>().matmul(x.clone()).reshape([batch, rows, n_columns * d_in])
    });
    let [cos, sin] = of_rows.clone().map(Tensor::unsqueeze::<3>);
    let re = cos.clone().matmul(u.clone()) - sin.clone().matmul(v.clone());
    let im = (cos.matmul(v) + sin.matmul(u)).neg();
    let modes = n_used * n_columns;
    let [re, im] = [re, im].map(|part| part.reshape([batch, modes, d_in]).swap_dims(0, 1));

    let indices: Vec<i64> = used.iter().map(|(mode, _)| mode.cast_signed() as i64).collect();
    let indices = TensorData::new(indices, [n_used]);
    let indices = Tensor::<1, Int>::from_data(indices, &x.device().without_autodiff());
    let weight = weight.select(0, indices);
    let [w_re, w_im] =
        [0, 1].map(|part| weight.clone().narrow(2, part, 1).reshape([modes, d_in, d_out]));
    let out_re = re.clone().matmul(w_re.clone()) - im.clone().matmul(w_im.clone());
    let out_im = re.matmul(w_im) + im.matmul(w_re);

    let [re, im] = [out_re, out_im]
        .map(|part| part.swap_dims(0, 1).reshape([batch, n_used, n_columns * d_out]));
    let [cos, sin] = of_rows.map(|wave| wave.transpose().unsqueeze::<3>());
    let along_re = cos.clone().matmul(re.clone()) - sin.clone().matmul(im.clone());
    let along_im = sin.matmul(re) + cos.matmul(im);
    let [re, im] = [along_re, along_im].map(|part| part.reshape([batch, rows, n_columns, d_out]));
    let [cos, sin] = to_columns.map(|wave| wave.transpose().unsqueeze::<4>());
    cos.matmul(re) - sin.matmul(im)
}
