//! The ops of ONNX's default domain, one small item each, in families.
//!
//! An [`Op`] says how it is emitted in ops of the IR; versions whose meaning differs are told apart
//! by [`Call::version`]. Where all operands are known while the model is read, `fold` may compute its
//! result at once, which is how the arithmetic of shapes disappears.

mod activation;
mod attention;
mod control;
mod conv;
mod elementwise;
mod image;
mod indexing;
mod loss;
mod matmul;
mod norm;
mod pool;
mod quantize;
mod random;
mod reduce;
mod rnn;
mod sequence;
mod shape;
mod signal;
mod slice;
mod window;

use std::collections::HashMap;
use std::rc::Rc;

use crate::call::{Call, Lowered};
use crate::known::Known;

/// Computes an op on known operands; none where that cannot be done here.
pub(crate) type Fold = fn(&Call<'_, '_>, &[Rc<Known>]) -> Option<Known>;

/// One op.
#[derive(Clone, Copy)]
pub(crate) struct Op {
    pub name: &'static str,
    pub lower: fn(&mut Call<'_, '_>) -> Lowered,
    pub fold: Option<Fold>,
}

impl Op {
    const fn new(name: &'static str, lower: fn(&mut Call<'_, '_>) -> Lowered) -> Op {
        Op {
            name,
            lower,
            fold: None,
        }
    }

    const fn folds(self, fold: Fold) -> Op {
        Op {
            fold: Some(fold),
            ..self
        }
    }
}

/// The ops that are known.
pub(crate) struct Registry {
    ops: HashMap<&'static str, Op>,
}

impl Registry {
    /// All ops of this crate.
    ///
    /// # Panics
    /// If two have one name, which a test rules out.
    pub fn standard() -> Registry {
        let mut registry = Registry {
            ops: HashMap::new(),
        };
        registry.register(activation::OPS);
        registry.register(conv::OPS);
        registry.register(elementwise::OPS);
        registry.register(indexing::OPS);
        registry.register(matmul::OPS);
        registry.register(norm::OPS);
        registry.register(pool::OPS);
        registry.register(quantize::OPS);
        registry.register(reduce::OPS);
        registry.register(shape::OPS);
        registry.register(slice::OPS);
        registry.register(attention::OPS);
        registry.register(control::OPS);
        registry.register(image::OPS);
        registry.register(loss::OPS);
        registry.register(random::OPS);
        registry.register(rnn::OPS);
        registry.register(sequence::OPS);
        registry.register(signal::OPS);
        registry
    }

    fn register(&mut self, family: &[Op]) {
        for op in family {
            let before = self.ops.insert(op.name, *op);
            assert!(before.is_none(), "two ops are called `{}`", op.name);
        }
    }

    pub fn find(&self, name: &str) -> Option<&Op> {
        self.ops.get(name)
    }

    /// All names, for a hint at one that was perhaps meant.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> = self.ops.keys().copied().collect();
        names.sort_unstable();
        names
    }
}
