//! How well classes were told apart.
//!
//! ```text
//! accuracy = right / n
//! interval = Wilson's score interval at 95 %: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n), z = 1.96
//! F1_c = 2 TP / (2 TP + FP + FN), 0 for a class that neither occurs nor is named
//! macro F1 = mean over classes      weighted F1 = mean weighted by the class's count
//! log loss = −mean ln p(true class)
//! Brier score = mean Σ_c (p_c − [c is the true class])²
//! calibration error = Σ_b n_b/n |accuracy_b − mean confidence_b|, b = 1 … 15: confidence in ((b−1)/15, b/15]
//! ```
//!
//! The confidence is the largest `p`. Sources: Guo et al. 2017, arXiv:1706.04599, §2 eq. (5), for the
//! calibration error and its diagram; Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

use serde::{Deserialize, Serialize};

use super::confidence::NORMAL as Z;

/// Bins of the calibration.
const BINS: usize = 15;

/// Counts and scores of one method on one part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Examples scored.
    pub n: usize,
    /// Share classified right.
    pub accuracy: f64,
    /// 95 % interval of the accuracy for examples drawn independently; subjects make it wider.
    pub interval: (f64, f64),
    /// Mean F1 over classes.
    pub macro_f1: f64,
    /// Mean F1 weighted by the counts of the classes.
    pub weighted_f1: f64,
    /// Mean negative log-likelihood, in nats; `None` for a method without probabilities.
    pub log_loss: Option<f64>,
    /// Mean squared distance from the right probabilities, 0 to 2; `None` for a method without
    /// probabilities.
    #[serde(default)]
    pub brier: Option<f64>,
    /// Expected calibration error; `None` for a method without probabilities.
    pub calibration_error: Option<f64>,
    /// `confusion[i][j]`: examples of class `i` classified as `j`.
    pub confusion: Vec<Vec<u64>>,
    /// Precision, recall, F1 of every class.
    pub classes: Vec<ClassScore>,
    /// Confidence against accuracy; empty for a method without probabilities.
    pub calibration: Vec<CalibrationBin>,
}

/// Scores of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Right among those named so.
    pub precision: f64,
    /// Named so among those that are.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Examples of the class.
    pub support: u64,
}

/// Examples whose largest probability lies in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Number of examples.
    pub n: usize,
    /// Mean of the largest probability.
    pub confidence: f64,
    /// Share classified right.
    pub accuracy: f64,
}

impl ClassScores {
    /// Scores probabilities, one row of `n_classes` per example.
    ///
    /// # Panics
    /// If the numbers of rows and labels differ, or a label is no class.
    #[must_use]
    pub fn of_probabilities(probabilities: &[f64], labels: &[usize], n_classes: usize) -> Self {
        let rows: Vec<&[f64]> = probabilities.chunks_exact(n_classes).collect();
        let predicted: Vec<usize> = rows.iter().map(|row| largest(row)).collect();
        let mut scores = Self::of_classes(&predicted, labels, n_classes);
        let n = labels.len() as f64;
        let loss = rows.iter().zip(labels).map(|(row, &label)| {
            // A probability that underflows to zero would make one example outweigh all others.
            -row[label].max(f64::MIN_POSITIVE).ln()
        });
        scores.log_loss = Some(loss.sum::<f64>() / n);
        let brier = rows.iter().zip(labels).map(|(row, &label)| {
            let miss = |(c, p): (usize, &f64)| (p - f64::from(u8::from(c == label))).powi(2);
            row.iter().enumerate().map(miss).sum::<f64>()
        });
        scores.brier = Some(brier.sum::<f64>() / n);
        scores.calibration = calibration(&rows, &predicted, labels);
        let gap = |bin: &CalibrationBin| (bin.accuracy - bin.confidence).abs() * bin.n as f64;
        scores.calibration_error = Some(scores.calibration.iter().map(gap).sum::<f64>() / n);
        scores
    }

    /// Scores named classes.
    ///
    /// # Panics
    /// If the numbers of predictions and labels differ, or one is no class.
    #[must_use]
    pub fn of_classes(predicted: &[usize], labels: &[usize], n_classes: usize) -> Self {
        assert_eq!(predicted.len(), labels.len(), "one prediction per label");
        let mut confusion = vec![vec![0u64; n_classes]; n_classes];
        for (&predicted, &label) in predicted.iter().zip(labels) {
            confusion[label][predicted] += 1;
        }
        let classes: Vec<ClassScore> = (0..n_classes).map(|c| class(&confusion, c)).collect();
        let n = labels.len();
        let right: u64 = (0..n_classes).map(|c| confusion[c][c]).sum();
        let mean = |weight: &dyn Fn(&ClassScore) -> f64| {
            let total: f64 = classes.iter().map(weight).sum();
            classes.iter().map(|c| weight(c) * c.f1).sum::<f64>() / total
        };
        Self {
            n,
            accuracy: right as f64 / n as f64,
            interval: interval(right as f64, n as f64),
            macro_f1: mean(&|_| 1.0),
            weighted_f1: mean(&|c| c.support as f64),
            log_loss: None,
            brier: None,
            calibration_error: None,
            confusion,
            classes,
            calibration: Vec::new(),
        }
    }
}

/// Index of the largest number; the first of equal ones.
pub(crate) fn largest(row: &[f64]) -> usize {
    let mut best = 0;
    for (i, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = i;
        }
    }
    best
}

fn class(confusion: &[Vec<u64>], c: usize) -> ClassScore {
    let right = confusion[c][c];
    let support: u64 = confusion[c].iter().sum();
    let named: u64 = confusion.iter().map(|row| row[c]).sum();
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    ClassScore {
        precision: share(right, named),
        recall: share(right, support),
        f1: share(2 * right, named + support),
        support,
    }
}

fn interval(right: f64, n: f64) -> (f64, f64) {
    let p = right / n;
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 / (1.0 + Z * Z / n);
    ((middle - half) * scale, (middle + half) * scale)
}

fn calibration(rows: &[&[f64]], predicted: &[usize], labels: &[usize]) -> Vec<CalibrationBin> {
    let mut bins = vec![CalibrationBin::default(); BINS];
    for ((row, &predicted), &label) in rows.iter().zip(predicted).zip(labels) {
        let confidence = row[predicted];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a probability times the number of bins is a small number"
        )]
        let bin = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        bins[bin].n += 1;
        bins[bin].confidence += confidence;
        bins[bin].accuracy += f64::from(u8::from(predicted == label));
    }
    for bin in &mut bins {
        if bin.n > 0 {
            bin.confidence /= bin.n as f64;
            bin.accuracy /= bin.n as f64;
        }
    }
    bins.retain(|bin| bin.n > 0);
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_f1_by_hand() {
        let scores = ClassScores::of_classes(&[0, 0, 1, 1, 1, 0], &[0, 0, 0, 1, 1, 1], 3);
        assert_eq!(scores.confusion, [[2, 1, 0], [1, 2, 0], [0, 0, 0]]);
        assert!((scores.accuracy - 4.0 / 6.0).abs() < 1e-15);
        assert!((scores.classes[0].f1 - 2.0 / 3.0).abs() < 1e-15);
        assert!(scores.classes[2].f1.abs() < 1e-15);
        assert!((scores.macro_f1 - 4.0 / 9.0).abs() < 1e-15);
        assert!((scores.weighted_f1 - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(scores.log_loss, None);
    }

    #[test]
    fn the_interval_of_the_published_accuracy() {
        // 2709 of 2947, by the formula in double precision with another program.
        let (low, high) = interval(2709.0, 2947.0);
        assert!((low - 0.908_848).abs() < 1e-6 && (high - 0.928_540).abs() < 1e-6, "{low} {high}");
        assert!(interval(0.0, 10.0).0.abs() < 1e-15);
    }

    #[test]
    fn log_loss_and_calibration_by_hand() {
        let p = [0.9, 0.1, 0.75, 0.25, 0.25, 0.75];
        let scores = ClassScores::of_probabilities(&p, &[0, 1, 1], 2);
        let expected = -(0.9f64.ln() + 0.25f64.ln() + 0.75f64.ln()) / 3.0;
        assert!((scores.log_loss.unwrap() - expected).abs() < 1e-15);
        // (0.1² + 0.1²) + (0.75² + 0.75²) + (0.25² + 0.25²), over three examples.
        assert!((scores.brier.unwrap() - (0.02 + 1.125 + 0.125) / 3.0).abs() < 1e-15);
        // One example at 0.9, right; two at 0.75, one of them right.
        assert_eq!(scores.calibration.iter().map(|b| b.n).collect::<Vec<_>>(), [2, 1]);
        let error = (2.0 * 0.25 + 0.1) / 3.0;
        assert!((scores.calibration_error.unwrap() - error).abs() < 1e-12);
    }
    #[test]
    fn a_bin_holds_its_upper_edge() {
        // Of two classes the least confidence is 1/2, in bin 8 of 15; 3/5 ends bin 9.
        let p = [0.5, 0.5, 0.6, 0.4, 0.6 + 1e-9, 0.4 - 1e-9, 1.0, 0.0];
        let scores = ClassScores::of_probabilities(&p, &[0, 0, 0, 0], 2);
        assert_eq!(scores.calibration.iter().map(|b| b.n).collect::<Vec<_>>(), [1, 1, 1, 1]);
    }
}
