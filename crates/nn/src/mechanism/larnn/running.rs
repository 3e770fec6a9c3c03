//! Values that forward passes update and the optimizer leaves alone, saved with the parameters.

use std::sync::{Mutex, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::tensor::{Device, Tensor};
use regard_kernels::recurrent::larnn::{Moments, RunningUpdate, StepMoments};

/// Running means and variances of the norms of a cell, `[n_norms, d_hidden]` each.
#[derive(Module, Debug)]
pub(super) struct RunningMoments {
    mean: Buffer,
    var: Buffer,
}

impl RunningMoments {
    /// Mean zero, variance one.
    pub(super) fn new(n_norms: usize, d_hidden: usize, device: &Device) -> Self {
        let Moments { mean, var } = Moments::new(n_norms, d_hidden, device);
        Self { mean: Buffer::new(mean), var: Buffer::new(var) }
    }

    pub(super) fn value(&self) -> Moments {
        Moments { mean: self.mean.value(), var: self.var.value() }
    }

    pub(super) fn update(&self, steps: &StepMoments, rule: RunningUpdate) {
        let Moments { mean, var } = self.value().updated(steps, rule);
        self.mean.set(mean);
        self.var.set(var);
    }
}

/// A tensor that can be replaced behind a shared reference. Unlike Burn's `RunningState`, a clone
/// is a copy: what a model learns later does not reach its clones.
#[derive(Debug)]
struct Buffer {
    id: ParamId,
    value: Mutex<Tensor<2>>,
}

impl Buffer {
    fn new(value: Tensor<2>) -> Self {
        Self { id: ParamId::new(), value: Mutex::new(value) }
    }

    fn value(&self) -> Tensor<2> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, value: Tensor<2>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn with(&self, value: Tensor<2>) -> Self {
        Self { id: self.id, value: Mutex::new(value) }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        self.with(self.value())
    }
}

impl Module for Buffer {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let param = mapper.map_float(Param::initialized(self.id, self.value()));
        let (_, value, _) = param.consume();
        self.with(value.set_require_grad(false))
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(self.value().to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.with(self.value().without_autodiff())
    }

    fn train(self) -> Self {
        self.with(Tensor::from_inner(self.value().without_autodiff()))
    }
}

impl ModuleDisplayDefault for Buffer {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"Buffer".to_owned()).optional()
    }
}

impl ModuleDisplay for Buffer {}

impl std::fmt::Display for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Buffer {:?}", self.value().dims())
    }
}
