//! Names of models on the command line; an exhaustive match, no globals.

use regard_nn::mechanism::{
    AttentionKernel, ContinuumConfig, EasyConfig, EasyForm, LarnnConfig, LinearConfig, LogConfig,
    MechanismConfig, PrimalDualConfig, SoftmaxConfig, TimeMatrix,
};
use regard_nn::model::baseline::LstmConfig;
use regard_nn::model::classifier::{
    AttentionClassifierConfig, BlockConfig, ClassifierConfig, CnnClassifierConfig, Convolution,
    GruClassifierConfig, InputActivation, LstmClassifierConfig, PaperLarnnClassifierConfig,
    Pooling, Positions, ResidualBilstmClassifierConfig, StemConvolution, VisionClassifierConfig,
};
use regard_nn::model::language_model::{
    HeadsConfig, LanguageModelConfig, LogMixerConfig, MixerConfig,
};
use regard_nn::model::operator::{FnoConfig, OperatorConfig, PatchedConfig, TnoConfig};
use regard_nn::model::{ForecasterConfig, LiftedConfig, ModelConfig, Readout};

use crate::error::TrainError;

/// Names that [`model`] knows.
pub const MODELS: &[&str] = &[
    "easy",
    "easy-left",
    "softmax",
    "lstm",
    "lifted",
    "larnn",
    "linear",
    "log",
    "batch-norm",
    "scaled-heads",
    "batch-norm-scaled-heads",
];

/// The model called `name`, of about the size of `like` and with its read-out.
///
/// A mechanism takes the place of the mechanism in the encoder of `like`. An LSTM gets twice the
/// width of the encoder and as many layers.
///
/// # Errors
/// [`TrainError::UnknownModel`], with the nearest name.
pub fn model(name: &str, like: &ModelConfig) -> Result<ModelConfig, TrainError> {
    let base = encoder_like(like);
    // Also windowed and linear kinds, which have no name of their own.
    if matches!(base.mechanism, MechanismConfig::PrimalDual(_)) && name == name_of(like) {
        return Ok(like.clone());
    }
    let n_heads = n_heads_of(&base.mechanism);
    let easy = |form| MechanismConfig::Easy(EasyConfig { form, ..EasyConfig::new(n_heads) });
    let mechanism = match name {
        "easy" => easy(EasyForm::Right),
        "easy-left" => easy(EasyForm::Left),
        "larnn" => match &base.mechanism {
            MechanismConfig::Larnn(c) => MechanismConfig::Larnn(c.clone()),
            _ => MechanismConfig::Larnn(LarnnConfig::new(n_heads)),
        },
        "softmax" => MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false }),
        "linear" => MechanismConfig::Linear(LinearConfig { n_heads, causal: false }),
        "log" => MechanismConfig::Log(LogConfig::new(n_heads)),
        "batch-norm" | "scaled-heads" | "batch-norm-scaled-heads" => {
            primal_dual(name, &base.mechanism, n_heads)
        }
        "lstm" => {
            return Ok(ModelConfig::Lstm(match like {
                ModelConfig::Lstm(lstm) => lstm.clone(),
                _ => LstmConfig {
                    d_hidden: 2 * base.d_model,
                    n_layers: base.n_layers,
                    readout: base.readout,
                },
            }));
        }
        "lifted" => {
            return Ok(ModelConfig::Lifted(match like {
                ModelConfig::Lifted(lifted) => lifted.clone(),
                _ => LiftedConfig { degree: 2, n_heads: None, readout: base.readout },
            }));
        }
        _ => {
            return Err(TrainError::UnknownModel {
                name: name.to_owned(),
                known: MODELS.iter().map(ToString::to_string).collect(),
            });
        }
    };
    Ok(ModelConfig::Forecaster(ForecasterConfig { mechanism, ..base }))
}

fn n_heads_of(mechanism: &MechanismConfig) -> usize {
    match mechanism {
        MechanismConfig::Softmax(c) => c.n_heads,
        MechanismConfig::Easy(c) => c.n_heads,
        MechanismConfig::Larnn(c) => c.n_heads,
        MechanismConfig::Linear(c) => c.n_heads,
        MechanismConfig::Log(c) => c.n_heads,
        MechanismConfig::PrimalDual(c) => c.n_heads,
    }
}

/// Batch normalisation, scaled heads or both, over softmax; what `like` says about either is kept.
fn primal_dual(name: &str, like: &MechanismConfig, n_heads: usize) -> MechanismConfig {
    let like = match like {
        MechanismConfig::PrimalDual(c) => c.clone(),
        _ => PrimalDualConfig::new(n_heads),
    };
    let batch_norm = name.starts_with("batch-norm");
    let scaled_heads = name.ends_with("scaled-heads");
    MechanismConfig::PrimalDual(PrimalDualConfig {
        batch_norm: batch_norm.then(|| like.batch_norm.unwrap_or_default()),
        scaled_heads: scaled_heads.then(|| like.scaled_heads.unwrap_or_default()),
        kernel: AttentionKernel::Softmax,
        n_heads,
        causal: like.causal && !scaled_heads,
    })
}

/// Name of a model in tables: its mechanism, or its kind.
#[must_use]
pub fn name_of(model: &ModelConfig) -> &'static str {
    match model {
        ModelConfig::Lstm(_) => "lstm",
        ModelConfig::Lifted(_) => "lifted",
        ModelConfig::Forecaster(f) => mechanism_name(&f.mechanism),
    }
}

fn mechanism_name(mechanism: &MechanismConfig) -> &'static str {
    match mechanism {
        MechanismConfig::Softmax(_) => "softmax",
        MechanismConfig::Larnn(_) => "larnn",
        MechanismConfig::Linear(_) => "linear",
        MechanismConfig::Log(_) => "log",
        MechanismConfig::PrimalDual(c) => primal_dual_name(c),
        MechanismConfig::Easy(c) => match c.form {
            EasyForm::Right => "easy",
            EasyForm::Left => "easy-left",
        },
    }
}

fn primal_dual_name(config: &PrimalDualConfig) -> &'static str {
    match (config.kernel, config.batch_norm.is_some(), config.scaled_heads.is_some()) {
        (AttentionKernel::Softmax, false, false) => "softmax",
        (AttentionKernel::Softmax, true, false) => "batch-norm",
        (AttentionKernel::Softmax, false, true) => "scaled-heads",
        (AttentionKernel::Softmax, true, true) => "batch-norm-scaled-heads",
        (AttentionKernel::Linear, false, false) => "linear",
        (AttentionKernel::Linear, true, false) => "linear-batch-norm",
        (AttentionKernel::Linear, false, true) => "linear-scaled-heads",
        (AttentionKernel::Linear, true, true) => "linear-batch-norm-scaled-heads",
        (AttentionKernel::Window(_), false, false) => "window",
        (AttentionKernel::Window(_), true, false) => "window-batch-norm",
        (AttentionKernel::Window(_), false, true) => "window-scaled-heads",
        (AttentionKernel::Window(_), true, true) => "window-batch-norm-scaled-heads",
    }
}

/// What the output of a model stands for.
#[must_use]
pub fn readout_of(model: &ModelConfig) -> Readout {
    match model {
        ModelConfig::Lstm(c) => c.readout,
        ModelConfig::Lifted(c) => c.readout,
        ModelConfig::Forecaster(c) => c.readout,
    }
}

fn encoder_like(model: &ModelConfig) -> ForecasterConfig {
    match model {
        ModelConfig::Forecaster(f) => f.clone(),
        ModelConfig::Lstm(c) => ForecasterConfig {
            d_model: (c.d_hidden / 2).next_multiple_of(4),
            d_ff: c.d_hidden.next_multiple_of(2),
            n_layers: c.n_layers,
            readout: c.readout,
            time_maps: TimeMatrix::default(),
            mechanism: MechanismConfig::Easy(EasyConfig::new(4)),
        },
        // The lifted form has no width; this is the size of the preset `lorenz`.
        ModelConfig::Lifted(c) => ForecasterConfig {
            d_model: 32,
            d_ff: 64,
            n_layers: 2,
            readout: c.readout,
            time_maps: TimeMatrix::default(),
            mechanism: MechanismConfig::Easy(EasyConfig::new(4)),
        },
    }
}

/// Names that [`classifier`] knows.
pub const CLASSIFIERS: &[&str] = &[
    "larnn",
    "softmax",
    "easy",
    "lstm",
    "gru",
    "residual-bilstm",
    "cnn",
    "paper-larnn",
    "linear",
    "log",
    "batch-norm",
    "scaled-heads",
    "batch-norm-scaled-heads",
];

/// The classifier called `name`: a mechanism takes the place of that in the encoder blocks of `like`, or
/// stands in two blocks of its own where `like` has none; recurrent layers have the width and the stem of
/// `like` and, where it reads row by row, its pooling; the residual bidirectional LSTM and the
/// convolutions have the sizes of their sources.
///
/// # Errors
/// [`TrainError::UnknownModel`], with the nearest name.
pub fn classifier(name: &str, like: &ClassifierConfig) -> Result<ClassifierConfig, TrainError> {
    if name == classifier_name(like) {
        return Ok(like.clone());
    }
    let (width, (stem, pooling)) = (width_of(like), ends_of(like));
    let mechanism = match like {
        ClassifierConfig::Classifier(AttentionClassifierConfig { mechanism, .. })
        | ClassifierConfig::Vision(VisionClassifierConfig { mechanism, .. }) => mechanism.clone(),
        _ => MechanismConfig::Softmax(SoftmaxConfig { n_heads: 4, causal: false }),
    };
    let n_heads = n_heads_of(&mechanism);
    let attention = |positions, block, mechanism, pooling, activation| {
        ClassifierConfig::Classifier(AttentionClassifierConfig {
            stem: stem.clone(),
            d_model: width,
            activation,
            positions,
            block,
            mechanism,
            pooling,
            dropout: 0.0,
        })
    };
    let encoder = |mechanism| {
        match like {
            ClassifierConfig::Classifier(c) if matches!(c.block, BlockConfig::Encoder(_)) => {
                return ClassifierConfig::Classifier(AttentionClassifierConfig {
                    mechanism,
                    ..c.clone()
                });
            }
            ClassifierConfig::Vision(c) => {
                return ClassifierConfig::Vision(VisionClassifierConfig { mechanism, ..c.clone() });
            }
            _ => {}
        }
        let block = BlockConfig::encoder(2 * width, 2);
        attention(Positions::Learned, block, mechanism, Pooling::Mean, InputActivation::Identity)
    };
    let (relu, n_layers, dropout) = (Some(InputActivation::Relu), 2, 0.1);
    Ok(match name {
        "larnn" => attention(
            Positions::None,
            BlockConfig::Bare {},
            MechanismConfig::Larnn(LarnnConfig::new(4)),
            pooling,
            InputActivation::Elu,
        ),
        "softmax" => encoder(MechanismConfig::Softmax(SoftmaxConfig { n_heads, causal: false })),
        "easy" => encoder(MechanismConfig::Easy(EasyConfig::new(n_heads))),
        "linear" => encoder(MechanismConfig::Linear(LinearConfig { n_heads, causal: false })),
        "log" => encoder(MechanismConfig::Log(LogConfig::new(n_heads))),
        "batch-norm" | "scaled-heads" | "batch-norm-scaled-heads" => {
            encoder(primal_dual(name, &mechanism, n_heads))
        }
        "lstm" => ClassifierConfig::Lstm(LstmClassifierConfig {
            stem,
            d_hidden: width,
            n_layers,
            input: relu,
            forget_bias: 1.0,
            pooling,
            dropout,
        }),
        "gru" => ClassifierConfig::Gru(GruClassifierConfig {
            stem,
            d_hidden: width,
            n_layers,
            input: relu,
            pooling,
            dropout,
        }),
        "residual-bilstm" => ClassifierConfig::ResidualBilstm(ResidualBilstmClassifierConfig {
            d_hidden: 28,
            n_blocks: 3,
            n_cells: 3,
            bidirectional: true,
            pooling,
            dropout: 0.15,
        }),
        "cnn" => ClassifierConfig::Cnn(CnnClassifierConfig {
            convolutions: [(64, 7), (128, 5), (64, 3)]
                .map(|(filters, length)| Convolution { filters, length })
                .to_vec(),
            dropout,
        }),
        "paper-larnn" => ClassifierConfig::PaperLarnn(PaperLarnnClassifierConfig::default()),
        _ => {
            return Err(TrainError::UnknownModel {
                name: name.to_owned(),
                known: CLASSIFIERS.iter().map(ToString::to_string).collect(),
            });
        }
    })
}

/// Name of a classifier in tables: its mechanism, or its kind.
#[must_use]
pub fn classifier_name(model: &ClassifierConfig) -> &'static str {
    match model {
        ClassifierConfig::Classifier(c) => mechanism_name(&c.mechanism),
        ClassifierConfig::Vision(c) => mechanism_name(&c.mechanism),
        ClassifierConfig::Lstm(_) => "lstm",
        ClassifierConfig::Gru(_) => "gru",
        ClassifierConfig::ResidualBilstm(_) => "residual-bilstm",
        ClassifierConfig::Cnn(_) => "cnn",
        ClassifierConfig::PaperLarnn(_) => "paper-larnn",
    }
}

/// Names that [`language_model`] knows.
pub const LANGUAGE_MODELS: &[&str] = &["log", "softmax", "linear", "easy", "lstm", "larnn"];

/// The language model called `name`: its mixer takes the place of that of `like`, with as many heads.
///
/// # Errors
/// [`TrainError::UnknownModel`], with the nearest name.
pub fn language_model(
    name: &str,
    like: &LanguageModelConfig,
) -> Result<LanguageModelConfig, TrainError> {
    if name == language_model_name(like) {
        return Ok(like.clone());
    }
    let n_heads = match &like.mixer {
        MixerConfig::Log(c) => c.n_heads,
        MixerConfig::Softmax(c) | MixerConfig::Linear(c) | MixerConfig::Easy(c) => c.n_heads,
        MixerConfig::Larnn(c) => c.n_heads,
        MixerConfig::Lstm {} => 4,
    };
    let heads = HeadsConfig { n_heads };
    let mixer = match name {
        "log" => MixerConfig::Log(LogMixerConfig::new(n_heads)),
        "softmax" => MixerConfig::Softmax(heads),
        "linear" => MixerConfig::Linear(heads),
        "easy" => MixerConfig::Easy(heads),
        "lstm" => MixerConfig::Lstm {},
        "larnn" => MixerConfig::Larnn(LarnnConfig::new(n_heads)),
        _ => {
            return Err(TrainError::UnknownModel {
                name: name.to_owned(),
                known: LANGUAGE_MODELS.iter().map(ToString::to_string).collect(),
            });
        }
    };
    Ok(LanguageModelConfig { mixer, ..like.clone() })
}

/// Name of a language model in tables: its mixer.
#[must_use]
pub fn language_model_name(model: &LanguageModelConfig) -> &'static str {
    match &model.mixer {
        MixerConfig::Log(_) => "log",
        MixerConfig::Softmax(_) => "softmax",
        MixerConfig::Linear(_) => "linear",
        MixerConfig::Easy(_) => "easy",
        MixerConfig::Lstm {} => "lstm",
        MixerConfig::Larnn(_) => "larnn",
    }
}

/// Names that [`operator`] knows.
pub const OPERATORS: &[&str] = &["tno", "vitno", "fano", "fno"];

/// The operator called `name`, of the width and depth of `like`.
///
/// # Errors
/// [`TrainError::UnknownModel`], with the nearest name.
pub fn operator(name: &str, like: &OperatorConfig) -> Result<OperatorConfig, TrainError> {
    if name == operator_name(like) {
        return Ok(like.clone());
    }
    let patched = match like {
        OperatorConfig::Vitno(c) | OperatorConfig::Fano(c) => c.clone(),
        OperatorConfig::Tno(c) => PatchedConfig {
            d_model: c.d_model,
            d_ff: c.d_ff,
            n_heads: c.mechanism.n_heads,
            n_layers: c.n_layers,
            norm: c.norm,
            ..PatchedConfig::default()
        },
        OperatorConfig::Fno(c) => {
            let (d_model, n_layers) = (c.d_model, c.n_layers);
            PatchedConfig { d_model, d_ff: 2 * d_model, n_layers, ..PatchedConfig::default() }
        }
    };
    let PatchedConfig { d_model, d_ff, n_heads, n_layers, norm, .. } = patched;
    Ok(match name {
        "vitno" => OperatorConfig::Vitno(patched),
        "fano" => OperatorConfig::Fano(patched),
        "tno" => OperatorConfig::Tno(TnoConfig {
            d_model,
            d_ff,
            n_layers,
            mechanism: ContinuumConfig::new(n_heads),
            norm,
            ..TnoConfig::default()
        }),
        "fno" => OperatorConfig::Fno(FnoConfig { d_model, n_layers, ..FnoConfig::default() }),
        _ => {
            return Err(TrainError::UnknownModel {
                name: name.to_owned(),
                known: OPERATORS.iter().map(ToString::to_string).collect(),
            });
        }
    })
}

/// Name of an operator in tables: its kind.
#[must_use]
pub fn operator_name(model: &OperatorConfig) -> &'static str {
    match model {
        OperatorConfig::Tno(_) => "tno",
        OperatorConfig::Vitno(_) => "vitno",
        OperatorConfig::Fano(_) => "fano",
        OperatorConfig::Fno(_) => "fno",
    }
}

/// The convolutions in front of a classifier and the pooling behind it.
fn ends_of(model: &ClassifierConfig) -> (Vec<StemConvolution>, Pooling) {
    match model {
        // Flattened rows do not come row by row.
        ClassifierConfig::Classifier(AttentionClassifierConfig {
            stem,
            pooling: Pooling::Flatten,
            ..
        }) => (stem.clone(), Pooling::Last),
        ClassifierConfig::Classifier(c) => (c.stem.clone(), c.pooling),
        ClassifierConfig::Lstm(c) => (c.stem.clone(), c.pooling),
        ClassifierConfig::Gru(c) => (c.stem.clone(), c.pooling),
        ClassifierConfig::Vision(_)
        | ClassifierConfig::ResidualBilstm(_)
        | ClassifierConfig::Cnn(_)
        | ClassifierConfig::PaperLarnn(_) => (Vec::new(), Pooling::Last),
    }
}

/// Width of the rows inside a classifier.
fn width_of(model: &ClassifierConfig) -> usize {
    match model {
        ClassifierConfig::Classifier(c) => c.d_model,
        ClassifierConfig::Vision(c) => c.d_model,
        ClassifierConfig::Lstm(c) => c.d_hidden,
        ClassifierConfig::Gru(c) => c.d_hidden,
        // None of them has the width that a single layer of another kind would need.
        ClassifierConfig::ResidualBilstm(_)
        | ClassifierConfig::Cnn(_)
        | ClassifierConfig::PaperLarnn(_) => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast_config::ForecastConfig;
    use crate::run_config::RunConfig;

    #[test]
    fn every_name_gives_a_model_of_that_name() {
        let like = ForecastConfig::load("lorenz", &[]).unwrap().model;
        for name in MODELS {
            assert_eq!(name_of(&model(name, &like).unwrap()), *name);
        }
    }

    #[test]
    fn every_name_gives_a_classifier_of_that_name() {
        let RunConfig::Classify(config) = RunConfig::load("uci-har", &[]).unwrap() else {
            panic!("it classifies")
        };
        for name in CLASSIFIERS {
            assert_eq!(classifier_name(&classifier(name, &config.model).unwrap()), *name);
        }
    }

    #[test]
    fn every_name_gives_a_language_model_of_that_name() {
        let RunConfig::Language(config) = RunConfig::load("text", &[]).unwrap() else {
            panic!("it goes on with a text")
        };
        for name in LANGUAGE_MODELS {
            let model = language_model(name, &config.model).unwrap();
            assert_eq!(language_model_name(&model), *name);
        }
    }

    #[test]
    fn a_mechanism_takes_the_place_of_another_in_its_blocks() {
        let RunConfig::Classify(config) = RunConfig::load("uea/GunPoint", &[]).unwrap() else {
            panic!("it classifies")
        };
        let ClassifierConfig::Classifier(like) = &config.model else { panic!("of any mechanism") };
        let mechanism = MechanismConfig::Easy(EasyConfig::new(8));
        let expected = AttentionClassifierConfig { mechanism, ..like.clone() };
        let found = classifier("easy", &config.model).unwrap();
        assert_eq!(found, ClassifierConfig::Classifier(expected));
    }

    #[test]
    fn an_unknown_model_gets_the_nearest_name() {
        let like = ForecastConfig::default().model;
        assert_eq!(
            model("softmx", &like).unwrap_err().to_string(),
            "no model is called \"softmx\" (did you mean \"softmax\"?); \
             models: easy, easy-left, softmax, lstm, lifted, larnn, linear, log, batch-norm, scaled-heads, \
             batch-norm-scaled-heads"
        );
    }
}
