//! The page of a run that learns to go on with a text, and of several.

use super::super::format::{Notation, count, duration, magnitude};
use super::super::language::{LanguageReport, LanguageRow, TextPart};
use super::super::language_table;
use super::super::markup::Markup;
use super::super::method_table::MethodTable;
use super::super::plot::{self, Look, LossCurve};
use super::page::{Span, figure, page, section, tile};
use super::settings::settings_of;
use super::table::{method_table, scrolling};

/// What the columns mean.
const NOTE: &str = "Windows side by side, each without a past. Figures per character compare models with \
                    different tokens, figures per token do not. The validation part chose the weights, the \
                    test part was scored once. The trigram backs off to shorter contexts.";

/// The page of one run, complete in itself.
#[must_use]
pub fn render_language(report: &LanguageReport) -> String {
    let title = format!("{} · {}", report.run.title, report.run.name);
    page(&title, &report.run.version, |out| {
        header(out, report);
        section(out, "Scores", |out| scores(out, &language_table::of_run(report)));
        if !report.training.curve.is_empty() {
            section(out, "Training", |out| {
                let caption = "Nats per token at every scoring of the validation part.";
                figure(out, Span::Full, caption, |width| {
                    plot::loss_curves(&report.training, "nats per token", width)
                });
            });
        }
        if let Some(sample) = &report.sample {
            section(out, "Generated text", |out| {
                out.leaf("pre", &[], &sample.text);
                let among = sample.top_k.map_or_else(
                    || "all tokens".to_owned(),
                    |k| format!("the {k} most probable tokens"),
                );
                let note = format!("Temperature {}, drawn among {among}.", sample.temperature);
                out.leaf("p", &[("class", &"note")], note);
            });
        }
        section(out, "What was run", |out| settings(out, report));
    })
}

/// The page that compares runs.
#[must_use]
pub(super) fn render_languages(title: &str, reports: &[&LanguageReport]) -> String {
    let version = reports.first().map_or("", |report| &report.run.version);
    page(title, version, |out| {
        out.element("header", &[], |out| {
            out.leaf("h1", &[], title);
            let source = reports.first().map_or("no text", |report| &report.data.source);
            out.leaf("p", &[("class", &"byline")], format!("{} runs · {source}", reports.len()));
        });
        section(out, "Scores", |out| {
            scores(out, &language_table::of_runs(reports));
            let note = "±: 95 % interval of the mean over seeds, by Student's t.";
            out.leaf("p", &[("class", &"note")], note);
        });
        section(out, "Training", |out| {
            let curves: Vec<LossCurve<'_>> = reports
                .iter()
                .enumerate()
                .map(|(i, report)| LossCurve {
                    name: format!("{}, seed {}", report.model.name, report.run.seed),
                    look: Look { colour: i + 1, is_dashed: false },
                    training: &report.training,
                })
                .collect();
            let caption = "Nats per token of the validation part.";
            figure(out, Span::Full, caption, |width| {
                plot::validation_curves(&curves, "nats per token", width)
            });
        });
    })
}

fn header(out: &mut Markup, report: &LanguageReport) {
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
            let scores = model.and_then(LanguageRow::scores);
            let shown = |of: fn(&crate::metric::language::TokenScores) -> f64| {
                Notation::Typeset.decimals(scores.map_or(f64::NAN, of), 3)
            };
            let part = if model.is_some_and(|m| m.test.is_some()) { "test" } else { "validation" };
            let part = format!("{part} part");
            tile(out, "Nats per character", &shown(|s| s.nats_per_character), &part);
            tile(out, "Bits per character", &shown(|s| s.bits_per_character), &part);
            tile(out, "Perplexity", &shown(|s| s.perplexity), "of a token");
            tile(out, "Parameters", &count(report.model.n_parameters), &report.model.name);
            let steps = format!("{} steps", count(report.training.steps));
            tile(out, "Training", &duration(report.training.seconds), &steps);
        });
    });
}

/// The result in one sentence, the best baseline included.
fn summary(report: &LanguageReport, model: &LanguageRow) -> Option<String> {
    let scores = model.scores()?;
    let mut sentence = format!(
        "{} predicts {} characters with {:.3} bits for each",
        model.name,
        count(scores.n_characters as u64),
        scores.bits_per_character,
    );
    let best = report
        .scores
        .iter()
        .filter(|row| row.is_baseline)
        .filter_map(|row| Some((row, row.scores()?.bits_per_character)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, bits)) = best {
        let needs = format!("{bits:.3}");
        sentence += &["; the best baseline, ", &row.name, ", needs ", &needs].concat();
    }
    Some(sentence + ".")
}

fn scores(out: &mut Markup, table: &MethodTable) {
    method_table(out, "Scores", table);
    out.leaf("p", &[("class", &"note")], NOTE);
}

fn settings(out: &mut Markup, report: &LanguageReport) {
    let LanguageReport { run, model, training, data, .. } = report;
    let data_entries = [
        ("source", data.source.clone()),
        ("tokens", format!("{} distinct, each a {}", count(data.vocabulary as u64), data.unit)),
    ];
    let model = [
        ("mixer", model.name.clone()),
        ("parameters", count(model.n_parameters)),
        ("in matrices", count(model.n_decayed)),
        ("multiply-adds per window", magnitude(model.multiply_adds)),
        ("window", format!("{} tokens", model.window)),
    ];
    settings_of(out, run, training, &data_entries, &model, |out| {
        scrolling(out, "Sizes of the parts", |out| {
            out.element("table", &[("class", &"splits")], |out| {
                out.element("thead", &[], |out| {
                    out.element("tr", &[], |out| {
                        for name in ["part", "tokens", "characters predicted"] {
                            out.leaf("th", &[("scope", &"col")], name);
                        }
                    });
                });
                out.element("tbody", &[], |out| {
                    part(out, "training", data.train);
                    part(out, "validation", data.validation);
                    part(out, "test", data.test);
                });
            });
        });
    });
}

fn part(out: &mut Markup, name: &str, part: TextPart) {
    out.element("tr", &[], |out| {
        out.leaf("th", &[("scope", &"row")], name);
        out.leaf("td", &[], count(part.tokens as u64));
        out.leaf("td", &[], count(part.predicted_characters as u64));
    });
}

#[cfg(test)]
mod tests {
    use super::super::super::synthetic;
    use super::super::testing::{assert_self_contained, assert_well_formed};
    use super::*;

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        let report = synthetic::text("log", 0);
        let html = render_language(&report);
        assert_well_formed(&html);
        assert_self_contained(&html);
        assert!(html.contains("the best baseline, trigram, needs 2.885"), "{html}");
    }

    #[test]
    fn a_text_cannot_become_markup() {
        let mut report = synthetic::text("log", 0);
        let evil = "<script>alert(1)</script>";
        report.sample.as_mut().unwrap().text = evil.into();
        report.data.source = evil.into();
        let html = render_language(&report);
        assert!(!html.contains("<script"));
        assert_well_formed(&html);
    }

    #[test]
    fn seeds_stand_below_their_mean() {
        let reports = [synthetic::text("log", 0), synthetic::text("log", 1)];
        let html = render_languages("two", &[&reports[0], &reports[1]]);
        assert_well_formed(&html);
        assert!(html.contains("log (2 seeds)") && html.contains("seed 1"));
        assert_eq!(html.matches(">trigram<").count(), 1);
    }
}
