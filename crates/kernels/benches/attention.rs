//! Scratch
use burn::tensor::*;
use std::time::Instant;
fn main(){
  let n: usize = std::env::args().nth(1).and_then(|x| x.parse().ok()).unwrap_or(1024);
  let back = std::env::args().nth(2).is_some_and(|x| x=="b");
  let causal = std::env::args().nth(3).is_some_and(|x| x=="c");
  let d = if back { Device::default().autodiff() } else { Device::default() };
  let mk=|_s:u64| { let t=Tensor::<4>::random([1,8,n,64], Distribution::Normal(0.,1.), &d); if back {t.require_grad()} else {t} };
  let (q,k,v,g)=(mk(1),mk(2),mk(3),Tensor::<4>::random([1,8,n,64], Distribution::Normal(0.,1.), &d));
  let mut best=f64::MAX;
  for _ in 0..(if n>2000 {6} else {40}) { let t=Instant::now(); let o=regard_kernels::softmax::attention(q.clone(),k.clone(),v.clone(),None,0.125,causal); if back { std::hint::black_box((o*g.clone()).sum().backward()); } else { std::hint::black_box(o); } best=best.min(t.elapsed().as_secs_f64()); }
  let f=4.0*(n*n*64*8) as f64*if causal {0.5} else {1.0}*if back {3.0} else {1.0};
  println!("n {n} back {back} causal {causal}: {:.2} ms {:.1} GFLOP/s", best*1e3, f/best/1e9);
}
