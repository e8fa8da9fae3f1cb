//! Normalisations of groups of channels: what is the same of all of them.

use smallvec::smallvec;
use syncarp_ir::{Attrs, BuildError, Dim, Expand, Infer, Operand, Shape, TypeError, Types, Values};

use super::batch_norm_train::channels;
use super::beside_channels;
use crate::emit::Emit;
use crate::expect::{scalars, typed};
use crate::infer::product;

/// x, gamma, beta and eps.
pub(super) const OPERANDS: &[Operand] = &[
    Operand::one("x"),
    Operand::one("gamma"),
    Operand::one("beta"),
    Operand::one("eps"),
];

/// The type of the result, and the number of channels.
pub(super) fn infer(cx: &Infer<'_>) -> Result<(Types, Option<Dim>), TypeError> {
    let (dtype, channels) = channels(cx, 1..3)?;
    scalars(cx, [3])?;
    Ok((smallvec![typed(dtype, cx.dims(0)?)], channels))
}

/// Normalises groups of channels as the rows of a layer norm without parameters of its own.
pub(super) fn expand(cx: &mut Expand<'_>, op: &str, groups: Dim) -> Result<Values, BuildError> {
    let [x, gamma, beta, eps] = *cx.operands else {
        unreachable!("the number of operands was checked");
    };
    let invalid = |message: String| BuildError::Invalid {
        op: op.to_owned(),
        message,
    };
    let dims = cx.b.dims_of(x)?;
    let dtype = cx.b.dtype_of(x)?;
    let each = dims[1].floor_div(&groups);
    let each = each.ok_or_else(|| invalid(format!("{} channels do not divide", dims[1])))?;
    let row = [&[each], &dims[2..]].concat();
    let size = product(&row).map_err(|e| invalid(e.message))?;
    let rows: Shape = smallvec![dims[0].clone(), groups, size.clone()];
    let rows = cx.b.reshape_to(x, &rows)?;
    let mut fill = |value: f64| {
        let attrs = Attrs::new().with("dtype", dtype).with("value", value);
        cx.b.emit1("constant", &[], attrs.with("dims", vec![size.clone()]))
    };
    let (ones, zeros) = (fill(1.0)?, fill(0.0)?);
    let attrs = Attrs::new().with("axes", 1i64);
    let normal = cx.b.emit("layer_norm", &[rows, ones, zeros, eps], attrs)?[0];
    let normal = cx.b.reshape_to(normal, &dims)?;
    let view = beside_channels(&dims[1], dims.len());
    let gamma = cx.b.reshape_to(gamma, &view)?;
    let beta = cx.b.reshape_to(beta, &view)?;
    let scaled = cx.b.mul(normal, gamma)?;
    Ok(smallvec![cx.b.add(scaled, beta)?])
}
