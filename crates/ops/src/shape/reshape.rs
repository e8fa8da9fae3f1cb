//! The same elements under other dims.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Dim, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError,
    Types,
};

use crate::emit::Emit;
use crate::infer::{dims_attr, product};

/// The op `reshape`.
pub(super) struct Reshape;

impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn doc(&self) -> &'static str {
        "The same elements in row-major order under other dims, as many of them (ONNX `Reshape`, \
         ATen `reshape`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "dims",
            AttrKind::Dims,
            "The dims of the result.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dims = dims_attr(cx, "dims")?;
        let after = product(dims)?;
        if let Some(x) = cx.dims(0)? {
            let before = product(x)?;
            if differ(&before, &after) {
                return Err(TypeError::new(format!(
                    "dims {x:?} hold {before} elements, {dims:?} would hold {after}"
                )));
            }
        }
        let dtype = cx.operand(0)?.dtype;
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(dims.into())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {dims=dims[6]}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.reshape_like(dy, cx.operands[0])?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// Whether two counts are certainly different: by a number, or by a whole factor, since a symbol
/// stands for at least one. Other expressions may turn out equal once they are bound.
fn differ(a: &Dim, b: &Dim) -> bool {
    if a == b {
        return false;
    }
    if a.known().is_some() && b.known().is_some() {
        return true;
    }
    let constant = |x: &Dim, y: &Dim| x.minus(y).is_some_and(|d| d.known().is_some());
    let multiple = |x: &Dim, y: &Dim| {
        let factor = x.floor_div(y).filter(|q| q.known().is_some_and(|q| q > 1));
        factor
            .and_then(|q| q.times(y))
            .is_some_and(|product| product == *x)
    };
    constant(a, b) || constant(b, a) || multiple(a, b) || multiple(b, a)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn element_counts_must_agree_where_they_are_provable() {
        let to = |d: &str| Attrs::new().with("dims", dims(d));
        let x = TensorType::new(DType::F32, dims("n,4,3"));
        assert_eq!(
            type_of("reshape", std::slice::from_ref(&x), to("n,12")).to_string(),
            "f32[n, 12]"
        );
        assert_eq!(
            type_of("reshape", std::slice::from_ref(&x), to("m,12")).to_string(),
            "f32[m, 12]"
        );
        assert!(error_of("reshape", std::slice::from_ref(&x), to("n,6")).contains("12*n elements"));
        assert!(error_of("reshape", &[x], to("2,n,12")).contains("24*n"));
        let fixed = TensorType::fixed(DType::F32, &[2, 3]);
        assert!(error_of("reshape", &[fixed], to("7")).contains("6 elements"));
        let unknown = type_of("reshape", &[TensorType::unknown()], to("2,2"));
        assert_eq!(unknown.to_string(), "?[2, 2]");
        let huge = TensorType::fixed(DType::F32, &[u64::MAX, 4]);
        assert!(error_of("reshape", &[huge], to("7")).contains("too many"));
    }

    #[test]
    fn the_gradient_has_the_type_of_the_operand() {
        check("reshape")
            .differentiates("f32[n, 4, 3] {dims=dims[n, 12]}")
            .flops("f32[2, 3] {dims=dims[6]}", 0)
            .bytes("f32[2, 3] {dims=dims[6]}", 48);
    }
}
