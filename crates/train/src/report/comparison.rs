//! Several runs side by side: which of them are seeds of one model.

use super::schema::Report;
use super::score::ScoreRow;

/// Runs of one model that differ in their seed.
pub(super) struct Group<'a> {
    /// Name of the model, unique among the groups.
    pub(super) label: String,
    /// The runs, in the order given.
    pub(super) reports: Vec<&'a Report>,
}

/// Groups `reports` by their model, in the order of first appearance.
///
/// Runs count as seeds of one model when everything that describes the model is equal and so is the
/// name of their score row.
pub(super) fn groups(reports: &[Report]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for report in reports {
        let same = |group: &&mut Group<'_>| {
            group.reports[0].model == report.model && label(group.reports[0]) == label(report)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.reports.push(report),
            None => groups.push(Group { label: label(report), reports: vec![report] }),
        }
    }
    let labels: Vec<String> = groups.iter().map(|group| group.label.clone()).collect();
    for group in &mut groups {
        if labels.iter().filter(|label| **label == group.label).count() > 1 {
            group.label = format!("{} · {}", group.label, group.reports[0].run.name);
        }
    }
    groups
}

/// Names of the runs of a group: their seeds, or the run names where a seed appears twice.
pub(super) fn run_labels(group: &Group<'_>) -> Vec<String> {
    let seeds: Vec<u64> = group.reports.iter().map(|report| report.run.seed).collect();
    let is_unique = |seed: &u64| seeds.iter().filter(|other| *other == seed).count() == 1;
    let all_unique = seeds.iter().all(is_unique);
    let label = |report: &&Report| {
        if all_unique { format!("seed {}", report.run.seed) } else { report.run.name.clone() }
    };
    group.reports.iter().map(label).collect()
}

/// The scores of the trained model.
pub(super) fn model_row(report: &Report) -> Option<&ScoreRow> {
    report.scores.iter().find(|row| !row.is_baseline)
}

/// Every baseline once, by name, as the first run that has it scored it.
pub(super) fn baselines(reports: &[Report]) -> Vec<&ScoreRow> {
    let mut found: Vec<&ScoreRow> = Vec::new();
    for row in reports.iter().flat_map(|report| &report.scores).filter(|row| row.is_baseline) {
        if found.iter().all(|other| other.name != row.name) {
            found.push(row);
        }
    }
    found
}

/// Whether all runs were scored on the same data, as far as the reports tell.
pub(super) fn same_data(reports: &[Report]) -> bool {
    reports.windows(2).all(|pair| pair[0].data == pair[1].data)
}

/// Median, smallest and largest of the finite ones of `values`.
pub(super) fn median_and_range(values: &[f64]) -> Option<[f64; 3]> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let (low, high) = (*sorted.first()?, *sorted.last()?);
    let median = f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]);
    Some([median, low, high])
}

fn label(report: &Report) -> String {
    model_row(report).map_or_else(|| report.model.label(), |row| row.name.clone())
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn seeds_of_one_model_form_a_group_and_other_sizes_do_not() {
        let mut reports = synthetic::comparison();
        let mut larger = reports[0].clone();
        larger.model.n_parameters *= 2;
        larger.run.name = "larger".into();
        reports.push(larger);
        let groups = groups(&reports);
        let sizes: Vec<_> =
            groups.iter().map(|group| (group.label.as_str(), group.reports.len())).collect();
        assert_eq!(
            sizes,
            [
                ("easy attention · easy-seed-0", 3),
                ("softmax attention", 1),
                ("lstm", 2),
                ("easy attention · larger", 1)
            ]
        );
        assert_eq!(run_labels(&groups[0]), ["seed 0", "seed 1", "seed 2"]);
    }

    #[test]
    fn runs_with_the_same_seed_go_by_their_name() {
        let mut reports = synthetic::comparison();
        reports[1].run.seed = 0;
        let names = run_labels(&groups(&reports)[0]);
        assert_eq!(names, ["easy-seed-0", "easy-seed-1", "easy-seed-2"]);
    }

    #[test]
    fn baselines_appear_once() {
        let reports = synthetic::comparison();
        let names: Vec<_> = baselines(&reports).iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["linear AR(32)", "NVAR", "climatology", "persistence"]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(median_and_range(&[4.0, 1.0, 2.0, f64::NAN, 9.0]), Some([3.0, 1.0, 9.0]));
        assert_eq!(median_and_range(&[5.0]), Some([5.0, 5.0, 5.0]));
        assert_eq!(median_and_range(&[f64::NAN]), None);
    }
}
