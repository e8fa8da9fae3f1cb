//! Ops that move, repeat or cut elements without computing with them.

mod concat;
mod expand;
mod flatten;
mod iota;
mod pad;
mod reshape;
mod slice;
mod squeeze;
mod sum_to;
mod tile;
mod transpose;

use syncarp_ir::{OpRegistry, RegisterError};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(reshape::Reshape)?;
    registry.register(transpose::Transpose)?;
    registry.register(expand::Expand)?;
    registry.register(sum_to::SumTo)?;
    registry.register(concat::Concat)?;
    registry.register(slice::Slice)?;
    registry.register(slice::SliceGrad)?;
    registry.register(pad::Pad)?;
    registry.register(iota::Iota)?;
    registry.register(flatten::Flatten)?;
    registry.register(squeeze::Squeeze)?;
    registry.register(squeeze::Unsqueeze)?;
    registry.register(tile::Tile)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, TensorType};

    use crate::testing::{decomposed, dims, gradients};

    fn f32s(text: &str) -> TensorType {
        TensorType::new(DType::F32, dims(text))
    }

    #[test]
    fn gradients_have_the_types_of_their_operands() {
        let none = Attrs::new;
        let x = || f32s("n,4,3");
        let along = |axis: i64| none().with("axis", axis);
        let cases = [
            ("reshape", vec![x()], none().with("dims", dims("n,12"))),
            (
                "transpose",
                vec![x()],
                none().with("permutation", vec![2, 0, 1]),
            ),
            (
                "expand",
                vec![f32s("4,1")],
                none().with("dims", dims("n,4,3")),
            ),
            ("sum_to", vec![x()], none().with("dims", dims("4,1"))),
            ("concat", vec![x(), f32s("n,4,2"), x()], along(-1)),
            (
                "concat",
                vec![f32s("n,4"), f32s("2,4"), f32s("0,4")],
                along(0),
            ),
            (
                "concat",
                vec![f32s("2,4"), f32s("n,4"), f32s("3,4")],
                along(0),
            ),
            ("slice", vec![x()], along(0).with("start", 1i64)),
            (
                "slice",
                vec![x()],
                along(1)
                    .with("start", 0i64)
                    .with("end", 3i64)
                    .with("step", 2i64),
            ),
            ("slice_grad", vec![f32s("n,2")], {
                along(1)
                    .with("start", 1i64)
                    .with("end", 3i64)
                    .with("dims", dims("n,4"))
            }),
            ("pad", vec![x(), f32s("")], {
                none()
                    .with("low", vec![1, 0, 2])
                    .with("high", vec![0, 0, 1])
            }),
        ];
        for (op, operands, attrs) in cases {
            assert_eq!(gradients(op, &operands, attrs), operands, "{op}");
        }
    }

    #[test]
    fn parts_have_the_type_of_the_whole() {
        let x = [f32s("n,1,4")];
        decomposed("flatten", &x, Attrs::new().with("start", 1i64));
        decomposed("flatten", &[f32s("")], Attrs::new());
        decomposed("squeeze", &x, Attrs::new().with("axes", vec![1]));
        decomposed("unsqueeze", &x, Attrs::new().with("axes", vec![0, -1]));
    }
}
