//! The ops that a program knows, and what holds of every node of theirs.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::attr::Attrs;
use crate::entity::OpId;
use crate::op::{Op, Purity, TypeError, missing};
use crate::spec::Arity;

/// A mistake in registering ops; the fault is the registering crate's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegisterError {
    /// Two ops of one name.
    #[error("op `{0}` is registered twice")]
    Duplicate(String),
}

/// Ops that belong together, in documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What its ops have in common, in a sentence.
    pub doc: &'static str,
}

/// The ops that a program knows.
#[derive(Clone, Default)]
pub struct OpRegistry {
    ops: Vec<(Arc<dyn Op>, Option<Family>)>,
    by_name: FxHashMap<&'static str, OpId>,
    /// What the ops that are being registered belong to.
    family: Option<Family>,
}

impl OpRegistry {
    /// A registry of the sources alone: inputs, states, constants and opaque ops.
    pub fn new() -> Self {
        let mut registry = OpRegistry::default();
        crate::core_ops::register(&mut registry).expect("the core ops have distinct names");
        registry
    }

    /// Adds an op.
    ///
    /// # Errors
    /// Where one of its name is there already.
    pub fn register(&mut self, op: impl Op) -> Result<(), RegisterError> {
        let id = OpId::new(self.ops.len());
        if self.by_name.contains_key(op.name()) {
            return Err(RegisterError::Duplicate(op.name().to_owned()));
        }
        self.by_name.insert(op.name(), id);
        self.ops.push((Arc::new(op), self.family));
        Ok(())
    }

    /// Adds the ops of a family.
    ///
    /// # Errors
    /// Where one of their names is there already.
    pub fn register_family(
        &mut self,
        name: &'static str,
        doc: &'static str,
        register: impl FnOnce(&mut OpRegistry) -> Result<(), RegisterError>,
    ) -> Result<(), RegisterError> {
        let outer = self.family.replace(Family { name, doc });
        let done = register(self);
        self.family = outer;
        done
    }

    /// The family that an op was registered in, if it was in one.
    pub fn family(&self, id: OpId) -> Option<Family> {
        self.ops[id.index()].1
    }

    /// The op of this name.
    pub fn find(&self, name: &str) -> Option<OpId> {
        self.by_name.get(name).copied()
    }

    /// The op of this id.
    pub fn op(&self, id: OpId) -> &dyn Op {
        &*self.ops[id.index()].0
    }

    /// All ops in order of registration.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &dyn Op)> {
        self.ops
            .iter()
            .enumerate()
            .map(|(i, (op, _))| (OpId::new(i), &**op))
    }
}

impl fmt::Debug for OpRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.ops.iter().map(|(op, _)| op.name()))
            .finish()
    }
}

/// Checks attributes against what the op declares.
///
/// # Errors
/// Where one is missing, of another kind, or unknown to the op.
pub fn check_attrs(op: &dyn Op, attrs: &Attrs) -> Result<(), TypeError> {
    let specs = op.attributes();
    for spec in specs {
        match attrs.get(spec.name) {
            None if spec.required => return Err(missing(spec.name)),
            Some(value) if !spec.kind.admits(value) => {
                let (name, want, got) = (spec.name, spec.kind, value.kind());
                return Err(TypeError::new(format!(
                    "attribute `{name}` is a {got}, not a {want}"
                )));
            }
            _ => {}
        }
    }
    if op.purity() == Purity::Opaque {
        return Ok(());
    }
    for (name, _) in attrs.iter() {
        if !specs.iter().any(|s| s.name == name) {
            let known: Vec<_> = specs.iter().map(|s| s.name).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            return Err(TypeError::new(format!(
                "no attribute `{name}` here; there are: {known}"
            )));
        }
    }
    Ok(())
}

/// Checks the number of operands against what the op declares.
///
/// # Errors
/// Where there are too few or too many.
pub fn check_operands(op: &dyn Op, count: usize) -> Result<(), TypeError> {
    let specs = op.operands();
    let least = specs.iter().filter(|o| o.arity == Arity::One).count();
    let variadic = specs.iter().any(|o| o.arity == Arity::Variadic);
    if count < least || (count > specs.len() && !variadic) {
        let names: Vec<_> = specs.iter().map(|o| o.name).collect();
        let names = names.join(", ");
        return Err(TypeError::new(format!(
            "expected operands ({names}), got {count}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Infer, Types};
    use crate::spec::Operand;

    struct Named(&'static str);

    impl Op for Named {
        fn name(&self) -> &'static str {
            self.0
        }
        fn doc(&self) -> &'static str {
            ""
        }
        fn operands(&self) -> &'static [Operand] {
            &[]
        }
        fn infer(&self, _: &Infer<'_>) -> Result<Types, TypeError> {
            Ok(Types::new())
        }
    }

    #[test]
    fn ops_belong_to_the_family_that_they_are_registered_in() {
        let mut registry = OpRegistry::new();
        registry
            .register_family("outer", "", |registry| {
                registry.register_family("inner", "", |r| r.register(Named("a")))?;
                registry.register(Named("b"))
            })
            .unwrap();
        registry.register(Named("c")).unwrap();
        let family = |name| {
            let id = registry.find(name).unwrap();
            registry.family(id).map(|family| family.name)
        };
        assert_eq!(family("a"), Some("inner"));
        assert_eq!(family("b"), Some("outer"));
        assert_eq!(family("c"), None);
        assert_eq!(family("input"), Some("sources"));
    }

    #[test]
    fn a_name_is_taken_once() {
        let mut registry = OpRegistry::new();
        let twice = registry.register_family("f", "", |r| r.register(Named("input")));
        assert_eq!(twice, Err(RegisterError::Duplicate("input".to_owned())));
    }
}
