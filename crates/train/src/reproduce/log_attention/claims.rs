//! What the paper says, and whether it holds here.

use super::super::Claim;
use super::characters::{LOG, PAPER_LOG, PAPER_SOFTMAX, SOFTMAX};
use super::{Characters, Forms, LogResults, Scaling, Tokens};
use crate::metric::confidence::{difference, mean_and_half_width};

/// Nats per character that two models may be apart and still count as competitive.
const COMPETITIVE: f64 = 0.05;

pub(super) fn all(results: &LogResults) -> Vec<Claim> {
    let mut claims = vec![one_function(&results.forms)];
    claims.extend(results.tokens.as_ref().map(constant_cost));
    claims.extend(results.scaling.as_ref().map(linear_cost));
    claims.extend(results.scaling.as_ref().map(crossovers));
    if let Some(characters) = &results.characters {
        claims.extend(competitive(characters, [PAPER_LOG, PAPER_SOFTMAX]));
        claims.extend(competitive(characters, [LOG, SOFTMAX]));
    }
    claims.push(claim(
        "A model of 125 million parameters, trained on 300 billion tokens, reaches a loss of 2.47.",
        "no such run: some thousand times the budget of this study".to_owned(),
        "cannot be checked",
    ));
    claims
}

fn claim(claim: &str, measured: String, verdict: &str) -> Claim {
    Claim { claim: claim.to_owned(), measured, verdict: verdict.to_owned() }
}

fn holds(does: bool) -> &'static str {
    if does { "holds" } else { "does not hold" }
}

fn one_function(forms: &Forms) -> Claim {
    let worst = |of: fn(&super::FormRow) -> f64| forms.rows.iter().map(of).fold(0.0, f64::max);
    let [linearised, sequential, chunked, single, stream] = [
        worst(|r| r.linearised),
        worst(|r| r.sequential),
        worst(|r| r.chunked),
        worst(|r| r.chunked_single.max(r.split_single)),
        worst(|r| r.stream),
    ];
    let agree = [linearised, sequential, chunked, stream].iter().all(|&x| x < 1e-9);
    claim(
        "Attention with scores log Σ exp(q + k) is a composition of log-sums of exponentials: pairwise, \
         linearised and sequential forms are one function.",
        format!(
            "largest distance from the pairwise form in f64: linearised {linearised:.1e}, sequential \
             {sequential:.1e}, chunks {chunked:.1e}, stream {stream:.1e}; in f32 {single:.1e}"
        ),
        holds(agree),
    )
}

fn constant_cost(tokens: &Tokens) -> Claim {
    let growth =
        tokens.growth.map_or("not known here".to_owned(), |b| format!("{:+} kB", b / 1024));
    let constant = (tokens.last / tokens.first - 1.0).abs() < 0.1;
    let does = constant && tokens.growth.is_none_or(|bytes| bytes < 1 << 20);
    claim(
        "Time and memory per token are constant.",
        format!(
            "{} tokens one by one: {:.1} µs per token in the first 10,000, {:.1} in the last (blocks {:.1} to \
             {:.1}, medians over groups of 100); resident memory {growth}; distance from f64 {:.1e} throughout",
            tokens.n, tokens.first, tokens.last, tokens.range.0, tokens.range.1, tokens.error
        ),
        holds(does),
    )
}

fn linear_cost(scaling: &Scaling) -> Claim {
    let e = &scaling.exponents;
    claim(
        "Cost grows linearly with length, that of softmax attention quadratically.",
        format!(
            "exponents between the last two lengths, log and softmax: forward {:.2} and {:.2}; forward and \
             backward {:.2} and {:.2}",
            e.forward.log, e.forward.softmax, e.train.log, e.train.softmax
        ),
        holds(e.train.log < 1.2 && e.forward.log < 1.2 && e.train.softmax > 1.6),
    )
}

fn crossovers(scaling: &Scaling) -> Claim {
    let show = |x: Option<f64>| {
        x.map_or("at every length".to_owned(), |x| format!("from {x:.0} tokens on"))
    };
    let c = &scaling.crossovers;
    claim(
        "(by counting operations) Log attention overtakes softmax attention at 256 tokens forward and at 64 \
         for the next token.",
        format!(
            "faster forward {}, forward and backward {}, for the next token {}",
            show(c.forward),
            show(c.train),
            show(c.step)
        ),
        "measured",
    )
}

fn competitive(characters: &Characters, pair: [&str; 2]) -> Option<Claim> {
    let row = |label| characters.rows.iter().find(|r| r.label == label && !r.equal_seconds);
    let (log, softmax) = (row(pair[0])?, row(pair[1])?);
    let (mean, half) = difference(&log.best, &softmax.best)?;
    let show = |values: &[f64]| {
        let (mean, half) = mean_and_half_width(values).unwrap_or((f64::NAN, None));
        half.map_or(format!("{mean:.3}"), |half| format!("{mean:.3} ± {half:.3}"))
    };
    let interval = if half.is_finite() { format!(" ± {half:.3}") } else { String::new() };
    let verdict = if !half.is_finite() {
        "cannot be checked"
    } else if mean + half < COMPETITIVE {
        "holds in this small setting"
    } else if mean - half > COMPETITIVE {
        "does not hold in this small setting"
    } else {
        "not decided"
    };
    Some(claim(
        &format!("Competitive with softmax attention as a language model ({}).", pair[0]),
        format!(
            "nats per character: {} and {}: {mean:+.3}{interval}; {} and {} parameters",
            show(&log.best),
            show(&softmax.best),
            log.n_parameters,
            softmax.n_parameters
        ),
        verdict,
    ))
}
