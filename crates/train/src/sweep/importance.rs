//! How much of the differences between trials goes with one key.
//!
//! ```text
//! groups: the values of a choice; else at most 5 groups of about equal numbers of trials
//! share = 1 − (within / (n − k)) / (total / (n − 1)),  at least 0
//! ```
//!
//! `within` and `total` are sums of squared deviations of the trials' ranks by the objective, from the
//! mean of their group and of all; `n` trials in `k` groups. This is ε² of a one-way analysis of
//! variance: the share of the variance that the groups explain, less what groups without meaning would
//! explain on average. Ranks, because one diverged trial must not outweigh all others.
//!
//! What it does not see: keys that matter only together. A search that has learned to stay in a good
//! region makes the keys of that region look less important than they are.
//!
//! Source: Kelley 1935, "An unbiased correlation ratio measure", PNAS 21.

/// Most groups of a key whose values are numbers.
const MAX_GROUPS: usize = 5;
/// Fewest trials that say anything.
const MIN_TRIALS: usize = 6;

/// The share of a key with these positions (0 to 1, equal for equal values), and the number of groups;
/// `None` with too few trials or groups. `is_choice` keeps values apart however many there are.
pub(crate) fn share(positions: &[f64], objective: &[f64], is_choice: bool) -> Option<(f64, usize)> {
    let pairs: Vec<(f64, f64)> = positions
        .iter()
        .zip(ranks(objective))
        .filter(|(position, _)| position.is_finite())
        .map(|(position, rank)| (*position, rank))
        .collect();
    let n = pairs.len();
    let groups = groups(pairs, is_choice);
    let k = groups.len();
    if n < MIN_TRIALS || k < 2 || n <= k {
        return None;
    }
    let all: Vec<f64> = groups.concat();
    let total = deviation(&all);
    if total == 0.0 {
        return None;
    }
    let within: f64 = groups.iter().map(|group| deviation(group)).sum();
    let share = 1.0 - (within / (n - k) as f64) / (total / (n - 1) as f64);
    Some((share.max(0.0), k))
}

/// Ranks of trials with neighbouring positions.
fn groups(mut pairs: Vec<(f64, f64)>, is_choice: bool) -> Vec<Vec<f64>> {
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    #[expect(clippy::float_cmp, reason = "equal values have equal positions")]
    let runs: Vec<&[(f64, f64)]> = pairs.chunk_by(|a, b| a.0 == b.0).collect();
    if is_choice || runs.len() <= MAX_GROUPS {
        return runs.into_iter().map(|run| run.iter().map(|(_, rank)| *rank).collect()).collect();
    }
    // Runs of one value stay together, so that groups may differ a little in size.
    let mut groups: Vec<Vec<f64>> = vec![Vec::new(); MAX_GROUPS];
    let mut before = 0;
    for run in runs {
        let middle = before + run.len() / 2;
        let group = (middle * MAX_GROUPS / pairs.len()).min(MAX_GROUPS - 1);
        groups[group].extend(run.iter().map(|(_, rank)| *rank));
        before += run.len();
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Rank of every value, from 0; equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| other.total_cmp(value).is_lt()).count();
        let equal = values.iter().filter(|other| other.total_cmp(value).is_eq()).count();
        below as f64 + (equal as f64 - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

/// Sum of squared deviations from the mean.
fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter().map(|x| (x - mean) * (x - mean)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_decides_has_all_and_one_without_effect_nothing() {
        // By hand: ranks 0 to 5 in two groups {0, 1, 2}, {3, 4, 5}: within 4, total 17.5;
        // 1 − (4 / 4) / (17.5 / 5) = 0.714 28…
        let objective = [1.0, 2.0, 3.0, 7.0, 8.0, 9.0];
        let (half, k) = share(&[0.25, 0.25, 0.25, 0.75, 0.75, 0.75], &objective, true).unwrap();
        assert!((half - 5.0 / 7.0).abs() < 1e-12 && k == 2, "{half}");
        let (none, _) = share(&[0.25, 0.75, 0.25, 0.75, 0.25, 0.75], &objective, true).unwrap();
        assert!(none < 1e-12, "{none}");
    }

    #[test]
    fn numbers_are_grouped_by_neighbourhood() {
        let positions: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40) / 40.0).collect();
        // Lowest in the middle: no linear relation would see it.
        let objective: Vec<f64> = positions.iter().map(|u| (u - 0.5) * (u - 0.5)).collect();
        let (seen, k) = share(&positions, &objective, false).unwrap();
        assert!(seen > 0.8 && k == 5, "{seen} in {k} groups");
        let noise: Vec<f64> = (0..40).map(|i| f64::from(i * 11 % 40)).collect();
        let (unseen, _) = share(&positions, &noise, false).unwrap();
        assert!(unseen < 0.3, "{unseen}");
    }

    #[test]
    fn too_few_trials_or_equal_ones_say_nothing() {
        assert_eq!(share(&[0.1, 0.9, 0.2, 0.8], &[1.0, 2.0, 3.0, 4.0], false), None);
        assert_eq!(share(&[0.5; 8], &[1.0; 8], true), None);
        let positions = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8];
        assert_eq!(share(&positions, &[3.0; 8], false), None);
    }

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
    }
}
