//! What every mechanism promises, tested through the traits.

use super::*;
use burn::tensor::Int;
use proptest::prelude::*;
use regard_kernels::testing::{assert_close, double, normal, to_f64};

/// Sizes and a seed; `d_model` is a multiple of the heads by construction.
#[derive(Debug, Clone, Copy)]
struct Case {
    batch: usize,
    time: usize,
    n_heads: usize,
    d_model: usize,
    seed: u64,
}

impl Case {
    fn input(self, stream: u64) -> Tensor<3> {
        normal([self.batch, self.time, self.d_model], self.seed.wrapping_add(stream))
    }

    fn softmax(self, causal: bool) -> SoftmaxAttention {
        let config = SoftmaxConfig { n_heads: self.n_heads, causal };
        double(config.init(self.d_model, &Device::default()).unwrap())
    }

    fn linear(self, causal: bool) -> LinearAttention {
        let config = LinearConfig { n_heads: self.n_heads, causal };
        double(config.init(self.d_model, &Device::default()).unwrap())
    }

    fn log(self, causal: bool, values: LogValues) -> LogAttention {
        let config = LogConfig { causal, values, ..LogConfig::new(self.n_heads) };
        double(config.init(self.d_model, &Device::default()).unwrap())
    }

    fn lags(self) -> EasyAttention {
        let alpha = TimeMatrix::Toeplitz { causal: true };
        let config = EasyConfig { alpha, ..EasyConfig::new(self.n_heads) };
        double(config.init(self.d_model, self.time, &Device::default()).unwrap())
    }

    fn easy(self, form: EasyForm) -> EasyAttention {
        let config = EasyConfig { form, init: AlphaInit::PerHead, ..EasyConfig::new(self.n_heads) };
        double(config.init(self.d_model, self.time, &Device::default()).unwrap())
    }
}

fn assert_certified<R: Recurrent<Input = Tensor<3>>>(module: &R, x: Tensor<3>) {
    let certificate = certify(module, x);
    assert!(certificate.holds(), "{certificate:?}");
}

fn cases() -> impl Strategy<Value = Case> {
    (1..4_usize, 1..8_usize, 1..4_usize, 1..4_usize, 0..1000_u64).prop_map(
        |(batch, time, n_heads, d_head, seed)| Case {
            batch,
            time,
            n_heads,
            d_model: n_heads * d_head,
            seed,
        },
    )
}

fn few() -> ProptestConfig {
    ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() }
}

/// The rows of `x` in another order: row `t` becomes row `(t·stride + shift) mod time`.
fn permuted(x: Tensor<3>, order: &[i64]) -> Tensor<3> {
    let order = Tensor::<1, Int>::from_data(order, &x.device());
    x.select(1, order)
}

/// `[batch, time]`, true from row `first` on.
fn blocked_from(first: usize, x: &Tensor<3>) -> Tensor<2, Bool> {
    let [batch, time, _] = x.dims();
    let row = Tensor::<1, Int>::arange(0..i64::try_from(time).unwrap(), &x.device());
    row.greater_equal_elem(i64::try_from(first).unwrap())
        .unsqueeze_dim::<2>(0)
        .expand([batch, time])
}

fn assert_rows_before_are_blind_to_rows_from(attention: &impl Attention, x: Tensor<3>, t: usize) {
    let [batch, time, d_model] = x.dims();
    let later = normal([batch, time - t, d_model], 77);
    let changed = Tensor::cat(vec![x.clone().narrow(1, 0, t), later], 1);
    let [before, after] = [x, changed].map(|x| attention.forward(x, None).narrow(1, 0, t));
    assert_close(&after, &before, 1e-13);
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn easy_attention_is_linear(case in cases(), a in -3.0..3.0_f64, b in -3.0..3.0_f64) {
        for form in [EasyForm::Right, EasyForm::Left] {
            let (easy, x, y) = (case.easy(form), case.input(1), case.input(2));
            let whole = easy.forward(x.clone() * a + y.clone() * b, None);
            let parts = easy.forward(x, None) * a + easy.forward(y, None) * b;
            assert_close(&whole, &parts, 1e-12);
        }
    }

    #[test]
    fn softmax_attention_commutes_with_permutations_of_rows(case in cases(), shift in 0..8_i64) {
        let time = i64::try_from(case.time).unwrap();
        let order: Vec<i64> = (0..time).map(|t| (shift - t).rem_euclid(time)).collect();
        let (softmax, x) = (case.softmax(false), case.input(1));
        let expected = permuted(softmax.forward(x.clone(), None), &order);
        assert_close(&softmax.forward(permuted(x, &order), None), &expected, 1e-12);
    }

    #[test]
    fn causal_attention_leaves_earlier_rows_unchanged(case in cases(), cut in 1..8_usize) {
        prop_assume!(cut < case.time);
        assert_rows_before_are_blind_to_rows_from(&case.softmax(true), case.input(1), cut);
        assert_rows_before_are_blind_to_rows_from(&case.linear(true), case.input(1), cut);
        for values in [LogValues::Linear, LogValues::Log] {
            assert_rows_before_are_blind_to_rows_from(&case.log(true, values), case.input(1), cut);
        }
    }

    #[test]
    fn steps_equal_the_whole_sequence(case in cases()) {
        let x = case.input(1);
        assert_certified(&case.softmax(true), x.clone());
        assert_certified(&case.linear(true), x.clone());
        for values in [LogValues::Linear, LogValues::Log] {
            assert_certified(&case.log(true, values), x.clone());
        }
        // A kernel of lags goes on behind its window.
        let longer = Tensor::cat(vec![x.clone(), case.input(2)], 1);
        for x in [x.clone(), longer] {
            assert_certified(&case.lags(), x);
        }
        let whole = case.lags().forward(x.clone(), None);
        assert_close(&case.lags().parallel(x), &whole, 0.0);
    }

    #[test]
    fn blocked_rows_are_as_if_absent_for_softmax_linear_and_log(
        case in cases(), padding in 1..4_usize,
    ) {
        let x = case.input(1);
        let junk = normal([case.batch, padding, case.d_model], 5) * 1e3;
        let padded = Tensor::cat(vec![x.clone(), junk], 1);
        let blocked = blocked_from(case.time, &padded);
        let attend = |attention: &dyn Attention| {
            let seen = attention.forward(padded.clone(), Some(blocked.clone()));
            assert_close(&seen.narrow(1, 0, case.time), &attention.forward(x.clone(), None), 1e-12);
        };
        attend(&case.softmax(false));
        attend(&case.linear(false));
        attend(&case.log(false, LogValues::Linear));
        attend(&case.log(false, LogValues::Log));
    }

    #[test]
    fn blocked_rows_do_not_reach_the_others_in_easy_attention(case in cases(), cut in 1..8_usize) {
        prop_assume!(cut < case.time);
        for form in [EasyForm::Right, EasyForm::Left] {
            let (easy, x) = (case.easy(form), case.input(1));
            let blocked = blocked_from(cut, &x);
            let kept = x.clone().narrow(1, 0, cut);
            let rest = [case.batch, case.time - cut, case.d_model];
            let [a, b] = [f64::NAN, 0.0].map(|junk| {
                let junk = Tensor::full(rest, junk, (&x.device(), x.dtype()));
                easy.forward(Tensor::cat(vec![kept.clone(), junk], 1), Some(blocked.clone()))
            });
            assert_close(&a, &b, 0.0);
        }
    }

    #[test]
    fn formulas_count_the_parameters_of_the_modules(case in cases()) {
        for config in ["softmax", "easy", "linear", "log", "primal-dual"].map(|kind| parse(kind, case.n_heads)) {
            let module = config.init(case.d_model, case.time, &Device::default()).unwrap();
            prop_assert_eq!(module.num_params(), config.n_parameters(case.d_model, case.time));
        }
    }
}

fn parse(kind: &str, n_heads: usize) -> MechanismConfig {
    serde_json::from_str(&format!(r#"{{ "kind": "{kind}", "n_heads": {n_heads} }}"#)).unwrap()
}

#[test]
fn the_defaults_are_the_released_form_and_initialisation() {
    let easy = EasyConfig {
        n_heads: 4,
        form: EasyForm::Right,
        init: AlphaInit::Stacked,
        gate_rank: 0,
        alpha: TimeMatrix::Dense {},
    };
    assert_eq!(parse("easy", 4), MechanismConfig::Easy(easy.clone()));
    assert_eq!(EasyConfig::new(4), easy);
    assert_eq!(
        parse("softmax", 4),
        MechanismConfig::Softmax(SoftmaxConfig { n_heads: 4, causal: false })
    );
}

#[test]
fn unknown_keys_and_kinds_are_refused_by_name() {
    let parse = |text| serde_json::from_str::<MechanismConfig>(text).unwrap_err().to_string();
    let error = parse(r#"{ "kind": "easy", "n_heads": 4, "causal": true }"#);
    assert!(error.contains("unknown field `causal`"), "{error}");
    let error = parse(r#"{ "kind": "eazy", "n_heads": 4 }"#);
    assert!(error.contains("unknown variant `eazy`") && error.contains("`easy`"), "{error}");
}

#[test]
fn heads_must_divide_the_width_in_every_mechanism() {
    for kind in ["softmax", "easy", "linear", "log", "primal-dual"] {
        let error = parse(kind, 4).init(6, 5, &Device::default()).unwrap_err();
        assert_eq!(error.to_string(), "d_model = 6 is not a multiple of n_heads = 4");
    }
}

#[test]
#[should_panic(expected = "only causal attention can be stepped")]
fn attention_that_looks_ahead_cannot_be_stepped() {
    let case = Case { batch: 1, time: 1, n_heads: 1, d_model: 2, seed: 0 };
    let _ = case.softmax(false).step(case.input(1), None);
}

#[test]
fn a_sequence_whose_rows_are_all_blocked_gives_the_output_bias_alone() {
    let case = Case { batch: 2, time: 3, n_heads: 2, d_model: 10, seed: 3 };
    let x = case.input(1);
    let blocked = Some(blocked_from(0, &x));
    let o = case.softmax(false).forward(x.clone(), blocked.clone());
    assert_close(&o, &x.zeros_like(), 0.0); // the bias starts at zero
    for values in [LogValues::Linear, LogValues::Log] {
        let o = case.log(false, values).forward(x.clone(), blocked.clone());
        assert_close(&o, &x.zeros_like(), 0.0);
    }
}

/// Each row becomes the mean of the rows so far: a mechanism that this crate does not ship.
struct RunningMean;

impl Attention for RunningMean {
    fn forward(&self, x: Tensor<3>, _blocked: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let [_, time, _] = x.dims();
        let count = Tensor::<1>::ones([time], (&x.device(), x.dtype())).cumsum(0);
        x.cumsum(1) / count.reshape([1, -1, 1])
    }
}

#[derive(Clone, Debug)]
struct RunningSum {
    sum: Tensor<3>,
    count: usize,
}

impl State for RunningSum {
    fn visit(&mut self, visitor: &mut impl StateVisitor) {
        visitor.tensor("sum", &mut self.sum, None);
        visitor.count("count", &mut self.count);
    }
}

impl Recurrent for RunningMean {
    type Input = Tensor<3>;
    type State = RunningSum;

    fn step(&self, x: Tensor<3>, past: Option<RunningSum>) -> (Tensor<3>, RunningSum) {
        let state = match past {
            Some(RunningSum { sum, count }) => RunningSum { sum: sum + x, count: count + 1 },
            None => RunningSum { sum: x, count: 1 },
        };
        (state.sum.clone() / state.count as f64, state)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward(x, None)
    }
}

#[test]
fn the_traits_fit_a_mechanism_from_elsewhere() {
    let x = normal([2, 5, 3], 1);
    assert_certified(&RunningMean, x.clone());
    assert_rows_before_are_blind_to_rows_from(&RunningMean, x, 3);
}

/// The mean of the rows so far, whose steps forget the oldest of three.
struct Forgetful;

impl Recurrent for Forgetful {
    type Input = Tensor<3>;
    type State = RunningSum;

    fn step(&self, x: Tensor<3>, past: Option<RunningSum>) -> (Tensor<3>, RunningSum) {
        RunningMean.step(x, past.filter(|past| past.count < 3))
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        RunningMean.parallel(x)
    }
}

#[test]
fn a_certificate_tells_steps_that_give_something_else() {
    let x = normal([2, 3, 3], 1);
    let certificate = certify(&Forgetful, x.clone());
    assert!(certificate.holds() && certificate.n_rows == 3, "{certificate:?}");
    let x = Tensor::cat(vec![x.clone(), x], 1);
    let certificate = certify(&Forgetful, x.clone());
    let whole = RunningMean.forward(x.clone(), None);
    let apart = (streaming(&Forgetful, x.clone()) - whole.clone()).abs();
    assert!(!certificate.holds(), "{certificate:?}");
    let largest = [apart, whole.abs()].map(|x| to_f64(&x.max())[0].to_bits());
    assert_eq!([certificate.difference, certificate.scale].map(f64::to_bits), largest);
    let nothing = certify(&RunningMean, x * f64::NAN);
    assert!(!nothing.holds() && nothing.difference == f64::INFINITY, "{nothing:?}");
}

#[test]
fn the_weights_of_linear_attention_are_those_it_attends_with() {
    for causal in [false, true] {
        let case = Case { batch: 2, time: 5, n_heads: 3, d_model: 6, seed: 1 };
        let (linear, x) = (case.linear(causal), case.input(1));
        let weights = linear.weights(x.clone());
        let ones = weights.clone().sum_dim(3);
        assert_close(&ones, &ones.ones_like(), 1e-13);
        let v = split_heads(linear.values(x.clone()), 3);
        assert_close(&weights.matmul(v), &linear.head_outputs(x, None), 1e-13);
    }
}

#[test]
fn the_weights_of_log_attention_are_those_it_attends_with() {
    for causal in [false, true] {
        let case = Case { batch: 2, time: 5, n_heads: 3, d_model: 6, seed: 1 };
        let (log, x) = (case.log(causal, LogValues::Linear), case.input(1));
        let weights = log.weights(x.clone());
        let ones = weights.clone().sum_dim(3);
        assert_close(&ones, &ones.ones_like(), 1e-13);
        let v = split_heads(log.values(x.clone()), 3);
        assert_close(&weights.clone().matmul(v.clone()), &log.head_outputs(x.clone(), None), 1e-13);
        // The logarithms of positive values are mixed as these are.
        let log = case.log(causal, LogValues::Log);
        assert_close(&weights.matmul(v.exp()).log(), &log.head_outputs(x, None), 1e-13);
    }
}

#[test]
fn the_weights_of_softmax_attention_are_those_it_attends_with() {
    for causal in [false, true] {
        let case = Case { batch: 2, time: 5, n_heads: 3, d_model: 6, seed: 1 };
        let (softmax, x) = (case.softmax(causal), case.input(1));
        let weights = softmax.weights(x.clone());
        let ones = weights.clone().sum_dim(3);
        assert_close(&ones, &ones.ones_like(), 1e-13);
        let expected = if causal {
            // exp(S) of the row itself and those before it, over their sum.
            let size = softmax.scores(x).exp();
            let keep = Tensor::<2>::ones([5, 5], (&size.device(), size.dtype())).tril(0);
            let kept = size * keep.reshape([1, 1, 5, 5]);
            kept.clone() / kept.sum_dim(3)
        } else {
            let size = softmax.scores(x).exp();
            size.clone() / size.sum_dim(3)
        };
        assert_close(&weights, &expected, 1e-13);
    }
}
