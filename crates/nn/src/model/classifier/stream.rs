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
//! Classifiers can do it whose rows see no later ones: LARNN, LSTM, GRU and causal attention, by itself or in
//! encoder blocks, without trained positions. A stem with strides lets a row through now and then; in
//! between the logits stay.

use burn::tensor::Tensor;
use regard_kernels::recurrent::lstm::LstmState;

use super::Classifier;
use super::attention::BodyState;
use super::gru::GruState;
use super::head::Head;
use super::pooling::PoolState;
use super::stem::{Stem, StemState};
use crate::mechanism::{Rows, State, StateVisitor, recurrent_enum};

/// What a classifier carries from one row to the next, around the state of what stands between stem and
/// pooling.
#[derive(Clone, Debug)]
pub struct SeriesState<B> {
    stem: StemState,
    body: B,
    pool: PoolState,
    /// Those of the newest row that left the stem.
    logits: Tensor<3>,
}

recurrent_enum! {
    /// What a classifier carries from one row to the next.
    #[expect(clippy::large_enum_variant, reason = "one per stream; a box would buy nothing")]
    pub ClassifierState of Classifier {
        /// Around blocks of attention, or a mechanism by itself.
        Classifier(SeriesState<BodyState>),
        /// Around LSTM layers.
        Lstm(SeriesState<Vec<LstmState>>),
        /// Around GRU layers.
        Gru(SeriesState<Vec<GruState>>),
    } whole { Vision, ResidualBilstm, Cnn, PaperLarnn }
}

impl Classifier {
    /// Whether logits can follow row by row, `[batch, 1, channels]` to `[batch, 1, classes]`.
    #[must_use]
    pub fn is_recurrent(&self) -> bool {
        match self {
            Self::Classifier(model) => model.is_recurrent(),
            Self::Lstm(model) => model.head.is_recurrent(),
            Self::Gru(model) => model.head.is_recurrent(),
            _ => false,
        }
    }
}

impl<B: State> State for SeriesState<B> {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        fn below(name: &str, state: &mut impl State, visitor: &mut impl StateVisitor) {
            visitor.enter(name);
            state.visit(visitor);
            visitor.exit();
        }
        below("stem", &mut self.stem, visitor);
        below("body", &mut self.body, visitor);
        below("pool", &mut self.pool, visitor);
        visitor.tensor("logits", &mut self.logits, None);
    }
}

/// One row through stem, body and head.
pub(super) fn series_step<B>(
    stem: &Stem,
    head: &Head,
    x: Tensor<3>,
    past: Option<SeriesState<B>>,
    body: impl FnOnce(Tensor<3>, Option<B>) -> (Tensor<3>, B),
) -> (Tensor<3>, SeriesState<B>) {
    let (stem_past, past) = match past {
        None => (None, None),
        Some(SeriesState { stem, body, pool, logits }) => (Some(stem), Some((body, pool, logits))),
    };
    let (row, stem) = stem.step(x, stem_past);
    let (row, body_past, pool_past) = match (row, past) {
        (None, Some((body, pool, logits))) => {
            return (logits.clone(), SeriesState { stem, body, pool, logits });
        }
        (None, None) => unreachable!("the first row leaves a stem"),
        (Some(row), None) => (row, None, None),
        (Some(row), Some((body, pool, _))) => (row, Some(body), Some(pool)),
    };
    let (row, body) = body(row, body_past);
    let (logits, pool) = head.step(row, pool_past);
    (logits.clone(), SeriesState { stem, body, pool, logits })
}

/// The logits of all series that end earlier, `[batch, time, classes]`, from one pass through the body.
pub(super) fn series_parallel(
    stem: &Stem,
    head: &Head,
    x: Tensor<3>,
    body: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let time = x.n_rows();
    let h = body(stem.forward(x, None).0);
    let until = |j| head.forward(h.clone().narrow(1, 0, j + 1), None).unsqueeze_dim::<3>(1);
    let logits: Vec<Tensor<3>> = (0..h.n_rows()).map(until).collect();
    Tensor::cat((0..time).map(|t| logits[t / stem.stride()].clone()).collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::super::{
        AttentionClassifierConfig, BlockConfig, ClassifierConfig, ClassifyShape,
        CnnClassifierConfig, Convolution, GruClassifierConfig, InputActivation,
        LstmClassifierConfig, Pooling, Positions, StemConvolution,
    };
    use crate::mechanism::{LarnnConfig, MechanismConfig, Recurrent, certify, streaming};
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
                let rows = streaming(&model, x.clone());
                for t in [0, 1, 4, 6] {
                    let so_far = model.forward(x.clone().narrow(1, 0, t + 1), None);
                    let row = rows.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
                    assert_close(&row, &so_far, 1e-12);
                }
                assert!(certify(&model, x).holds());
            }
        }
    }

    #[test]
    fn causal_attention_reads_row_by_row_in_blocks_and_by_itself() {
        let mechanisms = ["softmax", "linear", "log"].map(|kind| {
            let text = format!(r#"{{ "kind": "{kind}", "n_heads": 2, "causal": true }}"#);
            serde_json::from_str::<MechanismConfig>(&text).unwrap()
        });
        let stem = vec![StemConvolution { filters: 5, length: 3, stride: 2 }];
        for mechanism in mechanisms {
            for block in [BlockConfig::encoder(7, 2), BlockConfig::Bare {}] {
                let config = AttentionClassifierConfig {
                    stem: stem.clone(),
                    d_model: 8,
                    activation: InputActivation::Elu,
                    positions: Positions::None,
                    block,
                    mechanism: mechanism.clone(),
                    pooling: Pooling::Mean,
                    dropout: 0.1,
                };
                let config = ClassifierConfig::Classifier(config);
                let model = double(config.init(SHAPE, &Device::default()).unwrap());
                let x = normal([2, 7, 3], 1);
                assert!(model.is_recurrent() && certify(&model, x.clone()).holds());
                let whole = model.forward(x.clone(), None);
                let last = model.parallel(x).narrow(1, 6, 1).squeeze_dim::<2>(1);
                assert_close(&last, &whole, 1e-13);
            }
        }
    }

    #[test]
    fn a_classifier_that_needs_the_whole_series_says_so() {
        let convolutions = vec![Convolution { filters: 4, length: 3 }];
        let cnn = ClassifierConfig::Cnn(CnnClassifierConfig { convolutions, dropout: 0.0 });
        let cnn = cnn.init(SHAPE, &Device::default()).unwrap();
        assert!(!cnn.is_recurrent());
        for mechanism in [
            r#"{ "kind": "softmax", "n_heads": 2 }"#,
            r#"{ "kind": "easy", "n_heads": 2, "alpha": { "kind": "toeplitz", "causal": true } }"#,
        ] {
            let [mut config, ..] = recurrent(Pooling::Last, &[]);
            let ClassifierConfig::Classifier(attention) = &mut config else { unreachable!() };
            attention.mechanism = serde_json::from_str(mechanism).unwrap();
            assert!(!config.init(SHAPE, &Device::default()).unwrap().is_recurrent());
        }
        for flat in recurrent(Pooling::Flatten, &[]) {
            assert!(!flat.init(SHAPE, &Device::default()).unwrap().is_recurrent());
        }
    }
}
