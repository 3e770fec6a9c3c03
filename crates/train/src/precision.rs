//! Single or double precision: of parameters, of batches, of rollouts.
//!
//! Rounding the state to single precision at every step of a free-running forecast caps the valid
//! prediction time of the exact flow itself: of the Lorenz system at about 13 Lyapunov times.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// The type of all floating-point numbers of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// Single precision, 24 significant bits.
    #[default]
    F32,
    /// Double precision, 53 significant bits.
    F64,
}

impl Precision {
    pub(crate) fn of(dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self::F64,
            _ => Self::F32,
        }
    }

    /// The precision of a module's parameters.
    pub(crate) fn of_module<M: Module>(module: &M) -> Self {
        struct First(Precision);
        impl ModuleVisitor for First {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0 = Precision::of(param.val().dtype());
            }
        }
        let mut first = First(Self::F32);
        module.visit(&mut first);
        first.0
    }

    /// The module with all parameters in this precision.
    pub(crate) fn cast<M: Module>(self, module: M) -> M {
        struct Cast(DType);
        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let (id, tensor, mapper) = param.consume();
                if tensor.dtype() == self.0 {
                    return Param::from_mapped_value(id, tensor, mapper);
                }
                // Cast outside the graph: the new tensor is a parameter of its own.
                let tracked = tensor.is_require_grad();
                let data = tensor.to_data().convert_dtype(self.0);
                let tensor = Tensor::from_data(data, (&tensor.device(), self.0));
                let tensor = if tracked { tensor.require_grad() } else { tensor };
                Param::from_mapped_value(id, tensor, mapper)
            }
        }
        module.map(&mut Cast(self.dtype()))
    }

    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F64 => DType::F64,
        }
    }

    /// Name in reports: `"f32"`, `"f64"`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// The nearest single-precision number.
#[expect(clippy::cast_possible_truncation, reason = "single precision is what is asked for")]
pub(crate) fn single(x: f64) -> f32 {
    x as f32
}

/// Host numbers as a tensor of one precision.
pub(crate) fn tensor<const D: usize>(
    values: &[f64],
    shape: [usize; D],
    device: &Device,
    precision: Precision,
) -> Tensor<D> {
    let data = match precision {
        Precision::F32 => TensorData::new(values.iter().map(|&x| single(x)).collect(), shape),
        Precision::F64 => TensorData::new(values.to_vec(), shape),
    };
    Tensor::from_data(data, (device, precision.dtype()))
}
