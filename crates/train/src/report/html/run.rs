//! The page of one run.

use std::fmt::Display;

use super::super::format::{Notation, count, duration};
use super::super::markup::Markup;
use super::super::plot::{self, Growth, Look};
use super::super::rollout::ErrorGrowth;
use super::super::schema::Report;
use super::super::score::{ScoreRow, VptRow};
use super::super::score_table::{ScoreTable, detail_metrics, main_metrics, thresholds};
use super::notes;
use super::page::{Span, figure, page, section, tile};
use super::settings::settings;
use super::table::{footnotes, score_table};

/// Threshold of the valid prediction time that the summary names.
const HEADLINE_THRESHOLD: f64 = 0.4;
/// From this number of variables on, a heat map shows what curves cannot.
const MANY_VARIABLES: usize = 9;

/// The page of one run, complete in itself.
#[must_use]
pub fn render(report: &Report) -> String {
    let title = format!("{} · {}", report.run.title, report.run.name);
    page(&title, &report.run.version, |out| {
        header(out, report);
        section(out, "Scores", |out| scores(out, report));
        if !report.rollouts.examples.is_empty() || report.rollouts.phase.is_some() {
            section(out, "Forecasts", |out| forecasts(out, report));
        }
        section(out, "Errors and training", |out| {
            out.element("div", &[("class", &"grid")], |out| curves(out, report));
        });
        if !report.attention.is_empty() {
            section(out, "Attention scores", |out| attention(out, report));
        }
        section(out, "What was run", |out| settings(out, report));
    })
}

fn header(out: &mut Markup, report: &Report) {
    let model = report.scores.iter().find(|row| !row.is_baseline);
    out.element("header", &[], |out| {
        out.leaf("h1", &[], &report.run.title);
        let line = [
            report.run.name.as_str(),
            &report.model.label(),
            &format!("seed {}", report.run.seed),
            &finished(&report.run.created),
        ]
        .join(" · ");
        out.leaf("p", &[("class", &"byline")], line);
        if let Some(sentence) = model.and_then(|model| summary(report, model)) {
            out.leaf("p", &[("class", &"summary")], sentence);
        }
        out.element("dl", &[("class", &"tiles")], |out| tiles(out, report, model));
    });
}

/// `2031-05-04T12:30:00Z` as people write it; anything else as it is.
pub(super) fn finished(created: &str) -> String {
    match created.split_once('T') {
        Some((date, time)) if time.len() >= 6 && time.is_ascii() && time.ends_with('Z') => {
            format!("{date}, {} UTC", &time[..5])
        }
        _ => created.to_string(),
    }
}

/// The result in one sentence, the best baseline included.
fn summary(report: &Report, model: &ScoreRow) -> Option<String> {
    let vpt = model.vpt_at(HEADLINE_THRESHOLD).filter(|vpt| vpt.median.is_finite())?;
    let number = |value| Notation::Typeset.significant(value, 3);
    let median = |vpt: &VptRow| {
        let bound = if vpt.is_bound(0.5) { "at least " } else { "" };
        format!("{bound}{}", number(vpt.median))
    };
    let unit = report.data.time_scale().unit();
    let mut sentence = format!(
        "In {} free runs on the test split, the forecast of {} stays within a relative error of \
         {HEADLINE_THRESHOLD} for {} {unit} (median; quartiles {} to {})",
        vpt.n,
        model.name,
        median(vpt),
        number(vpt.q25),
        number(vpt.q75),
    );
    let baselines = report.scores.iter().filter(|row| row.is_baseline);
    let best = baselines
        .filter_map(|row| Some((row, row.vpt_at(HEADLINE_THRESHOLD)?)))
        .filter(|(_, vpt)| vpt.median.is_finite())
        .max_by(|a, b| a.1.median.total_cmp(&b.1.median));
    if let Some((row, other)) = best {
        let verdict = if other.median > vpt.median { "longer" } else { "no longer" };
        sentence += &[". The best baseline, ", &row.name, ", lasts ", verdict, ": "].concat();
        sentence += &median(other);
    }
    Some(sentence + ".")
}

fn tiles(out: &mut Markup, report: &Report, model: Option<&ScoreRow>) {
    let number = |value: Option<f64>| Notation::Typeset.significant(value.unwrap_or(f64::NAN), 3);
    if let Some(model) = model {
        let vpt = model.vpt_at(HEADLINE_THRESHOLD);
        let bound = if vpt.is_some_and(|vpt| vpt.is_bound(0.5)) { "≥" } else { "" };
        let time = format!("{bound}{}", number(vpt.map(|vpt| vpt.median)));
        let unit = report.data.time_scale().unit();
        let detail = format!("{unit}, error ≤ {HEADLINE_THRESHOLD}");
        tile(out, "Valid prediction time", &time, &detail);
        tile(out, "One-step error", &number(model.one_step_mse), "MSE, standardised");
        let relative = model.relative_l2_percent.as_ref().map(|error| error.mean);
        tile(out, "Relative L² error", &number(relative), "%, one step");
    }
    tile(out, "Parameters", &count(report.model.n_parameters), &report.model.label());
    let epochs = format!("{} epochs", report.training.epochs);
    tile(out, "Training", &duration(report.training.seconds), &epochs);
}

fn scores(out: &mut Markup, report: &Report) {
    let unit = report.data.time_scale().unit();
    let all = || report.scores.iter();
    let table = ScoreTable::of_run(report, main_metrics(all()));
    score_table(out, "Scores on the test split", &table, unit);
    footnotes(out, &table);
    out.leaf("p", &[("class", &"note")], notes::scores(report));
    if let Some(note) = report.data.ceiling_note() {
        out.leaf("p", &[("class", &"note")], note);
    }
    let details = ScoreTable::of_run(report, detail_metrics(all(), &report.data));
    if !details.metrics.is_empty() {
        score_table(out, "By horizon and by variable", &details, unit);
    }
}

fn forecasts(out: &mut Markup, report: &Report) {
    let n_variables = report.data.columns.len();
    for example in &report.rollouts.examples {
        let caption = notes::forecast(example, &report.data);
        figure(out, Span::Full, &caption, |width| plot::forecast(example, &report.data, width));
        if n_variables >= MANY_VARIABLES {
            let caption = format!(
                "The same forecast, all {n_variables} variables; averaged over blocks where there \
                 are more than {} variables or {} steps.",
                plot::MAX_CELLS,
                plot::MAX_STEPS
            );
            figure(out, Span::Full, &caption, |width| {
                plot::space_time(example, &report.data, width)
            });
        }
    }
    if let Some(portrait) = &report.rollouts.phase {
        let caption = "Long-run behaviour: truth and free run, two variables against each other. \
                       After the valid prediction time only the shape can agree.";
        figure(out, Span::Full, caption, |width| plot::phase_portrait(portrait, width));
    }
    if let Some(section) = &report.rollouts.section {
        let caption = notes::section(section);
        figure(out, Span::Full, &caption, |width| plot::poincare_section(section, width));
    }
}

fn curves(out: &mut Markup, report: &Report) {
    if !report.rollouts.error_growth.is_empty() {
        let growth: Vec<Growth> = growths(&report.rollouts.error_growth);
        let thresholds = thresholds(report.scores.iter());
        let caption = format!(
            "Relative error of free runs, median over the starts; band: quartiles; baselines \
             dashed.{}",
            notes::thresholds(&thresholds)
        );
        figure(out, Span::Half, &caption, |width| {
            plot::error_growth(&growth, &thresholds, &report.data, width)
        });
    }
    if !report.training.curve.is_empty() {
        let caption = "Loss by epoch; the weights with the lowest validation loss were kept.";
        figure(out, Span::Half, caption, |width| plot::training_curves(&report.training, width));
    }
}

/// Models first, each with its band; baselines dashed and without one.
fn growths(methods: &[ErrorGrowth]) -> Vec<Growth> {
    let drawable = methods.iter().filter(|method| method.is_drawable());
    let (below, above): (Vec<_>, Vec<_>) = drawable.partition(|method| method.is_baseline);
    above
        .into_iter()
        .chain(below)
        .enumerate()
        .map(|(i, method)| {
            let band = |edge: &Vec<f64>| if method.is_baseline { Vec::new() } else { edge.clone() };
            Growth {
                name: method.name.clone(),
                look: Look { colour: i + 1, is_dashed: method.is_baseline },
                steps: method.steps.clone(),
                middle: method.median.clone(),
                low: band(&method.q25),
                high: band(&method.q75),
            }
        })
        .collect()
}

fn attention(out: &mut Markup, report: &Report) {
    let matrices = &report.attention;
    let colours = plot::ScoreColours::of(matrices);
    out.leaf("p", &[("class", &"note")], notes::attention(matrices, colours));
    out.element("div", &[("class", &"bar")], |out| {
        out.append(&plot::score_colour_bar(colours, 320.0));
    });
    let mut layers: Vec<usize> = matrices.iter().map(|matrix| matrix.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    for layer in layers {
        out.new_line();
        out.leaf("h3", &[], format!("Layer {}", layer + 1));
        let attributes: [(&str, &dyn Display); 1] = [("class", &"heads")];
        out.element("div", &attributes, |out| {
            for matrix in matrices.iter().filter(|matrix| matrix.layer == layer) {
                out.append(&plot::score_matrix(matrix, colours));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::synthetic;
    use super::super::testing::{assert_self_contained, assert_well_formed};
    use super::*;

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        for report in [synthetic::lorenz(), synthetic::waves(70), synthetic::waves(1)] {
            let html = render(&report);
            assert_well_formed(&html);
            assert_self_contained(&html);
        }
    }

    #[test]
    fn every_head_has_a_heat_map() {
        let html = render(&synthetic::lorenz());
        for layer in 1..=2 {
            for head in 1..=4 {
                let title = format!("<title>Layer {layer}, head {head}</title>");
                assert_eq!(html.matches(&title).count(), 1, "{title}");
            }
        }
    }

    #[test]
    fn names_from_files_cannot_become_markup() {
        let evil = "<script>alert(1)</script>\"'&</style>";
        let mut report = synthetic::lorenz();
        report.data.columns = vec![evil.into(); 3];
        for text in [
            &mut report.run.name,
            &mut report.run.title,
            &mut report.run.command,
            &mut report.run.preset,
            &mut report.run.device,
            &mut report.run.version,
            &mut report.run.created,
            &mut report.data.source,
            &mut report.model.kind,
            &mut report.model.target,
            &mut report.rollouts.examples[0].series,
            &mut report.rollouts.error_growth[0].name,
            &mut report.scores[0].name,
        ] {
            *text = evil.into();
        }
        report.model.mechanism = Some(evil.into());
        report.scores[1].name = evil.into();
        report.scores[2].note = Some(evil.into());
        let phase = report.rollouts.phase.as_mut().unwrap();
        (phase.x_name, phase.y_name) = (evil.into(), evil.into());
        report.rollouts.section.as_mut().unwrap().variable = evil.into();

        let html = render(&report);
        assert!(!html.contains("<script"));
        assert_eq!(html.matches("</style>").count(), 1);
        assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
        assert_well_formed(&html);
    }

    #[test]
    fn no_number_that_is_none_reaches_the_page() {
        let mut report = synthetic::lorenz();
        report.rollouts.examples[0].forecast[0][10] = f64::NAN;
        report.rollouts.examples[0].truth[1].fill(f64::NAN);
        report.rollouts.examples[0].forecast[2].fill(f64::INFINITY);
        report.rollouts.error_growth[0].median[3] = f64::NAN;
        report.rollouts.error_growth[0].q75[9] = f64::INFINITY;
        report.rollouts.phase.as_mut().unwrap().forecast[1][7] = f64::NAN;
        report.rollouts.section.as_mut().unwrap().crossings.forecast[0][2] = f64::NAN;
        report.training.curve[3].train_loss = f64::NAN;
        report.training.curve[4].validation_loss = None;
        report.training.seconds = f64::NAN;
        report.attention[0].values[5] = f32::NAN;
        report.scores[0].one_step_mse = None;
        report.scores[0].vpt[1].median = f64::NAN;
        let html = render(&report);
        assert!(!html.contains("NaN") && !html.contains("inf "));
        assert_well_formed(&html);
    }

    #[test]
    fn a_report_without_pictures_still_renders() {
        let mut report = synthetic::lorenz();
        report.rollouts = crate::report::RolloutPlots::default();
        report.attention.clear();
        report.training.curve.clear();
        report.scores.clear();
        assert_well_formed(&render(&report));
    }

    #[test]
    fn a_method_that_was_not_run_stays_out_of_the_legend() {
        let mut methods = synthetic::lorenz().rollouts.error_growth;
        methods[2].median.fill(f64::NAN);
        methods[3] = ErrorGrowth { name: "idle".into(), ..ErrorGrowth::default() };
        let names: Vec<String> = growths(&methods).into_iter().map(|line| line.name).collect();
        assert_eq!(names, ["easy attention", "linear AR(32)", "persistence"]);
    }

    #[test]
    fn the_summary_tells_when_a_baseline_is_better() {
        let mut report = synthetic::lorenz();
        let text = |report: &Report| summary(report, &report.scores[0]).unwrap();
        assert!(text(&report).contains("The best baseline, NVAR, lasts longer: 10.4."));
        report.scores[2].vpt[1].n_censored = 60;
        assert!(text(&report).contains("The best baseline, NVAR, lasts longer: at least 10.4."));
        report.scores.remove(2);
        assert!(text(&report).contains("linear AR(32), lasts no longer: 0.200."));
    }
}
