//! `--input-shape`: the shapes of inputs that model files leave open.

use std::cell::Cell;
use std::sync::Arc;

use syncarp_ir::{DType, Dim, Plan, TensorType};
use syncarp_logical::bind_inputs;

use crate::inputs::data_inputs;

use crate::report::Failure;

/// The dims of one sample, by the names of inputs.
#[derive(Default)]
pub(crate) struct Shapes(Vec<Shape>);

struct Shape {
    name: String,
    dims: Vec<u64>,
    /// Whether a model had such an input.
    used: Cell<bool>,
}

impl Shapes {
    /// Reads texts such as `x=1,28,28`.
    ///
    /// # Errors
    /// Where one is something else.
    pub fn parse(texts: &[String]) -> Result<Self, Failure> {
        let read = |text: &String| {
            let (name, dims) = text.split_once('=')?;
            let dims = dims.split(',').map(str::trim).filter(|dim| !dim.is_empty());
            let dims: Option<Vec<u64>> = dims
                .map(|dim| dim.parse().ok().filter(|dim| *dim > 0))
                .collect();
            let (name, dims) = (name.trim().to_owned(), dims?);
            let used = Cell::new(false);
            (!name.is_empty()).then_some(Shape { name, dims, used })
        };
        let wrong = |text: &String| Failure::Usage {
            message: format!("--input-shape: `{text}` is no shape of an input"),
            help: Some("write NAME=DIMS with the dims of one sample, such as x=1,28,28".to_owned()),
        };
        let shapes = texts
            .iter()
            .map(|text| read(text).ok_or_else(|| wrong(text)));
        Ok(Shapes(shapes.collect::<Result<_, _>>()?))
    }

    fn get(&self, name: &str) -> Option<&[u64]> {
        let shape = self.0.iter().find(|shape| shape.name == name)?;
        shape.used.set(true);
        Some(&shape.dims)
    }

    /// The types of those of some inputs whose shapes are given, as whole batches of floats.
    pub fn types<'n>(&self, names: &'n [String]) -> Vec<(&'n str, TensorType)> {
        let ty = |dims: &[u64]| {
            let batch = std::iter::once(Dim::symbol("n"));
            let dims = batch.chain(dims.iter().copied().map(Dim::Known));
            TensorType::new(DType::F32, dims)
        };
        names
            .iter()
            .filter_map(|name| Some((&**name, ty(self.get(name)?))))
            .collect()
    }

    /// Binds the inputs whose shapes are given; nothing is bound where none of them is this plan's.
    ///
    /// # Errors
    /// Where another input stays open, or a shape does not fit.
    pub fn bind(&self, plan: &mut Plan) -> Result<(), String> {
        let mut inputs: Vec<(Arc<str>, TensorType)> = Vec::new();
        for (_, graph) in &plan.graphs {
            for (name, ty) in data_inputs(graph) {
                if !inputs.iter().any(|(n, _)| *n == name) {
                    inputs.push((name, ty));
                }
            }
        }
        if !inputs.iter().any(|(name, _)| self.get(name).is_some()) {
            return Ok(());
        }
        let mut columns: Vec<(Arc<str>, DType, Vec<u64>)> = Vec::new();
        for (name, ty) in inputs {
            let dims = match self.get(&name) {
                Some(dims) => dims.to_vec(),
                None => {
                    let known = ty.dims().and_then(|dims| {
                        let sample = dims.get(1..)?.iter().map(Dim::known);
                        sample.collect::<Option<Vec<u64>>>()
                    });
                    known.ok_or_else(|| format!("give `--input-shape {name}=...` too"))?
                }
            };
            columns.push((name, ty.dtype.unwrap_or(DType::F32), dims));
        }
        let columns: Vec<(&str, DType, &[u64])> = columns
            .iter()
            .map(|(name, dtype, dims)| (&**name, *dtype, &dims[..]))
            .collect();
        bind_inputs(plan, &columns).map_err(|error| error.to_string())
    }

    /// Demands that every shape was some model's.
    ///
    /// # Errors
    /// Where one was not.
    pub fn all_used(&self) -> Result<(), Failure> {
        match self.0.iter().find(|shape| !shape.used.get()) {
            None => Ok(()),
            Some(shape) => {
                let message = format!("--input-shape: no model has an input `{}`", shape.name);
                Err(Failure::usage(message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read() {
        let read = |text: &str| Shapes::parse(&[text.to_owned()]);
        assert_eq!(read("x=1,28,28").unwrap().get("x"), Some(&[1, 28, 28][..]));
        assert_eq!(
            read("x=").unwrap().get("x"),
            Some(&[][..]),
            "one number a sample"
        );
        for wrong in ["x", "=1", "x=1,a", "x=0", "x=-1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
