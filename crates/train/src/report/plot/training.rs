//! Loss against epoch.

use super::super::markup::Markup;
use super::super::schema::TrainingInfo;
use super::chart::{Chart, Line, Look, Mark};
use super::scale::Scale;

/// Height of the frame, in CSS pixels.
const HEIGHT: f64 = 220.0;

/// Name of the loss of forecasters.
pub(in super::super) const MEAN_SQUARED: &str = "mean squared error, standardised units";

/// The validation losses of one run among several.
pub(in super::super) struct LossCurve<'a> {
    /// Name in the legend; empty for none.
    pub(in super::super) name: String,
    /// Colour and stroke.
    pub(in super::super) look: Look,
    /// The training.
    pub(in super::super) training: &'a TrainingInfo,
}

/// Losses of a forecaster: see [`loss_curves`].
pub(in super::super) fn training_curves(training: &TrainingInfo, width: f64) -> Markup {
    loss_curves(training, MEAN_SQUARED, width)
}

/// Training and validation loss of one run on a logarithmic axis, with the epoch that was kept.
pub(in super::super) fn loss_curves(training: &TrainingInfo, loss: &str, width: f64) -> Markup {
    let losses = |name: &str, colour, of: fn(&super::super::EpochRow) -> Option<f64>| {
        let y: Vec<f64> = training.curve.iter().map(|row| of(row).unwrap_or(f64::NAN)).collect();
        let look = Look { colour, is_dashed: colour == 0 };
        Line { name: name.to_string(), look, x: epochs(training), y }
    };
    let mut lines = vec![
        losses("training", 0, |row| Some(row.train_loss)),
        losses("validation", 1, |row| row.validation_loss),
    ];
    lines.retain(|line| line.y.iter().any(|y| y.is_finite()));
    let best = Mark::Vertical {
        x: training.best_epoch as f64,
        label: format!("epoch {} kept", training.best_epoch),
    };
    let description = format!(
        "Loss against epoch, {} epochs; the weights of epoch {} were kept.",
        training.epochs, training.best_epoch
    );
    chart(loss, &description, lines, vec![best]).draw(width, HEIGHT)
}

/// Validation losses of several runs.
pub(in super::super) fn validation_curves(
    curves: &[LossCurve<'_>],
    loss: &str,
    width: f64,
) -> Markup {
    let lines = curves
        .iter()
        .map(|curve| {
            let rows = &curve.training.curve;
            Line {
                name: curve.name.clone(),
                look: curve.look,
                x: epochs(curve.training),
                y: rows.iter().map(|row| row.validation_loss.unwrap_or(f64::NAN)).collect(),
            }
        })
        .collect();
    let description = "Validation loss of every run against epoch.";
    chart(loss, description, lines, Vec::new()).draw(width, HEIGHT)
}

fn chart<'a>(loss: &'a str, description: &'a str, lines: Vec<Line>, marks: Vec<Mark>) -> Chart<'a> {
    let losses = lines.iter().flat_map(|line| line.y.iter().copied());
    let epochs = lines.iter().flat_map(|line| line.x.iter().copied());
    Chart {
        title: "Training",
        description,
        x: (Scale::linear(epochs), "epoch"),
        y: (Scale::log(losses), loss),
        lines,
        bands: Vec::new(),
        marks,
    }
}

fn epochs(training: &TrainingInfo) -> Vec<f64> {
    training.curve.iter().map(|row| row.epoch as f64).collect()
}
