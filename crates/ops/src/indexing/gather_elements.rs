//! Elements that an index names one by one.

use smallvec::smallvec;
use syncarp_ir::{
    AttrSpec, Dim, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use super::{AXIS, zeros_like};
use crate::emit::Emit;
use crate::expect::{integers, typed};

/// The op `gather_elements`.
pub(super) struct GatherElements;

/// Demands that an index has as many dims as x, and away from the axis none that is larger.
pub(super) fn beside(cx: &Infer<'_>, x: &[Dim], index: &[Dim]) -> Result<(), TypeError> {
    let axis = cx.axis("axis", x.len())?;
    let fits = |(at, (x, index)): (usize, (&Dim, &Dim))| match (x.known(), index.known()) {
        (Some(x), Some(index)) => at == axis || index <= x,
        _ => true,
    };
    if x.len() == index.len() && x.iter().zip(index).enumerate().all(fits) {
        return Ok(());
    }
    Err(TypeError::new(format!(
        "`index` must have as many dims as x, none larger but for axis {axis}; x has {x:?}, \
         `index` {index:?}"
    )))
}

impl Op for GatherElements {
    fn name(&self) -> &'static str {
        "gather_elements"
    }

    fn doc(&self) -> &'static str {
        "For each place of an integer index the element of x at that place, but along one axis \
         at the place that the index says: x [a..., s, b...] and index [c..., t, d...], whose \
         dims away from the axis are no larger, give [c..., t, d...]. A negative place counts \
         from the end; one that is not there gives NaN, of other elements than floats zero \
         (ONNX `GatherElements`, ATen `gather`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::one("index")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXIS] }
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[5, 3], i64[2, 3] {axis=0}")
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        integers(cx, 1)?;
        match (cx.dims(0)?, cx.dims(1)?) {
            (Some(x), Some(index)) => beside(cx, x, index)?,
            (Some(dims), None) | (None, Some(dims)) => drop(cx.axis("axis", dims.len())?),
            (None, None) => {}
        }
        Ok(smallvec![typed(cx.operand(0)?.dtype, cx.dims(1)?)])
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let zeros = zeros_like(cx.b, cx.operands[0])?;
            let attrs = cx.attrs.clone().with("reduction", "add");
            let operands = [zeros, cx.operands[1], dy];
            let dx = cx.b.call_with("scatter_elements", &operands, attrs)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, gradients, results};

    fn along(axis: i64) -> Attrs {
        Attrs::new().with("axis", axis)
    }

    #[test]
    fn the_result_has_the_dims_of_the_index() {
        let of = |types, axis| results("gather_elements", types, along(axis));
        assert_eq!(of("f32[n, 5], i64[n, 9]", -1), "f32[n, 9]");
        assert_eq!(of("u8[4, 5], i32[3, 9]", 1), "u8[3, 9]");
        assert_eq!(of("f32[*], i64[3]", 0), "f32[3]");
        assert_eq!(of("f32[3], ?[*]", 0), "f32[*]");
        let wrong = |types, axis| error("gather_elements", types, along(axis));
        assert!(wrong("f32[4, 5], i64[5, 5]", 1).contains("none larger but for axis 1"));
        assert!(wrong("f32[4, 5], i64[4]", 1).contains("as many dims"));
        assert!(wrong("f32[4, 5], i64[*]", 2).contains("outside a rank"));
        assert!(wrong("f32[4], f32[4]", 0).contains("must be an integer"));
    }

    #[test]
    fn the_gradient_goes_back() {
        let got = gradients("gather_elements", "f32[n, 5], i64[n, 9]", along(1));
        assert_eq!(got, "f32[n, 5], ?[*]");
    }
}
