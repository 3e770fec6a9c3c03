//! A classifier that reads one row after another, with memory that does not grow.
//!
//! After row `t` the logits are those of the series of rows `0 … t`: pooled by the last row, by a running
//! mean, or by running attention,
//!
//! ```text
//! m' = max(m, s_t)      W' = W e^(m − m') + e^(s_t − m')      S' = S e^(m − m') + e^(s_t − m') h_t
//! ```
//!
//! with `s_t = h_t · u / √d` and `S / W` the pooled row. Exact: equal to the whole series up to rounding.
//! Recurrent classifiers can do it: LARNN, LSTM and GRU without encoder blocks around them.

use burn::tensor::Tensor;
use regard_kernels::recurrent::lstm;

use super::pooling::PoolState;
use super::{AttentionClassifier, Classifier, GruClassifier, LstmClassifier};
use crate::mechanism::{Larnn, LarnnState, Recurrent};

/// A classifier as a module that takes one row at a time.
#[derive(Clone, Copy, Debug)]
pub struct RecurrentClassifier<'a>(Body<'a>);

#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Larnn(&'a AttentionClassifier, &'a Larnn),
    Lstm(&'a LstmClassifier),
    Gru(&'a GruClassifier),
}

/// What a classifier carries from one row to the next.
#[derive(Clone, Debug)]
pub struct ClassifierState {
    body: BodyState,
    pool: PoolState,
}

#[derive(Clone, Debug)]
enum BodyState {
    Larnn(LarnnState),
    Lstm(Vec<lstm::LstmState>),
    /// Hidden state of every layer.
    Gru(Vec<Tensor<2>>),
}

impl Classifier {
    /// The classifier row by row; `None` if it needs the whole series.
    #[must_use]
    pub fn recurrent(&self) -> Option<RecurrentClassifier<'_>> {
        Some(RecurrentClassifier(match self {
            Self::Classifier(model) => Body::Larnn(model, model.bare_larnn()?),
            Self::Lstm(model) => Body::Lstm(model),
            Self::Gru(model) => Body::Gru(model),
            _ => return None,
        }))
    }
}

impl Recurrent for RecurrentClassifier<'_> {
    type State = ClassifierState;

    /// `[batch, 1, channels]` to logits `[batch, 1, classes]`.
    fn step(&self, x: Tensor<3>, past: Option<ClassifierState>) -> (Tensor<3>, ClassifierState) {
        let (past, pool) = past.map_or((None, None), |past| (Some(past.body), Some(past.pool)));
        let (row, body, head) = match (self.0, past) {
            (Body::Larnn(model, larnn), past) => {
                let past = match past {
                    Some(BodyState::Larnn(state)) => Some(state),
                    _ => None,
                };
                let (row, state) = larnn.step(model.embedded(x), past);
                (row, BodyState::Larnn(state), &model.head)
            }
            (Body::Lstm(model), past) => {
                let past = match past {
                    Some(BodyState::Lstm(states)) => Some(states),
                    _ => None,
                };
                let (row, states) = model.step(x, past);
                (row, BodyState::Lstm(states), &model.head)
            }
            (Body::Gru(model), past) => {
                let past = match past {
                    Some(BodyState::Gru(states)) => Some(states),
                    _ => None,
                };
                let (row, states) = model.step(x, past);
                (row, BodyState::Gru(states), &model.head)
            }
        };
        let (logits, pool) = head.step(row, pool);
        (logits, ClassifierState { body, pool })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        AttentionClassifierConfig, BlockConfig, ClassifierConfig, ClassifyShape,
        CnnClassifierConfig, Convolution, GruClassifierConfig, InputActivation,
        LstmClassifierConfig, Pooling, Positions,
    };
    use crate::mechanism::{LarnnConfig, MechanismConfig, streaming};
    use burn::tensor::Device;
    use regard_kernels::testing::{assert_close, double, normal};

    const SHAPE: ClassifyShape = ClassifyShape { time: 7, channels: 3, classes: 4 };

    fn recurrent(pooling: Pooling) -> [ClassifierConfig; 3] {
        let (n_layers, dropout) = (2, 0.0);
        let larnn = LarnnConfig { window: 3, n_layers, ..LarnnConfig::new(2) };
        [
            ClassifierConfig::Classifier(AttentionClassifierConfig {
                d_model: 8,
                activation: InputActivation::Elu,
                positions: Positions::None,
                block: BlockConfig::Bare {},
                mechanism: MechanismConfig::Larnn(larnn),
                pooling,
                dropout,
            }),
            ClassifierConfig::Lstm(LstmClassifierConfig {
                d_hidden: 6,
                n_layers,
                input: Some(InputActivation::Relu),
                forget_bias: 1.0,
                pooling,
                dropout,
            }),
            ClassifierConfig::Gru(GruClassifierConfig {
                d_hidden: 6,
                n_layers,
                input: None,
                pooling,
                dropout,
            }),
        ]
    }

    #[test]
    fn logits_after_each_row_are_those_of_the_series_so_far() {
        for pooling in [Pooling::Last, Pooling::Mean, Pooling::Attention] {
            for config in recurrent(pooling) {
                let model = double(config.init(SHAPE, &Device::default()).unwrap());
                let x = normal([2, 7, 3], 1);
                let rows = streaming(&model.recurrent().unwrap(), x.clone());
                for t in [0, 1, 4, 6] {
                    let so_far = model.forward(x.clone().narrow(1, 0, t + 1), None);
                    let row = rows.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
                    assert_close(&row, &so_far, 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_classifier_that_needs_the_whole_series_says_so() {
        let convolutions = vec![Convolution { filters: 4, length: 3 }];
        let cnn = ClassifierConfig::Cnn(CnnClassifierConfig { convolutions, dropout: 0.0 });
        let cnn = cnn.init(SHAPE, &Device::default()).unwrap();
        assert!(cnn.recurrent().is_none());
    }
}
