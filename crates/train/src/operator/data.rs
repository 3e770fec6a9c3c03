//! From an archive of pairs of functions to normalised parts, as batches.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use regard_data::DataError;
use regard_data::operator::{
    FunctionArchive, FunctionSet, Functions, PairArrays, Placement, PointArrays, Points,
    ScalarNormalization, interpolate,
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

    /// The same functions on another square grid: inputs from the nearest point, so that two values stay two,
    /// outputs by cubics; `None` if these points are no grid.
    pub(super) fn resampled(
        &self,
        size: usize,
        normalization: &[ScalarNormalization; 2],
        quadrature: Quadrature,
    ) -> Result<Option<Self>, TrainError> {
        let Points::Grid { placement, .. } = *self.set.points() else { return Ok(None) };
        let points = Points::Grid { rows: size, columns: size, placement };
        let places = points.coordinates();
        let nearest = nearest_points(self.set.points(), &places);
        let channels = [self.set.inputs(), self.set.outputs()].map(|f| f.channels.clone());
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for sample in 0..self.len() {
            let (a, n) = (self.set.input(sample), channels[0].len());
            inputs.extend(nearest.iter().flat_map(|&p| &a[p * n..(p + 1) * n]));
            let u = self.set.output(sample);
            outputs.extend(interpolate(self.set.points(), u, channels[1].len(), &places));
        }
        let [of_inputs, of_outputs] = channels;
        let (inputs, outputs) =
            (Functions::new(of_inputs, inputs), Functions::new(of_outputs, outputs));
        let set = FunctionSet::new(points, inputs, outputs).map_err(DataError::from)?;
        Ok(Some(Self::new(set, normalization, quadrature, false)?))
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

/// The point of a grid nearest to each place; the first of equally near ones along either axis.
fn nearest_points(grid: &Points, places: &[f64]) -> Vec<usize> {
    let Points::Grid { rows, columns, placement } = *grid else {
        unreachable!("the caller has a grid")
    };
    let along = |n: usize| {
        let axis = placement.coordinates(n);
        move |x: f64| {
            let apart =
                |i: &usize, j: &usize| (axis[*i] - x).abs().total_cmp(&(axis[*j] - x).abs());
            (0..n).min_by(apart).unwrap_or(0)
        }
    };
    let (row, column) = (along(rows), along(columns));
    places.chunks_exact(2).map(|place| row(place[1]) * columns + column(place[0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_two_values_keep_them_on_another_grid() {
        let points = Points::Grid { rows: 8, columns: 8, placement: Placement::Cells };
        let at = points.coordinates();
        let step = at.chunks_exact(2).map(|p| if p[0] + p[1] < 1.0 { 3.0 } else { 12.0 });
        let smooth = at.chunks_exact(2).map(|p| p[0] * p[1] * p[1]);
        let (inputs, outputs) =
            (Functions::new(["a"], step.collect()), Functions::new(["u"], smooth.collect()));
        let set = FunctionSet::new(points, inputs, outputs).unwrap();
        let (normalization, rule) = (set.normalization(), Quadrature::Rule);
        let part = Part::new(set, &normalization, rule, false).unwrap();
        let fine = part.resampled(12, &normalization, rule).unwrap().unwrap();
        assert_eq!(fine.set.points().shape(), [12, 12]);
        assert!(fine.set.inputs().values.iter().all(|a| [3.0_f64, 12.0].contains(a)));
        let at = fine.set.points().coordinates();
        for (place, u) in at.chunks_exact(2).zip(fine.set.output(0)) {
            assert!((u - place[0] * place[1] * place[1]).abs() < 1e-12);
        }
    }
}
