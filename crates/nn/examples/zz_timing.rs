use burn::{module::Module, optim::{AdamConfig, GradientsParams}, tensor::{Device, Tensor, Distribution}};
use regard_nn::model::*; use regard_kernels::pointwise::mean_squared_error;
fn main() {
    let device = Device::default().autodiff();
    for (name, c, shape, b) in [
        ("lstm2x64", r#"{"kind":"lstm","d_hidden":64,"n_layers":2}"#, ForecastShape{window:32,horizon:1,channels:3}, 128),
        ("easy32", r#"{"kind":"forecaster","d_model":32,"d_ff":64,"n_layers":2,"mechanism":{"kind":"easy","n_heads":4}}"#, ForecastShape{window:32,horizon:1,channels:3}, 128),
        ("self32", r#"{"kind":"forecaster","d_model":32,"d_ff":64,"n_layers":2,"mechanism":{"kind":"softmax","n_heads":4}}"#, ForecastShape{window:32,horizon:1,channels:3}, 128),
        ("easy64", r#"{"kind":"forecaster","d_model":64,"d_ff":128,"n_layers":4,"mechanism":{"kind":"easy","n_heads":4}}"#, ForecastShape{window:64,horizon:1,channels:2}, 256),
    ] {
        let c: ModelConfig = serde_json::from_str(c).unwrap();
        let mut m = c.init(shape, &[], &device).unwrap();
        let mut o = AdamConfig::new().init();
        let x = Tensor::random([b, shape.window, shape.channels], Distribution::Normal(0.0,1.0), &Device::default()).autodiff();
        let y = Tensor::zeros([b, 1, shape.channels], &Device::default()).autodiff();
        let mut t = vec![]; let mut f = vec![];
        for _ in 0..30 {
            let s = std::time::Instant::now();
            let l = mean_squared_error(m.forward(x.clone()), y.clone());
            let _: f32 = l.clone().into_scalar();
            f.push(s.elapsed().as_secs_f64()*1e3);
            let g = GradientsParams::from_grads(l.backward(), &m);
            m = o.step(1e-3, m, g);
            t.push(s.elapsed().as_secs_f64()*1e3);
        }
        t.sort_by(f64::total_cmp); f.sort_by(f64::total_cmp);
        println!("{name}: fwd {:.2} ms, step median {:.2} ms, min {:.2}", f[15], t[15], t[0]);
    }
}
