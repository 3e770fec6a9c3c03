//! What a few values say about their mean: intervals at 95 % by Student's t.
//!
//! ```text
//! mean ± t(n − 1) √(s²/n)                                           one sample, s² its variance
//! (m_a − m_b) ± t(ν) √(s_a²/n_a + s_b²/n_b)                         two samples of unequal variance
//! ν = (s_a²/n_a + s_b²/n_b)² / (s_a⁴/(n_a²(n_a − 1)) + s_b⁴/(n_b²(n_b − 1)))
//! ```
//!
//! Source: Welch 1947, doi:10.1093/biomet/34.1-2.28. Beyond ten degrees of freedom the points of t are
//! those of the expansion in 1/ν of Abramowitz and Stegun 1964, eq. 26.7.5, right to 2e-4.

/// Two-sided 95 % points of Student's t for 1, 2, … degrees of freedom.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
/// Two-sided 95 % point of the normal distribution.
pub(crate) const NORMAL: f64 = 1.959_963_984_540_054;

/// Two-sided 95 % point of Student's t; infinite without a degree of freedom.
pub(crate) fn student(freedom: usize) -> f64 {
    if freedom == 0 {
        return f64::INFINITY;
    }
    STUDENT.get(freedom - 1).copied().unwrap_or_else(|| {
        let (z, n) = (NORMAL, freedom as f64);
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
        z + first / n + second / n.powi(2) + third / n.powi(3)
    })
}

/// Mean and sample variance, NaN of a single value; `None` of nothing.
pub(crate) fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let square: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    Some((mean, if values.len() > 1 { square / (n - 1.0) } else { f64::NAN }))
}

/// Mean, and the half-width of its interval where there are two values or more; `None` of nothing.
pub(crate) fn mean_and_half_width(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let (mean, variance) = moments(values)?;
    let n = values.len();
    Some((mean, (n > 1).then(|| student(n - 1) * (variance / n as f64).sqrt())))
}

/// Difference of the means of two independent samples, and the half-width of its interval by Welch's t;
/// infinite if one sample is too small for an interval.
pub(crate) fn difference(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let ((mean_a, var_a), (mean_b, var_b)) = (moments(a)?, moments(b)?);
    if a.len() < 2 || b.len() < 2 {
        return Some((mean_a - mean_b, f64::INFINITY));
    }
    let (se_a, se_b) = (var_a / a.len() as f64, var_b / b.len() as f64);
    let square = (se_a + se_b).powi(2);
    let spread = se_a.powi(2) / (a.len() - 1) as f64 + se_b.powi(2) / (b.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "degrees of freedom are a small positive number, rounded down"
    )]
    let freedom = if spread > 0.0 { (square / spread) as usize } else { a.len() + b.len() - 2 };
    Some((mean_a - mean_b, student(freedom.max(1)) * (se_a + se_b).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_points_of_t_are_those_of_the_tables() {
        for (freedom, expected) in
            [(1, 12.706), (10, 2.228), (11, 2.201), (15, 2.131), (20, 2.086), (60, 2.000)]
        {
            let t = student(freedom);
            // Tables have three digits; the expansion adds less than 2e-4 at eleven.
            assert!((t - expected).abs() < 7e-4, "{freedom}: {t} is not {expected}");
        }
        assert!(student(0).is_infinite());
    }

    #[test]
    fn the_interval_of_a_mean_by_hand() {
        // Deviation 1, three values: 4.303 / √3.
        let (mean, half) = mean_and_half_width(&[1.0, 2.0, 3.0]).unwrap();
        assert!((mean - 2.0).abs() < 1e-15 && (half.unwrap() - 4.303 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(mean_and_half_width(&[5.0]), Some((5.0, None)));
        assert_eq!(mean_and_half_width(&[]), None);
    }

    #[test]
    fn the_difference_of_two_samples_by_hand() {
        // Variances 1 and 4, three values each: standard error √(5/3), freedom 25/17 · 2 = 2.94.
        let (mean, half) = difference(&[1.0, 2.0, 3.0], &[4.0, 6.0, 8.0]).unwrap();
        assert!((mean + 4.0).abs() < 1e-12);
        assert!((half - 4.303 * (5.0f64 / 3.0).sqrt()).abs() < 1e-9, "{half}");
        assert_eq!(difference(&[1.0], &[4.0, 6.0]), Some((-4.0, f64::INFINITY)));
        assert_eq!(difference(&[], &[1.0]), None);
    }
}
