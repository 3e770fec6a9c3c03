//! Whether a trained model is worth anything at all.

use super::Report;

impl Report {
    /// Whether the trained model has a lower one-step error than persistence, and its free runs
    /// stay finite.
    ///
    /// Where persistence was not run, only the second half is asked.
    #[must_use]
    pub fn beats_persistence(&self) -> bool {
        let Some(model) = self.scores.iter().find(|row| !row.is_baseline) else { return false };
        let Some(error) = model.one_step_mse.filter(|e| e.is_finite()) else { return false };
        let persistence = self.scores.iter().find(|row| row.name == "persistence");
        let beaten = persistence.and_then(|p| p.one_step_mse).is_none_or(|p| error < p);
        let finite = model.error_at.iter().all(|at| at.median.is_finite());
        beaten && finite
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;

    #[test]
    fn a_model_must_beat_persistence_and_stay_finite() {
        let mut report = synthetic::lorenz();
        let at = |name: &str, report: &super::Report| {
            report.scores.iter().position(|row| row.name == name).unwrap()
        };
        let persistence = at("persistence", &report);
        let model = report.scores.iter().position(|row| !row.is_baseline).unwrap();
        report.scores[persistence].one_step_mse = Some(1e-3);
        report.scores[model].one_step_mse = Some(1e-4);
        assert!(report.beats_persistence());
        report.scores[model].one_step_mse = Some(2e-3);
        assert!(!report.beats_persistence());
        report.scores[model].one_step_mse = Some(f64::NAN);
        assert!(!report.beats_persistence());
    }
}
