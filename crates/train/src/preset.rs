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

/// The preset of a file in `presets/`.
macro_rules! preset {
    ($name:literal) => {
        Preset { name: $name, toml: include_str!(concat!("../../../presets/", $name, ".toml")) }
    };
}

const ALL: &[Preset] = &[
    preset!("lorenz"),
    preset!("lorenz-anchor"),
    preset!("lorenz-direct"),
    preset!("lorenz-lifted"),
    preset!("lorenz-noise"),
    preset!("reactor"),
    preset!("reactor-lifted"),
    preset!("series"),
    preset!("shear-flow"),
    preset!("shear-flow-lifted"),
    preset!("sinusoids"),
    preset!("sinusoids-lifted"),
    preset!("uci-har"),
    preset!("uci-har-paper"),
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
             presets: lorenz, lorenz-anchor, lorenz-direct, lorenz-lifted, lorenz-noise, \
             reactor, reactor-lifted, series, shear-flow, shear-flow-lifted, sinusoids, sinusoids-lifted, uci-har, uci-har-paper"
        );
    }
}
