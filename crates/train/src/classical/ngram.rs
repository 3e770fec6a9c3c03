//! Counts of tokens and of what follows them.
//!
//! ```text
//! uniform:  p(c) = 1/V
//! unigram:  p₁(c) = (n(c) + 1) / (N + V)
//! bigram:   p(c | b) = (n(bc) + 1) / (n(b·) + V)
//! trigram:  p₃(c | ab) = (n(abc) + w p₂(c | b)) / (n(ab·) + w)
//!           p₂(c | b) = (n(bc) + w p₁(c)) / (n(b·) + w),          w = 5
//! ```
//!
//! Adding one is Laplace's rule; the trigram backs off to shorter contexts with the weight of `w` tokens.

use std::collections::HashMap;

/// Weight of a shorter context, in tokens.
const BACK_OFF: f64 = 5.0;

/// Counts of the training part.
#[derive(Debug, Clone)]
pub struct NGrams {
    n_distinct: usize,
    total: f64,
    one: Vec<u32>,
    /// What follows a token: how often it is followed at all, and by which.
    first: Vec<u32>,
    two: HashMap<[u32; 2], u32>,
    /// How often a pair is followed.
    pair: HashMap<[u32; 2], u32>,
    three: HashMap<[u32; 3], u32>,
}

/// How much of the past a count knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing, not even the counts.
    Uniform,
    /// How frequent a token is.
    Unigram,
    /// The token before.
    Bigram,
    /// The two tokens before, backed off.
    Trigram,
}

impl Order {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Uniform, Self::Unigram, Self::Bigram, Self::Trigram];

    /// Name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Unigram => "unigram",
            Self::Bigram => "bigram",
            Self::Trigram => "trigram",
        }
    }
}

impl NGrams {
    /// Counts tokens, each below `n_distinct`.
    ///
    /// # Panics
    /// If one is not.
    #[must_use]
    pub fn fit(tokens: &[u32], n_distinct: usize) -> Self {
        let mut counts = Self {
            n_distinct,
            total: tokens.len() as f64,
            one: vec![0; n_distinct],
            first: vec![0; n_distinct],
            two: HashMap::new(),
            pair: HashMap::new(),
            three: HashMap::new(),
        };
        for &token in tokens {
            counts.one[token as usize] += 1;
        }
        for pair in tokens.array_windows::<2>() {
            counts.first[pair[0] as usize] += 1;
            *counts.two.entry(*pair).or_default() += 1;
        }
        for &[a, b, c] in tokens.array_windows::<3>() {
            *counts.pair.entry([a, b]).or_default() += 1;
            *counts.three.entry([a, b, c]).or_default() += 1;
        }
        counts
    }

    /// Negative log-probability of all tokens but the first, nats.
    #[must_use]
    pub fn nats(&self, order: Order, tokens: &[u32]) -> f64 {
        (1..tokens.len()).map(|at| -self.probability(order, &tokens[..=at]).ln()).sum()
    }

    /// Probability of the last token behind the others.
    fn probability(&self, order: Order, tokens: &[u32]) -> f64 {
        let v = self.n_distinct as f64;
        let at = tokens.len() - 1;
        let c = tokens[at];
        let unigram = (f64::from(self.one[c as usize]) + 1.0) / (self.total + v);
        if order == Order::Uniform {
            return 1.0 / v;
        }
        if order == Order::Unigram || at == 0 {
            return unigram;
        }
        let b = tokens[at - 1];
        let seen = f64::from(self.two.get(&[b, c]).copied().unwrap_or(0));
        let followed = f64::from(self.first[b as usize]);
        if order == Order::Bigram {
            return (seen + 1.0) / (followed + v);
        }
        let bigram = (seen + BACK_OFF * unigram) / (followed + BACK_OFF);
        if at == 1 {
            return bigram;
        }
        let a = tokens[at - 2];
        let seen = f64::from(self.three.get(&[a, b, c]).copied().unwrap_or(0));
        let followed = f64::from(self.pair.get(&[a, b]).copied().unwrap_or(0));
        (seen + BACK_OFF * bigram) / (followed + BACK_OFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_a_distribution_also_over_what_was_never_seen() {
        let counts = NGrams::fit(&[0, 1, 2, 0, 1, 1, 0], 4);
        for order in Order::ALL {
            for past in [[0, 1], [3, 3], [1, 3], [2, 0]] {
                let of = |c| counts.probability(order, &[past[0], past[1], c]);
                let sum: f64 = (0..4).map(of).sum();
                assert!((sum - 1.0).abs() < 1e-12, "{order:?} behind {past:?}: {sum}");
            }
        }
    }

    #[test]
    fn counts_by_hand() {
        let counts = NGrams::fit(&[0, 1, 0, 1, 2], 3);
        let p = |order, tokens: &[u32]| counts.probability(order, tokens);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        close(p(Order::Unigram, &[0, 1]), 3.0 / 8.0);
        close(p(Order::Bigram, &[0, 1]), 3.0 / 5.0); // 0 is followed twice, by 1
        let two = (1.0 + 5.0 * 2.0 / 8.0) / (2.0 + 5.0); // 1 is followed by 0 and 2
        close(p(Order::Trigram, &[0, 1, 2]), (1.0 + 5.0 * two) / (2.0 + 5.0));
        close(counts.nats(Order::Uniform, &[0, 1, 2]), 2.0 * 3.0_f64.ln());
    }
}
