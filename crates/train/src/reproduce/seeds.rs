//! The runs of one row of a study: one configuration, several seeds.

use std::path::Path;

use super::ReproduceOptions;
use crate::compare::train_or_take;
use crate::error::TrainError;
use crate::observer::Observer;
use crate::run::{Outcome, TrainOptions};
use crate::run_config::RunConfig;

/// What a row of a study changes of the configuration of all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variant<'a> {
    /// The preset.
    pub(super) preset: &'a str,
    /// A model by name in place of the preset's.
    pub(super) model: Option<&'a str>,
    /// Values of keys, set after the model.
    pub(super) set: &'a [String],
}

impl Variant<'_> {
    /// The configuration; `label` is what messages call it.
    pub(super) fn config(&self, label: &str) -> Result<RunConfig, TrainError> {
        let mut config = RunConfig::load(self.preset, &[])?;
        if let Some(model) = self.model {
            config.use_model(model)?;
        }
        RunConfig::parse(label, &config.to_toml(), self.set)
    }
}

/// Trains or takes the run of every seed in a folder below `group` of the study's runs; `each` sees them
/// in order.
///
/// # Errors
/// As [`crate::train`], and those of `each`.
pub(super) fn each_seed(
    label: &str,
    group: &Path,
    config: &RunConfig,
    seeds: u64,
    options: &ReproduceOptions,
    observer: &mut dyn Observer,
    mut each: impl FnMut(Outcome) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    for seed in 0..seeds {
        let mut config = config.clone();
        config.set_seed(seed);
        let name = format!("{}-seed{seed}", label.replace([' ', ',', '/'], "-"));
        let out = options.out.join("runs").join(group).join(&name);
        observer.note(&format!("{}{label}, seed {seed}", prefix(group)));
        let run = TrainOptions { name, out: Some(out), command: options.command.clone() };
        each(train_or_take(config, &run, observer)?)?;
    }
    Ok(())
}

fn prefix(group: &Path) -> String {
    let name = group.display().to_string();
    if name.is_empty() { name } else { format!("{name}: ") }
}
