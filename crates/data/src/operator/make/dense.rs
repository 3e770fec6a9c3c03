//! Products of small dense matrices, row-major.

/// Adds `sign a b` to `out`, for `a` of `[.., inner]` and `b` of `[inner, width]`.
pub(super) fn add_product(
    out: &mut [f64],
    sign: f64,
    a: &[f64],
    inner: usize,
    b: &[f64],
    width: usize,
) {
    for (row, out) in a.chunks_exact(inner).zip(out.chunks_exact_mut(width)) {
        for (factor, b) in row.iter().zip(b.chunks_exact(width)) {
            let factor = sign * factor;
            for (out, b) in out.iter_mut().zip(b) {
                *out += factor * b;
            }
        }
    }
}

/// `a b` for `a` of `[.., inner]` and `b` of `[inner, width]`.
pub(super) fn product(a: &[f64], inner: usize, b: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len() / inner * width];
    add_product(&mut out, 1.0, a, inner, b, width);
    out
}

/// `aᵀ` for `a` of `[.., columns]`.
pub(super) fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
    let column = |j: usize| a.iter().skip(j).step_by(columns).copied();
    (0..columns).flat_map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_the_definition() {
        let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
        assert_eq!(product(&a, 3, &b, 2), [7.0, 8.0, 16.0, 17.0]);
        assert_eq!(transposed(&a, 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let mut out = [7.0; 4];
        add_product(&mut out, -1.0, &a, 3, &b, 2);
        assert_eq!(out[..], [0.0, -1.0, -9.0, -10.0][..]);
    }
}
