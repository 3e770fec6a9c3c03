//! The easy-attention paper: Lorenz, a turbulent shear flow, a reactor, and sums of sinusoids.
//!
//! Source: Sanchis-Agudo et al. 2023, arXiv:2308.12874. The body of the paper with its settings and tables
//! was not available to us: systems and protocols are ours where the preface says so.

use crate::inspect::inspect;
use crate::observer::Silent;

use super::Claim;
use super::forecast::{Experiment, ForecastStudy, Results, Row, RowResult};

const EASY: Row = Row { label: "easy", preset: None, model: Some("easy"), seeded: true };
const SOFTMAX: Row = Row { label: "softmax", preset: None, model: Some("softmax"), seeded: true };
const LSTM: Row = Row { label: "lstm", preset: None, model: Some("lstm"), seeded: true };

const fn closed(preset: &'static str) -> Row {
    Row { label: "lifted", preset: Some(preset), model: None, seeded: false }
}

pub(super) const STUDY: ForecastStudy = ForecastStudy {
    name: "easy-attention",
    title: "Easy attention",
    preface: "\
Re-implementation of the mechanism of Sanchis-Agudo et al. 2023 (arXiv:2308.12874) and of the
architecture released by its authors. Their settings, sizes, errors and tables were not available to us,
so **no figure below stands beside one of theirs**: the claims are those of the abstract, the protocols
are ours. The shear flow is the nine-equation model of Moehlis, Faisst & Eckhardt 2004, which the group
used before and which we assume; the reactor is the five-state model of March-Leuba et al., a
*substitute* for the paper's, whose equations we could not find. `lifted` is ours: easy attention on
polynomials of each row, fitted in closed form.",
    experiments: &[
        Experiment {
            name: "sinusoids",
            title: "Sum of three sinusoids",
            preset: "sinusoids",
            quick: &["fit.epochs=20"],
            rows: &[EASY, SOFTMAX, LSTM, closed("sinusoids-lifted")],
        },
        Experiment {
            name: "lorenz",
            title: "Lorenz-63",
            preset: "lorenz",
            quick: &["fit.epochs=6", "evaluate.rollouts=50"],
            rows: &[EASY, SOFTMAX, LSTM, closed("lorenz-lifted")],
        },
        Experiment {
            name: "shear-flow",
            title: "Shear flow, nine equations",
            preset: "shear-flow",
            quick: &["fit.epochs=2", "evaluate.rollouts=50"],
            rows: &[EASY, SOFTMAX, LSTM, closed("shear-flow-lifted")],
        },
        Experiment {
            name: "reactor",
            title: "Boiling-water reactor, a substitute",
            preset: "reactor",
            quick: &["fit.epochs=3", "evaluate.rollouts=30"],
            rows: &[EASY, SOFTMAX, LSTM, closed("reactor-lifted")],
        },
    ],
    claims,
};

/// Systems that the abstract names.
const SYSTEMS: [&str; 3] = ["lorenz", "shear-flow", "reactor"];

fn claims(results: &Results) -> Vec<Claim> {
    vec![
        no_queries_needed(results),
        compression(results),
        better(results),
        robust(results),
        cheaper(results),
        unavailable(),
    ]
}

fn time(row: Option<&RowResult>) -> f64 {
    row.and_then(RowResult::median_valid_time).unwrap_or(f64::NAN)
}

fn unit(results: &Results, experiment: &str) -> String {
    results.row(experiment, "easy").map_or_else(String::new, |r| r.unit.clone())
}

fn verdict(n: usize, of: usize) -> String {
    match n {
        n if n == of => "holds here",
        0 => "does not hold here",
        _ => "partly",
    }
    .to_owned()
}

/// Systems on which `test` is true, and one line of figures per system.
fn count(results: &Results, rows: &[&str], test: impl Fn(&[f64]) -> bool) -> (usize, String) {
    let mut n = 0;
    let lines: Vec<String> = SYSTEMS
        .iter()
        .map(|system| {
            let times: Vec<f64> = rows.iter().map(|r| time(results.row(system, r))).collect();
            n += usize::from(test(&times));
            let named: Vec<String> =
                rows.iter().zip(&times).map(|(r, t)| format!("{r} {t:.3}")).collect();
            format!("{system} ({}): {}", unit(results, system), named.join(", "))
        })
        .collect();
    (n, lines.join("; "))
}

fn no_queries_needed(results: &Results) -> Claim {
    let (n, measured) = count(results, &["easy", "persistence", "linear-ar"], |t| {
        t[0] > t[1] && (t[0] > t[2] || t[2].is_nan())
    });
    Claim {
        claim:
            "Scores without queries, keys and softmax capture the long-term dependence of a series."
                .to_owned(),
        measured: format!(
            "Systems where easy attention forecasts for longer than persistence and than a linear \
             autoregression: {n} of 3. Median valid time: {measured}."
        ),
        verdict: verdict(n, 3),
    }
}

/// Mean effective rank over layers and heads of the last matrix of each head: trained, and at the start.
fn ranks(results: &Results, label: &str) -> Option<[f64; 2]> {
    let run = results.row("lorenz", label)?.runs.first()?;
    let inspection = inspect(run, None, &mut Silent).ok()?;
    let last: Vec<_> = inspection.heads.iter().filter_map(|h| h.matrices.last()).collect();
    let mean = |of: fn(&crate::inspect::Inspected) -> f64| {
        last.iter().map(|m| of(m)).sum::<f64>() / last.len() as f64
    };
    Some([mean(|m| m.trained.effective_rank), mean(|m| m.fresh.effective_rank)])
}

fn compression(results: &Results) -> Claim {
    let claim =
        "Softmax attention compresses what queries and keys bring: its scores span a small space."
            .to_owned();
    let (Some([easy, easy_fresh]), Some([softmax, softmax_fresh])) =
        (ranks(results, "easy"), ranks(results, "softmax"))
    else {
        let measured = "The runs on Lorenz-63 could not be inspected.".to_owned();
        return Claim { claim, measured, verdict: "cannot be checked".to_owned() };
    };
    let ratio = softmax / easy;
    Claim {
        claim,
        measured: format!(
            "Lorenz-63, mean effective rank over layers and heads: softmax weights {softmax:.2} (before \
             training {softmax_fresh:.2}), α {easy:.2} (before training {easy_fresh:.2}); ratio {ratio:.2}. Most \
             of it is there before training: a random α has nearly full rank, and softmax weights of a \
             random model have not."
        ),
        verdict: if ratio < 0.3 { "holds here, with the caveat" } else { "does not hold here" }
            .to_owned(),
    }
}

fn better(results: &Results) -> Claim {
    let (n, measured) =
        count(results, &["easy", "softmax", "lstm"], |t| t[0] > t[1] && t[0] > t[2]);
    Claim {
        claim: "Better results than self-attention and than the LSTM.".to_owned(),
        measured: format!(
            "Systems where easy attention's median valid time is the longest of the three: {n} of 3. \
             {measured}."
        ),
        verdict: verdict(n, 3),
    }
}

fn robust(results: &Results) -> Claim {
    let spread = |system: &str, label: &str| {
        let times = results.row(system, label).map(RowResult::valid_times).unwrap_or_default();
        let (low, high) = times
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &t| (l.min(t), h.max(t)));
        let median = super::median(&times).unwrap_or(f64::NAN);
        (times.len(), (high - low) / median)
    };
    let mut n = 0;
    let mut seeds = usize::MAX;
    let lines: Vec<String> = SYSTEMS
        .iter()
        .map(|system| {
            let [easy, softmax, lstm] = ["easy", "softmax", "lstm"].map(|r| spread(system, r));
            seeds = seeds.min(easy.0);
            n += usize::from(easy.1 < softmax.1 && easy.1 < lstm.1);
            let percent = |x: f64| format!("{:.0} %", 100.0 * x);
            format!(
                "{system}: easy {}, softmax {}, lstm {}",
                percent(easy.1),
                percent(softmax.1),
                percent(lstm.1)
            )
        })
        .collect();
    let enough = seeds >= 3 && seeds != usize::MAX;
    Claim {
        claim: "More robust than self-attention and than the LSTM.".to_owned(),
        measured: format!(
            "Range of the valid time over the seeds, relative to its median: {}. The abstract does not say \
             how robustness was measured; this is one reading.",
            lines.join("; ")
        ),
        verdict: if enough { verdict(n, 3) } else { "cannot be checked with one seed".to_owned() },
    }
}

fn cheaper(results: &Results) -> Claim {
    let ratio = |system: &str, of: fn(&crate::report::ScoreRow) -> Option<f64>| {
        let value = |label| results.row(system, label)?.scores.first().and_then(of);
        Some(value("easy")? / value("softmax")?)
    };
    let mut work_is_less = 0;
    let lines: Vec<String> = SYSTEMS
        .iter()
        .map(|system| {
            let work = ratio(system, |s| s.multiply_adds.map(|x| x as f64)).unwrap_or(f64::NAN);
            let size = ratio(system, |s| s.n_parameters.map(|x| x as f64)).unwrap_or(f64::NAN);
            let time = ratio(system, |s| s.seconds_per_epoch).unwrap_or(f64::NAN);
            work_is_less += usize::from(work < 1.0);
            format!(
                "{system}: {work:.2} × multiply-adds, {size:.2} × parameters, {time:.2} × s/epoch"
            )
        })
        .collect();
    Claim {
        claim: "Less complexity than self-attention.".to_owned(),
        measured: format!(
            "Easy over softmax, whole models: {}. In the sizes that the authors released, multiply-adds are \
             0.62 × and parameters 1.11 × and 1.58 × those of softmax.",
            lines.join("; ")
        ),
        verdict: match work_is_less {
            3 => "holds for multiply-adds; for parameters it depends on the sizes",
            _ => "does not hold here",
        }
        .to_owned(),
    }
}

fn unavailable() -> Claim {
    Claim {
        claim: "The errors and times of the paper's own Lorenz, shear-flow and reactor tables."
            .to_owned(),
        measured: "Not available to us; no target can be set.".to_owned(),
        verdict: "cannot be checked".to_owned(),
    }
}
