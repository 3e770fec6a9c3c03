//! Cases as a reader finds them, checked, without missing values, as series.
//!
//! A missing value is interpolated between its neighbours in the same case and dimension, in time
//! where the file has stamps; before the first and after the last value that value is held.
//!
//! Source: the pipeline of Wu et al. 2022, arXiv:2202.06258, for these files.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::{ArchiveProblem, Expected};
use super::lines::{Field, Line};
use crate::file::Missing;
use crate::labelled::npz::choose;
use crate::labelled::part::{Part, Places, complete};
use crate::labelled::read::{ClassOrder, LabelledOptions};
use crate::{Cell, DataError, Position, Series, SeriesSet};

/// Part of a time step by which another may differ from it.
const TOLERANCE: f64 = 0.01;

/// The cases of one file, and what is known of their sizes.
pub(super) struct Cases<'a> {
    pub(super) file: &'a Path,
    pub(super) options: &'a LabelledOptions,
    /// Dimensions of every case; those of the first one if the header does not say.
    pub(super) dimensions: Option<Expected>,
    /// Steps of every case, where all have the same.
    pub(super) steps: Option<Expected>,
    /// Line of the header that says that all cases have the same number of steps.
    pub(super) equal_since: Option<u64>,
    /// The declared labels, and the line that declares them.
    pub(super) declared: Option<(Vec<String>, u64)>,
    series: Vec<Series>,
    labels: Vec<String>,
    positions: Vec<Position>,
    /// Names of the channels, and the dimensions they are.
    channels: Option<(Vec<String>, Vec<usize>)>,
    time_step: TimeStep,
}

/// One case.
pub(super) struct Case<'a> {
    pub(super) line: Line<'a>,
    pub(super) dimensions: Vec<Dimension<'a>>,
    pub(super) label: Option<Field<'a>>,
    /// The time of each step, where the file tells it.
    pub(super) times: Option<Vec<f64>>,
}

/// The values of one dimension, NaN where they are missing.
pub(super) struct Dimension<'a> {
    /// Where they start.
    pub(super) field: Field<'a>,
    pub(super) values: Vec<f64>,
}

/// The time between two steps of all cases.
#[derive(Clone, Copy)]
enum TimeStep {
    Unknown,
    Even(f64),
    Uneven,
}

impl<'a> Cases<'a> {
    pub(super) fn new(file: &'a Path, options: &'a LabelledOptions) -> Self {
        Self {
            file,
            options,
            dimensions: None,
            steps: None,
            equal_since: None,
            declared: None,
            series: Vec::new(),
            labels: Vec::new(),
            positions: Vec::new(),
            channels: None,
            time_step: TimeStep::Unknown,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Adds a case.
    pub(super) fn push(&mut self, mut case: Case<'_>) -> Result<(), DataError> {
        let label = case.label.map(|label| self.label(label)).transpose()?;
        self.check_sizes(&case)?;
        for pair in case.times.iter().flat_map(|times| times.windows(2)) {
            self.time_step = self.time_step.and(pair[1] - pair[0]);
        }
        let (names, chosen) = match self.channels.take() {
            Some(channels) => channels,
            None => self.choose(case.dimensions.len())?,
        };
        if matches!(self.options.missing, None | Some(Missing::Linear)) {
            for &dimension in &chosen {
                case.fill(dimension)?;
            }
        }
        let steps = case.dimensions[0].values.len();
        let mut values = Vec::with_capacity(steps * chosen.len());
        for step in 0..steps {
            values.extend(chosen.iter().map(|&dimension| case.dimensions[dimension].values[step]));
        }
        let cell = |_: usize, channel: usize| Cell {
            file: self.file.to_owned(),
            position: Position::Line(case.line.number),
            column: names[channel].clone(),
        };
        let policy = self.options.missing.unwrap_or(Missing::Linear);
        let name = self.series.len().to_string();
        self.series.push(complete(name, values, chosen.len(), policy, cell)?);
        self.labels.push(label.unwrap_or_default());
        self.positions.push(Position::Line(case.line.number));
        self.channels = Some((names, chosen));
        Ok(())
    }

    /// The name of the class; nothing where the file says that it is not known.
    fn label(&self, label: Field<'_>) -> Result<String, DataError> {
        let found = label.lossy();
        match &self.declared {
            Some((known, line)) if !known.contains(&found) => {
                if found == "?" {
                    return Ok(String::new());
                }
                let (found, known, line) = (label.excerpt(), known.clone(), *line);
                Err(label.error(ArchiveProblem::UndeclaredLabel { found, known, line }))
            }
            _ => Ok(found),
        }
    }

    /// Refuses a case of other sizes than the header says, or the first case has.
    fn check_sizes(&mut self, case: &Case<'_>) -> Result<(), DataError> {
        let as_here = || format!("as in the case of line {}", case.line.number);
        let found = case.dimensions.len();
        let expected =
            self.dimensions.get_or_insert_with(|| Expected { size: found, reason: as_here() });
        if found != expected.size {
            let expected = expected.clone();
            return Err(case.line.error(0, ArchiveProblem::Dimensions { found, expected }));
        }
        let first = case.dimensions[0].values.len();
        if let (None, Some(line)) = (&self.steps, self.equal_since) {
            let reason = format!("{}, since line {line} says that all are equal", as_here());
            self.steps = Some(Expected { size: first, reason });
        }
        let in_case = Expected { size: first, reason: "as in dimension 1".into() };
        for (i, dimension) in case.dimensions.iter().enumerate() {
            let expected = if i == 0 { self.steps.as_ref() } else { Some(&in_case) };
            let (found, dimension_number) = (dimension.values.len(), i + 1);
            if let Some(expected) = expected.filter(|expected| expected.size != found) {
                return Err(dimension.field.error(ArchiveProblem::Steps {
                    found,
                    dimension: dimension_number,
                    expected: expected.clone(),
                }));
            }
        }
        Ok(())
    }

    fn choose(&self, dimensions: usize) -> Result<(Vec<String>, Vec<usize>), DataError> {
        let (names, chosen) = choose(self.file, None, dimensions, &self.options.columns)?;
        Ok((chosen.iter().map(|&dimension| names[dimension].clone()).collect(), chosen))
    }

    /// All cases.
    pub(super) fn into_part(self) -> Part {
        let mut classes = if let Some((declared, _)) = self.declared {
            declared
        } else {
            let distinct: BTreeSet<&String> = self.labels.iter().collect();
            distinct.into_iter().filter(|label| !label.is_empty()).cloned().collect()
        };
        if self.options.class_order == ClassOrder::Sorted {
            classes.sort_unstable();
        }
        let dt = match self.time_step {
            TimeStep::Even(dt) => Some(dt),
            TimeStep::Unknown | TimeStep::Uneven => None,
        };
        let columns = self.channels.map(|(names, _)| names).unwrap_or_default();
        Part {
            source: self.file.display().to_string(),
            set: SeriesSet { columns, series: self.series, dt },
            labels: self.labels,
            places: Places { within: self.file.display().to_string(), positions: self.positions },
            classes,
            groups: None,
            grid: None,
        }
    }
}

impl<'a> Dimension<'a> {
    /// `v,v,…`
    pub(super) fn parse(field: Field<'a>) -> Result<Self, DataError> {
        let values = field.split(b',').map(Field::number).collect::<Result<_, _>>()?;
        Ok(Self { field, values })
    }
}

impl Case<'_> {
    /// Fills the missing values of a dimension.
    fn fill(&mut self, dimension: usize) -> Result<(), DataError> {
        let Dimension { field, values } = &mut self.dimensions[dimension];
        let time = |step: usize| self.times.as_ref().map_or(step as f64, |times| times[step]);
        let known: Vec<usize> = (0..values.len()).filter(|&step| !values[step].is_nan()).collect();
        let (Some(&first), Some(&last)) = (known.first(), known.last()) else {
            return Err(field.error(ArchiveProblem::NoValue { dimension: dimension + 1 }));
        };
        let (at_first, at_last) = (values[first], values[last]);
        values[..first].fill(at_first);
        values[last + 1..].fill(at_last);
        for gap in known.windows(2) {
            let (start, end) = (gap[0], gap[1]);
            let (left, right) = (values[start], values[end]);
            for (step, value) in (start + 1..end).zip(&mut values[start + 1..end]) {
                let weight = (time(step) - time(start)) / (time(end) - time(start));
                *value = left * (1.0 - weight) + right * weight;
            }
        }
        Ok(())
    }
}

impl TimeStep {
    /// The time step where one more is `step`.
    fn and(self, step: f64) -> Self {
        match self {
            Self::Unknown => Self::Even(step),
            Self::Even(usual) if (step - usual).abs() <= TOLERANCE * usual => self,
            Self::Even(_) | Self::Uneven => Self::Uneven,
        }
    }
}
