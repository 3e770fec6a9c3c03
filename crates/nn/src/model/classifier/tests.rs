//! Sizes, padding and trainability of whole classifiers.

use super::*;
use crate::layer::NormPlace;
use crate::mechanism::{EasyConfig, LarnnConfig, MechanismConfig, SoftmaxConfig};
use burn::module::{ModuleVisitor, Param};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Int, TensorData};
use regard_kernels::testing::{assert_close, double, normal};

const SHAPE: ClassifyShape = ClassifyShape::series(7, 3, 5);
const IMAGE: ClassifyShape = ClassifyShape { grid: Some([1, 7]), ..SHAPE };

/// The recipe of the time-series archive: faint positions, GELU, flattened rows.
fn recipe(mechanism: MechanismConfig, norm: NormPlace) -> ClassifierConfig {
    let (activation, padding) = (BlockActivation::Gelu, PaddingPolicy::Mask);
    ClassifierConfig::Classifier(AttentionClassifierConfig {
        stem: Vec::new(),
        d_model: 6,
        activation: InputActivation::Identity,
        positions: Positions::Faint,
        block: BlockConfig::Encoder(EncoderBlocks {
            d_ff: 11,
            n_layers: 2,
            activation,
            norm,
            padding,
        }),
        mechanism,
        pooling: Pooling::Flatten,
        dropout: 0.0,
    })
}

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

/// The seven steps as an image of one row.
fn vision(pooling: ImagePooling) -> ClassifierConfig {
    let (activation, norm) = (BlockActivation::Gelu, NormPlace::Pre);
    let padding = PaddingPolicy::Mask;
    ClassifierConfig::Vision(VisionClassifierConfig {
        patches: Patches { size: 3, stride: 2 },
        d_model: 6,
        block: EncoderBlocks { d_ff: 11, n_layers: 2, activation, norm, padding },
        mechanism: softmax(false),
        pooling,
        dropout: 0.0,
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
    let encoder = BlockConfig::encoder(11, 2);
    vec![
        attention(encoder, softmax(false), Pooling::Attention),
        attention(encoder, MechanismConfig::Easy(EasyConfig::new(3)), Pooling::Mean),
        attention(encoder, softmax(false), Pooling::Mean),
        recipe(softmax(false), NormPlace::Post),
        recipe(softmax(false), NormPlace::Pre),
        attention(BlockConfig::Bare {}, softmax(true), Pooling::Last),
        attention(BlockConfig::Bare {}, larnn(), Pooling::Last),
        lstm(Some(InputActivation::Relu), Pooling::Last),
        lstm(None, Pooling::Attention),
        lstm(None, Pooling::Flatten),
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
    let others = [paper_larnn(), vision(ImagePooling::Mean), vision(ImagePooling::Class)];
    for config in configs().into_iter().chain(others) {
        let model = config.init(IMAGE, &device).unwrap();
        assert_eq!(n_trained(&model), config.n_parameters(IMAGE), "{config:?}");
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
    let shape = ClassifyShape::series(128, 9, 6);
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
fn attention_that_ignores_padding_sees_it() {
    let ClassifierConfig::Classifier(config) = recipe(softmax(false), NormPlace::Post) else {
        unreachable!()
    };
    let BlockConfig::Encoder(blocks) = config.block else { unreachable!() };
    let block = BlockConfig::Encoder(EncoderBlocks { padding: PaddingPolicy::Ignore, ..blocks });
    let config = ClassifierConfig::Classifier(AttentionClassifierConfig { block, ..config });
    let model = double(config.init(SHAPE, &Device::default()).unwrap());
    let x = normal([1, 7, 3], 1);
    let padding = Tensor::<1, Int>::arange(0..7, &Device::default()).greater_elem(3);
    let padded = model.forward(x.clone(), Some(padding.reshape([1, 7])));
    let difference = (padded - model.forward(x.narrow(1, 0, 4), None)).abs().max();
    assert!(difference.into_scalar::<f64>() > 1e-3);
}

#[test]
fn every_classifier_overfits_one_batch() {
    let device = Device::default();
    let labels = [0, 3, 1, 4, 2, 3];
    let x = normal([6, 7, 3], 1).autodiff();
    for config in configs().into_iter().chain([vision(ImagePooling::Class)]) {
        let mut model = double(config.init(IMAGE, &device).unwrap()).train();
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
    let block = BlockConfig::encoder(0, 1);
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
    let recipe = r#"{
        "kind": "classifier", "d_model": 64, "activation": "identity", "pooling": "flatten",
        "positions": "faint", "dropout": 0.1, "mechanism": {"kind": "softmax", "n_heads": 8},
        "block": {"kind": "encoder", "d_ff": 256, "n_layers": 2, "activation": "gelu",
            "norm": "pre", "padding": "ignore"}
    }"#;
    let config: ClassifierConfig = serde_json::from_str(recipe).unwrap();
    let again = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ClassifierConfig>(&again).unwrap(), config);
    let wrong = recipe.replace("n_layers", "layers");
    let error = serde_json::from_str::<ClassifierConfig>(&wrong).unwrap_err().to_string();
    assert!(error.contains("unknown field `layers`"), "{error}");
    let bare = r#"{"kind": "classifier", "d_model": 8, "block": {"kind": "bare"},
        "mechanism": {"kind": "softmax", "n_heads": 1, "causal": true}}"#;
    assert!(serde_json::from_str::<ClassifierConfig>(bare).is_ok());
    let wrong = r#"{"kind": "lstm", "d_hidden": 8, "n_layers": 1, "bias": 1}"#;
    let error = serde_json::from_str::<ClassifierConfig>(wrong).unwrap_err().to_string();
    assert!(error.contains("unknown field `bias`"), "{error}");
}
