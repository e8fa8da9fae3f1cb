//! The op `count`.

use smallvec::smallvec;
use syncarp_ir::{AttrSpec, Infer, Op, Operand, Shape, TensorType, TypeError, Types};

use super::{AXES, reduced_dims};

/// The op `count`.
pub(super) struct Count;

impl Op for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn doc(&self) -> &'static str {
        "The product of the sizes of some axes as a scalar of the operand's dtype: how many \
         elements a reduction over them takes. The elements themselves are not read."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const { &[AXES] }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = cx.float(0)?;
        if let Some(dims) = cx.dims(0)? {
            reduced_dims(cx.attrs, dims.len())?;
        }
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(Shape::new())
        }])
    }

    fn bytes(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        results.first()?.bytes()
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {axes=[1]}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn is_constant(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn it_is_a_scalar_of_the_same_dtype() {
        let x = [TensorType::new(DType::F64, dims("n,4"))];
        let over = |axis: i64| Attrs::new().with("axes", vec![axis]);
        assert_eq!(type_of("count", &x, over(0)).to_string(), "f64[]");
        assert!(error_of("count", &x, over(2)).contains("outside"));
    }

    #[test]
    fn the_elements_are_not_read() {
        check("count")
            .stops("f32[n, 4]")
            .flops("f32[2, 3]", 0)
            .bytes("f32[2, 3]", 4);
    }
}
