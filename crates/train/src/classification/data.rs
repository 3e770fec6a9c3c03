//! From a configuration to normalised labelled series, split, as batches.

use std::collections::BTreeSet;

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use regard_data::augment::AugmentConfig;
use regard_data::labelled::{self, LabelledSet, LabelledSplit};
use regard_data::normalize::Normalization;
use regard_nn::model::classifier::ClassifyShape;

use super::config::ClassifyConfig;
use crate::error::TrainError;
use crate::precision::{Precision, tensor};
use crate::report::{ClassData, ClassPart};

/// Everything a classifier is trained and scored on.
#[derive(Debug, Clone)]
pub(crate) struct Classification {
    pub(crate) shape: ClassifyShape,
    pub(crate) train: Part,
    /// Empty if nothing was held out.
    pub(crate) validation: Part,
    pub(crate) test: Part,
    pub(crate) normalization: Normalization,
    /// Deviation of every channel in the training part, physical units.
    pub(crate) std: Vec<f64>,
    pub(crate) info: ClassData,
}

/// Series with their labels; normalised on their way into a batch, after augmentation, since a rotation
/// of a sensor is one in physical units only.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) set: LabelledSet,
    normalization: Normalization,
    /// Steps of the longest series of all parts.
    time: usize,
    /// Height and width, where the series are images.
    grid: Option<[usize; 2]>,
}

/// Some series as tensors.
pub(crate) struct Batch {
    /// `[batch, time, channels]`, zero behind the end of a series.
    pub(crate) x: Tensor<3>,
    /// `[batch]`
    pub(crate) labels: Tensor<1, Int>,
    /// `[batch, time]`, true behind the end of a series; `None` if all are of full length.
    pub(crate) padding: Option<Tensor<2, Bool>>,
}

/// Random changes of a training batch.
pub(crate) struct Augmentation<'a> {
    pub(crate) config: &'a AugmentConfig,
    /// Deviation of every channel in the training part, physical units.
    pub(crate) std: &'a [f64],
    pub(crate) seed: u64,
    pub(crate) step: u64,
}

impl Classification {
    /// Reads, splits and normalises.
    ///
    /// # Errors
    /// If there is no data, it cannot be read, or a part would be empty.
    pub(crate) fn prepare(config: &ClassifyConfig, origin: &str) -> Result<Self, TrainError> {
        let Some(path) = &config.data.path else {
            return Err(TrainError::NoData { origin: origin.to_owned() });
        };
        let data = labelled::read(path, &config.data.options)?;
        let description = data.description.clone();
        let grid = data.grid;
        let LabelledSplit { train, validation, test, .. } = config.split.split(data)?;
        let channels = train.set.channels();
        config.augment.check(channels, grid)?;
        let fitted = Normalization::fit(&train.set);
        let std = fitted.std.clone();
        let normalization = if config.data.normalize {
            Normalization::fit_sample(&train.set)
        } else {
            let one = vec![1.0; channels];
            Normalization { mean: vec![0.0; channels], std: one.clone(), increment_std: one }
        };
        let lengths = [&train, &validation, &test].map(|set| set.set.lengths());
        let time = lengths.into_iter().flatten().max().unwrap_or(0);
        let info = ClassData {
            source: description,
            columns: train.set.columns.clone(),
            classes: train.classes.clone(),
            train: part_info(&train),
            validation: part_info(&validation),
            test: part_info(&test),
        };
        let [train, validation, test] = [train, validation, test].map(|set| Part {
            set,
            normalization: normalization.clone(),
            time,
            grid,
        });
        Ok(Self {
            shape: ClassifyShape { time, channels, classes: info.classes.len(), grid },
            train,
            validation,
            test,
            normalization,
            std,
            info,
        })
    }
}

pub(crate) fn part_info(set: &LabelledSet) -> ClassPart {
    let names: BTreeSet<&String> = set.groups.iter().flatten().collect();
    let mut groups: Vec<String> = names.into_iter().cloned().collect();
    // Numbers in their own order, before names.
    groups.sort_by_key(|group| group.parse::<u64>().unwrap_or(u64::MAX));
    ClassPart { n: set.len(), counts: set.class_counts(), groups }
}

impl Part {
    /// A set for a model of this normalisation that reads series of `time` steps.
    pub(crate) fn new(set: LabelledSet, normalization: Normalization, time: usize) -> Self {
        // A trained model only scores such a part: the grid is for random changes.
        Self { set, normalization, time, grid: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.set.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// All series, normalised, each of its own length.
    pub(crate) fn normalized(&self) -> Vec<Vec<f64>> {
        let series = self.set.set.series.iter();
        series.map(|series| self.normalization.norm_from_phys(&series.values)).collect()
    }

    /// The series of these indices, padded behind, changed at random where asked.
    pub(crate) fn batch(
        &self,
        indices: &[usize],
        device: &Device,
        precision: Precision,
        augmentation: Option<&Augmentation<'_>>,
    ) -> Batch {
        let (n, time, channels) = (indices.len(), self.time, self.set.set.channels());
        let mut rows = vec![0.0; n * time * channels];
        let mut padded = vec![false; n * time];
        let mut rng = augmentation.map(Augmentation::rng);
        for (slot, &i) in indices.iter().enumerate() {
            let mut values = self.set.set.series[i].values.clone();
            if let (Some(augmentation), Some(rng)) = (augmentation, &mut rng) {
                augmentation.config.apply(rng, &mut values, channels, augmentation.std, self.grid);
            }
            let at = slot * time * channels;
            rows[at..at + values.len()]
                .copy_from_slice(&self.normalization.norm_from_phys(&values));
            padded[slot * time + values.len() / channels..(slot + 1) * time].fill(true);
        }
        #[expect(clippy::cast_possible_wrap, reason = "there are few classes")]
        let labels: Vec<i64> = indices.iter().map(|&i| self.set.labels[i] as i64).collect();
        let labels = TensorData::new(labels, [n]);
        let padding = padded
            .contains(&true)
            .then(|| Tensor::from_data(TensorData::new(padded, [n, time]), device));
        Batch {
            x: tensor(&rows, [n, time, channels], device, precision),
            labels: Tensor::from_data(labels, (device, DType::I64)),
            padding,
        }
    }
}

impl Augmentation<'_> {
    /// A stream that follows from seed and step, far from that of the order of series.
    fn rng(&self) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::MAX - self.step);
        rng
    }
}
