//! Windows of tokens: drawn by a seed for training, side by side for scoring.
//!
//! A window of `w` tokens predicts the `w` tokens one further on. Training reads the text in passes: a pass
//! has an offset of its own and visits windows side by side from there in an order of its own, so that all
//! tokens are seen about equally often, at other places of a window in each pass.

use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::TextError;
use crate::DataError;

/// Refuses a part without a whole window.
///
/// # Errors
/// [`TextError::TooShort`].
pub fn check_window(
    origin: &str,
    part: &'static str,
    n_tokens: usize,
    window: usize,
) -> Result<(), DataError> {
    if n_tokens > window {
        return Ok(());
    }
    let origin = origin.to_owned();
    Err(TextError::TooShort { origin, part, found: n_tokens, window }.into())
}

/// An endless stream of windows of one part, the same for the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingWindows {
    n_tokens: usize,
    window: usize,
    seed: u64,
}

impl TrainingWindows {
    /// Windows of a part with so many tokens.
    ///
    /// # Panics
    /// If the part has no whole window, or a window no token.
    #[must_use]
    pub fn new(n_tokens: usize, window: usize, seed: u64) -> Self {
        assert!(window > 0 && n_tokens > window, "a part has a whole window");
        Self { n_tokens, window, seed }
    }

    /// Windows of one pass: one less than fit side by side, which leaves room for the offset.
    #[must_use]
    pub fn per_pass(&self) -> usize {
        ((self.n_tokens - 1) / self.window).saturating_sub(1).max(1)
    }

    /// First tokens of the `n` windows from number `first` of the stream on.
    #[must_use]
    pub fn starts(&self, first: u64, n: usize) -> Vec<usize> {
        let per_pass = self.per_pass() as u64;
        let mut starts = Vec::with_capacity(n);
        let mut pass = (u64::MAX, Vec::new());
        for number in first..first + n as u64 {
            if pass.0 != number / per_pass {
                pass = (number / per_pass, self.pass(number / per_pass));
            }
            #[expect(clippy::cast_possible_truncation, reason = "less than the windows of a pass")]
            starts.push(pass.1[(number % per_pass) as usize]);
        }
        starts
    }

    /// First tokens of the windows of a pass, in its order.
    fn pass(&self, number: u64) -> Vec<usize> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        let slack = self.n_tokens - 1 - self.per_pass() * self.window;
        let offset = rng.random_range(0..=slack);
        let mut starts: Vec<usize> =
            (0..self.per_pass()).map(|i| offset + i * self.window).collect();
        starts.shuffle(&mut rng);
        starts
    }
}

/// Windows side by side, as places of their inputs: together they predict every token but the first, once.
pub fn scoring_windows(n_tokens: usize, window: usize) -> impl Iterator<Item = Range<usize>> {
    let last = n_tokens.saturating_sub(1);
    (0..last).step_by(window).map(move |start| start..last.min(start + window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_visits_windows_side_by_side_once() {
        for (n_tokens, window) in [(100, 7), (9, 8), (17, 8), (30, 1)] {
            let windows = TrainingWindows::new(n_tokens, window, 3);
            let per_pass = windows.per_pass();
            for pass in 0..20 {
                let mut starts = windows.starts(pass * per_pass as u64, per_pass);
                starts.sort_unstable();
                assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + window));
                assert!(starts[per_pass - 1] + window < n_tokens, "a token follows the window");
            }
        }
    }

    #[test]
    fn every_token_is_reached_by_some_pass() {
        let windows = TrainingWindows::new(23, 5, 1);
        let mut seen = [false; 23];
        for start in windows.starts(0, 40 * windows.per_pass()) {
            seen[start..=start + 5].fill(true);
        }
        assert_eq!(seen, [true; 23]);
    }

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let windows = TrainingWindows::new(101, 7, 5);
        let whole = windows.starts(0, 60);
        let cut: Vec<usize> = (0..20).flat_map(|i| windows.starts(3 * i, 3)).collect();
        assert_eq!(whole, cut);
        assert_ne!(whole, TrainingWindows::new(101, 7, 6).starts(0, 60));
    }

    #[test]
    fn scoring_predicts_every_token_but_the_first_once() {
        let windows: Vec<_> = scoring_windows(12, 5).collect();
        assert_eq!(windows, [0..5, 5..10, 10..11]);
        assert_eq!(scoring_windows(1, 5).count(), 0);
    }

    #[test]
    fn a_part_without_a_window_is_refused() {
        assert!(check_window("a.txt", "training", 9, 8).is_ok());
        assert_eq!(
            check_window("a.txt", "test", 8, 8).unwrap_err().to_string(),
            "a.txt: the test part has 8 tokens, expected at least 9: a window of 8 and the token behind it; \
             give a longer text, a larger share, or a smaller task.window"
        );
    }
}
