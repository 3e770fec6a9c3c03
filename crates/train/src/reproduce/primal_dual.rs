//! The primal-dual paper: attention with normalised keys, with heads of unequal numbers of keys, and both.
//!
//! Source: Nguyen et al. 2023, "A Primal-Dual Framework for Transformers and Neural Networks",
//! arXiv:2406.13781. Its tables were not available to us: claims are those of the abstract.

use super::Claim;
use super::problems::{Problem, ProblemResult, ProblemRow, ProblemsResults, ProblemsStudy, Row};
use crate::metric::confidence::difference;

/// Points that a mean may lie below another and still count as no worse.
const MARGIN: f64 = 0.015;

/// Weights of the mean key to choose from.
const BETAS: &[&[&str]] = &[
    &["model.mechanism.batch_norm.beta=0.25"],
    &["model.mechanism.batch_norm.beta=0.5"],
    &["model.mechanism.batch_norm.beta=1.0"],
];
/// Rows per key of the eight heads to choose from.
const RATES: &[&[&str]] = &[
    &["model.mechanism.scaled_heads.rates=[1,1,2,2,4,4,8,8]"],
    &["model.mechanism.scaled_heads.rates=[1,1,1,1,2,2,2,2]"],
];
const TRAINED_POOLING: &[&str] = &[
    "model.mechanism.scaled_heads.rates=[1,1,2,2,4,4,8,8]",
    "model.mechanism.scaled_heads.pooling=learned",
];
const LINEAR: &[&str] = &["model.mechanism.kernel=linear"];

const fn row(
    label: &'static str,
    model: &'static str,
    set: &'static [&'static str],
    choices: &'static [&'static [&'static str]],
) -> Row {
    Row { label, model, set, choices }
}

const fn problem(
    name: &'static str,
    preset: &'static str,
    epochs: &'static [&'static str],
    is_quick: bool,
) -> Problem {
    Problem { name, folder: name, preset, set: epochs, is_quick }
}

pub(super) const STUDY: ProblemsStudy = ProblemsStudy {
    name: "primal-dual",
    title: "Primal-dual attention",
    preface: "\
Attention with normalised keys (BN), with heads of unequal numbers of keys (SH), and with both, of Nguyen et al. 2023
(arXiv:2406.13781), against softmax and linear attention on problems of the UEA and UCR archives. Nothing but abstract
and summaries of the paper was available to us: its tables, the weights β of the mean key and the rates of the heads are
not known. β, or the rates, are chosen on a held-out fifth of the training part with the first seed; BN+SH chooses β
and has the rates 1, 1, 2, 2, 4, 4, 8, 8. Two rows are ours, not the paper's: one β per head, trained from 0.5, and pooling
by a trained convolution in place of the mean. All rows of a problem share the recipe of the preset `uea/NAME`, on
UWaveGestureLibrary that of `uea-stem/UWaveGestureLibrary`, and its number of epochs.",
    problems: &[
        problem("JapaneseVowels", "uea/JapaneseVowels", &["fit.epochs=60"], true),
        problem("BasicMotions", "uea/BasicMotions", &["fit.epochs=60"], true),
        problem("ItalyPowerDemand", "uea/ItalyPowerDemand", &["fit.epochs=40"], false),
        problem("ERing", "uea/ERing", &["fit.epochs=60"], false),
        problem("GunPoint", "uea/GunPoint", &["fit.epochs=40"], false),
        problem("PickupGestureWiimoteZ", "uea/PickupGestureWiimoteZ", &["fit.epochs=30"], false),
        problem("UWaveGestureLibrary", "uea-stem/UWaveGestureLibrary", &["fit.epochs=100"], false),
    ],
    rows: &[
        row("softmax", "softmax", &[], &[]),
        row("BN", "batch-norm", &[], BETAS),
        row("BN, trained β", "batch-norm", &["model.mechanism.batch_norm.learned=true"], &[]),
        row("SH", "scaled-heads", &[], RATES),
        row("SH, trained pooling", "scaled-heads", TRAINED_POOLING, &[]),
        row("BN+SH", "batch-norm-scaled-heads", RATES[0], BETAS),
        row("linear", "linear", &[], &[]),
        row("linear BN", "batch-norm", LINEAR, BETAS),
        row("linear SH", "scaled-heads", LINEAR, RATES),
        row("LSTM", "lstm", &[], &[]),
    ],
    quick: &["fit.epochs=10"],
    claims,
};

fn claims(results: &ProblemsResults) -> Vec<Claim> {
    vec![
        more_accurate(results, "softmax", &["BN", "SH", "BN+SH"]),
        more_accurate(results, "linear", &["linear BN", "linear SH"]),
        more_accurate(results, "BN", &["BN, trained β"]),
        more_accurate(results, "SH", &["SH, trained pooling"]),
        no_worse(results),
        cheaper(results),
        less_redundant(results),
    ]
}

/// Both rows of every data set that has them.
fn pairs<'a>(
    results: &'a ProblemsResults,
    base: &str,
    label: &str,
) -> Vec<(&'a ProblemResult, &'a ProblemRow, &'a ProblemRow)> {
    let both =
        |problem: &'a ProblemResult| Some((problem, problem.row(base)?, problem.row(label)?));
    results.problems.iter().filter_map(both).collect()
}

fn claim(text: String, measured: &[String], verdict: String) -> Claim {
    Claim { claim: text, measured: measured.join("; "), verdict }
}

fn unchecked(text: String) -> Claim {
    claim(text, &["no run".to_owned()], "cannot be checked".to_owned())
}

fn more_accurate(results: &ProblemsResults, base: &str, labels: &[&str]) -> Claim {
    let text = format!("{} are more accurate than {base} attention.", labels.join(", "));
    let (mut measured, mut better, mut worse, mut n) = (Vec::new(), 0, 0, 0);
    for label in labels {
        let mut cells = Vec::new();
        for (problem, base, row) in pairs(results, base, label) {
            let Some((mean, half)) = difference(&row.chosen(), &base.chosen()) else { continue };
            n += 1;
            better += usize::from(mean > half);
            worse += usize::from(mean < -half);
            let half =
                if half.is_finite() { format!(" ± {:.2}", 100.0 * half) } else { String::new() };
            cells.push(format!("{:+.2}{half} {}", 100.0 * mean, problem.name));
        }
        measured.push(format!("{label}: {}", cells.join(", ")));
    }
    if n == 0 {
        return unchecked(text);
    }
    let verdict = match (better, worse) {
        (0, 0) => "not decided: every interval holds zero, or there are too few seeds".to_owned(),
        (_, 0) => format!("holds in {better} of {n} cases, not decided in the others"),
        _ => format!("partly: better in {better}, worse in {worse} of {n} cases"),
    };
    claim(text, &measured, verdict)
}

/// The mean of the best epochs on test, as in the paper.
fn no_worse(results: &ProblemsResults) -> Claim {
    let text = format!(
        "(our reading) BN, SH and BN+SH lie at most {} points below softmax, best epoch on test.",
        100.0 * MARGIN
    );
    let (mut measured, mut below, mut n) = (Vec::new(), 0, 0);
    for label in ["BN", "SH", "BN+SH"] {
        let mut cells = Vec::new();
        for (problem, base, row) in pairs(results, "softmax", label) {
            let Some((mean, _)) = difference(&row.best(), &base.best()) else { continue };
            n += 1;
            below += usize::from(mean < -MARGIN);
            cells.push(format!("{:+.2} {}", 100.0 * mean, problem.name));
        }
        measured.push(format!("{label}: {}", cells.join(", ")));
    }
    let verdict = match (n, below) {
        (0, _) => return unchecked(text),
        (_, 0) => "holds".to_owned(),
        _ => format!("does not hold in {below} of {n} cases"),
    };
    claim(text, &measured, verdict)
}

fn less_redundant(results: &ProblemsResults) -> Claim {
    let text =
        "The heads of BN, SH and BN+SH are less alike than those of softmax attention.".to_owned();
    let (mut measured, mut farther, mut nearer, mut n) = (Vec::new(), 0, 0, 0);
    for label in ["BN", "SH", "BN+SH"] {
        let mut cells = Vec::new();
        for (problem, base, row) in pairs(results, "softmax", label) {
            let (a, b) = (row.relative_distances(), base.relative_distances());
            let Some((mean, half)) = difference(&a, &b) else { continue };
            n += 1;
            farther += usize::from(mean > half);
            nearer += usize::from(mean < -half);
            cells.push(format!("{mean:+.3} {}", problem.name));
        }
        measured.push(format!("{label}: {}", cells.join(", ")));
    }
    let verdict = match (n, farther, nearer) {
        (0, ..) => return unchecked(text),
        (_, 0, 0) => {
            "not decided: every interval holds zero, or there are too few seeds".to_owned()
        }
        (_, _, 0) => format!("holds in {farther} of {n} cases, not decided in the others"),
        (_, 0, _) => {
            format!("does not hold: nearer in {nearer} of {n} cases, not decided in the others")
        }
        _ => format!("partly: farther in {farther}, nearer in {nearer} of {n} cases"),
    };
    claim(format!("{text} Relative head distance minus that of softmax."), &measured, verdict)
}

fn cheaper(results: &ProblemsResults) -> Claim {
    let text = "Scaled heads cost less than softmax attention.".to_owned();
    let (mut measured, mut faster, mut n) = (Vec::new(), 0, 0);
    for (problem, base, row) in pairs(results, "softmax", "SH") {
        let (Some(a), Some(b)) = (row.seconds(), base.seconds()) else { continue };
        let weights = row.stored_weights.zip(base.stored_weights);
        let weights = weights.map(|(a, b)| a as f64 / b as f64);
        n += 1;
        faster += usize::from(a < b);
        measured.push(format!(
            "{}: time of the fastest epoch × {:.2}; by their formulas multiply-adds of the network × {:.3}, attention \
             weights × {}",
            problem.name,
            a / b,
            row.multiply_adds as f64 / base.multiply_adds as f64,
            weights.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.3}"))
        ));
    }
    let verdict = match (n, faster) {
        (0, _) => return unchecked(text),
        _ if n == faster => "holds".to_owned(),
        (_, 0) => "does not hold".to_owned(),
        _ => format!("holds on {faster} of {n} data sets"),
    };
    claim(text, &measured, verdict)
}

#[cfg(test)]
mod tests {
    use super::super::seeds::Variant;
    use super::*;

    const NONE: &[&[&str]] = &[&[]];

    #[test]
    fn every_row_with_every_choice_is_a_configuration() {
        for row in STUDY.rows {
            let choices = if row.choices.is_empty() { NONE } else { row.choices };
            for choice in choices {
                let set = [row.set, choice].concat();
                let set: Vec<String> = set.iter().map(ToString::to_string).collect();
                // The model is that of the name, whatever the preset.
                let variant = Variant { preset: "uci-har", model: Some(row.model), set: &set };
                let config = variant.config(row.label);
                assert!(config.is_ok(), "{}, {set:?}: {}", row.label, config.unwrap_err());
            }
        }
    }
}
