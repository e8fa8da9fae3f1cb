//! Ops that make one element of many.

mod argmax;
mod argmin;
mod count;
mod cumprod;
mod cumsum;
mod fold;
mod mean;
mod prod;
mod reduce_max;
mod reduce_min;
mod sum;
mod sum_squares;
mod var;

use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, BuildError, Dim, GraphBuilder, Infer, OpRegistry,
    RegisterError, Shape, TypeError, Value,
};

use crate::emit::Emit;
use crate::infer::{marked, product};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(sum::OP)?;
    registry.register(mean::OP)?;
    registry.register(reduce_max::OP)?;
    registry.register(reduce_min::OP)?;
    registry.register(prod::Prod)?;
    registry.register(prod::ProdGrad)?;
    registry.register(sum_squares::SumSquares)?;
    registry.register(argmax::Argmax)?;
    registry.register(argmin::Argmin)?;
    registry.register(count::Count)?;
    registry.register(cumsum::Cumsum)?;
    registry.register(cumprod::Cumprod)?;
    registry.register(cumprod::CumprodGrad)?;
    registry.register(var::Var)
}

const AXES: AttrSpec = AttrSpec::optional(
    "axes",
    AttrKind::Ints,
    "The axes to reduce, from the end where negative; all of them where left out.",
);
const KEEP: AttrSpec = AttrSpec::optional(
    "keep",
    AttrKind::Bool,
    "Whether reduced axes stay with size 1.",
)
.or(AttrDefault::Bool(false));

/// For each dim, whether it is reduced.
fn reduced_dims(attrs: &Attrs, rank: usize) -> Result<Vec<bool>, TypeError> {
    match attrs.ints("axes") {
        Some(axes) => marked(axes, rank),
        None => Ok(vec![true; rank]),
    }
}

/// The shape that a reduction of operand 0 leaves.
fn reduced_shape(cx: &Infer<'_>) -> Result<Option<Shape>, TypeError> {
    let keep = cx.attrs.bool("keep").unwrap_or(false);
    let Some(dims) = cx.dims(0)? else {
        // Of a reduction over everything the shape is known whatever is reduced.
        let scalar = cx.attrs.ints("axes").is_none() && !keep;
        return Ok(scalar.then(Shape::new));
    };
    let marks = reduced_dims(cx.attrs, dims.len())?;
    let mut shape = Shape::new();
    for (dim, reduced) in dims.iter().zip(marks) {
        match reduced {
            false => shape.push(dim.clone()),
            true if keep => shape.push(Dim::Known(1)),
            true => {}
        }
    }
    Ok(Some(shape))
}

/// A value in the shape of a reduction of `x`, with the reduced axes at size 1, so that it
/// broadcasts to x.
fn kept(b: &mut GraphBuilder, value: Value, x: Value, attrs: &Attrs) -> Result<Value, BuildError> {
    let mut dims = b.dims_of(x)?;
    for (dim, reduced) in dims.iter_mut().zip(marks_of(attrs, x, b)?) {
        if reduced {
            *dim = Dim::Known(1);
        }
    }
    b.reshape_to(value, &dims)
}

fn marks_of(attrs: &Attrs, x: Value, b: &GraphBuilder) -> Result<Vec<bool>, BuildError> {
    let rank = b.dims_of(x)?.len();
    reduced_dims(attrs, rank).map_err(|e| BuildError::Invalid {
        op: "sum".to_owned(),
        message: e.message,
    })
}

/// How many elements of x make one of a reduction: a constant, or `count` where that is symbolic.
fn count(b: &mut GraphBuilder, x: Value, attrs: &Attrs) -> Result<Value, BuildError> {
    let dims = b.dims_of(x)?;
    let marks = marks_of(attrs, x, b)?;
    let taken: Vec<Dim> = dims
        .iter()
        .zip(marks)
        .filter(|(_, marked)| *marked)
        .map(|(d, _)| d.clone())
        .collect();
    match product(&taken).ok().and_then(|d| d.known()) {
        Some(number) => b.number_like(x, number as f64),
        None => {
            let mut only = Attrs::new();
            if let Some(axes) = attrs.ints("axes") {
                only.set("axes", axes);
            }
            b.call_with("count", &[x], only)
        }
    }
}
