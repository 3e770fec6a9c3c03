//! The page of a sweep: the chosen trial, every trial across the keys, which keys mattered.

use super::super::format::{MISSING, Notation, duration};
use super::super::markup::Markup;
use super::super::plot;
use super::super::sweep::{SweepReport, SweepTrial, shown};
use super::super::sweep_text::short;
use super::page::{Span, figure, page, section, tile};
use super::run::finished;
use super::table::scrolling;

/// The page of a sweep, complete in itself.
#[must_use]
pub fn render_sweep(report: &SweepReport) -> String {
    let title = format!("Sweep {}", report.name);
    page(&title, &report.version, |out| {
        header(out, report, &title);
        if let Some(best) = &report.best {
            section(out, "The chosen trial", |out| {
                for (what, command) in [
                    ("Train it again: ", &best.command),
                    ("Score its model on the test part, once: ", &best.score),
                ] {
                    out.element("p", &[("class", &"command")], |out| {
                        out.text(what);
                        out.leaf("code", &[], command);
                    });
                }
            });
        }
        section(out, "Trials", |out| {
            pictures(out, report);
            trials(out, report);
        });
        section(out, "Importance of the keys", |out| importance(out, report));
    })
}

fn header(out: &mut Markup, report: &SweepReport, title: &str) {
    out.element("header", &[], |out| {
        out.leaf("h1", &[], title);
        let line = [
            format!("base {}", report.base),
            format!("{} search", report.method),
            format!("seed {}", report.seed),
            finished(&report.created),
        ];
        out.leaf("p", &[("class", &"byline")], line.join(" · "));
        let direction = if report.is_minimised { "lowest" } else { "highest" };
        let sentence = format!(
            "Trials are judged by their {direction} {} over the epochs; the test part has no share in \
             this page.",
            report.objective
        );
        out.leaf("p", &[("class", &"summary")], sentence);
        out.element("dl", &[("class", &"tiles")], |out| tiles(out, report));
    });
}

fn tiles(out: &mut Markup, report: &SweepReport) {
    if let Some(best) = report.best_trial() {
        let detail = format!("trial {}, epoch {}", best.number, best.best_epoch.unwrap_or(0));
        tile(out, &format!("best {}", report.objective), &objective(best), &detail);
    }
    for state in ["finished", "pruned", "failed", "running"] {
        let n = report.count(state);
        if n > 0 || state == "finished" {
            tile(out, state, &n.to_string(), "");
        }
    }
    let seconds: f64 = report.trials.iter().map(|trial| trial.seconds).sum();
    tile(out, "time of all trials", &duration(seconds), "");
}

fn pictures(out: &mut Markup, report: &SweepReport) {
    if report.n_judged == 0 {
        return;
    }
    let caption = format!(
        "One line per trial across its keys to its rank by {}; axes as the ranges are drawn, \
         logarithmic where those are. Pruned trials are ranked below finished ones, by their best value \
         until then.",
        report.objective
    );
    figure(out, Span::Full, &caption, |width| plot::parallel_coordinates(report, width));
    let caption = "Value of every trial, and the best of the finished ones so far.";
    figure(out, Span::Half, caption, |width| plot::best_so_far(report, width));
}

fn trials(out: &mut Markup, report: &SweepReport) {
    scrolling(out, "Trials, best first", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            let names = report.keys.iter().map(|key| short(&key.key));
            let first = ["trial", "state", report.objective.as_str(), "epoch", "epochs", "time"];
            head(out, first.into_iter().chain(names));
            out.element("tbody", &[], |out| {
                for trial in report.ranked() {
                    row(out, report, trial);
                }
            });
        });
    });
    for trial in &report.trials {
        if let Some(message) = &trial.message {
            let text = format!("Trial {} failed: {message}", trial.number);
            out.leaf("p", &[("class", &"footnote")], text);
        }
    }
}

fn head<'a>(out: &mut Markup, names: impl IntoIterator<Item = &'a str>) {
    out.element("thead", &[], |out| {
        out.element("tr", &[], |out| {
            for name in names {
                out.leaf("th", &[("scope", &"col")], name);
            }
        });
    });
}

fn row(out: &mut Markup, report: &SweepReport, trial: &SweepTrial) {
    out.element("tr", &[], |out| {
        out.leaf("th", &[("scope", &"row")], trial.number);
        out.leaf("td", &[("class", &"words")], &trial.state);
        out.leaf("td", &[], objective(trial));
        let epoch = trial.best_epoch.map_or(MISSING.to_owned(), |epoch| epoch.to_string());
        out.leaf("td", &[], epoch);
        out.leaf("td", &[], trial.epochs);
        out.leaf("td", &[], duration(trial.seconds));
        for key in &report.keys {
            out.leaf("td", &[], trial.parameters.get(&key.key).map_or(MISSING.to_owned(), shown));
        }
    });
}

fn importance(out: &mut Markup, report: &SweepReport) {
    let mut keys: Vec<_> = report.keys.iter().collect();
    keys.sort_by(|a, b| b.importance.unwrap_or(-1.0).total_cmp(&a.importance.unwrap_or(-1.0)));
    scrolling(out, "Importance of the keys", |out| {
        out.element("table", &[("class", &"splits")], |out| {
            head(out, ["key", "share of variance", "groups", "range"]);
            out.element("tbody", &[], |out| {
                for key in keys {
                    out.element("tr", &[], |out| {
                        out.leaf("th", &[("scope", &"row")], &key.key);
                        let share = key
                            .importance
                            .map_or(MISSING.to_owned(), |s| format!("{:.0} %", 100.0 * s));
                        out.leaf("td", &[], share);
                        let groups = if key.n_groups == 0 {
                            MISSING.to_owned()
                        } else {
                            key.n_groups.to_string()
                        };
                        out.leaf("td", &[], groups);
                        out.leaf("td", &[("class", &"words")], &key.range);
                    });
                }
            });
        });
    });
    let note = format!(
        "Share of the variance of the {} trials' ranks that goes with the key alone, its values in \
         groups, less what groups without meaning would explain on average (ε² of a one-way analysis). \
         Keys that matter only together are not seen, and a search that stays in a good region makes \
         its keys look less important.",
        report.n_judged
    );
    out.leaf("p", &[("class", &"note")], note);
}

fn objective(trial: &SweepTrial) -> String {
    trial.objective.map_or(MISSING.to_owned(), |v| Notation::Typeset.significant(v, 4))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::sweep::{SweepBest, SweepKey};
    use super::super::super::{sweep_line, sweep_table};
    use super::super::testing::{assert_self_contained, assert_well_formed};
    use super::*;

    fn report() -> SweepReport {
        let key = |key: &str, choices: &[&str]| SweepKey {
            key: key.to_owned(),
            range: "0.1 to 0.2".to_owned(),
            choices: choices.iter().map(ToString::to_string).collect(),
            ends: ["0.1".to_owned(), "0.2".to_owned()],
            importance: Some(0.25),
            n_groups: 2,
        };
        let trial = |number: usize, state: &str, objective| SweepTrial {
            number,
            state: state.to_owned(),
            objective,
            best_epoch: objective.map(|_| 3),
            epochs: 4,
            seconds: 2.0,
            parameters: BTreeMap::from([
                ("a.rate".to_owned(), serde_json::json!(0.15)),
                ("a.mode".to_owned(), serde_json::json!("<b>&")),
            ]),
            positions: vec![0.5, number as f64 / 10.0],
            message: (state == "failed").then(|| "the loss became NaN".to_owned()),
        };
        SweepReport {
            format_version: SweepReport::FORMAT_VERSION,
            name: "<mine>".to_owned(),
            base: "lorenz".to_owned(),
            objective: "validation_loss".to_owned(),
            is_minimised: true,
            method: "tpe".to_owned(),
            seed: 0,
            created: "2031-05-04T12:30:00Z".to_owned(),
            version: "0".to_owned(),
            keys: vec![key("a.rate", &[]), key("a.mode", &["<b>&", "c"])],
            n_judged: 3,
            best: Some(SweepBest {
                number: 4,
                command: "regard train lorenz --set a.rate=0.15".to_owned(),
                score: "regard train --resume sweeps/mine/trials/0004".to_owned(),
            }),
            trials: vec![
                trial(1, "finished", Some(0.5)),
                trial(2, "pruned", Some(0.01)),
                trial(3, "failed", None),
                trial(4, "finished", Some(0.3)),
                trial(5, "running", None),
            ],
        }
    }

    #[test]
    fn the_page_is_well_formed_and_needs_nothing_else() {
        let html = render_sweep(&report());
        assert_well_formed(&html);
        assert_self_contained(&html);
        let empty = SweepReport { trials: Vec::new(), best: None, n_judged: 0, ..report() };
        assert_well_formed(&render_sweep(&empty));
        let read: SweepReport =
            serde_json::from_str(&serde_json::to_string(&report()).unwrap()).unwrap();
        assert_eq!(read, report());
    }

    #[test]
    fn finished_trials_come_before_pruned_ones() {
        let report = report();
        let order: Vec<usize> = report.ranked().iter().map(|trial| trial.number).collect();
        assert_eq!(order, [4, 1, 2, 3, 5]);
        let best: Vec<f64> = report.best_so_far().into_iter().map(|(_, best)| best).collect();
        assert_eq!(best, [0.5, 0.5, 0.5, 0.3, 0.3]);
    }

    #[test]
    fn the_terminal_shows_the_best_and_how_to_have_it() {
        insta::assert_snapshot!(sweep_table(&report()));
        assert_eq!(
            sweep_line("trial 4 of 20", 4, &report(), Some(15.0)),
            "trial 4 of 20: validation_loss 0.3000 at epoch 3 · 2.0 s · best 0.3000 (trial 4) · about \
             15.0 s left"
        );
    }
}
