//! The heads of a classifier: how far apart their results are, and the ranks of their weights.
//!
//! Score matrices of series of unequal length cannot be averaged, so that there are none.

use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use regard_nn::model::classifier::Classifier;

use super::{HeadInspection, Inspection, WINDOWS, redundancy};
use crate::classification::{Batch, Classification, ClassifyConfig, Part, other_set};
use crate::error::TrainError;
use crate::model_file::{self, ClassifierCard};
use crate::observer::Observer;
use crate::precision::Precision;
use crate::registry;
use crate::run_folder::RunFolder;

/// Looks at a run that classifies, on series of its test part or of another file.
pub(super) fn inspect(
    folder: &RunFolder,
    config: &ClassifyConfig,
    data: Option<&Path>,
    observer: &mut dyn Observer,
) -> Result<Inspection, TrainError> {
    let device = Device::default();
    let (model, card) = model_file::load_classifier(&folder.model(), &device)?;
    let trained = model.valid();
    if trained.mechanisms().is_empty() {
        return Err(folder.error(
            "only models of kind \"classifier\" and \"vision\" are inspected; give a run of one",
        ));
    }
    observer.phase("preparing data", None);
    let test = test_part(folder, config, &card, data)?;
    device.seed(config.seed);
    let fresh = card.classifier.init(card.shape, &device)?.valid();
    observer.phase("distances of heads", None);
    let n = test.len().min(WINDOWS);
    let indices: Vec<usize> = (0..n).map(|i| i * test.len() / n).collect();
    let given = |model: &Classifier| {
        let Batch { x, padding, .. } =
            test.batch(&indices, &device, Precision::of_module(model), None);
        model.block_inputs(x, padding.as_ref())
    };
    let [(seen, padding), (drawn, _)] = [given(&trained), given(&fresh)];
    let (mut heads, mut redundancy) = (Vec::new(), Vec::new());
    let mechanisms = trained.mechanisms().into_iter().zip(fresh.mechanisms());
    for (layer, (a, b)) in mechanisms.enumerate() {
        let given = [(a, &seen[layer]), (b, &drawn[layer])];
        redundancy.extend(redundancy::layer(layer, given, padding.as_ref()));
        let weights = redundancy::weights(a, b)
            .ok_or_else(|| folder.error("its parameters are not finite; train anew"))?;
        heads.extend(weights.into_iter().enumerate().map(|(head, weights)| HeadInspection {
            layer,
            head,
            matrices: Vec::new(),
            weights,
            gain_bound: None,
            eigenvalues: Vec::new(),
        }));
    }
    if heads.is_empty() && redundancy.is_empty() {
        return Err(folder.error(
            "its mechanism has no heads that can be told apart; give a run of softmax attention",
        ));
    }
    Ok(Inspection {
        folder: folder.path().to_owned(),
        mechanism: registry::classifier_name(&card.classifier).to_owned(),
        window: card.shape.time,
        dt: None,
        n_windows: n,
        eigenvalues_of: "",
        heads,
        redundancy,
        peaks: None,
    })
}

/// The test part of the run, or that of another file, or all of it.
fn test_part(
    folder: &RunFolder,
    config: &ClassifyConfig,
    card: &ClassifierCard,
    data: Option<&Path>,
) -> Result<Part, TrainError> {
    let Some(path) = data else {
        return Ok(Classification::prepare(config, &folder.name())?.test);
    };
    let (set, _) = other_set(path, config, card)?;
    Ok(Part::new(set, card.normalization.clone(), card.shape.time))
}
