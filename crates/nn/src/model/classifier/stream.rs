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
use super::stem::StemState;
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
    stem: StemState,
    body: BodyState,
    pool: PoolState,
    /// Those of the newest row that left the stem.
    logits: Tensor<3>,
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
            Self::Lstm(model) if model.head.is_recurrent() => Body::Lstm(model),
            Self::Gru(model) if model.head.is_recurrent() => Body::Gru(model),
            _ => return None,
        }))
    }
}

impl Recurrent for RecurrentClassifier<'_> {
    type State = ClassifierState;

    /// `[batch, 1, channels]` to logits `[batch, 1, classes]`.
    fn step(&self, x: Tensor<3>, past: Option<ClassifierState>) -> (Tensor<3>, ClassifierState) {
        let (stem, rest) = match past {
            None => (None, None),
            Some(ClassifierState { stem, body, pool, logits }) => {
                (Some(stem), Some((body, pool, logits)))
            }
        };
        let (row, stem) = match self.0 {
            Body::Larnn(model, _) => model.embedded(x, stem),
            Body::Lstm(model) => model.stem.step(x, stem),
            Body::Gru(model) => model.stem.step(x, stem),
        };
        let (row, body, pool) = match (row, rest) {
            (None, Some((body, pool, logits))) => {
                return (logits.clone(), ClassifierState { stem, body, pool, logits });
            }
            (None, None) => unreachable!("the first row leaves a stem"),
            (Some(row), None) => (row, None, None),
            (Some(row), Some((body, pool, _))) => (row, Some(body), Some(pool)),
        };
        let (row, body, head) = match (self.0, body) {
            (Body::Larnn(model, larnn), past) => {
                let past = match past {
                    Some(BodyState::Larnn(state)) => Some(state),
                    _ => None,
                };
                let (row, state) = larnn.step(row, past);
                (row, BodyState::Larnn(state), &model.head)
            }
            (Body::Lstm(model), past) => {
                let past = match past {
                    Some(BodyState::Lstm(states)) => Some(states),
                    _ => None,
                };
                let (row, states) = model.step(row, past);
                (row, BodyState::Lstm(states), &model.head)
            }
            (Body::Gru(model), past) => {
                let past = match past {
                    Some(BodyState::Gru(states)) => Some(states),
                    _ => None,
                };
                let (row, states) = model.step(row, past);
                (row, BodyState::Gru(states), &model.head)
            }
        };
        let (logits, pool) = head.step(row, pool);
        (logits.clone(), ClassifierState { stem, body, pool, logits })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        AttentionClassifierConfig, BlockConfig, ClassifierConfig, ClassifyShape,
        CnnClassifierConfig, Convolution, GruClassifierConfig, InputActivation,
        LstmClassifierConfig, Pooling, Positions, StemConvolution,
    };
    use crate::mechanism::{LarnnConfig, MechanismConfig, streaming};
    use burn::tensor::Device;
    use regard_kernels::testing::{assert_close, double, normal};

    const SHAPE: ClassifyShape = ClassifyShape::series(7, 3, 4);

    fn recurrent(pooling: Pooling, stem: &[StemConvolution]) -> [ClassifierConfig; 3] {
        let (n_layers, dropout) = (2, 0.0);
        let stem = stem.to_vec();
        let larnn = LarnnConfig { window: 3, n_layers, ..LarnnConfig::new(2) };
        [
            ClassifierConfig::Classifier(AttentionClassifierConfig {
                stem: stem.clone(),
                d_model: 8,
                activation: InputActivation::Elu,
                positions: Positions::None,
                block: BlockConfig::Bare {},
                mechanism: MechanismConfig::Larnn(larnn),
                pooling,
                dropout,
            }),
            ClassifierConfig::Lstm(LstmClassifierConfig {
                stem: stem.clone(),
                d_hidden: 6,
                n_layers,
                input: Some(InputActivation::Relu),
                forget_bias: 1.0,
                pooling,
                dropout,
            }),
            ClassifierConfig::Gru(GruClassifierConfig {
                stem,
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
        let stem = [StemConvolution { filters: 5, length: 3, stride: 2 }];
        for (pooling, stem) in [
            (Pooling::Last, &[][..]),
            (Pooling::Mean, &[]),
            (Pooling::Attention, &[]),
            (Pooling::Last, &stem),
            (Pooling::Attention, &stem),
        ] {
            for config in recurrent(pooling, stem) {
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
        for flat in recurrent(Pooling::Flatten, &[]) {
            assert!(flat.init(SHAPE, &Device::default()).unwrap().recurrent().is_none());
        }
    }
}
