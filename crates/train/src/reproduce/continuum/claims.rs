//! What the paper says, and what the study found.

use super::page::percent;
use super::{ContinuumResults, OperatorSeeds};
use crate::metric::confidence::{difference, moments};
use crate::reproduce::Claim;

/// Test parts of functions of time at equal steps.
const EQUAL_STEPS: std::ops::Range<usize> = 0..5;
const HALF_RATE: usize = 5;
const UNEVEN: usize = 6;

pub(super) fn all(results: &ContinuumResults) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (problem, limit) in [("controlled-ode", 0.006), ("lorenz-a", 0.2)] {
        claims.extend(rates(results, problem, limit));
    }
    for (problem, factor) in [("controlled-ode", 2.0), ("lorenz-a", 1.4)] {
        claims.extend(weights(results, problem, factor));
    }
    for problem in ["darcy-piecewise", "darcy-log-normal", "kolmogorov"] {
        claims.extend(resolutions(results, problem));
        for (pair, equal) in [
            (["fano", "fno"], "parameters and epochs"),
            (["fano", "fno, as long as fano"], "parameters and seconds"),
            (
                ["vitno and field convolution, preset", "fno, in the preset's place"],
                "parameters, epochs and resolutions of the batches",
            ),
        ] {
            claims.extend(against_fno(results, problem, pair, equal));
        }
    }
    if results.quick {
        for claim in &mut claims {
            "cannot be checked: three epochs".clone_into(&mut claim.verdict);
        }
    }
    // What a model is does not depend on how long it was trained.
    claims.extend(certified(results));
    claims
}

fn row<'a>(results: &'a ContinuumResults, problem: &str, label: &str) -> Option<&'a OperatorSeeds> {
    results.problems.iter().find(|p| p.name == problem)?.row(label)
}

fn mean(values: &[f64]) -> f64 {
    moments(values).map_or(f64::NAN, |(mean, _)| mean)
}

fn verdict(holds: bool) -> String {
    if holds { "holds" } else { "does not hold" }.to_owned()
}

/// One set of weights at all rates.
fn rates(results: &ContinuumResults, problem: &str, limit: f64) -> Option<Claim> {
    let tno = row(results, problem, "tno")?;
    let errors: Vec<f64> = EQUAL_STEPS.map(|part| mean(&tno.normalized(part))).collect();
    let largest = errors.iter().copied().fold(0.0, f64::max);
    let least = errors.iter().copied().fold(f64::INFINITY, f64::min);
    Some(Claim {
        claim: format!(
            "{problem}: weights of one rate serve other rates. (Trainings of the released modules at this size: at \
             most {} % at all rates, largest over least at most 1.2 for the Lorenz system.)",
            100.0 * limit
        ),
        measured: format!(
            "from {} to {} %, ratio {:.2}",
            percent(&[least]),
            percent(&[largest]),
            largest / least
        ),
        verdict: verdict(largest <= limit && (problem != "lorenz-a" || largest <= 1.2 * least)),
    })
}

/// Uneven times need weights.
fn weights(results: &ContinuumResults, problem: &str, factor: f64) -> Option<Claim> {
    let (tno, equal) =
        (row(results, problem, "tno")?, row(results, problem, "tno, equal weights")?);
    let ratio = |part: usize| mean(&equal.normalized(part)) / mean(&tno.normalized(part));
    let ratios = [0, HALF_RATE, UNEVEN].map(ratio);
    Some(Claim {
        claim: format!(
            "{problem}: at uneven times the weights of the trapezoid rule are needed (at least {factor} times the \
             error without them), at equal steps they are not."
        ),
        measured: format!(
            "error with equal weights over that with the rule: {:.2} at equal steps, {:.2} at half the rate in the \
             second half, {:.2} at sorted normal times",
            ratios[0], ratios[1], ratios[2]
        ),
        verdict: verdict(ratios[2] >= factor),
    })
}

/// One set of weights at all resolutions.
fn resolutions(results: &ContinuumResults, problem: &str) -> Option<Claim> {
    let ratios: Vec<(&str, f64)> = ["fano", "vitno", "fno"]
        .into_iter()
        .filter_map(|label| {
            let row = row(results, problem, label)?;
            let parts = row.scores.first()?.tests.len();
            let own = mean(&row.normalized(0));
            let others = (1..parts).map(|part| mean(&row.normalized(part)) / own);
            Some((label, others.fold(0.0, f64::max)))
        })
        .collect();
    let (_, fano) = *ratios.first().filter(|(label, _)| *label == "fano")?;
    let shown: Vec<String> =
        ratios.iter().map(|(label, ratio)| format!("{label} {ratio:.2}")).collect();
    Some(Claim {
        claim: format!(
            "{problem}: attention between patches answers at resolutions it was not trained at (largest error over \
             that at 64²; released modules: at most 1.15 for FANO)."
        ),
        measured: shown.join(", "),
        verdict: verdict(fano <= 1.15),
    })
}

/// Accuracy beside a Fourier neural operator.
fn against_fno(
    results: &ContinuumResults,
    problem: &str,
    pair: [&str; 2],
    equal: &str,
) -> Option<Claim> {
    let [attention, fno] = pair.map(|label| row(results, problem, label));
    let (a, b) = (attention?.normalized(0), fno?.normalized(0));
    let measured = format!("{} %, FNO {} %", percent(&a), percent(&b));
    let verdict = match difference(&b, &a) {
        Some((gain, half)) if half.is_finite() && gain > half => "holds",
        Some((gain, half)) if half.is_finite() && gain < -half => "does not hold",
        Some((_, half)) if half.is_finite() => "not decided: the interval holds zero",
        _ => "cannot be checked: too few seeds",
    };
    Some(Claim {
        claim: format!("{problem}: {} is more accurate than FNO at equal {equal}.", pair[0]),
        measured,
        verdict: verdict.to_owned(),
    })
}

/// Discretisation invariance of the trained runs.
fn certified(results: &ContinuumResults) -> Option<Claim> {
    let rows = || results.problems.iter().flat_map(|p| p.rows.iter().map(move |row| (p.name, row)));
    let of = |is_equal: bool| {
        rows().filter(move |(_, row)| {
            row.certified.is_some() && (row.label == "tno, equal weights") == is_equal
        })
    };
    let passed = |is_equal| of(is_equal).filter(|(_, row)| row.certified == Some(true)).count();
    let (all, n) = (of(false).count(), passed(false));
    if all == 0 {
        return None;
    }
    let failed: Vec<String> = of(false)
        .filter(|(_, row)| row.certified == Some(false))
        .map(|(problem, row)| format!("{problem} {}", row.label))
        .collect();
    let failed =
        if failed.is_empty() { String::new() } else { format!(" (not: {})", failed.join("; ")) };
    Some(Claim {
        claim: "Transformer neural operators are discretisation invariant; softmax attention without weights is \
                not."
            .to_owned(),
        measured: format!(
            "`regard certify` passes {n} of {all} runs of attention with weights{failed}, and {} of {} runs with \
             equal weights on lines",
            passed(true),
            of(true).count()
        ),
        verdict: verdict(n == all && passed(true) == 0),
    })
}
