//! The page that puts several runs side by side.

use super::super::any::RunReport;
use super::super::classify::ClassifyReport;
use super::super::comparison::{
    Group, baselines, groups, median_and_range, model_row, run_labels, same_data,
};
use super::super::format::count;
use super::super::language::LanguageReport;
use super::super::markup::Markup;
use super::super::operator::OperatorReport;
use super::super::plot::{self, Growth, Look, LossCurve};
use super::super::rollout::ErrorGrowth;
use super::super::schema::Report;
use super::super::score_table::{Metric, ScoreTable, all_metrics, detail_metrics, thresholds};
use super::classification::render_classifications;
use super::language::render_languages;
use super::notes;
use super::operator::render_operators;
use super::page::{Span, figure, page, section};
use super::table::{footnotes, score_table};

/// A page that compares `reports`: one table, the error growth of all, the training of all.
///
/// Runs that differ only in their seed stand together under their median; baselines appear once.
#[must_use]
pub fn render_comparison(title: &str, reports: &[Report]) -> String {
    let version = reports.first().map_or("", |report| &report.run.version);
    page(title, version, |out| {
        let groups = groups(reports);
        header(out, title, reports, groups.len());
        let Some(first) = reports.first() else { return };
        section(out, "Scores", |out| scores(out, reports, first));
        section(out, "Errors and training", |out| {
            out.element("div", &[("class", &"grid")], |out| curves(out, reports, &groups, first));
        });
        section(out, "Runs", |out| runs(out, &groups));
    })
}

/// The page that compares runs of one task.
#[must_use]
pub fn render_runs(title: &str, reports: &[RunReport]) -> String {
    let classified: Vec<&ClassifyReport> = reports
        .iter()
        .filter_map(|r| match r {
            RunReport::Classify(report) => Some(report),
            _ => None,
        })
        .collect();
    let languages: Vec<&LanguageReport> = reports
        .iter()
        .filter_map(|r| match r {
            RunReport::Language(report) => Some(report),
            _ => None,
        })
        .collect();
    let operators: Vec<&OperatorReport> = reports
        .iter()
        .filter_map(|r| match r {
            RunReport::Operator(report) => Some(report),
            _ => None,
        })
        .collect();
    if !operators.is_empty() {
        return render_operators(title, &operators);
    }
    if !languages.is_empty() {
        return render_languages(title, &languages);
    }
    if classified.is_empty() {
        let forecasts: Vec<Report> =
            reports.iter().cloned().filter_map(RunReport::forecast).collect();
        return render_comparison(title, &forecasts);
    }
    render_classifications(title, &classified)
}

fn header(out: &mut Markup, title: &str, reports: &[Report], n_models: usize) {
    out.element("header", &[], |out| {
        out.leaf("h1", &[], title);
        let source = reports.first().map_or("no data", |report| &report.data.source);
        let line = format!("{} runs of {n_models} models · {source}", reports.len());
        out.leaf("p", &[("class", &"byline")], line);
        if !same_data(reports) {
            let caution = "Caution: these runs were not all scored on the same data; their scores \
                           are not comparable.";
            out.leaf("p", &[("class", &"caution"), ("role", &"note")], caution);
        }
    });
}

fn scores(out: &mut Markup, reports: &[Report], first: &Report) {
    let all = || reports.iter().flat_map(|report| &report.scores);
    let unit = first.data.time_scale().unit();
    let details = detail_metrics(all(), &first.data);
    let main: Vec<Metric> = all_metrics(all(), &first.data)
        .into_iter()
        .filter(|metric| !details.contains(metric))
        .collect();
    let table = ScoreTable::of_runs(reports, main);
    score_table(out, "Scores on the test split", &table, unit);
    footnotes(out, &table);
    out.leaf("p", &[("class", &"note")], notes::comparison());
    if !details.is_empty() {
        let table = ScoreTable::of_runs(reports, details);
        score_table(out, "By horizon and by variable", &table, unit);
    }
}

fn curves(out: &mut Markup, reports: &[Report], groups: &[Group<'_>], first: &Report) {
    let growth: Vec<Growth> = growths(reports, groups);
    if !growth.is_empty() {
        let thresholds = thresholds(reports.iter().flat_map(|report| &report.scores));
        let caption = format!(
            "Relative error of free runs: median over the starts, with quartiles; of several seeds \
             the median of their medians, with their range. Baselines dashed.{}",
            notes::thresholds(&thresholds)
        );
        figure(out, Span::Half, &caption, |width| {
            plot::error_growth(&growth, &thresholds, &first.data, width)
        });
    }
    let losses: Vec<LossCurve<'_>> = groups
        .iter()
        .enumerate()
        .flat_map(|(i, group)| {
            let look = Look { colour: i + 1, is_dashed: false };
            group.reports.iter().enumerate().map(move |(seed, report)| LossCurve {
                name: if seed == 0 { group.label.clone() } else { String::new() },
                look,
                training: &report.training,
            })
        })
        .collect();
    figure(out, Span::Half, "Validation loss by epoch, one line per run.", |width| {
        plot::validation_curves(&losses, plot::MEAN_SQUARED, width)
    });
}

/// One line per model, then the baselines.
fn growths(reports: &[Report], groups: &[Group<'_>]) -> Vec<Growth> {
    let look = |colour, is_dashed| Look { colour, is_dashed };
    let models = groups.iter().enumerate().filter_map(|(i, group)| {
        let curves: Vec<&ErrorGrowth> =
            group.reports.iter().filter_map(|report| model_growth(report)).collect();
        over_seeds(&group.label, look(i + 1, false), &curves)
    });
    let below = baselines(reports).into_iter().enumerate().filter_map(|(i, row)| {
        let all = reports.iter().flat_map(|report| &report.rollouts.error_growth);
        let curve = all
            .filter(|curve| curve.is_drawable())
            .find(|curve| curve.is_baseline && curve.name == row.name)?;
        Some(Growth {
            name: curve.name.clone(),
            look: look(groups.len() + 1 + i, true),
            steps: curve.steps.clone(),
            middle: curve.median.clone(),
            low: Vec::new(),
            high: Vec::new(),
        })
    });
    models.chain(below).collect()
}

fn model_growth(report: &Report) -> Option<&ErrorGrowth> {
    let name = model_row(report).map(|row| row.name.as_str());
    let mut models = report.rollouts.error_growth.iter().filter(|curve| !curve.is_baseline);
    models.clone().find(|curve| Some(curve.name.as_str()) == name).or_else(|| models.next())
}

/// The quartiles of one run; of several, median and range of their medians at common horizons.
fn over_seeds(name: &str, look: Look, curves: &[&ErrorGrowth]) -> Option<Growth> {
    let (first, others) = curves.split_first()?;
    let name = name.to_string();
    if others.is_empty() {
        return Some(Growth {
            name,
            look,
            steps: first.steps.clone(),
            middle: first.median.clone(),
            low: first.q25.clone(),
            high: first.q75.clone(),
        });
    }
    let at = |curve: &ErrorGrowth, steps: usize| {
        let i = curve.steps.iter().position(|other| *other == steps)?;
        curve.median.get(i).copied()
    };
    let (mut steps, mut spreads) = (Vec::new(), Vec::new());
    for &horizon in &first.steps {
        let medians: Option<Vec<f64>> = curves.iter().map(|curve| at(curve, horizon)).collect();
        if let Some(medians) = medians {
            steps.push(horizon);
            spreads.push(median_and_range(&medians).unwrap_or([f64::NAN; 3]));
        }
    }
    let [middle, low, high] = [0, 1, 2].map(|i| spreads.iter().map(|spread| spread[i]).collect());
    Some(Growth { name, look, steps, middle, low, high })
}

fn runs(out: &mut Markup, groups: &[Group<'_>]) {
    for group in groups {
        out.element("div", &[("class", &"runs")], |out| {
            let parameters = count(group.reports[0].model.n_parameters);
            out.leaf("h3", &[], format!("{} · {parameters} parameters", group.label));
            out.element("ul", &[], |out| {
                for (report, name) in group.reports.iter().zip(run_labels(group)) {
                    out.element("li", &[], |out| {
                        let training = &report.training;
                        out.text(format!(
                            "{name}: {}, {} epochs, epoch {} kept ",
                            report.run.name, training.epochs, training.best_epoch
                        ));
                        out.leaf("code", &[], &report.run.command);
                    });
                }
            });
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
        let html = render_comparison("Lorenz: three mechanisms", &synthetic::comparison());
        assert_well_formed(&html);
        assert_self_contained(&html);
        assert_well_formed(&render_comparison("nothing", &[]));
    }

    #[test]
    fn names_from_files_cannot_become_markup() {
        let evil = "<img src=x onerror=alert(1)>";
        let mut reports = synthetic::comparison();
        for report in &mut reports {
            report.run.name = evil.into();
            report.run.command = evil.into();
            report.scores[0].name = evil.into();
            report.data.columns[0] = evil.into();
        }
        let html = render_comparison(evil, &reports);
        assert!(!html.contains("<img"));
        assert_well_formed(&html);
    }

    #[test]
    fn baselines_stand_below_the_rule_once() {
        let html = render_comparison("t", &synthetic::comparison());
        let table = &html[html.find("class=\"baselines\"").unwrap()..];
        let body = &table[..table.find("</tbody>").unwrap()];
        assert_eq!(body.matches("<tr").count(), 4);
        assert!(!html[..html.find("class=\"baselines\"").unwrap()].contains("NVAR"));
    }

    #[test]
    fn the_band_of_several_seeds_is_their_range_at_common_horizons() {
        let curve = |steps: [usize; 3], median: [f64; 3]| ErrorGrowth {
            steps: steps.to_vec(),
            median: median.to_vec(),
            ..ErrorGrowth::default()
        };
        let look = Look { colour: 1, is_dashed: false };
        let curves = [
            &curve([1, 2, 4], [1.0, 2.0, 3.0]),
            &curve([1, 3, 4], [5.0, 9.0, f64::NAN]),
            &curve([1, 2, 4], [4.0, 2.0, 7.0]),
        ];
        let growth = over_seeds("a", look, &curves).unwrap();
        assert_eq!(growth.steps, [1, 4]);
        assert_eq!(growth.middle, [4.0, 5.0]);
        assert_eq!(growth.low, [1.0, 3.0]);
        assert_eq!(growth.high, [5.0, 7.0]);
        assert!(over_seeds("a", look, &[]).is_none());
    }

    #[test]
    fn runs_on_other_data_are_pointed_out() {
        let mut reports = synthetic::comparison();
        assert!(!render_comparison("t", &reports).contains("not comparable"));
        reports[2].data.columns[1] = "other".into();
        assert!(render_comparison("t", &reports).contains("not comparable"));
    }
}
