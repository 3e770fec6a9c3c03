//! Training, validation and test parts that share no window.
//!
//! By series: whole trajectories, shuffled by a seed. By time: the start of each trajectory
//! trains, its end tests, and `p + q - 1` steps are left out between two parts, so that no window
//! of `p + q` rows touches both.
//!
//! A random split of overlapping windows instead lets the validation part see rows of the training
//! part, and its error comes out too small.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::window::{check_sizes, too_short};
use crate::{DataError, Series, SeriesSet};

/// How to split; what `train` and `validation` leave is the test part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SplitConfig {
    /// Whole series go to one part.
    Series {
        /// Fraction of the series that train, above 0.
        train: f64,
        /// Fraction of the series that validate; 0 for none.
        validation: f64,
        /// Seed of the shuffle.
        #[serde(default)]
        seed: u64,
    },
    /// Each series is cut in time, with a gap of one window between the parts.
    Time {
        /// Fraction of the steps that train, above 0.
        train: f64,
        /// Fraction of the steps that validate; 0 for none.
        validation: f64,
    },
}

/// The three parts; one whose fraction is zero has no series.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// To fit parameters and statistics.
    pub train: SeriesSet,
    /// To choose among models, and when to stop.
    pub validation: SeriesSet,
    /// To score, once.
    pub test: SeriesSet,
}

impl SplitConfig {
    /// Splits a set for windows of `window` rows of input and `horizon` rows of target.
    ///
    /// Every part with a fraction above zero gets at least one series, or one window. By time, a
    /// series too short for a window in every part trains as a whole.
    ///
    /// # Errors
    /// [`DataError::InvalidParameter`] for fractions that are no fractions, or a size of zero;
    /// [`DataError::TooFewSeries`] or [`DataError::TooShort`] if a part would stay empty.
    pub fn split(
        &self,
        set: &SeriesSet,
        window: usize,
        horizon: usize,
    ) -> Result<Split, DataError> {
        check_sizes(window, horizon)?;
        match *self {
            Self::Series { train, validation, seed } => {
                by_series(set, fractions(train, validation)?, seed)
            }
            Self::Time { train, validation } => {
                by_time(set, fractions(train, validation)?, window, horizon)
            }
        }
    }
}

/// Fractions of the training, validation and test parts.
fn fractions(train: f64, validation: f64) -> Result<[f64; 3], DataError> {
    let invalid = |name, value: f64, expected| DataError::InvalidParameter {
        name,
        found: value.to_string(),
        expected,
    };
    if !(train > 0.0 && train <= 1.0) {
        return Err(invalid("train", train, "a fraction above 0 and at most 1"));
    }
    if !(0.0..1.0).contains(&validation) {
        return Err(invalid("validation", validation, "a fraction from 0 to below 1"));
    }
    // 0.7 + 0.3 and the like may round past 1, and may leave a test part of 1e-16.
    let test = 1.0 - train - validation;
    if test < -1e-9 {
        return Err(invalid("train + validation", train + validation, "at most 1"));
    }
    Ok([train, validation, if test < 1e-9 { 0.0 } else { test }])
}

/// Divides `total` by fractions; a part with a fraction above zero gets at least `least`, and the
/// first part what is left. `None` if `total` does not suffice.
pub(crate) fn divide(total: usize, fractions: [f64; 3], least: usize) -> Option<[usize; 3]> {
    let share = |fraction: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a count is a small number above zero"
        )]
        let share = (total as f64 * fraction).round() as usize;
        if fraction > 0.0 { share.max(least) } else { 0 }
    };
    let (mut validation, mut test) = (share(fractions[1]), share(fractions[2]));
    // Rounding up twice may leave too little for the first part.
    while total < least + validation + test {
        let larger = if validation > test { &mut validation } else { &mut test };
        if *larger <= least {
            return None;
        }
        *larger -= 1;
    }
    Some([total - validation - test, validation, test])
}

fn n_parts(fractions: [f64; 3]) -> usize {
    fractions.iter().filter(|&&fraction| fraction > 0.0).count()
}

fn by_series(set: &SeriesSet, fractions: [f64; 3], seed: u64) -> Result<Split, DataError> {
    let n_series = set.series.len();
    let sizes = divide(n_series, fractions, 1)
        .ok_or_else(|| DataError::TooFewSeries { series: n_series, parts: n_parts(fractions) })?;
    let mut order: Vec<usize> = (0..n_series).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let (train, rest) = order.split_at(sizes[0]);
    let (validation, test) = rest.split_at(sizes[1]);
    let part = |members: &[usize]| {
        let mut members = members.to_vec();
        members.sort_unstable(); // the order of the source
        with_series(set, members.into_iter().map(|i| set.series[i].clone()).collect())
    };
    Ok(Split { train: part(train), validation: part(validation), test: part(test) })
}

fn by_time(
    set: &SeriesSet,
    fractions: [f64; 3],
    window: usize,
    horizon: usize,
) -> Result<Split, DataError> {
    let (least, gap) = (window + horizon, window + horizon - 1);
    let gaps = (n_parts(fractions) - 1) * gap;
    let mut parts: [Vec<Series>; 3] = Default::default();
    let mut divided = false;
    for series in &set.series {
        let sizes =
            series.steps().checked_sub(gaps).and_then(|steps| divide(steps, fractions, least));
        let Some(sizes) = sizes else {
            parts[0].push(series.clone());
            continue;
        };
        divided = true;
        let mut start = 0;
        for (part, size) in parts.iter_mut().zip(sizes).filter(|(_, size)| *size > 0) {
            let rows = series.rows(start, start + size).to_vec();
            part.push(Series::new(series.name.clone(), rows, series.channels));
            start += size + gap;
        }
    }
    if !divided {
        let needed = n_parts(fractions) * least + gaps;
        let reason = "for a window in every part and the gaps between them";
        return Err(too_short(set, needed, reason, window, horizon));
    }
    let [train, validation, test] = parts.map(|series| with_series(set, series));
    Ok(Split { train, validation, test })
}

fn with_series(set: &SeriesSet, series: Vec<Series>) -> SeriesSet {
    SeriesSet { columns: set.columns.clone(), series, dt: set.dt }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each value is the number of its step.
    fn set(lengths: &[usize]) -> SeriesSet {
        let series = lengths.iter().enumerate().map(|(s, &steps)| {
            Series::new(s.to_string(), (0..steps).map(|t| t as f64).collect(), 1)
        });
        SeriesSet { columns: vec!["t".into()], series: series.collect(), dt: Some(0.5) }
    }

    fn names(set: &SeriesSet) -> Vec<usize> {
        set.series.iter().map(|series| series.name.parse().unwrap()).collect()
    }

    fn message(config: &SplitConfig, set: &SeriesSet) -> String {
        config.split(set, 3, 2).unwrap_err().to_string()
    }

    #[test]
    fn time_comes_in_order_with_a_gap() {
        let config = SplitConfig::Time { train: 0.6, validation: 0.2 };
        let split = config.split(&set(&[58]), 3, 2).unwrap(); // 50 steps and two gaps of 4
        assert_eq!(split.train.series[0].rows(0, 30), split.train.series[0].values);
        assert_eq!((split.validation.series[0].values[0], split.validation.n_steps()), (34.0, 10));
        assert_eq!((split.test.series[0].values[0], split.test.n_steps()), (48.0, 10));
        assert_eq!((split.test.dt, split.test.columns), (Some(0.5), vec!["t".to_owned()]));
    }

    #[test]
    fn a_part_without_a_fraction_takes_no_gap() {
        let config = SplitConfig::Time { train: 0.7, validation: 0.3 };
        let split = config.split(&set(&[104]), 3, 2).unwrap();
        assert_eq!((split.train.n_steps(), split.validation.n_steps()), (70, 30));
        assert!(split.test.series.is_empty());
        let config = SplitConfig::Series { train: 1.0, validation: 0.0, seed: 0 };
        assert_eq!(names(&config.split(&set(&[9]), 3, 2).unwrap().train), [0]);
    }

    #[test]
    fn a_series_too_short_to_cut_trains() {
        let config = SplitConfig::Time { train: 0.8, validation: 0.1 };
        let split = config.split(&set(&[22, 58]), 3, 2).unwrap(); // 3 · 5 + 2 · 4 = 23
        assert_eq!((names(&split.train), names(&split.validation)), (vec![0, 1], vec![1]));
        assert_eq!(
            message(&config, &set(&[22, 7])),
            "series \"0\" has 22 steps, expected at least 23 for a window in every part and the \
             gaps between them; give longer series, or lower window = 3 or horizon = 2"
        );
        assert_eq!(config.split(&set(&[23]), 3, 2).unwrap().test.lengths(), [5]);
    }

    #[test]
    fn the_seed_decides_which_series_go_where() {
        let split = |seed| {
            let config = SplitConfig::Series { train: 0.6, validation: 0.2, seed };
            config.split(&set(&[9; 10]), 3, 2).unwrap()
        };
        assert_eq!(split(1), split(1));
        assert_ne!(names(&split(1).train), names(&split(2).train));
        assert_eq!(split(1).validation.series.len(), 2);
    }

    #[test]
    fn wrong_fractions_and_too_few_series_are_named() {
        let series = |train, validation| SplitConfig::Series { train, validation, seed: 0 };
        assert_eq!(
            message(&series(0.8, 0.1), &set(&[9; 2])),
            "found 2 series, expected at least 3 to split by series into 3 parts; give more \
             series, or split by time"
        );
        assert_eq!(
            message(&series(0.0, 0.1), &set(&[9])),
            "train = 0, expected a fraction above 0 and at most 1"
        );
        assert_eq!(
            message(&series(0.5, -0.1), &set(&[9])),
            "validation = -0.1, expected a fraction from 0 to below 1"
        );
        assert_eq!(
            message(&SplitConfig::Time { train: 0.75, validation: 0.5 }, &set(&[9])),
            "train + validation = 1.25, expected at most 1"
        );
    }

    #[test]
    fn the_configuration_reads_as_it_is_written() {
        let config = SplitConfig::Time { train: 0.8, validation: 0.1 };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(text, r#"{"by":"time","train":0.8,"validation":0.1}"#);
        assert_eq!(serde_json::from_str::<SplitConfig>(&text).unwrap(), config);
        let text = r#"{"by":"series","train":0.8,"validation":0.1,"sed":1}"#;
        assert!(serde_json::from_str::<SplitConfig>(text).is_err());
    }

    proptest! {
        #[test]
        fn no_window_touches_two_parts(
            steps in 1_usize..200,
            window in 1_usize..9,
            horizon in 1_usize..5,
            train in 0.01_f64..1.0,
            validation in 0.0_f64..0.99,
        ) {
            let config = SplitConfig::Time { train, validation: validation * (1.0 - train) };
            let Ok(split) = config.split(&set(&[steps]), window, horizon) else {
                return Ok(());
            };
            let mut part_of = vec![None; steps];
            for (part, set) in [&split.train, &split.validation, &split.test].iter().enumerate() {
                for series in &set.series {
                    prop_assert!(series.steps() >= window + horizon);
                    for (step, part_of) in part_of.iter_mut().enumerate() {
                        if series.values.contains(&(step as f64)) {
                            prop_assert_eq!(part_of.replace(part), None);
                        }
                    }
                }
            }
            for rows in part_of.windows(window + horizon) {
                let mut parts: Vec<usize> = rows.iter().copied().flatten().collect();
                parts.dedup();
                prop_assert!(parts.len() <= 1, "a window touches the parts {parts:?}");
            }
        }

        #[test]
        fn every_series_is_in_exactly_one_part(
            n_series in 3_usize..40,
            train in 0.01_f64..0.99,
            validation in 0.01_f64..0.99,
            seed: u64,
        ) {
            let config = SplitConfig::Series { train, validation: validation * (1.0 - train), seed };
            let split = config.split(&set(&vec![1; n_series]), 3, 2).unwrap();
            let parts = [&split.train, &split.validation, &split.test];
            prop_assert!(parts.iter().all(|part| !part.series.is_empty()));
            let mut all: Vec<usize> = parts.into_iter().flat_map(names).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..n_series).collect::<Vec<_>>());
        }
    }
}
