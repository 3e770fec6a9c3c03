//! Trajectories of known systems, made here instead of read.
//!
//! - [`System`]: what every system has; one file each.
//! - [`Simulation`]: a system and how it is sampled; [`Simulate`] where the system is not known.
//! - [`rk4`], [`etdrk4`], [`radau`]: numerical methods, each a [`Stepper`].
//! - [`lyapunov`]: exponents of a system and of a map; [`agreement`]: how far a trajectory is known.

pub mod agreement;
pub mod etdrk4;
pub mod kuramoto_sivashinsky;
pub mod lorenz;
pub mod lorenz96;
pub mod lyapunov;
pub mod radau;
pub mod reactor;
pub mod rk4;
pub mod rossler;
pub mod shear_flow;
pub mod sinusoids;
pub mod van_der_pol;

mod simulation;
mod system;

pub use kuramoto_sivashinsky::KuramotoSivashinsky;
pub use lorenz::Lorenz;
pub use lorenz96::Lorenz96;
pub use reactor::Reactor;
pub use rossler::Rossler;
pub use shear_flow::ShearFlow;
pub use simulation::{SamplingConfig, Simulate, Simulated, Simulation};
pub use sinusoids::Sinusoids;
pub(crate) use system::check_positive;
pub use system::{Ode, Stepper, System};
pub use van_der_pol::VanDerPol;
