//! From an archive of pairs of functions to normalised parts, as batches.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use regard_data::DataError;
use regard_data::operator::{
    FunctionArchive, FunctionSet, PairArrays, Placement, PointArrays, Points, ScalarNormalization,
};
use regard_kernels::quadrature::{product, trapezoid};
use regard_nn::model::operator::{OperatorConfig, OperatorShape, Sites};

use super::config::{OperatorRunConfig, PartArrays, Quadrature};
use crate::error::TrainError;
use crate::precision::{Precision, tensor};
use crate::report::{OperatorData, OperatorPart};

/// Everything an operator is trained and scored on.
#[derive(Debug, Clone)]
pub(crate) struct OperatorParts {
    pub(super) shape: OperatorShape,
    pub(super) train: Part,
    /// Absent if nothing was held out to choose by.
    pub(super) validation: Option<Part>,
    /// By name; empty if nothing was held out to test on.
    pub(super) tests: Vec<(String, Part)>,
    /// Of inputs and of outputs.
    pub(super) normalization: [ScalarNormalization; 2],
    pub(super) info: OperatorData,
}

/// Pairs on common points, physical and normalised.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) set: FunctionSet,
    pub(super) sites: Sites,
    /// `[samples, points, d_in]`, normalised, with the first output behind where the model reads it.
    inputs: Vec<f64>,
    /// `[samples, points, d_out]`, normalised.
    outputs: Vec<f64>,
}

impl OperatorParts {
    /// Reads, splits and normalises.
    pub(super) fn prepare(config: &OperatorRunConfig, origin: &str) -> Result<Self, TrainError> {
        let Some(path) = &config.data.path else {
            return Err(TrainError::NoData { origin: origin.to_owned() });
        };
        let mut archive = FunctionArchive::open(path)?;
        let mut read = |input: &str, output: &str| archive.read(&arrays(config, input, output));
        let PartArrays { input, output } = &config.data.train;
        let all = read(input, output)?;
        let mut validation = match &config.data.validation {
            None => None,
            Some(PartArrays { input, output }) => Some(read(input, output)?),
        };
        let mut tests = Vec::new();
        for test in &config.data.test {
            tests.push((test.name.clone(), read(&test.input, &test.output)?));
        }
        let mut order: Vec<usize> = (0..all.samples()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
        let mut held_out = |share: f64| {
            let n = (share * all.samples() as f64).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
            let n = (n as usize).min(order.len().saturating_sub(1));
            let mut some = order.split_off(order.len() - n);
            some.sort_unstable();
            (!some.is_empty()).then_some(some)
        };
        if tests.is_empty()
            && let Some(samples) = held_out(config.split.test)
        {
            tests.push(("test".to_owned(), all.select(&samples).map_err(DataError::from)?));
        }
        if validation.is_none()
            && let Some(samples) = held_out(config.split.validation)
        {
            validation = Some(all.select(&samples).map_err(DataError::from)?);
        }
        order.sort_unstable();
        let train = all.select(&order).map_err(DataError::from)?;
        Self::new(config, path, train, validation, tests)
    }

    fn new(
        config: &OperatorRunConfig,
        path: &Path,
        train: FunctionSet,
        validation: Option<FunctionSet>,
        tests: Vec<(String, FunctionSet)>,
    ) -> Result<Self, TrainError> {
        let normalization = train.normalization();
        let first_output = matches!(&config.model, OperatorConfig::Tno(tno) if tno.first_output);
        let [n_in, n_out] = [train.inputs(), train.outputs()].map(|f| f.channels.len());
        let info = OperatorData {
            source: path.display().to_string(),
            inputs: train.inputs().channels.clone(),
            outputs: train.outputs().channels.clone(),
            train: OperatorPart::of("training", &train),
            validation: validation.as_ref().map(|set| OperatorPart::of("validation", set)),
            tests: tests.iter().map(|(name, set)| OperatorPart::of(name, set)).collect(),
        };
        let shape = OperatorShape {
            d_in: n_in + if first_output { n_out } else { 0 },
            d_out: n_out,
            dimension: train.points().dimensions(),
        };
        let part = |set| Part::new(set, &normalization, config.task.quadrature, first_output);
        let named = |(name, set): (String, FunctionSet)| Ok::<_, TrainError>((name, part(set)?));
        Ok(Self {
            shape,
            validation: validation.map(part).transpose()?,
            tests: tests.into_iter().map(named).collect::<Result<_, _>>()?,
            train: part(train)?,
            normalization,
            info,
        })
    }
}

/// Which arrays of the archive are a part, and where their points lie.
pub(super) fn arrays(config: &OperatorRunConfig, input: &str, output: &str) -> PairArrays {
    let data = &config.data;
    let points = match (&data.coordinates, data.placement) {
        (Some(name), _) => PointArrays::Line(name.clone()),
        (None, Some(placement)) => PointArrays::Grid(placement),
        (None, None) => PointArrays::Named(part_of(input).to_owned()),
    };
    PairArrays {
        input: input.to_owned(),
        output: output.to_owned(),
        points,
        sample_axes: data.sample_axes.unwrap_or(1),
        lag: data.lag.unwrap_or(0),
    }
}

/// The part that an array belongs to, by its name: what stands before `_input`.
fn part_of(input: &str) -> &str {
    input.strip_suffix("input").map_or("", |part| part.trim_end_matches('_'))
}

/// Points as the model takes them.
pub(super) fn sites(points: &Points, quadrature: Quadrature) -> Result<Sites, TrainError> {
    let end_points = |points: &[f64]| {
        trapezoid(points).map_err(|problem| TrainError::Points { problem: problem.to_string() })
    };
    match points {
        Points::Line(x) => {
            let weights = match quadrature {
                Quadrature::Rule => end_points(x)?,
                Quadrature::Equal => vec![1.0 / x.len() as f64; x.len()],
            };
            Ok(Sites::line(x.clone(), weights))
        }
        Points::Grid { rows, columns, placement } => {
            let (y, x) = (placement.coordinates(*rows), placement.coordinates(*columns));
            let sites = Sites::grid(&y, &x);
            if *placement == Placement::Nodes && quadrature == Quadrature::Rule {
                return Ok(sites.with_weights(product(&end_points(&y)?, &end_points(&x)?)));
            }
            Ok(sites)
        }
    }
}

impl Part {
    pub(super) fn new(
        set: FunctionSet,
        [of_inputs, of_outputs]: &[ScalarNormalization; 2],
        quadrature: Quadrature,
        first_output: bool,
    ) -> Result<Self, TrainError> {
        let sites = sites(set.points(), quadrature)?;
        let outputs = of_outputs.norm_from_phys(&set.outputs().values);
        let mut inputs = of_inputs.norm_from_phys(&set.inputs().values);
        if first_output {
            let (n_in, n_out) = (set.inputs().channels.len(), set.outputs().channels.len());
            let points = set.points().count();
            let rows = inputs.chunks_exact(n_in).enumerate();
            inputs = rows
                .flat_map(|(row, x)| {
                    let first = row / points * points * n_out;
                    x.iter().chain(&outputs[first..first + n_out]).copied()
                })
                .collect();
        }
        Ok(Self { set, sites, inputs, outputs })
    }

    pub(super) fn len(&self) -> usize {
        self.set.samples()
    }

    /// Normalised inputs and outputs of some pairs, `[pairs, points, channels]` each; pair `i` with its
    /// points in the order `orders(i)`, or as they are.
    pub(super) fn batch<'a>(
        &self,
        samples: &[usize],
        order: impl Fn(usize) -> Option<&'a [usize]>,
        device: &Device,
        precision: Precision,
    ) -> [Tensor<3>; 2] {
        let points = self.sites.n_points();
        [&self.inputs, &self.outputs].map(|values| {
            let channels = values.len() / (self.len() * points);
            let mut rows = Vec::with_capacity(samples.len() * points * channels);
            for (i, sample) in samples.iter().enumerate() {
                let own = &values[sample * points * channels..(sample + 1) * points * channels];
                match order(i) {
                    None => rows.extend_from_slice(own),
                    Some(order) => {
                        for &p in order {
                            rows.extend_from_slice(&own[p * channels..(p + 1) * channels]);
                        }
                    }
                }
            }
            tensor(&rows, [samples.len(), points, channels], device, precision)
        })
    }
}
