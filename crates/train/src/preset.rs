//! Whole runs, embedded in the program.
//!
//! The name of a family ends in `/NAME`: it is a preset for any name in that place, which takes the place
//! of `NAME` in its file.

use std::borrow::Cow;

use crate::error::TrainError;

/// A named configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Name on the command line.
    pub name: Cow<'static, str>,
    /// The file, TOML with comments.
    pub toml: Cow<'static, str>,
}

/// The preset of a file in `presets/`.
macro_rules! preset {
    ($name:literal) => {
        Preset {
            name: Cow::Borrowed($name),
            toml: Cow::Borrowed(include_str!(concat!("../../../presets/", $name, ".toml"))),
        }
    };
}

/// What stands for any name in the name and the file of a family.
const ANY: &str = "NAME";

const ALL: &[Preset] = &[
    preset!("controlled-ode"),
    preset!("darcy"),
    preset!("kolmogorov"),
    preset!("lorenz"),
    preset!("lorenz-anchor"),
    preset!("lorenz-direct"),
    preset!("lorenz-lifted"),
    preset!("lorenz-noise"),
    preset!("lorenz-operator"),
    preset!("mnist"),
    preset!("reactor"),
    preset!("reactor-lifted"),
    preset!("series"),
    preset!("shear-flow"),
    preset!("shear-flow-lifted"),
    preset!("sinusoids"),
    preset!("sinusoids-lifted"),
    preset!("text"),
    preset!("text-paper"),
    preset!("uci-har"),
    preset!("uci-har-paper"),
    preset!("uea/NAME"),
    preset!("uea-stem/NAME"),
    preset!("uea-stem/UWaveGestureLibrary"),
];

impl Preset {
    /// What the preset is for: the first line of the file.
    #[must_use]
    pub fn title(&self) -> &str {
        self.toml.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

/// All presets, by name.
#[must_use]
pub fn all() -> &'static [Preset] {
    ALL
}

/// The preset of this name, or that of its family for this name.
///
/// # Errors
/// [`TrainError::UnknownPreset`], with the nearest name.
pub fn find(name: &str) -> Result<Preset, TrainError> {
    let itself = ALL.iter().find(|preset| preset.name == name).cloned();
    itself.or_else(|| member(name)).ok_or_else(|| TrainError::UnknownPreset {
        name: name.to_owned(),
        known: ALL.iter().map(|preset| preset.name.to_string()).collect(),
    })
}

fn member(name: &str) -> Option<Preset> {
    let (family, own) = name.split_once('/')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if own.is_empty() || !own.chars().all(is_name) {
        return None;
    }
    let any = format!("{family}/{ANY}");
    let preset = ALL.iter().find(|preset| preset.name == any)?;
    Some(Preset { name: name.to_owned().into(), toml: preset.toml.replace(ANY, own).into() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::run_config::RunConfig;

    #[test]
    fn every_preset_parses_and_has_a_title() {
        for preset in all() {
            RunConfig::load(&preset.name, &[]).unwrap();
            assert!(preset.title().len() > 20, "{}", preset.title());
        }
    }

    #[test]
    fn every_file_of_the_folder_is_a_preset() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../presets");
        let mut names = Vec::new();
        for family in ["", "uea/", "uea-stem/"] {
            for entry in std::fs::read_dir(folder.join(family)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                names.extend(name.strip_suffix(".toml").map(|name| format!("{family}{name}")));
            }
        }
        names.sort();
        let mut known: Vec<&str> = all().iter().map(|preset| preset.name.as_ref()).collect();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let message = find("lorens").unwrap_err().to_string();
        assert_eq!(
            message,
            "no preset and no file is called \"lorens\" (did you mean \"lorenz\"?); \
             presets: controlled-ode, darcy, kolmogorov, lorenz, lorenz-anchor, lorenz-direct, lorenz-lifted, \
             lorenz-noise, lorenz-operator, mnist, reactor, reactor-lifted, series, shear-flow, shear-flow-lifted, sinusoids, sinusoids-lifted, text, text-paper, uci-har, uci-har-paper, uea/NAME, uea-stem/NAME, uea-stem/UWaveGestureLibrary"
        );
    }

    #[test]
    fn a_family_has_a_preset_for_any_name() {
        let preset = find("uea/GunPoint").unwrap();
        assert!(preset.toml.contains("\"GunPoint\"") && !preset.toml.contains(ANY));
        assert_eq!(RunConfig::load("uea/GunPoint", &[]).unwrap().title(), "GunPoint");
        for wrong in ["uea/", "ueo/GunPoint", "uea/a\"b", "uea/a/b"] {
            assert!(find(wrong).is_err(), "{wrong}");
        }
    }
}
