//! The page of a run that classifies, and of several.

use std::fmt::Display;

use super::super::class_table;
use super::super::classify::{ClassData, ClassPart, ClassRow, ClassifyReport};
use super::super::format::{Notation, count, duration, magnitude};
use super::super::markup::Markup;
use super::super::method_table::MethodTable;
use super::super::plot::{self, Look};
use super::page::{Span, figure, page, section, tile};
use super::settings::settings_of;
use super::table::{method_table, scrolling};
use crate::metric::classification::ClassScores;

/// What the four accuracies mean.
const NOTE: &str = "The first accuracy is of the epoch that the validation part chose. \"Best epoch on \
                    test\" is of the epoch that the test part itself would have chosen: much of the \
                    literature reports it, and no one could have chosen it without the answers.";

/// The page of one run, complete in itself.
#[must_use]
pub fn render_classification(report: &ClassifyReport) -> String {
    let title = format!("{} · {}", report.run.title, report.run.name);
    page(&title, &report.run.version, |out| {
        header(out, report);
        section(out, "Scores", |out| scores(out, &class_table::of_run(report)));
        let model = report.scores.first();
        if let Some(test) = model.and_then(|row| row.test.as_ref()) {
            section(out, "Classes", |out| classes(out, &report.data, test));
        }
        if !report.training.curve.is_empty() {
            section(out, "Training", |out| {
                out.element("div", &[("class", &"grid")], |out| curves(out, report));
            });
        }
        section(out, "What was run", |out| settings(out, report));
    })
}

/// The page that compares runs.
#[must_use]
pub(super) fn render_classifications(title: &str, reports: &[&ClassifyReport]) -> String {
    let version = reports.first().map_or("", |report| &report.run.version);
    page(title, version, |out| {
        out.element("header", &[], |out| {
            out.leaf("h1", &[], title);
            let source = reports.first().map_or("no data", |report| &report.data.source);
            out.leaf("p", &[("class", &"byline")], format!("{} runs · {source}", reports.len()));
        });
        section(out, "Scores", |out| {
            scores(out, &class_table::of_runs(reports));
            let note = "±: 95 % interval of the mean over seeds, by Student's t.";
            out.leaf("p", &[("class", &"note")], note);
        });
        section(out, "Training", |out| {
            let lines: Vec<plot::Curve> = reports
                .iter()
                .enumerate()
                .map(|(i, report)| plot::Curve {
                    name: format!("{}, seed {}", report.model.name, report.run.seed),
                    look: Look { colour: i + 1, is_dashed: false },
                    y: accuracies(report, |row| row.validation_accuracy),
                })
                .collect();
            let caption = "Share of the validation part classified right, by epoch.";
            figure(out, Span::Full, caption, |width| plot::accuracy_curves(&lines, None, width));
        });
    })
}

fn header(out: &mut Markup, report: &ClassifyReport) {
    let model = report.scores.first();
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
        if let Some(sentence) = model.and_then(|model| summary(report, model)) {
            out.leaf("p", &[("class", &"summary")], sentence);
        }
        out.element("dl", &[("class", &"tiles")], |out| {
            let percent =
                |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{:.2}", 100.0 * x));
            let test = model.and_then(|row| row.test.as_ref());
            tile(
                out,
                "Test accuracy",
                &percent(test.map(|t| t.accuracy)),
                "%, epoch chosen on validation",
            );
            let validation = model.and_then(|row| row.validation_accuracy);
            tile(out, "Validation accuracy", &percent(validation), "%");
            let loss = test.and_then(|t| t.log_loss).unwrap_or(f64::NAN);
            tile(out, "Log loss", &Notation::Typeset.significant(loss, 3), "nats, test part");
            tile(out, "Parameters", &count(report.model.n_parameters), &report.model.name);
            let epochs = format!("{} epochs", report.training.epochs);
            tile(out, "Training", &duration(report.training.seconds), &epochs);
        });
    });
}

/// The result in one sentence, the best baseline included.
fn summary(report: &ClassifyReport, model: &ClassRow) -> Option<String> {
    let test = model.test.as_ref()?;
    let mut sentence = format!(
        "{} names the class of {:.2} % of {} series of the test part ({:.2} to {:.2} % at 95 %, were they \
         independent)",
        model.name,
        100.0 * test.accuracy,
        count(test.n as u64),
        100.0 * test.interval.0,
        100.0 * test.interval.1,
    );
    let best = report
        .scores
        .iter()
        .filter(|row| row.is_baseline)
        .filter_map(|row| Some((row, row.test.as_ref()?.accuracy)))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, accuracy)) = best {
        let verdict = if accuracy > test.accuracy { "does better" } else { "does no better" };
        let percent = format!("{:.2} %", 100.0 * accuracy);
        sentence += &[". The best baseline, ", &row.name, ", ", verdict, ": ", &percent].concat();
    }
    Some(sentence + ".")
}

fn scores(out: &mut Markup, table: &MethodTable) {
    method_table(out, "Scores on the test part", table);
    out.leaf("p", &[("class", &"note")], NOTE);
}

fn classes(out: &mut Markup, data: &ClassData, test: &ClassScores) {
    out.element("div", &[("class", &"grid")], |out| {
        let caption = "Confusion matrix of the test part: true class downwards, named class to the right; \
                       colour is the share of the true class.";
        figure(out, Span::Half, caption, |width| {
            plot::confusion(&data.classes, &test.confusion, width)
        });
        if !test.calibration.is_empty() {
            let error = test.calibration_error.unwrap_or(f64::NAN);
            let caption = format!(
                "Calibration: share classified right against the probability given, in fifteen bins; on the \
                 diagonal the probabilities are honest. Expected calibration error {}.",
                Notation::Typeset.decimals(error, 3)
            );
            figure(out, Span::Half, &caption, |width| plot::calibration(&test.calibration, width));
        }
    });
    scrolling(out, "Scores by class", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in ["class", "precision", "recall", "F1", "series"] {
                        out.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                for (name, class) in data.classes.iter().zip(&test.classes) {
                    out.element("tr", &[], |out| {
                        out.leaf("th", &[("scope", &"row")], name);
                        for x in [class.precision, class.recall, class.f1] {
                            out.leaf("td", &[], Notation::Typeset.decimals(x, 3));
                        }
                        out.leaf("td", &[], count(class.support));
                    });
                }
            });
        });
    });
}

fn accuracies(
    report: &ClassifyReport,
    of: impl Fn(&super::super::EpochRow) -> Option<f64>,
) -> Vec<f64> {
    report.training.curve.iter().map(|row| of(row).unwrap_or(f64::NAN)).collect()
}

fn curves(out: &mut Markup, report: &ClassifyReport) {
    let mut lines = vec![
        plot::Curve {
            name: "validation".into(),
            look: Look { colour: 1, is_dashed: false },
            y: accuracies(report, |row| row.validation_accuracy),
        },
        plot::Curve {
            name: "test, not used".into(),
            look: Look { colour: 6, is_dashed: true },
            y: accuracies(report, |row| row.test_accuracy),
        },
    ];
    lines.retain(|line| line.y.iter().any(|y| y.is_finite()));
    let caption = "Share classified right, by epoch; the test part chooses nothing.";
    figure(out, Span::Half, caption, |width| {
        plot::accuracy_curves(&lines, Some(report.training.best_epoch), width)
    });
    let caption =
        "Cross entropy by epoch; dropout, smoothing and weights of classes count in training only.";
    figure(out, Span::Half, caption, |width| {
        plot::loss_curves(&report.training, "cross entropy, nats", width)
    });
}

fn settings(out: &mut Markup, report: &ClassifyReport) {
    let ClassifyReport { run, model, training, data, .. } = report;
    let data_entries = [
        ("source", data.source.clone()),
        ("channels", data.columns.join(", ")),
        ("classes", data.classes.join(", ")),
    ];
    let model = [
        ("name", model.name.clone()),
        ("parameters", count(model.n_parameters)),
        ("multiply-adds per series", magnitude(model.multiply_adds)),
        ("steps", model.time.to_string()),
    ];
    settings_of(out, run, training, &data_entries, &model, |out| parts(out, data));
}

fn parts(out: &mut Markup, data: &ClassData) {
    scrolling(out, "Sizes of the parts", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            out.element("thead", &[], |out| {
                out.element("tr", &[], |out| {
                    for name in ["part", "series", "by class", "groups"] {
                        out.leaf("th", &[("scope", &"col")], name);
                    }
                });
            });
            out.element("tbody", &[], |out| {
                part(out, "training", &data.train);
                part(out, "validation", &data.validation);
                part(out, "test", &data.test);
            });
        });
    });
}

fn part(out: &mut Markup, name: &str, part: &ClassPart) {
    let words: [(&str, &dyn Display); 1] = [("class", &"words")];
    out.element("tr", &[], |out| {
        out.leaf("th", &[("scope", &"row")], name);
        out.leaf("td", &[], count(part.n as u64));
        let counts: Vec<String> = part.counts.iter().map(ToString::to_string).collect();
        out.leaf("td", &words, counts.join(", "));
        let groups = if part.groups.is_empty() { "–".into() } else { part.groups.join(" ") };
        out.leaf("td", &words, groups);
    });
}

#[cfg(test)]
mod tests {
    use super::super::super::synthetic;
    use super::super::testing::{assert_self_contained, assert_well_formed};
    use super::*;

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        let report = synthetic::activities("larnn", 0);
        let html = render_classification(&report);
        assert_well_formed(&html);
        assert_self_contained(&html);
        assert!(html.contains("does no better: 90.00 %"), "the best baseline is named");
    }

    #[test]
    fn names_from_files_cannot_become_markup() {
        let mut report = synthetic::activities("larnn", 0);
        let evil = "<script>alert(1)</script>";
        report.data.classes = vec![evil.into(); 3];
        report.data.columns = vec![evil.into()];
        report.data.train.groups = vec![evil.into()];
        report.run.title = evil.into();
        report.scores[1].note = Some(evil.into());
        let html = render_classification(&report);
        assert!(!html.contains("<script"));
        assert_well_formed(&html);
    }

    #[test]
    fn seeds_stand_below_their_mean() {
        let reports = [synthetic::activities("larnn", 0), synthetic::activities("larnn", 1)];
        let html = render_classifications("two", &[&reports[0], &reports[1]]);
        assert_well_formed(&html);
        assert!(html.contains("larnn (2 seeds)") && html.contains("seed 1"));
        assert_eq!(html.matches(">majority<").count(), 1);
    }
}
