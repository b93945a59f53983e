//! Where the functions of the contract lie in a component.
//!
//! They are looked up by name once. An instance is asked for the one or two that a decision calls, not for all: each
//! is compared with its type whenever it is taken.

use super::{bindings::semel::policy::types, contract, error::LoadError};
use wasmtime::{
    AsContextMut,
    component::{
        Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, Lower, TypedFunc,
    },
};

type Answer<T> = (Result<T, String>,);
type Attempts<'a> = &'a [types::Attempt];

/// A function of the contract, and where it lies.
pub(super) trait ContractFunction {
    type Parameters<'a>: ComponentNamedList + Lower;
    type Results: ComponentNamedList + Lift;
    const INTERFACE: &'static str;
    const NAME: &'static str;

    fn index(exports: &ContractExports) -> ComponentExportIndex;

    /// Takes the function of an instance.
    fn of<'a>(
        exports: &ContractExports,
        instance: &Instance,
        store: impl AsContextMut,
    ) -> wasmtime::Result<TypedFunc<Self::Parameters<'a>, Self::Results>> {
        instance.get_typed_func(store, Self::index(exports))
    }
}

macro_rules! exports {
    ($( $interface:literal $name:ident $type:ident($given:ty) -> $returned:ty; )*) => {
        /// The export indices of all functions of the contract.
        pub(super) struct ContractExports { $( $name: ComponentExportIndex, )* }

        $(
            pub(super) struct $type;

            impl ContractFunction for $type {
                type Parameters<'a> = $given;
                type Results = $returned;
                const INTERFACE: &'static str = $interface;
                const NAME: &'static str = stringify!($name);

                fn index(exports: &ContractExports) -> ComponentExportIndex {
                    exports.$name
                }
            }
        )*

        impl ContractExports {
            /// # Errors
            /// If one is missing.
            pub(super) fn new(component: &Component) -> Result<Self, LoadError> {
                Ok(Self { $( $name: find::<$type>(component)?, )* })
            }

            /// # Errors
            /// If one of them has another type than the contract gives it.
            pub(super) fn check(&self, instance: &Instance, mut store: impl AsContextMut) -> wasmtime::Result<()> {
                $( $type::of(self, instance, &mut store)?; )*
                Ok(())
            }
        }
    };
}

exports! {
    "about" describe Describe(()) -> (types::Description,);
    "about" configure Configure((&'a str,)) -> Answer<Vec<String>>;
    "key" derive Derive((&'a types::Call,)) -> Answer<types::Derivation>;
    "retry" judge Judge((&'a types::Call, Attempts<'a>)) -> Answer<types::Verdict>;
    "retry" recover Recover((&'a types::Call, Attempts<'a>)) -> Answer<types::Recovery>;
    "retry" weigh Weigh((&'a types::Call, Attempts<'a>, &'a types::Probe, &'a types::Outcome)) -> Answer<types::Finding>;
}

fn find<E: ContractFunction>(component: &Component) -> Result<ComponentExportIndex, LoadError> {
    let interface = contract::name_of(E::INTERFACE);
    let inside = component.get_export_index(None, &interface);
    let found = inside.and_then(|inside| component.get_export_index(Some(&inside), E::NAME));
    found.ok_or_else(|| LoadError::Exports {
        missing: vec![format!("{interface}#{}", E::NAME)],
    })
}
