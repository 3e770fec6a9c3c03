//! The prose beside tables and figures: units, and what was scored on what.

use super::super::format::Notation;
use super::super::plot::{self, ScoreColours};
use super::super::rollout::{PoincareSection, RolloutExample};
use super::super::schema::{DataInfo, Report, ScoreMatrix, ScoreMeaning};

const UNITS: &str = "\
    MSE is the mean squared error one step ahead in standardised units; the relative L² error is \
    ‖forecast − truth‖ / ‖truth‖ one step ahead in physical units, mean over the variables. The \
    valid prediction time is the time until the relative error ‖error‖ / rms‖truth‖ of a free run, \
    in standardised units, first exceeds the threshold.";
const ONE_RUN: &str = " Values are medians [quartiles] over the starts.";
const SEVERAL_RUNS: &str = " Of one run, values are medians [quartiles] over the starts; of several \
    seeds, medians [min–max] over the seeds, whose runs stand below.";
const HONESTY: &str = " Only predicted steps are scored, never the input. The validation split chose \
    the weights; the test split was used for nothing but these scores. Bold: best of the column. \
    –: not computed, or not finite because the free run diverged.";

/// Below the scores of one run.
pub(super) fn scores(report: &Report) -> String {
    let outlasted: Vec<String> = report
        .scores
        .iter()
        .filter_map(|row| {
            let vpt = row.vpt.iter().max_by_key(|vpt| vpt.n_censored)?;
            let text =
                || format!("{} {} of {} at {}", row.name, vpt.n_censored, vpt.n, vpt.threshold);
            (vpt.n_censored > 0).then(text)
        })
        .collect();
    let bounds = if outlasted.is_empty() {
        String::new()
    } else {
        format!(
            " Free runs that never exceeded the threshold count with their length; ≥ marks what is \
             therefore a lower bound ({}).",
            outlasted.join("; ")
        )
    };
    [UNITS, ONE_RUN, HONESTY, &bounds].concat()
}

/// Below the scores of several runs.
pub(super) fn comparison() -> String {
    [UNITS, SEVERAL_RUNS, HONESTY].concat()
}

/// Which plane a section lies on, and how often it is crossed.
pub(super) fn section(section: &PoincareSection) -> String {
    let count = |rows: &[Vec<f64>]| rows.first().map_or(0, Vec::len);
    format!(
        "Poincaré section: where {} passes {} upwards, its mean over the truth. From all starts the truth \
         crosses {} times, the free runs {} times; two systems with the same attractor meet the plane in the same places.",
        section.variable,
        Notation::Typeset.significant(section.level, 3),
        count(&section.crossings.truth),
        count(&section.crossings.forecast),
    )
}

/// What a forecast in time shows, and where it ceases to be valid.
pub(super) fn forecast(example: &RolloutExample, data: &DataInfo) -> String {
    let n_variables = data.columns.len();
    let shown = if n_variables > plot::MAX_VARIABLES {
        format!(" Shown: the first {} of {n_variables} variables.", plot::MAX_VARIABLES)
    } else {
        String::new()
    };
    let valid = example.valid_until.map_or_else(String::new, |valid| {
        let time = data.time_from_steps(valid.steps as f64);
        format!(
            " Vertical line: the relative error first exceeds {} at {} {}.",
            valid.threshold,
            Notation::Typeset.significant(time, 3),
            data.time_scale().unit()
        )
    });
    format!(
        "Truth and free-running forecast of the test series {} from step {} on.{shown}{valid}",
        example.series, example.start_step
    )
}

/// What the horizontal lines of an error plot are.
pub(super) fn thresholds(thresholds: &[f64]) -> String {
    if thresholds.is_empty() {
        return String::new();
    }
    let list = thresholds.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
    format!(" Horizontal lines: the thresholds {list} of the valid prediction time.")
}

/// Above the heat maps.
pub(super) fn attention(matrices: &[ScoreMatrix], colours: ScoreColours) -> String {
    let is_learned = matrices.iter().all(|matrix| matrix.meaning == ScoreMeaning::Learned);
    let meaning = if is_learned {
        "The learned scores α, the same for every input"
    } else {
        "Attention weights, averaged over windows of the test split"
    };
    let cut = if colours.is_cut() {
        " The largest half percent of the scores lie beyond its ends."
    } else {
        ""
    };
    let averaged = if matrices.iter().any(|matrix| matrix.rows.max(matrix.cols) > plot::MAX_CELLS) {
        format!(" Matrices with more than {} positions are averaged over blocks.", plot::MAX_CELLS)
    } else {
        String::new()
    };
    format!(
        "{meaning}: row i, column j is the weight of input position j in output position i. \
         Positions are steps of the window, the last one the most recent. One colour scale for all \
         heads.{cut}{averaged}"
    )
}
