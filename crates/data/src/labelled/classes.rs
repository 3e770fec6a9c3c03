//! From the labels of a source to indices of classes.

use std::collections::{BTreeSet, HashMap};

use super::part::Part;
use super::{LabelledData, LabelledError, LabelledOptions, LabelledSet, image};
use crate::DataError;

/// Gives each series the index of its class; test and training part have the same classes.
pub(super) fn assign(
    train: Part,
    test: Option<Part>,
    options: &LabelledOptions,
) -> Result<LabelledData, DataError> {
    if let Some(test) = &test {
        test.set.check_columns(&train.set.columns)?;
        image::check_grids(&train, test)?;
    }
    let classes = Classes::of(&train, options)?;
    let test_count =
        test.as_ref().map_or_else(String::new, |test| format!(" and {} test", test.labels.len()));
    let description = format!(
        "{}: {} training{test_count} series of {} steps, {} channels, {} classes",
        train.source,
        train.labels.len(),
        span(&train, test.as_ref()),
        train.set.channels(),
        classes.names.len()
    );

    let grid = train.grid;
    let train = classes.label(train, None)?;
    let counts = train.class_counts();
    let mut present = (0..counts.len()).filter(|&class| counts[class] > 0);
    if let (Some(only), None) = (present.next(), present.next()) {
        return Err(LabelledError::OneClass { class: train.classes[only].clone() }.into());
    }
    let test = test.map(|test| classes.label(test, Some(&counts))).transpose()?;
    Ok(LabelledData { train, test, grid, description, may_cut: false })
}

/// `128`, or `7 to 29` where the series differ.
fn span(train: &Part, test: Option<&Part>) -> String {
    let parts = std::iter::once(train).chain(test);
    let lengths: BTreeSet<usize> = parts.flat_map(|part| part.set.lengths()).collect();
    match (lengths.first(), lengths.last()) {
        (Some(shortest), Some(longest)) if shortest < longest => format!("{shortest} to {longest}"),
        (shortest, _) => shortest.map_or_else(String::new, usize::to_string),
    }
}

/// The names of the classes, and the labels that stand for them.
struct Classes {
    names: Vec<String>,
    index: HashMap<String, usize>,
}

impl Classes {
    /// The classes asked for, else those that the source declares, else the labels themselves.
    fn of(train: &Part, options: &LabelledOptions) -> Result<Self, DataError> {
        let declared = match (&options.classes, &train.classes) {
            (asked, _) if !asked.is_empty() => asked.clone(),
            (_, declared) if !declared.is_empty() => declared.clone(),
            _ => return Ok(Self::named_by(in_order(train))),
        };
        let distinct = declared.iter().collect::<BTreeSet<_>>().len();
        if distinct < declared.len() {
            return Err(DataError::InvalidParameter {
                name: "data.classes",
                found: declared.join(", "),
                expected: "distinct names",
            });
        }
        let by_name = Self::named_by(declared);
        let labels: BTreeSet<&str> = train.labels.iter().map(String::as_str).collect();
        let is_name = |label: &&str| by_name.index.contains_key(*label);
        let is_number = |label: &&str| label.parse::<usize>().is_ok();
        if labels.iter().any(is_name) || !labels.iter().all(is_number) {
            return Ok(by_name);
        }
        let count = by_name.names.len();
        let first = usize::from(!labels.contains("0") && labels.contains(&*count.to_string()));
        let index = (0..count).map(|class| ((class + first).to_string(), class)).collect();
        Ok(Self { names: by_name.names, index })
    }

    fn named_by(names: Vec<String>) -> Self {
        let index = names.iter().enumerate().map(|(i, name)| (name.clone(), i)).collect();
        Self { names, index }
    }

    /// The part with an index for each label; `seen` counts the training series of each class.
    fn label(&self, part: Part, seen: Option<&[usize]>) -> Result<LabelledSet, DataError> {
        let mut labels = Vec::with_capacity(part.labels.len());
        for (i, label) in part.labels.iter().enumerate() {
            let place = || part.places.of(i);
            if label.is_empty() {
                return Err(LabelledError::NoLabel { place: place(), what: "label" }.into());
            }
            let class = *self.index.get(label).ok_or_else(|| LabelledError::UnknownClass {
                place: place(),
                found: label.clone(),
                known: self.known(),
                remedy: "correct it, or list all classes under data.classes",
            })?;
            if seen.is_some_and(|counts| counts[class] == 0) {
                let class = self.names[class].clone();
                return Err(LabelledError::UnseenClass { place: place(), class }.into());
            }
            labels.push(class);
        }
        let unnamed = |groups: &Vec<String>| groups.iter().position(String::is_empty);
        if let Some(i) = part.groups.as_ref().and_then(unnamed) {
            let place = format!("{}, series {:?}", part.source, part.set.series[i].name);
            return Err(LabelledError::NoLabel { place, what: "group" }.into());
        }
        let Part { set, groups, .. } = part;
        Ok(LabelledSet { set, labels, classes: self.names.clone(), groups })
    }

    /// The labels there may be, with the names they stand for.
    fn known(&self) -> Vec<String> {
        let mut labels: Vec<(&String, &usize)> = self.index.iter().collect();
        labels.sort_unstable_by_key(|(_, class)| **class);
        let describe = |(label, class): (&String, &usize)| match &self.names[*class] {
            name if name == label => name.clone(),
            name => format!("{label} ({name})"),
        };
        labels.into_iter().map(describe).collect()
    }
}

/// The distinct labels: by value where all are numbers, else by letter.
fn in_order(train: &Part) -> Vec<String> {
    let distinct: BTreeSet<&String> = train.labels.iter().filter(|text| !text.is_empty()).collect();
    let mut labels: Vec<String> = distinct.into_iter().cloned().collect();
    let value = |label: &String| label.parse::<f64>().ok().filter(|value| value.is_finite());
    if labels.iter().all(|label| value(label).is_some()) {
        labels
            .sort_by(|a, b| value(a).partial_cmp(&value(b)).expect("finite numbers have an order"));
    }
    labels
}
