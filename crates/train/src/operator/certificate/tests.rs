//! Operators pass, models that depend on their grid fail; nothing needs to be trained for either.

use regard_data::operator::{FunctionSet, Functions};
use regard_nn::mechanism::{ContinuumConfig, ContinuumKernel};
use regard_nn::model::operator::{FnoConfig, OperatorShape, PointEncoding, TnoConfig};

use super::*;
use crate::observer::Silent;
use crate::operator::Quadrature;

fn tno() -> TnoConfig {
    TnoConfig {
        d_model: 16,
        d_ff: 16,
        n_layers: 2,
        mechanism: ContinuumConfig::new(2),
        ..TnoConfig::default()
    }
}

fn patched() -> PatchedConfig {
    PatchedConfig {
        d_model: 8,
        d_ff: 16,
        n_heads: 2,
        n_layers: 2,
        patches: [2, 2],
        modes: [3, 3],
        ..PatchedConfig::default()
    }
}

fn line() -> Points {
    // Descending, and not the unit interval.
    Points::Line((0..20).map(|i| 3.0 - 0.1 * f64::from(i)).collect())
}

fn grid(placement: Placement) -> Points {
    Points::Grid { rows: 16, columns: 16, placement }
}

fn certificate(operator: OperatorConfig, points: Points, quadrature: Quadrature) -> Certificate {
    let shape = OperatorShape { d_in: 2, d_out: 1, dimension: points.dimensions() };
    let values = |channels: usize| vec![1.0; points.count() * channels];
    let (inputs, outputs) =
        (Functions::new(["a", "b"], values(2)), Functions::new(["u"], values(1)));
    let set = FunctionSet::new(points, inputs, outputs).unwrap();
    let device = Device::default();
    device.seed(3);
    let model = operator.init(shape, &device).unwrap();
    let card = OperatorCard::new(operator, shape, set.normalization(), quadrature, &set);
    measure(&Subject::new(model, &card, SEED), &card, &mut Silent).unwrap()
}

fn failed(certificate: &Certificate) -> Vec<&str> {
    let lines = certificate.lines.iter();
    lines.filter(|line| !line.holds()).map(|line| line.property.as_str()).collect()
}

#[test]
fn attention_between_functions_on_a_line_passes() {
    for kernel in [ContinuumKernel::Softmax, ContinuumKernel::Linear, ContinuumKernel::Log] {
        let mechanism = ContinuumConfig { kernel, ..ContinuumConfig::new(2) };
        let config = OperatorConfig::Tno(TnoConfig { mechanism, ..tno() });
        let found = certificate(config, line(), Quadrature::Rule);
        assert_eq!(found.lines.len(), 9);
        assert!(found.holds(), "{kernel:?}\n{}", found.text());
    }
    let first = OperatorConfig::Tno(TnoConfig { first_output: true, ..tno() });
    let found = certificate(first, line(), Quadrature::Rule);
    assert!(found.holds(), "{}", found.text());
}

#[test]
fn softmax_attention_fails_where_points_are_not_equally_far() {
    let found = certificate(OperatorConfig::Tno(tno()), line(), Quadrature::Equal);
    let failed = failed(&found);
    for name in ["its own weights, equal steps", "its own weights, steps that grow"] {
        assert!(failed.contains(&name), "{}", found.text());
    }
    assert!(!failed.contains(&"equal weights, centres of cells"), "{}", found.text());
}

#[test]
fn numbers_of_points_fail_as_coordinates() {
    for encoding in [PointEncoding::Number, PointEncoding::Index] {
        let config = OperatorConfig::Tno(TnoConfig { encoding, ..tno() });
        let found = certificate(config, line(), Quadrature::Rule);
        assert!(failed(&found).contains(&"points in another order"), "{}", found.text());
        assert!(failed(&found).contains(&"its own weights, equal steps"), "{}", found.text());
    }
}

#[test]
fn operators_on_grids_pass() {
    for placement in Placement::ALL {
        for config in [
            OperatorConfig::Vitno(patched()),
            OperatorConfig::Vitno(PatchedConfig { smoothing: Some(4), ..patched() }),
            OperatorConfig::Vitno(PatchedConfig { field_modes: Some([4, 4]), ..patched() }),
            OperatorConfig::Fano(patched()),
            OperatorConfig::Fno(FnoConfig { d_model: 8, modes: [4, 4], ..FnoConfig::default() }),
        ] {
            let found = certificate(config.clone(), grid(placement), Quadrature::Rule);
            assert!(found.holds(), "{config:?} {placement:?}\n{}", found.text());
        }
    }
}

#[test]
fn a_transformer_passes_with_coordinates_and_fails_with_the_numbers_of_pixels() {
    let with = |encoding| {
        let config = OperatorConfig::Tno(TnoConfig { encoding, ..tno() });
        certificate(config, grid(Placement::Cells), Quadrature::Rule)
    };
    let found = with(PointEncoding::Append);
    assert!(found.holds(), "{}", found.text());
    assert_eq!(found.lines.len(), 9);
    let control = with(PointEncoding::Index);
    assert_eq!(failed(&control), ["means over 4 × 4 blocks of grids of cells"]);
}
