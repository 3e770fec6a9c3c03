//! Persistence: tomorrow is as today.
//!
//! ```text
//! x_{t+h} = x_t
//! ```

use super::Classical;

/// Repeats the last row; has nothing to fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Persistence;

impl Classical for Persistence {
    fn name(&self) -> &'static str {
        "persistence"
    }

    fn n_parameters(&self) -> usize {
        0
    }

    fn window(&self) -> usize {
        1
    }

    fn forecast(&self, history: &[f64], channels: usize, steps: usize, out: &mut Vec<f64>) {
        assert!(history.len() >= channels, "persistence needs one row of {channels} values");
        let last = &history[history.len() - channels..];
        out.clear();
        for _ in 0..steps {
            out.extend_from_slice(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_the_last_row() {
        let mut out = vec![9.0; 7];
        Persistence.forecast(&[1.0, 2.0, 3.0, 4.0], 2, 3, &mut out);
        assert_eq!(out, [3.0, 4.0, 3.0, 4.0, 3.0, 4.0]);
    }
}
