//! What a trained operator makes of a user's functions, on their own points or at any place.

use std::path::Path;

use burn::tensor::Device;
use regard_data::operator::{
    FunctionArchive, FunctionSet, Functions, Points, interpolate, read_places, vtk, write_npz,
};
use regard_data::{Series, SeriesSet, file};
use regard_nn::model::operator::{Operator, OperatorConfig, Sites};

use super::config::OperatorRunConfig;
use super::data::{Part, arrays};
use super::objective;
use crate::error::TrainError;
use crate::model_file::{self, OperatorCard};
use crate::precision::Precision;
use crate::predict::{PredictRequest, Prediction};
use crate::run::in_pool;
use crate::run_folder::RunFolder;

/// The array of the inputs in an archive that names no other.
const INPUT: &str = "input";

/// Applies a run to the functions of an archive and writes what it makes of them.
///
/// # Errors
/// [`TrainError`] if the run, the archive or the places cannot be read, the channels differ, the model does
/// not take the points, or the result cannot be written.
pub(crate) fn predict(
    folder: &RunFolder,
    config: &OperatorRunConfig,
    request: &PredictRequest,
) -> Result<Prediction, TrainError> {
    request.refuse_steps()?;
    let (model, card) = model_file::load_operator(&folder.model(), &Device::default())?;
    let part = read(config, &card, request)?;
    model.accepts(&part.sites)?;
    let points = part.set.points();
    let places = match &request.points {
        None => None,
        Some(path) => Some(read_places(path, points)?),
    };
    let direct = matches!(&model, Operator::Tno(tno) if tno.reads_anywhere());
    let d = card.outputs.len();
    let values = in_pool(|| match &places {
        Some(places) if direct => at_places(&model, &card, &part, places),
        Some(places) => {
            let own = objective::predict(&model, &part, &card.normalization[1]);
            own.chunks(points.count() * d).flat_map(|u| interpolate(points, u, d, places)).collect()
        }
        None => objective::predict(&model, &part, &card.normalization[1]),
    });
    write(&request.output, &card, &part.set, places.as_deref(), values)?;
    Ok(Prediction::Functions {
        functions: part.len(),
        columns: card.outputs,
        places: places.map_or_else(|| points.count(), |p| p.len() / points.dimensions()),
        interpolated: request.points.is_some() && !direct,
    })
}

/// The inputs of an archive; their outputs are zero unless the model is told the first of them.
fn read(
    config: &OperatorRunConfig,
    card: &OperatorCard,
    request: &PredictRequest,
) -> Result<Part, TrainError> {
    let first_output = matches!(&card.operator, OperatorConfig::Tno(tno) if tno.first_output);
    let input = request.array.as_deref().unwrap_or(INPUT);
    let output =
        input.strip_suffix(INPUT).map_or("output".to_owned(), |part| format!("{part}output"));
    let arrays = arrays(config, input, &output);
    let mut archive = FunctionArchive::open(&request.input)?;
    let set = if first_output {
        archive.read(&arrays)?
    } else {
        let (points, inputs) = archive.read_inputs(&arrays)?;
        let samples = inputs.values.len() / (points.count() * inputs.channels.len());
        let zeros = vec![0.0; samples * points.count() * card.outputs.len()];
        let outputs = Functions::new(card.outputs.clone(), zeros);
        FunctionSet::new(points, inputs, outputs).map_err(regard_data::DataError::from)?
    };
    let found = [set.inputs(), set.outputs()].map(|functions| functions.channels.len());
    let expected = [card.inputs.len(), card.outputs.len()];
    if found != expected {
        return Err(TrainError::OtherChannels { file: request.input.clone(), found, expected });
    }
    Part::new(set, &card.normalization, card.quadrature, first_output)
}

/// The results at places, by cross-attention.
fn at_places(model: &Operator, card: &OperatorCard, part: &Part, places: &[f64]) -> Vec<f64> {
    let Operator::Tno(tno) = model else { unreachable!("only this model reads anywhere") };
    let dimensions = part.set.points().dimensions();
    // Grids are ordered by rows, y, then by columns, x.
    let coordinates = places.chunks_exact(dimensions).flat_map(|place| place.iter().rev());
    let n = places.len() / dimensions;
    let targets = Sites::scattered(coordinates.copied().collect(), dimensions, vec![1.0; n]);
    let (device, precision) = (Device::default(), Precision::of_module(model));
    let found: Vec<f64> = (0..part.len())
        .flat_map(|i| {
            let [x, _] = part.batch(&[i], |_| None, &device, precision);
            let y = tno.forward_at(x, &part.sites, &targets);
            y.try_into_vec_as::<f64>().expect("numbers convert to f64")
        })
        .collect();
    card.normalization[1].phys_from_norm(&found)
}

/// Writes an archive or fields of all functions, or a table with the coordinates of every value.
fn write(
    path: &Path,
    card: &OperatorCard,
    set: &FunctionSet,
    places: Option<&[f64]>,
    values: Vec<f64>,
) -> Result<(), TrainError> {
    let points = set.points();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match (extension, places) {
        ("npz", None) => {
            let outputs = Functions::new(card.outputs.clone(), values);
            let found = FunctionSet::new(points.clone(), set.inputs().clone(), outputs);
            write_npz(path, &[("", &found.map_err(regard_data::DataError::from)?)])?;
        }
        ("vti", None) => fields(path, card, set, &values)?,
        _ => {
            let own = points.coordinates();
            let places = places.unwrap_or(&own);
            file::write(path, &table(card, points, places, &values))?;
        }
    }
    Ok(())
}

/// Every channel of every input and output as a field of its own.
fn fields(
    path: &Path,
    card: &OperatorCard,
    set: &FunctionSet,
    values: &[f64],
) -> Result<(), TrainError> {
    let count = set.points().count();
    let mut named = Vec::new();
    for sample in 0..set.samples() {
        let width = count * card.outputs.len();
        let found = &values[sample * width..(sample + 1) * width];
        for (channels, values) in [(&card.inputs, set.input(sample)), (&card.outputs, found)] {
            for (i, channel) in channels.iter().enumerate() {
                let name = if set.samples() == 1 {
                    channel.clone()
                } else {
                    format!("{channel}_{sample}")
                };
                let field: Vec<f64> =
                    values.iter().skip(i).step_by(channels.len()).copied().collect();
                named.push((name, field));
            }
        }
    }
    let named: Vec<(&str, &[f64])> =
        named.iter().map(|(name, field)| (name.as_str(), field.as_slice())).collect();
    Ok(vtk::write(path, set.points(), &named)?)
}

/// Coordinates, then values; one series per function.
fn table(card: &OperatorCard, points: &Points, places: &[f64], values: &[f64]) -> SeriesSet {
    let (dimensions, d) = (points.dimensions(), card.outputs.len());
    let names: &[&str] = if dimensions == 1 { &["coordinate"] } else { &["x", "y"] };
    let columns = names.iter().map(ToString::to_string).chain(card.outputs.clone()).collect();
    let n = places.len() / dimensions;
    let series = values.chunks(n * d).enumerate().map(|(sample, values)| {
        let rows = places.chunks_exact(dimensions).zip(values.chunks_exact(d));
        let rows = rows.flat_map(|(place, value)| place.iter().chain(value)).copied();
        Series::new(sample.to_string(), rows.collect(), dimensions + d)
    });
    SeriesSet { columns, series: series.collect(), dt: None }
}
