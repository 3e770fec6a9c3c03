//! Sizes, padding and trainability of whole classifiers.

use super::*;
use crate::mechanism::{EasyConfig, LarnnConfig, MechanismConfig, SoftmaxConfig};
use burn::module::{ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Int, TensorData};
use regard_kernels::testing::{assert_close, double, normal};

const SHAPE: ClassifyShape = ClassifyShape { time: 7, channels: 3, classes: 5 };

fn attention(block: BlockConfig, mechanism: MechanismConfig, pooling: Pooling) -> ClassifierConfig {
    ClassifierConfig::Classifier(AttentionClassifierConfig {
        stem: Vec::new(),
        d_model: 6,
        activation: InputActivation::Elu,
        positions: Positions::Learned,
        block,
        mechanism,
        pooling,
        dropout: 0.0,
    })
}

fn softmax(causal: bool) -> MechanismConfig {
    MechanismConfig::Softmax(SoftmaxConfig { n_heads: 3, causal })
}

fn larnn() -> MechanismConfig {
    let (dropout_attention, dropout_output) = (0.0, 0.0);
    let config = LarnnConfig { dropout_attention, dropout_output, ..LarnnConfig::new(3) };
    MechanismConfig::Larnn(LarnnConfig { window: 4, ..config })
}

fn paper_larnn() -> ClassifierConfig {
    ClassifierConfig::PaperLarnn(PaperLarnnClassifierConfig {
        d_hidden: 6,
        n_heads: 3,
        window: 4,
        n_layers: 2,
        ..PaperLarnnClassifierConfig::default()
    })
}

fn lstm(input: Option<InputActivation>, pooling: Pooling) -> ClassifierConfig {
    ClassifierConfig::Lstm(LstmClassifierConfig {
        stem: Vec::new(),
        d_hidden: 8,
        n_layers: 2,
        input,
        forget_bias: 1.0,
        pooling,
        dropout: 0.0,
    })
}

fn gru(input: Option<InputActivation>, pooling: Pooling) -> ClassifierConfig {
    ClassifierConfig::Gru(GruClassifierConfig {
        stem: vec![StemConvolution { filters: 4, length: 3, stride: 2 }],
        d_hidden: 8,
        n_layers: 2,
        input,
        pooling,
        dropout: 0.0,
    })
}

fn residual(bidirectional: bool, pooling: Pooling) -> ClassifierConfig {
    ClassifierConfig::ResidualBilstm(ResidualBilstmClassifierConfig {
        d_hidden: 10,
        n_blocks: 2,
        n_cells: 3,
        bidirectional,
        pooling,
        dropout: 0.0,
    })
}

fn cnn() -> ClassifierConfig {
    let convolutions = [(6, 5), (4, 3)];
    ClassifierConfig::Cnn(CnnClassifierConfig {
        convolutions: convolutions.map(|(filters, length)| Convolution { filters, length }).into(),
        dropout: 0.0,
    })
}

/// One of every kind, all sizes unequal.
fn configs() -> Vec<ClassifierConfig> {
    let encoder = BlockConfig::Encoder { d_ff: 11, n_layers: 2 };
    vec![
        attention(encoder, softmax(false), Pooling::Attention),
        attention(encoder, MechanismConfig::Easy(EasyConfig::new(3)), Pooling::Mean),
        attention(BlockConfig::Bare {}, softmax(true), Pooling::Last),
        attention(BlockConfig::Bare {}, larnn(), Pooling::Last),
        lstm(Some(InputActivation::Relu), Pooling::Last),
        lstm(None, Pooling::Attention),
        gru(Some(InputActivation::Elu), Pooling::Last),
        gru(None, Pooling::Mean),
        residual(true, Pooling::Last),
        residual(false, Pooling::Mean),
        cnn(),
    ]
}

/// Counts values that the optimizer changes.
fn n_trained(model: &Classifier) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.val().is_require_grad() {
                self.0 += param.val().shape().num_elements();
            }
        }
    }
    let mut count = Count(0);
    model.visit(&mut count);
    count.0
}

#[test]
fn parameters_follow_their_formulas() {
    let device = Device::default().autodiff();
    for config in configs().into_iter().chain([paper_larnn()]) {
        let model = config.init(SHAPE, &device).unwrap();
        assert_eq!(n_trained(&model), config.n_parameters(SHAPE), "{config:?}");
    }
}

#[test]
fn the_lstm_compared_with_has_its_parameters() {
    // (9 + 1)·32 + 2·4·32·(32 + 32 + 2) + (32 + 1)·6
    let config = ClassifierConfig::Lstm(LstmClassifierConfig {
        stem: Vec::new(),
        d_hidden: 32,
        n_layers: 2,
        input: Some(InputActivation::Relu),
        forget_bias: 1.0,
        pooling: Pooling::Last,
        dropout: 0.1,
    });
    let shape = ClassifyShape { time: 128, channels: 9, classes: 6 };
    assert_eq!(config.n_parameters(shape), 17_414);
    // 128·(9·32 + 2·4·32·64) + 32·6
    assert_eq!(config.multiply_adds(shape), 2_134_208);
}

/// Whether shorter series have to be padded.
fn fixed_length(config: &ClassifierConfig) -> bool {
    let ClassifierConfig::Classifier(config) = config else { return false };
    matches!(config.mechanism, MechanismConfig::Easy(_))
}

#[test]
fn padded_rows_never_change_the_logits() {
    let lengths = [7, 2, 1, 5];
    let padding: Vec<bool> = lengths.iter().flat_map(|&n| (0..7).map(move |t| t >= n)).collect();
    let padding = Tensor::from_data(TensorData::new(padding, [4, 7]), &Device::default());
    for config in configs() {
        let model = double(config.init(SHAPE, &Device::default()).unwrap());
        let x = normal([4, 7, 3], 1);
        let found = model.forward(x.clone(), Some(padding.clone()));
        let others = x.clone().mask_where(
            padding.clone().unsqueeze_dim::<3>(2).expand([4, 7, 3]),
            normal([4, 7, 3], 2) * 1e3,
        );
        assert_close(&model.forward(others, Some(padding.clone())), &found, 0.0);
        if fixed_length(&config) {
            continue;
        }
        for (i, &n) in lengths.iter().enumerate() {
            let alone = x.clone().narrow(0, i, 1).narrow(1, 0, n);
            let expected = model.forward(alone, None);
            assert_close(&found.clone().narrow(0, i, 1), &expected, 1e-13);
        }
    }
}

#[test]
fn every_classifier_overfits_one_batch() {
    let device = Device::default();
    device.seed(5);
    let labels = [0, 3, 1, 4, 2, 3];
    let x = normal([6, 7, 3], 1).autodiff();
    for config in configs() {
        let mut model = double(config.init(SHAPE, &device).unwrap()).train();
        let mut optimizer = AdamConfig::new().init();
        let mut loss = f64::NAN;
        for _ in 0..150 {
            let labels = Tensor::<1, Int>::from_data(labels, &device.clone().autodiff());
            let error = cross_entropy(model.forward(x.clone(), None), labels, 0.0, None);
            loss = error.clone().into_scalar::<f64>();
            let gradients = GradientsParams::from_grads(error.backward(), &model);
            model = optimizer.step(2e-2, model, gradients);
        }
        assert!(loss < 0.05, "{config:?}: {loss}"); // ln 5 = 1.6 where nothing is learned
    }
}

#[test]
fn a_wrong_configuration_names_its_field() {
    let message =
        |config: ClassifierConfig| config.init(SHAPE, &Device::default()).unwrap_err().to_string();
    let ClassifierConfig::Lstm(config) = lstm(None, Pooling::Last) else { unreachable!() };
    let with = |dropout| ClassifierConfig::Lstm(LstmClassifierConfig { dropout, ..config.clone() });
    assert_eq!(message(with(1.0)), "dropout = 1, expected a rate of at least 0 and below 1");
    let with =
        |n_layers| ClassifierConfig::Lstm(LstmClassifierConfig { n_layers, ..config.clone() });
    assert_eq!(message(with(0)), "n_layers = 0, expected at least 1");
    let block = BlockConfig::Encoder { d_ff: 0, n_layers: 1 };
    let zero = attention(block, softmax(false), Pooling::Mean);
    assert_eq!(message(zero), "d_ff = 0, expected at least 1");
    let classes = ClassifyShape { classes: 0, ..SHAPE };
    let error = lstm(None, Pooling::Mean).init(classes, &Device::default()).unwrap_err();
    assert_eq!(error.to_string(), "classes = 0, expected at least 1");
}

#[test]
fn configurations_read_as_documented() {
    let text = r#"{
        "kind": "classifier", "d_model": 32, "pooling": "attention", "positions": "learned",
        "block": {"kind": "encoder", "d_ff": 64, "n_layers": 2},
        "mechanism": {"kind": "softmax", "n_heads": 4}
    }"#;
    let config: ClassifierConfig = serde_json::from_str(text).unwrap();
    let again = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ClassifierConfig>(&again).unwrap(), config);
    let bare = r#"{"kind": "classifier", "d_model": 8, "block": {"kind": "bare"},
        "mechanism": {"kind": "softmax", "n_heads": 1, "causal": true}}"#;
    assert!(serde_json::from_str::<ClassifierConfig>(bare).is_ok());
    let wrong = r#"{"kind": "lstm", "d_hidden": 8, "n_layers": 1, "bias": 1}"#;
    let error = serde_json::from_str::<ClassifierConfig>(wrong).unwrap_err().to_string();
    assert!(error.contains("unknown field `bias`"), "{error}");
}
