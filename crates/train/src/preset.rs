//! Whole runs, embedded in the program.

use crate::error::TrainError;

/// A named configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Name on the command line.
    pub name: &'static str,
    /// The file, TOML with comments.
    pub toml: &'static str,
}

const ALL: &[Preset] = &[
    Preset { name: "lorenz", toml: include_str!("../../../presets/lorenz.toml") },
    Preset { name: "lorenz-direct", toml: include_str!("../../../presets/lorenz-direct.toml") },
    Preset { name: "series", toml: include_str!("../../../presets/series.toml") },
];

impl Preset {
    /// What the preset is for: the first line of the file.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.toml.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

/// All presets, by name.
#[must_use]
pub fn all() -> &'static [Preset] {
    ALL
}

/// The preset of this name.
///
/// # Errors
/// [`TrainError::UnknownPreset`], with the nearest name.
pub fn find(name: &str) -> Result<&'static Preset, TrainError> {
    ALL.iter().find(|p| p.name == name).ok_or_else(|| TrainError::UnknownPreset {
        name: name.to_owned(),
        known: ALL.iter().map(|p| p.name.to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::RunConfig;

    #[test]
    fn every_preset_parses_and_has_a_title() {
        for preset in all() {
            RunConfig::load(preset.name, &[]).unwrap();
            assert!(preset.title().len() > 20, "{}", preset.title());
        }
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let message = find("lorens").unwrap_err().to_string();
        assert_eq!(
            message,
            "no preset and no file is called \"lorens\" (did you mean \"lorenz\"?); \
             presets: lorenz, lorenz-direct, series"
        );
    }
}
