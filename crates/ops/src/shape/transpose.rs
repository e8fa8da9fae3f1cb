//! Dims in another order.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use crate::emit::Emit;

/// The op `transpose`.
pub(super) struct Transpose;

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn doc(&self) -> &'static str {
        "The dims in another order: dim i of the result is dim `permutation[i]` of x (ONNX \
         `Transpose`, ATen `permute`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "permutation",
            AttrKind::Ints,
            "For each dim of the result, the dim of x, counted from 0.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let permutation = cx.ints("permutation")?;
        let places = inverse(permutation)?;
        let dtype = cx.operand(0)?.dtype;
        let Some(dims) = cx.rank(0, places.len())? else {
            return Ok(smallvec![TensorType { dtype, shape: None }]);
        };
        let shape = permutation.iter().map(|p| dims[*p as usize].clone());
        Ok(smallvec![TensorType {
            dtype,
            shape: Some(shape.collect())
        }])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {permutation=[1, 0]}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let permutation = cx.attrs.ints("permutation").unwrap_or_default();
            let back = inverse(permutation).unwrap_or_default();
            let dx = cx.b.transpose(dy, &back)?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

/// For each dim of x, its place in the result.
fn inverse(permutation: &[i64]) -> Result<Vec<usize>, TypeError> {
    let rank = permutation.len();
    let mut places = vec![usize::MAX; rank];
    for (place, dim) in permutation.iter().enumerate() {
        let slot = usize::try_from(*dim).ok().and_then(|d| places.get_mut(d));
        match slot {
            Some(slot) if *slot == usize::MAX => *slot = place,
            _ => {
                return Err(TypeError::new(format!(
                    "{permutation:?} must name each of 0 to {} once",
                    rank.saturating_sub(1)
                )));
            }
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{check, dims, error_of, type_of};

    #[test]
    fn only_permutations_of_the_rank_are_taken() {
        let by = |p: &[i64]| Attrs::new().with("permutation", p);
        let x = TensorType::new(DType::F32, dims("n,4,3"));
        assert_eq!(
            type_of("transpose", std::slice::from_ref(&x), by(&[2, 0, 1])).to_string(),
            "f32[3, n, 4]"
        );
        assert!(
            error_of("transpose", std::slice::from_ref(&x), by(&[0, 1]))
                .contains("must have 2 dims")
        );
        for wrong in [&[0, 1, 1][..], &[0, 1, 3], &[0, 1, -1]] {
            assert!(
                error_of("transpose", std::slice::from_ref(&x), by(wrong))
                    .contains("must name each")
            );
        }
        let unknown = type_of("transpose", &[TensorType::unknown()], by(&[1, 0]));
        assert_eq!(unknown, TensorType::unknown());
    }

    #[test]
    fn the_gradient_has_the_type_of_the_operand() {
        check("transpose")
            .differentiates("f32[n, 4, 3] {permutation=[2, 0, 1]}")
            .flops("f32[2, 3] {permutation=[1, 0]}", 0);
    }
}
