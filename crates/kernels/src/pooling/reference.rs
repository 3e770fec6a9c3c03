//! The definition, on host numbers in `f64`: slow and plain.

use super::Groups;

/// Means of the rows of one sequence, `[time, d]`, that are `seen`; zeros for a group without any.
#[must_use]
pub fn pool(x: &[f64], d: usize, groups: &Groups, seen: &[bool]) -> Vec<f64> {
    let mean = |group: usize, j: usize| {
        let rows: Vec<usize> = groups.rows(group).iter().copied().filter(|t| seen[*t]).collect();
        let sum: f64 = rows.iter().map(|t| x[t * d + j]).sum();
        if rows.is_empty() { 0.0 } else { sum / rows.len() as f64 }
    };
    (0..groups.n_groups())
        .flat_map(|g| (0..d).map(move |j| (g, j)))
        .map(|(g, j)| mean(g, j))
        .collect()
}
