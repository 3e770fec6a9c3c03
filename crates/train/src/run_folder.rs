//! The folder of a run, and what lies in it.

use std::path::{Path, PathBuf};

use crate::classification::ClassifyConfig;
use crate::error::TrainError;
use crate::forecast_config::ForecastConfig;
use crate::language::LanguageConfig;
use crate::operator::OperatorRunConfig;
use crate::report::file::write_atomically;
use crate::report::{EpochRow, Report, RunReport};
use crate::run_config::RunConfig;

/// Where runs go by default, below the working directory.
pub const ROOT: &str = "runs";

/// One run's folder.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder: `out`, or the first free `runs/DATE-NAME`, `runs/DATE-NAME-2`, …
    pub(crate) fn create(out: Option<&Path>, name: &str) -> Result<Self, TrainError> {
        if let Some(path) = out {
            let folder = Self { path: path.to_owned() };
            if folder.run_toml().exists() {
                return Err(folder.error(
                    "already holds a run; choose another --out, or continue it with --resume",
                ));
            }
            std::fs::create_dir_all(path).map_err(TrainError::io("create", path))?;
            return Ok(folder);
        }
        let root = Path::new(ROOT);
        std::fs::create_dir_all(root).map_err(TrainError::io("create", root))?;
        let date = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
        let stem = format!("{date}-{}", slug(name));
        for n in 1.. {
            let path = root.join(if n == 1 { stem.clone() } else { format!("{stem}-{n}") });
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(TrainError::io("create", &path)(e)),
            }
        }
        unreachable!("some number is free")
    }

    /// A folder inside a run's, for one part of its work; it may exist.
    pub(crate) fn part(path: &Path) -> Result<Self, TrainError> {
        std::fs::create_dir_all(path).map_err(TrainError::io("create", path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// An existing run.
    pub(crate) fn open(path: &Path) -> Result<Self, TrainError> {
        let folder = Self { path: path.to_owned() };
        if !path.is_dir() {
            return Err(folder.error("no such folder; `regard runs list` shows the runs"));
        }
        if !folder.run_toml().is_file() {
            return Err(folder.error("not a run: it has no run.toml"));
        }
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    }

    fn run_toml(&self) -> PathBuf {
        self.path.join("run.toml")
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    pub(crate) fn predictions(&self) -> PathBuf {
        self.path.join("predictions.parquet")
    }

    fn report_json(&self) -> PathBuf {
        self.path.join("report.json")
    }

    pub(crate) fn write_config(&self, config: &RunConfig) -> Result<(), TrainError> {
        self.write("run.toml", config.to_toml().as_bytes())
    }

    pub(crate) fn config_text(&self) -> Result<String, TrainError> {
        let file = self.run_toml();
        std::fs::read_to_string(&file).map_err(TrainError::io("read", &file))
    }

    pub(crate) fn config(&self) -> Result<RunConfig, TrainError> {
        let origin = self.run_toml().display().to_string();
        RunConfig::parse(&origin, &self.config_text()?, &[])
    }

    /// The configuration of a run that forecasts.
    pub(crate) fn forecast_config(&self) -> Result<ForecastConfig, TrainError> {
        let found = self.config()?;
        found.forecast().map_err(|error| self.error(&error.to_string()))
    }

    /// The configuration of a run that classifies.
    pub(crate) fn classify_config(&self) -> Result<ClassifyConfig, TrainError> {
        let found = self.config()?;
        found.classify().map_err(|error| self.error(&error.to_string()))
    }

    /// The configuration of a run that learns to go on with a text.
    pub(crate) fn language_config(&self) -> Result<LanguageConfig, TrainError> {
        let found = self.config()?;
        found.language().map_err(|error| self.error(&error.to_string()))
    }

    /// The configuration of a run that learns an operator.
    pub(crate) fn operator_config(&self) -> Result<OperatorRunConfig, TrainError> {
        let found = self.config()?;
        found.operator().map_err(|error| self.error(&error.to_string()))
    }

    /// One JSON object per epoch, replaced as a whole.
    pub(crate) fn write_metrics(&self, curve: &[EpochRow]) -> Result<(), TrainError> {
        let lines: Vec<String> = curve
            .iter()
            .map(|row| serde_json::to_string(row).expect("a row has a JSON form"))
            .collect();
        self.write("metrics.jsonl", format!("{}\n", lines.join("\n")).as_bytes())
    }

    /// Writes `report.html` and then `report.json`, which marks the run as finished.
    pub(crate) fn write_report(&self, report: &RunReport) -> Result<(), TrainError> {
        self.write("report.html", report.html().as_bytes())?;
        self.write("report.json", report.to_json_pretty().as_bytes())
    }

    /// The report of a finished run.
    pub(crate) fn report(&self) -> Result<Option<RunReport>, TrainError> {
        let file = self.report_json();
        if !file.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&file).map_err(TrainError::io("read", &file))?;
        let report = RunReport::from_json(&text)
            .map_err(|source| TrainError::Report { file: file.clone(), source })?;
        Ok(Some(report))
    }

    /// The report of a finished run that forecasts.
    pub(crate) fn forecast_report(&self) -> Result<Option<Report>, TrainError> {
        Ok(self.report()?.and_then(RunReport::forecast))
    }

    pub(crate) fn remove_checkpoint(&self) {
        // Losing the race against somebody who deletes it as well is no error.
        let _ = std::fs::remove_file(self.checkpoint());
    }

    /// After an error: what the run wrote is removed if nothing of it can be resumed from, and the
    /// folder as well if it is empty then. Files of others stay.
    pub(crate) fn remove_if_useless(&self) {
        if self.checkpoint().exists() || self.model().exists() {
            return;
        }
        // The error that led here is the one to report, whatever happens to the files now.
        for name in ["run.toml", "metrics.jsonl"] {
            let _ = std::fs::remove_file(self.path.join(name));
        }
        let _ = std::fs::remove_dir(&self.path);
        let _ = std::fs::remove_dir(ROOT);
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        let file = self.path.join(name);
        write_atomically(&file, bytes).map_err(TrainError::io("write", &file))
    }

    pub(crate) fn error(&self, problem: &str) -> TrainError {
        TrainError::RunFolder { folder: self.path.clone(), problem: problem.to_owned() }
    }
}

/// A name that is a plain file name anywhere.
fn slug(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    kept.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_a_run_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        RunFolder::create(Some(&path), "a").unwrap().write("run.toml", b"").unwrap();
        let message = RunFolder::create(Some(&path), "a").unwrap_err().to_string();
        assert!(message.contains("already holds a run"), "{message}");
    }

    #[test]
    fn a_folder_that_is_no_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let message = RunFolder::open(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with("not a run: it has no run.toml"), "{message}");
    }

    #[test]
    fn names_become_plain_file_names() {
        assert_eq!(slug("my data/über.toml"), "my-data--ber.toml");
    }
}
