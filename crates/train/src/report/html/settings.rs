//! What was run: everything needed to run it again.

use super::super::format::{count, duration, magnitude};
use super::super::markup::Markup;
use super::super::schema::{Report, RunInfo, SplitInfo, TrainingInfo};
use super::run::finished;
use super::table::scrolling;

/// Variables named one by one; of more, the first and the last are.
const MAX_NAMES: usize = 24;

/// Writes the settings of a run that forecasts.
pub(super) fn settings(out: &mut Markup, report: &Report) {
    let Report { run, model, training, .. } = report;
    let model = [
        ("kind", model.kind.clone()),
        ("mechanism", model.mechanism.clone().unwrap_or_else(|| "none".into())),
        ("parameters", count(model.n_parameters)),
        ("multiply-adds per window", magnitude(model.multiply_adds)),
        ("window", steps(model.window)),
        ("horizon", steps(model.horizon)),
        ("target", model.target.clone()),
    ];
    let parts = |out: &mut Markup| splits(out, report);
    settings_of(out, run, training, &data_entries(report), &model, parts);
}

/// Writes the settings of a run as lists of names and values, and the table of its `parts`.
pub(super) fn settings_of(
    out: &mut Markup,
    run: &RunInfo,
    training: &TrainingInfo,
    data: &[(&str, String)],
    model: &[(&str, String)],
    parts: impl FnOnce(&mut Markup),
) {
    out.element("div", &[("class", &"settings")], |out| {
        list(
            out,
            "Run",
            &[
                ("name", run.name.clone()),
                ("preset", run.preset.clone()),
                ("seed", run.seed.to_string()),
                ("finished", finished(&run.created)),
                ("device", run.device.clone()),
                ("version", run.version.clone()),
            ],
        );
        list(out, "Data", data);
        list(out, "Model", model);
        list(
            out,
            "Training",
            &[
                ("epochs", training.epochs.to_string()),
                ("weights kept from epoch", training.best_epoch.to_string()),
                ("optimiser steps", count(training.steps)),
                ("time", duration(training.seconds)),
                ("time per epoch", duration(training.seconds_per_epoch)),
            ],
        );
    });
    parts(out);
    out.element("p", &[("class", &"command")], |out| {
        out.text("Command ");
        out.leaf("code", &[], &run.command);
    });
}

fn data_entries(report: &Report) -> Vec<(&'static str, String)> {
    let data = &report.data;
    let mut entries =
        vec![("source", data.source.clone()), ("variables", variables(&data.columns))];
    if let Some(dt) = data.dt {
        entries.push(("time step", dt.to_string()));
    }
    if let Some(exponent) = data.lyapunov_exponent {
        entries.push(("largest Lyapunov exponent", exponent.to_string()));
    }
    entries
}

fn variables(columns: &[String]) -> String {
    match columns {
        [first, .., last] if columns.len() > MAX_NAMES => {
            format!("{}: {first} … {last}", columns.len())
        }
        _ => format!("{}: {}", columns.len(), columns.join(", ")),
    }
}

fn steps(n: usize) -> String {
    format!("{n} {}", if n == 1 { "step" } else { "steps" })
}

fn splits(out: &mut Markup, report: &Report) {
    let data = &report.data;
    scrolling(out, "Sizes of the splits", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in ["split", "series", "steps", "windows", "used for"] {
                        out.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                split(out, "training", data.train, "fits weights and normalisation");
                split(out, "validation", data.validation, "chooses the weights");
                split(out, "test", data.test, "scores, and nothing else");
            });
        });
    });
}

fn split(out: &mut Markup, name: &str, info: SplitInfo, purpose: &str) {
    out.element("tr", &[], |out| {
        out.leaf("th", &[("scope", &"row")], name);
        for n in [info.n_series, info.n_steps, info.n_windows] {
            out.leaf("td", &[], count(u64::try_from(n).unwrap_or(u64::MAX)));
        }
        out.leaf("td", &[("class", &"words")], purpose);
    });
}

fn list(out: &mut Markup, heading: &str, entries: &[(&str, String)]) {
    out.element("div", &[], |out| {
        out.leaf("h3", &[], heading);
        out.element("dl", &[], |out| {
            for (name, value) in entries {
                out.leaf("dt", &[], name);
                out.leaf("dd", &[], value);
            }
        });
    });
}
