//! Validation and test parts out of the training part: whole groups, or a share of every class.
//!
//! Windows of one person resemble each other, and often overlap: where a model is to work for
//! people it has not seen, only a split by group measures that.

use std::collections::{BTreeSet, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::error::Groups;
use super::{LabelledData, LabelledError, LabelledSet};
use crate::DataError;
use crate::split::divide;

/// Orders of the groups that are tried until every part has every class.
const TRIES: usize = 1000;

/// How to take parts out of the training part; the test share counts only where the data have no
/// test part of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HoldOut {
    /// Whole groups go to one part.
    Group {
        /// Share of the series that validate, as near as whole groups allow; 0 for none.
        validation: f64,
        /// Share of the series that test, likewise.
        #[serde(default)]
        test: f64,
        /// Seed of the order of the groups.
        #[serde(default)]
        seed: u64,
    },
    /// The first series train, the next validate, the last test, whatever classes they have.
    Order {
        /// Share of the series that validate; 0 for none.
        validation: f64,
        /// Share of the series that test.
        #[serde(default)]
        test: f64,
    },
    /// Each class is divided in the same shares, whatever the groups.
    Stratified {
        /// Share of the series of each class that validate; 0 for none.
        validation: f64,
        /// Share of the series of each class that test.
        #[serde(default)]
        test: f64,
        /// Seed of the order of the series.
        #[serde(default)]
        seed: u64,
    },
}

/// The three parts, of the same classes; one whose share is zero has no series.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSplit {
    /// To fit parameters and statistics.
    pub train: LabelledSet,
    /// To choose among models, and when to stop.
    pub validation: LabelledSet,
    /// To score, once.
    pub test: LabelledSet,
    /// Height and width, where the series are images: a step is a pixel, row by row.
    pub grid: Option<[usize; 2]>,
}

impl HoldOut {
    /// Divides the training part; but for [`HoldOut::Order`], every part with a share above zero has
    /// a series of every class.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for shares that are none; a [`LabelledError`] if there are
    /// no groups, one is in the training and in the test part, or a part would lack a class.
    pub fn split(&self, data: LabelledData) -> Result<LabelledSplit, DataError> {
        let LabelledData { train, test: own_test, grid, .. } = data;
        let (validation, test, seed) = match *self {
            Self::Group { validation, test, seed }
            | Self::Stratified { validation, test, seed } => (validation, test, seed),
            Self::Order { validation, test } => (validation, test, 0),
        };
        let shares = shares(validation, if own_test.is_some() { 0.0 } else { test })?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let part = match self {
            Self::Group { .. } => by_group(&train, own_test.as_ref(), shares, &mut rng),
            Self::Stratified { .. } => by_class(&train, shares, &mut rng),
            Self::Order { .. } => by_order(&train, shares),
        }?;
        let [train, validation, test] = train.into_parts(&part);
        Ok(LabelledSplit { train, validation, test: own_test.unwrap_or(test), grid })
    }
}

/// Shares of the training, validation and test parts.
fn shares(validation: f64, test: f64) -> Result<[f64; 3], DataError> {
    for (name, share) in [("validation", validation), ("test", test)] {
        if !(0.0..1.0).contains(&share) {
            return Err(DataError::InvalidParameter {
                name,
                found: share.to_string(),
                expected: "a share from 0 to below 1",
            });
        }
    }
    let train = 1.0 - validation - test;
    if train < 1e-9 {
        return Err(DataError::InvalidParameter {
            name: "validation + test",
            found: (validation + test).to_string(),
            expected: "below 1, so that something is left to train on",
        });
    }
    Ok([train, validation, test])
}

/// The part of each series, so that each group is in one part.
fn by_group(
    train: &LabelledSet,
    own_test: Option<&LabelledSet>,
    shares: [f64; 3],
    rng: &mut ChaCha8Rng,
) -> Result<Vec<usize>, DataError> {
    let groups = GroupTable::of(train)?;
    if let Some(tested) = own_test.and_then(|test| test.groups.as_ref())
        && let Some(group) = tested.iter().find(|group| groups.names.contains(group))
    {
        return Err(LabelledError::SharedGroup { group: group.clone() }.into());
    }
    let parts: Vec<usize> = (0..3).filter(|&part| shares[part] > 0.0).collect();
    groups.check_enough(train, parts.len())?;

    let mut lacking = vec![0; train.classes.len()];
    let mut order: Vec<usize> = (0..groups.names.len()).collect();
    for _ in 0..TRIES {
        order.shuffle(rng);
        let part_of_group = groups.divide(&order, shares);
        match groups.missing_class(&part_of_group, &parts) {
            None => {
                return Ok(groups.of_series.iter().map(|&group| part_of_group[group]).collect());
            }
            Some(class) => lacking[class] += 1,
        }
    }
    let most = lacking.iter().copied().max().unwrap_or(0);
    let class = lacking.iter().position(|&count| count == most).expect("there is a class");
    Err(LabelledError::NoDivision {
        tried: TRIES,
        groups: groups.names.len(),
        parts: parts.len(),
        class: train.classes[class].clone(),
    }
    .into())
}

/// The groups of a set, and what each has.
struct GroupTable {
    /// In order of their first series.
    names: Vec<String>,
    /// Group of each series.
    of_series: Vec<usize>,
    /// Number of series of each group.
    sizes: Vec<usize>,
    /// Classes of each group.
    classes: Vec<BTreeSet<usize>>,
}

impl GroupTable {
    fn of(set: &LabelledSet) -> Result<Self, DataError> {
        let of_each = set.groups.as_ref().ok_or(LabelledError::NoGroups)?;
        let mut table = Self { names: vec![], of_series: vec![], sizes: vec![], classes: vec![] };
        let mut index = HashMap::new();
        for (name, &label) in of_each.iter().zip(&set.labels) {
            let group = *index.entry(name).or_insert(table.names.len());
            if group == table.names.len() {
                table.names.push(name.clone());
                table.sizes.push(0);
                table.classes.push(BTreeSet::new());
            }
            table.of_series.push(group);
            table.sizes[group] += 1;
            table.classes[group].insert(label);
        }
        Ok(table)
    }

    /// Refuses what no division can mend: fewer groups than parts, of all or of one class.
    fn check_enough(&self, set: &LabelledSet, parts: usize) -> Result<(), DataError> {
        if self.names.len() < parts {
            let groups = Groups(self.names.clone());
            return Err(LabelledError::TooFewGroups { groups, parts }.into());
        }
        for class in self.present() {
            let found = self.classes.iter().filter(|classes| classes.contains(&class)).count();
            if found < parts {
                let class = set.classes[class].clone();
                let what = "groups";
                return Err(LabelledError::TooFewOfClass { class, found, what, parts }.into());
            }
        }
        Ok(())
    }

    fn present(&self) -> BTreeSet<usize> {
        self.classes.iter().flatten().copied().collect()
    }

    /// Gives groups in this order to the test and validation parts, each until it is nearest to
    /// its share of the series; the others train.
    fn divide(&self, order: &[usize], shares: [f64; 3]) -> Vec<usize> {
        let total: usize = self.sizes.iter().sum();
        let mut part_of_group = vec![0; self.names.len()];
        let mut left = order.len();
        let mut order = order.iter().peekable();
        for part in [2, 1] {
            let aim = shares[part] * total as f64;
            let reserved = shares[..part].iter().filter(|&&share| share > 0.0).count();
            let mut filled = 0;
            while let Some(&&group) = order.peek() {
                let after = filled + self.sizes[group];
                let is_nearer = (after as f64 - aim).abs() <= (filled as f64 - aim).abs();
                if shares[part] == 0.0 || left == reserved || filled > 0 && !is_nearer {
                    break;
                }
                part_of_group[group] = part;
                (filled, left) = (after, left - 1);
                order.next();
            }
        }
        part_of_group
    }

    /// A class that one of the `parts` does not have.
    fn missing_class(&self, part_of_group: &[usize], parts: &[usize]) -> Option<usize> {
        self.present().into_iter().find(|class| {
            let has = |&part: &usize| {
                let mut groups = self.classes.iter().zip(part_of_group);
                groups.any(|(classes, &of_group)| of_group == part && classes.contains(class))
            };
            !parts.iter().all(has)
        })
    }
}

/// The part of each series, by its place.
fn by_order(set: &LabelledSet, shares: [f64; 3]) -> Result<Vec<usize>, DataError> {
    let parts = divide(set.len(), shares, 1).ok_or_else(|| LabelledError::TooFewSeries {
        found: set.len(),
        parts: shares.iter().filter(|&&share| share > 0.0).count(),
    })?;
    Ok((0..3).flat_map(|part| std::iter::repeat_n(part, parts[part])).collect())
}

/// The part of each series, each class divided in the same shares.
fn by_class(
    set: &LabelledSet,
    shares: [f64; 3],
    rng: &mut ChaCha8Rng,
) -> Result<Vec<usize>, DataError> {
    let mut part = vec![0; set.len()];
    for class in 0..set.classes.len() {
        let mut members: Vec<usize> = (0..set.len()).filter(|&i| set.labels[i] == class).collect();
        if members.is_empty() {
            continue;
        }
        let [_, validation, test] = divide(members.len(), shares, 1).ok_or_else(|| {
            let (class, found) = (set.classes[class].clone(), members.len());
            let parts = shares.iter().filter(|&&share| share > 0.0).count();
            LabelledError::TooFewOfClass { class, found, what: "series", parts }
        })?;
        members.shuffle(rng);
        members[..validation].iter().for_each(|&i| part[i] = 1);
        members[validation..][..test].iter().for_each(|&i| part[i] = 2);
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Series, SeriesSet};

    /// Series whose value is their number.
    fn data(labels: &[usize], groups: &[usize]) -> LabelledData {
        let n_classes = labels.iter().max().map_or(0, |largest| largest + 1);
        let set = LabelledSet {
            set: SeriesSet {
                columns: vec!["x0".into()],
                series: (0..labels.len())
                    .map(|i| Series::new(i.to_string(), vec![i as f64], 1))
                    .collect(),
                dt: None,
            },
            labels: labels.to_vec(),
            classes: (0..n_classes).map(|class| class.to_string()).collect(),
            groups: Some(groups.iter().map(usize::to_string).collect()),
        };
        LabelledData {
            train: set,
            test: None,
            grid: None,
            description: String::new(),
            may_cut: false,
        }
    }

    /// Twenty-one groups of about 350 series and six classes, as in UCI HAR.
    fn people() -> LabelledData {
        let sizes = (0..21).map(|person| 281 + 7 * person);
        let groups: Vec<usize> = sizes
            .enumerate()
            .flat_map(|(person, size)| std::iter::repeat_n(person, size))
            .collect();
        let labels: Vec<usize> = (0..groups.len()).map(|i| i % 6).collect();
        data(&labels, &groups)
    }

    fn groups(set: &LabelledSet) -> BTreeSet<String> {
        set.groups.iter().flatten().cloned().collect()
    }

    #[test]
    fn groups_stay_whole_and_shares_are_near() {
        let by = HoldOut::Group { validation: 0.2, test: 0.25, seed: 3 };
        let LabelledSplit { train, validation, test, .. } = by.split(people()).unwrap();
        let total = people().train.len() as f64;
        // Within half of the largest group: 421 of 7371 series.
        for (part, share) in [(&validation, 0.2), (&test, 0.25)] {
            assert!((part.len() as f64 - share * total).abs() <= 211.0, "{}", part.len());
        }
        assert_eq!(train.len() + validation.len() + test.len(), people().train.len());
        let [a, b, c] = [&train, &validation, &test].map(groups);
        assert!(a.is_disjoint(&b) && a.is_disjoint(&c) && b.is_disjoint(&c));
    }

    #[test]
    fn the_seed_decides_and_decides_alike() {
        let split = |seed| HoldOut::Group { validation: 0.2, test: 0.0, seed }.split(people());
        assert_eq!(split(5).unwrap(), split(5).unwrap());
        assert_ne!(groups(&split(5).unwrap().validation), groups(&split(6).unwrap().validation));
        let split = |seed| HoldOut::Stratified { validation: 0.2, test: 0.0, seed }.split(people());
        assert_eq!(split(5).unwrap(), split(5).unwrap());
        assert_ne!(split(5).unwrap().validation, split(6).unwrap().validation);
    }

    #[test]
    fn a_test_part_of_the_data_is_kept_as_it_is() {
        let mut own = data(&[0, 1, 0, 1], &[7, 7, 8, 8]);
        own.test = Some(data(&[1, 0], &[9, 9]).train);
        for by in [
            HoldOut::Group { validation: 0.5, test: 0.4, seed: 0 },
            HoldOut::Stratified { validation: 0.5, test: 0.4, seed: 0 },
        ] {
            let split = by.split(own.clone()).unwrap();
            assert_eq!(Some(split.test), own.test);
            assert_eq!((split.train.class_counts(), split.validation.len()), (vec![1, 1], 2));
        }
    }

    #[test]
    fn each_class_is_divided_alike() {
        let labels: Vec<usize> = (0..130).map(|i| usize::from(i % 13 == 0)).collect();
        let by = HoldOut::Stratified { validation: 0.3, test: 0.2, seed: 1 };
        let split = by.split(data(&labels, &[0; 130])).unwrap();
        let counts = [split.train, split.validation, split.test].map(|part| part.class_counts());
        assert_eq!(counts, [[60, 5], [36, 3], [24, 2]]);
    }

    #[test]
    fn parts_by_order_are_as_they_stand() {
        let labels: Vec<usize> = (0..50).map(|i| i / 25).collect();
        let by = HoldOut::Order { validation: 0.1, test: 0.2 };
        let images = LabelledData { grid: Some([1, 1]), ..data(&labels, &[0; 50]) };
        let LabelledSplit { train, validation, test, grid } = by.split(images).unwrap();
        let first = |set: &LabelledSet| set.set.series[0].values[0];
        assert_eq!([train.len(), validation.len(), test.len()], [35, 5, 10]);
        assert_eq!(vec![first(&train), first(&validation), first(&test)], [0.0, 35.0, 40.0]);
        assert_eq!((test.labels, grid), (vec![1; 10], Some([1, 1])));
        let text = r#"{"by":"order","validation":0.1,"test":0.2}"#;
        assert_eq!(serde_json::from_str::<HoldOut>(text).unwrap(), by);
        assert_eq!(
            by.split(data(&[0, 1], &[0, 0])).unwrap_err().to_string(),
            "found 2 series, expected at least 3 of them, one for each part; give more examples, or \
             lower the number of parts"
        );
    }

    #[test]
    fn a_part_without_a_share_is_empty() {
        let by = HoldOut::Group { validation: 0.0, test: 0.0, seed: 0 };
        let split = by.split(data(&[0, 1], &[4, 4])).unwrap();
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (2, 0, 0));
    }

    #[test]
    fn the_configuration_reads_as_it_is_written() {
        let by = HoldOut::Group { validation: 0.2, test: 0.0, seed: 1 };
        let text = serde_json::to_string(&by).unwrap();
        assert_eq!(text, r#"{"by":"group","validation":0.2,"test":0.0,"seed":1}"#);
        assert_eq!(serde_json::from_str::<HoldOut>(&text).unwrap(), by);
        let text = r#"{"by":"stratified","validation":0.2}"#;
        let by = HoldOut::Stratified { validation: 0.2, test: 0.0, seed: 0 };
        assert_eq!(serde_json::from_str::<HoldOut>(text).unwrap(), by);
        assert!(serde_json::from_str::<HoldOut>(r#"{"by":"group","valdation":0.2}"#).is_err());
    }

    proptest! {
        #[test]
        fn every_series_is_in_exactly_one_part_with_its_label_and_group(
            labels in prop::collection::vec(0_usize..3, 3..60),
            n_groups in 3_usize..9,
            validation in 0.01_f64..0.5,
            test in 0.01_f64..0.49,
            seed: u64,
            by_group: bool,
        ) {
            let groups: Vec<usize> = (0..labels.len()).map(|i| i * 5 % n_groups).collect();
            let by = if by_group {
                HoldOut::Group { validation, test, seed }
            } else {
                HoldOut::Stratified { validation, test, seed }
            };
            let Ok(LabelledSplit { train, validation, test, .. }) = by.split(data(&labels, &groups))
            else {
                return Ok(());
            };
            let parts = [train, validation, test];
            let mut numbers = Vec::new();
            let mut part_of_group = vec![None; n_groups];
            for (number, part) in parts.iter().enumerate() {
                for class in 0..3 {
                    prop_assert_eq!(part.labels.contains(&class), labels.contains(&class));
                }
                let names = part.groups.as_ref().expect("the set has groups");
                for ((series, &label), group) in part.set.series.iter().zip(&part.labels).zip(names) {
                    let i: usize = series.name.parse().expect("a number");
                    prop_assert_eq!((label, group), (labels[i], &groups[i].to_string()));
                    numbers.push(i);
                    let before = part_of_group[groups[i]].replace(number);
                    prop_assert!(!by_group || before.is_none_or(|before| before == number));
                }
            }
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (0..labels.len()).collect::<Vec<_>>());
        }
    }
}
