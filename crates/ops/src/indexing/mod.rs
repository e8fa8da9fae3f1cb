//! Ops whose operands say places: which elements to take, where to put them, in which order. A
//! place counts from the end where it is negative. What is taken from a place that is not there is
//! NaN, or zero where elements are no floats; what is put there is dropped.

mod gather;
mod gather_elements;
mod gather_nd;
mod one_hot;
mod reduction;
mod reverse;
mod reverse_sequence;
mod scatter_elements;
mod scatter_nd;
mod top_k;

use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, Dim, GraphBuilder, Infer, OpRegistry, RegisterError,
    Shape, TypeError, Value,
};

use crate::emit::Emit;

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(gather::Gather)?;
    registry.register(gather::GatherGrad)?;
    registry.register(gather_elements::GatherElements)?;
    registry.register(gather_nd::GatherNd)?;
    registry.register(gather_nd::GatherNdGrad)?;
    registry.register(scatter_elements::ScatterElements)?;
    registry.register(scatter_nd::ScatterNd)?;
    registry.register(top_k::TopK)?;
    registry.register(one_hot::OneHot)?;
    registry.register(reverse::Reverse)?;
    registry.register(reverse_sequence::ReverseSequence)
}

const AXIS: AttrSpec = AttrSpec::required(
    "axis",
    AttrKind::Int,
    "The axis; from the end where negative.",
);

/// Zeros with the type of a value.
fn zeros_like(b: &mut GraphBuilder, like: Value) -> Result<Value, BuildError> {
    let (dtype, dims) = (b.dtype_of(like)?, b.dims_of(like)?);
    let attrs = Attrs::new()
        .with("dtype", dtype)
        .with("value", 0.0)
        .with("dims", &dims[..]);
    b.emit1("constant", &[], attrs)
}

/// An attribute that is not negative, its default where it is left out.
fn count(cx: &Infer<'_>, name: &str, default: i64) -> Result<u64, TypeError> {
    let given = cx.attrs.int(name).unwrap_or(default);
    u64::try_from(given)
        .map_err(|_| TypeError::new(format!("`{name}` must not be negative, but is {given}")))
}

/// Demands that some dims are those that are wanted.
fn agree(what: &str, got: &[Dim], want: &[Dim]) -> Result<(), TypeError> {
    if got == want {
        return Ok(());
    }
    Err(TypeError::new(format!(
        "{what} must have dims {want:?}, not {got:?}"
    )))
}

/// The dims before an axis, others, and those after it.
fn around(dims: &[Dim], axis: usize, between: &[Dim]) -> Shape {
    let parts = [&dims[..axis], between, &dims[axis + 1..]];
    parts.into_iter().flatten().cloned().collect()
}

/// How many of the first dims an index of this many numbers names, and the dims of what it names.
fn named<'a>(dims: &'a [Dim], from: usize, depth: &Dim) -> Result<Option<&'a [Dim]>, TypeError> {
    let Some(depth) = depth.known() else {
        return Ok(None);
    };
    let end = usize::try_from(depth)
        .ok()
        .and_then(|d| d.checked_add(from));
    let rest = end.filter(|_| depth > 0).and_then(|end| dims.get(end..));
    rest.map(Some).ok_or_else(|| {
        let rank = dims.len().saturating_sub(from);
        TypeError::new(format!(
            "the last dim of `index` must be from 1 to {rank}, the dims to be named, not {depth}"
        ))
    })
}
