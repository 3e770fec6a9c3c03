//! Series with one class each, and the parts a source gives them in.

use crate::SeriesSet;

/// Series with one class each: `set.series[i]` has the class `classes[labels[i]]`.
///
/// Series may differ in length; a missing value, where the reader was told to keep it, is NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSet {
    /// The series, all of the same channels.
    pub set: SeriesSet,
    /// Index of the class of each series.
    pub labels: Vec<usize>,
    /// Name of each class; a set need not have a series of each.
    pub classes: Vec<String>,
    /// Group of each series, such as the person measured, where it is known.
    pub groups: Option<Vec<String>>,
}

/// What a path holds: a training part, and a test part where the data come with one.
///
/// Both have the same channels, the same classes, and groups or none.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledData {
    /// To fit and to choose models; [`HoldOut`](super::HoldOut) takes other parts out of it.
    pub train: LabelledSet,
    /// To score, once.
    pub test: Option<LabelledSet>,
    /// Height and width, where the series are images: a step is a pixel, row by row.
    pub grid: Option<[usize; 2]>,
    /// What was read, in one line for people.
    pub description: String,
    /// Whether series longer than a model reads are cut, as is usual for the UEA and UCR problems;
    /// the test part is already cut to the longest training series.
    pub may_cut: bool,
}

impl LabelledSet {
    /// Number of series.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no series.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Steps of the longest series.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.set.lengths().into_iter().max().unwrap_or(0)
    }

    /// Cuts the end off every series of more than `steps` steps; returns how many there were.
    pub fn cut(&mut self, steps: usize) -> usize {
        let long = self.set.series.iter_mut().filter(|series| series.steps() > steps);
        long.map(|series| series.values.truncate(steps * series.channels)).count()
    }

    /// Number of series of each class.
    #[must_use]
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &label in &self.labels {
            counts[label] += 1;
        }
        counts
    }

    /// The series of these indices, in this order.
    ///
    /// # Panics
    /// If an index is not below [`LabelledSet::len`].
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let names = |names: &Vec<String>| indices.iter().map(|&i| names[i].clone()).collect();
        Self {
            set: SeriesSet {
                columns: self.set.columns.clone(),
                series: indices.iter().map(|&i| self.set.series[i].clone()).collect(),
                dt: self.set.dt,
            },
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
            groups: self.groups.as_ref().map(names),
        }
    }

    /// The series whose `part` is 0, 1 and 2, each in the order of the set; copies no value.
    pub(super) fn into_parts(self, part: &[usize]) -> [Self; 3] {
        let Self { set, labels, classes, groups } = self;
        let mut parts = [(); 3].map(|()| Self {
            set: SeriesSet { columns: set.columns.clone(), series: Vec::new(), dt: set.dt },
            labels: Vec::new(),
            classes: classes.clone(),
            groups: groups.as_ref().map(|_| Vec::new()),
        });
        let mut groups = groups.into_iter().flatten();
        for ((series, label), &part) in set.series.into_iter().zip(labels).zip(part) {
            let part = &mut parts[part];
            part.set.series.push(series);
            part.labels.push(label);
            if let Some(of_part) = &mut part.groups {
                of_part.extend(groups.next());
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Series;

    #[test]
    fn a_subset_keeps_what_belongs_to_a_series() {
        let set = LabelledSet {
            set: SeriesSet {
                columns: vec!["u".into()],
                series: (0..3).map(|i| Series::new(i.to_string(), vec![0.0; i + 1], 1)).collect(),
                dt: Some(0.5),
            },
            labels: vec![2, 0, 2],
            classes: ["a", "b", "c"].map(String::from).to_vec(),
            groups: Some(["x", "y", "z"].map(String::from).to_vec()),
        };
        assert_eq!((set.len(), set.class_counts()), (3, vec![1, 0, 2]));
        let subset = set.subset(&[2, 1]);
        assert_eq!((subset.set.lengths(), &subset.labels[..]), (vec![3, 2], &[2, 0][..]));
        assert_eq!(subset.groups.as_deref().unwrap(), ["z", "y"]);
        assert_eq!((subset.class_counts(), subset.set.dt), (vec![1, 0, 1], Some(0.5)));

        let [first, second, third] = set.clone().into_parts(&[1, 0, 1]);
        assert_eq!((first, second), (set.subset(&[1]), set.subset(&[0, 2])));
        assert!(third.is_empty() && third.groups == Some(vec![]));
    }
}
