//! Recurrent modules made of recurrent modules: one of several kinds, and one on top of the other.

use burn::tensor::Tensor;

use super::Recurrent;

/// Makes an enum of modules [`Recurrent`] where the variants named are: the state is an enum of theirs.
///
/// Rows go in as tensors of numbers. What a variant is called and what its state is stand behind the
/// name of the enum; variants that cannot be stepped follow behind `whole`.
macro_rules! recurrent_enum {
    ($(#[$doc:meta])* $vis:vis $State:ident of $Module:ty {
        $($(#[$variant_doc:meta])* $Variant:ident($state:ty)),+ $(,)?
    } $(whole { $($Whole:ident),+ })?) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        $vis enum $State {
            $($(#[$variant_doc])* $Variant($state)),+
        }

        impl $crate::mechanism::State for $State {
            fn visit(&mut self, visitor: &mut impl $crate::mechanism::StateVisitor) {
                match self {
                    $(Self::$Variant(state) => $crate::mechanism::State::visit(state, visitor)),+
                }
            }
        }

        /// # Panics
        /// If the variant at hand needs whole sequences.
        impl $crate::mechanism::Recurrent for $Module {
            type Input = ::burn::tensor::Tensor<3>;
            type State = $State;

            fn step(
                &self,
                x: Self::Input,
                past: Option<$State>,
            ) -> (::burn::tensor::Tensor<3>, $State) {
                match self {
                    $(Self::$Variant(module) => {
                        let past = past.map(|past| match past {
                            $State::$Variant(state) => state,
                            _ => panic!("the state is that of another module"),
                        });
                        let (row, state) = $crate::mechanism::Recurrent::step(module, x, past);
                        (row, $State::$Variant(state))
                    })+
                    $($(Self::$Whole(_) => panic!("it needs whole sequences"),)+)?
                }
            }

            fn parallel(&self, x: Self::Input) -> ::burn::tensor::Tensor<3> {
                match self {
                    $(Self::$Variant(module) => $crate::mechanism::Recurrent::parallel(module, x),)+
                    $($(Self::$Whole(_) => panic!("it needs whole sequences"),)+)?
                }
            }
        }
    };
}

pub(crate) use recurrent_enum;

/// Modules on top of each other, each reading the rows of the one below.
impl<R: Recurrent<Input = Tensor<3>>> Recurrent for [R] {
    type Input = Tensor<3>;
    type State = Vec<R::State>;

    fn step(&self, x: Tensor<3>, past: Option<Vec<R::State>>) -> (Tensor<3>, Vec<R::State>) {
        let mut past = past.map(Vec::into_iter);
        let mut states = Vec::with_capacity(self.len());
        let mut row = x;
        for module in self {
            let state = past.as_mut().map(|past| past.next().expect("a state for each module"));
            let next;
            (row, next) = module.step(row, state);
            states.push(next);
        }
        (row, states)
    }

    fn parallel(&self, x: Tensor<3>) -> Tensor<3> {
        self.iter().fold(x, |x, module| module.parallel(x))
    }
}
