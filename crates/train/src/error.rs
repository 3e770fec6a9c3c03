//! Everything that can go wrong between a configuration and a report.

use std::path::PathBuf;

use regard_data::DataError;
use regard_nn::error::InvalidConfig;

/// Why a run could not be made, continued or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data could not be read, split or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The configuration describes no model.
    #[error(transparent)]
    Model(#[from] InvalidConfig),
    /// No preset and no file has this name.
    #[error(
        "no preset and no file is called \"{name}\"{}; presets: {}",
        nearest(.name, .known),
        .known.join(", ")
    )]
    UnknownPreset {
        /// Name asked for.
        name: String,
        /// Presets there are.
        known: Vec<String>,
    },
    /// A name that selects a model is not known.
    #[error(
        "no model is called \"{name}\"{}; models: {}",
        nearest(.name, .known),
        .known.join(", ")
    )]
    UnknownModel {
        /// Name asked for.
        name: String,
        /// Models there are.
        known: Vec<String>,
    },
    /// A name that selects a study is not known.
    #[error(
        "no study is called \"{name}\"{}; studies: {}",
        nearest(.name, .known),
        .known.join(", ")
    )]
    UnknownStudy {
        /// Name asked for.
        name: String,
        /// Studies there are.
        known: Vec<String>,
    },
    /// A configuration file, or a `--set`, does not parse.
    #[error("{origin}: {message}")]
    Config {
        /// File, preset, or `--set` argument.
        origin: String,
        /// What is wrong, with line and key where known.
        message: String,
    },
    /// A number of the configuration is out of range.
    #[error("{key} = {value}: expected {expected}")]
    OutOfRange {
        /// Key, dotted.
        key: &'static str,
        /// Value found.
        value: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The configuration names no data.
    #[error("no data: give --data FILE, or a [data] section in {origin}")]
    NoData {
        /// Where the configuration came from.
        origin: String,
    },
    /// No data set of a study is there.
    #[error(
        "{} holds none of the data sets of this study: {}; give the folder with one folder for each",
        .folder.display(),
        .known.join(", ")
    )]
    NoProblem {
        /// The folder of the data.
        folder: PathBuf,
        /// Names of the data sets, which are those of their folders.
        known: Vec<String>,
    },
    /// The loss stopped being a number.
    #[error(
        "the loss became {loss} at epoch {epoch}, step {step}, with learning rate {learning_rate:e}; \
         lower fit.optimizer.learning_rate, set fit.clip_norm, or look for extreme values in the data"
    )]
    NonFiniteLoss {
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step over all epochs, from 1.
        step: u64,
        /// Learning rate of the step.
        learning_rate: f64,
    },
    /// The runs of an ensemble forecast different things.
    #[error("{} does not fit {}, the first run of the ensemble", .run.display(), .first.display())]
    Member {
        /// The run that does not fit.
        run: PathBuf,
        /// The first one.
        first: PathBuf,
        /// How they differ.
        source: Box<DataError>,
    },
    /// No penalty made the regression solvable.
    #[error(
        "the closed form has no finite solution with fit.optimizer.ridge = {ridge:?}: add larger penalties, \
         or look for constant columns"
    )]
    Singular {
        /// Penalties tried.
        ridge: Vec<f64>,
    },
    /// The optimizer does not fit the model.
    #[error(
        "fit.optimizer.kind = \"closed-form\" needs model.kind = \"lifted\", which is linear in its \
         parameters; found \"{found}\""
    )]
    NotLinear {
        /// Name of the model.
        found: &'static str,
    },
    /// A series is longer than the model reads.
    #[error(
        "{}, series {series:?}: found {found} steps, expected at most {expected}, as the model was \
         trained on; cut the series into windows",
        .file.display()
    )]
    TooLong {
        /// The file, or the folder of files.
        file: PathBuf,
        /// Name of the series.
        series: String,
        /// Steps of the series.
        found: usize,
        /// Steps that the model reads.
        expected: usize,
    },
    /// A run learns another task than the one that was asked for.
    #[error("its task is to {found}; give a run whose task is to {wanted}")]
    OtherTask {
        /// Task of the run.
        found: &'static str,
        /// Task that was asked for.
        wanted: &'static str,
    },
    /// Points of functions that no quadrature rule takes.
    #[error("points of the functions: {problem}")]
    Points {
        /// What is wrong.
        problem: String,
    },
    /// Functions have other channels than those that the run was trained on.
    #[error(
        "{}: functions of {} input and {} output channels, the run was trained on {} and {}",
        .file.display(), found[0], found[1], expected[0], expected[1]
    )]
    OtherChannels {
        /// The archive.
        file: PathBuf,
        /// Channels of its inputs and outputs.
        found: [usize; 2],
        /// Those of the run.
        expected: [usize; 2],
    },
    /// A model or checkpoint file cannot be used.
    #[error("{}: {problem}", .file.display())]
    ModelFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// A folder is not a run, or not in the state that was asked for.
    #[error("{}: {problem}", .folder.display())]
    RunFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// The journal of a sweep cannot be used.
    #[error("{}: the journal of the sweep cannot be used", .file.display())]
    Journal {
        /// The file.
        file: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The operating system refused to read or write.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// "read", "write", "create".
        action: &'static str,
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A report could not be read back.
    #[error("{}", .file.display())]
    Report {
        /// The file.
        file: PathBuf,
        /// Why.
        source: crate::report::ReportError,
    },
    /// Training was stopped from outside; a checkpoint was saved.
    #[error("stopped; everything up to here is saved in {}", .folder.display())]
    Interrupted {
        /// Run folder, which can be resumed.
        folder: PathBuf,
    },
}

impl TrainError {
    /// Wraps an error of the operating system.
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// ` (did you mean "…"?)` if a known name is near, else nothing.
pub(crate) fn nearest(name: &str, known: &[impl AsRef<str>]) -> String {
    known
        .iter()
        .map(|k| (strsim::jaro_winkler(name, k.as_ref()), k.as_ref()))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, k)| format!(" (did you mean \"{k}\"?)"))
}
