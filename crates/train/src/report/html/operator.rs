//! The page of a run that learns an operator, and of several.

use super::super::certificate::{self, Certificate};
use super::super::format::{Notation, count, duration};
use super::super::markup::Markup;
use super::super::method_table::MethodTable;
use super::super::operator::{OperatorPart, OperatorReport, OperatorRow};
use super::super::operator_table;
use super::super::plot::{self, Look, LossCurve};
use super::page::{Span, figure, page, section, tile};
use super::settings::settings_of;
use super::table::{method_table, scrolling};

/// What the columns mean.
const NOTE: &str = "Relative L2: |prediction − truth| / |truth| of each function in physical units, then the mean over \
                    functions. Normalised: the mean of all functions is taken from the truth first. H1: with the \
                    gradient. VRMSE: each function's own mean is taken from the truth. The validation part chose the \
                    weights, the test parts were scored once. Baselines know the points of the training part alone.";

/// How to read spectra.
const SPECTRA: &str = "Power per number of waves across the domain, mean over the first test part. Where the error reaches the \
                       truth, the model knows nothing of details so fine.";

/// The page of one run, complete in itself.
#[must_use]
pub fn render_operator(report: &OperatorReport) -> String {
    let title = format!("{} · {}", report.run.title, report.run.name);
    page(&title, &report.run.version, |out| {
        header(out, report);
        section(out, "Scores", |out| scores(out, &operator_table::of_run(report)));
        if !report.examples.is_empty() {
            section(out, "Functions", |out| {
                for example in &report.examples {
                    let caption = format!(
                        "The {} function of the first test part: relative L2 error {} %.",
                        example.name,
                        Notation::Typeset.significant(100.0 * example.relative_l2, 3)
                    );
                    figure(out, Span::Full, &caption, |width| plot::function(example, width));
                }
            });
        }
        resolutions(out, &[(report.model.name.clone(), report)]);
        if let Some(spectra) = &report.spectra {
            section(out, "Spectra", |out| {
                figure(out, Span::Full, SPECTRA, |width| plot::spectra(spectra, width));
            });
        }
        if !report.training.curve.is_empty() {
            section(out, "Training", |out| {
                let caption = "Loss of the training part, of normalised functions, and relative L2 error of the \
                               validation part in physical units.";
                figure(out, Span::Full, caption, |width| {
                    plot::loss_curves(&report.training, "relative error", width)
                });
            });
        }
        if let Some(certificate) = &report.certificate {
            section(out, "Certificate", |out| self::certificate(out, certificate));
        }
        section(out, "What was run", |out| settings(out, report));
    })
}

/// The page that compares runs.
#[must_use]
pub(super) fn render_operators(title: &str, reports: &[&OperatorReport]) -> String {
    let version = reports.first().map_or("", |report| &report.run.version);
    page(title, version, |out| {
        out.element("header", &[], |out| {
            out.leaf("h1", &[], title);
            let source = reports.first().map_or("no data", |report| &report.data.source);
            out.leaf("p", &[("class", &"byline")], format!("{} runs · {source}", reports.len()));
        });
        section(out, "Scores", |out| {
            scores(out, &operator_table::of_runs(reports));
            let note = "±: 95 % interval of the mean over seeds, by Student's t.";
            out.leaf("p", &[("class", &"note")], note);
        });
        let named: Vec<(String, &OperatorReport)> = reports
            .iter()
            .map(|report| (format!("{}, seed {}", report.model.name, report.run.seed), *report))
            .collect();
        resolutions(out, &named);
        section(out, "Training", |out| {
            let curves: Vec<LossCurve<'_>> = named
                .iter()
                .enumerate()
                .map(|(i, (name, report))| LossCurve {
                    name: name.clone(),
                    look: Look { colour: i + 1, is_dashed: false },
                    training: &report.training,
                })
                .collect();
            let caption = "Relative L2 error of the validation part.";
            figure(out, Span::Full, caption, |width| {
                plot::validation_curves(&curves, "relative error", width)
            });
        });
    })
}

/// Errors against resolution, if there are several.
fn resolutions(out: &mut Markup, reports: &[(String, &OperatorReport)]) {
    // Whether there is a picture does not depend on its width.
    if plot::errors_by_resolution(reports, 0.0).is_none() {
        return;
    }
    section(out, "Resolutions", |out| {
        let caption = "Relative L2 error of each test part, against its points along an axis; the parameters are the same.";
        figure(out, Span::Full, caption, |width| {
            plot::errors_by_resolution(reports, width).unwrap_or_default()
        });
    });
}

fn header(out: &mut Markup, report: &OperatorReport) {
    out.element("header", &[], |out| {
        out.leaf("h1", &[], &report.run.title);
        let line = [
            report.run.name.as_str(),
            &report.model.name,
            &format!("seed {}", report.run.seed),
            &report.run.created,
        ]
        .join(" · ");
        out.leaf("p", &[("class", &"byline")], line);
        let model = report.scores.first();
        if let Some(sentence) = model.and_then(|model| summary(report, model)) {
            out.leaf("p", &[("class", &"summary")], sentence);
        }
        out.element("dl", &[("class", &"tiles")], |out| {
            let scores = model.and_then(OperatorRow::scores);
            let part = report.data.tests.first().map_or("validation", |part| part.name.as_str());
            let shown = |of: fn(&crate::metric::function::FunctionScores) -> f64| {
                let value = scores.map_or(f64::NAN, of);
                format!("{} %", Notation::Typeset.significant(100.0 * value, 3))
            };
            tile(out, "Relative L2 error", &shown(|s| s.relative_l2), part);
            tile(out, "Worst function", &shown(|s| s.worst), part);
            tile(out, "Parameters", &count(report.model.n_parameters), &report.model.name);
            let epochs = format!("{} epochs", report.training.epochs);
            tile(out, "Training", &duration(report.training.seconds), &epochs);
        });
    });
}

/// The result in one sentence, the best baseline included.
fn summary(report: &OperatorReport, model: &OperatorRow) -> Option<String> {
    let percent = |x: f64| format!("{} %", Notation::Typeset.significant(100.0 * x, 3));
    let mut sentence = format!(
        "{} is {} away from the functions it should find",
        model.name,
        percent(model.scores()?.relative_l2)
    );
    let best = report
        .scores
        .iter()
        .filter(|row| row.is_baseline)
        .filter_map(|row| Some((row, row.scores()?.relative_l2)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, error)) = best {
        sentence += &["; the best baseline, ", &row.name, ", ", &percent(error)].concat();
    }
    Some(sentence + ".")
}

fn scores(out: &mut Markup, table: &MethodTable) {
    method_table(out, "Scores", table);
    out.leaf("p", &[("class", &"note")], NOTE);
}

/// Properties under refinement: a table, and a picture of those that have an order.
fn certificate(out: &mut Markup, certificate: &Certificate) {
    scrolling(out, "Certificate", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in ["property", "measured", "expected", "verdict"] {
                        out.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                for line in &certificate.lines {
                    out.element("tr", &[], |out| {
                        out.leaf("th", &[("scope", &"row")], &line.property);
                        out.leaf("td", &[], line.measured_text(Notation::Typeset));
                        out.leaf("td", &[], line.expected_text(Notation::Typeset));
                        out.leaf("td", &[], if line.holds() { "pass" } else { "fail" });
                    });
                }
            });
        });
    });
    out.leaf("p", &[("class", &"note")], certificate::NOTE);
    let caption = "Error under refinement; dashed where a line of the table fails.";
    figure(out, Span::Full, caption, |width| plot::convergence(certificate, width));
}

fn settings(out: &mut Markup, report: &OperatorReport) {
    let OperatorReport { run, model, training, data, .. } = report;
    let data_entries = [
        ("source", data.source.clone()),
        ("input", data.inputs.join(", ")),
        ("output", data.outputs.join(", ")),
    ];
    let model = [("kind", model.name.clone()), ("parameters", count(model.n_parameters))];
    settings_of(out, run, training, &data_entries, &model, |out| {
        scrolling(out, "Sizes of the parts", |out| {
            out.element("table", &[("class", &"splits")], |out| {
                out.element("thead", &[], |out| {
                    out.element("tr", &[], |out| {
                        for name in ["part", "functions", "points"] {
                            out.leaf("th", &[("scope", &"col")], name);
                        }
                    });
                });
                out.element("tbody", &[], |out| {
                    for part in
                        std::iter::once(&data.train).chain(&data.validation).chain(&data.tests)
                    {
                        row(out, part);
                    }
                });
            });
        });
    });
}

fn row(out: &mut Markup, part: &OperatorPart) {
    out.element("tr", &[], |out| {
        out.leaf("th", &[("scope", &"row")], &part.name);
        out.leaf("td", &[], count(part.functions as u64));
        out.leaf("td", &[], part.points_text());
    });
}
