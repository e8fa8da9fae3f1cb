//! The ops `group_norm` and `instance_norm`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, Dim, Expand, Infer, Op, OpRegistry, Operand,
    RegisterError, Shape, TensorType, TypeError, Types, Values,
};

use super::batch_norm::channels;
use super::beside_channels;
use crate::emit::Emit;
use crate::expect::{scalars, typed, work};
use crate::infer::product;

pub(super) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(GroupNorm)?;
    registry.register(InstanceNorm)
}

const OPERANDS: &[Operand] = &[
    Operand::one("x"),
    Operand::one("gamma"),
    Operand::one("beta"),
    Operand::one("eps"),
];

fn infer(cx: &Infer<'_>) -> Result<(Types, Option<Dim>), TypeError> {
    let (dtype, channels) = channels(cx, 1..3)?;
    scalars(cx, [3])?;
    Ok((smallvec![typed(dtype, cx.dims(0)?)], channels))
}

/// Normalises groups of channels as the rows of a layer norm without parameters of its own.
fn expand(cx: &mut Expand<'_>, op: &str, groups: Dim) -> Result<Values, BuildError> {
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

struct GroupNorm;

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }

    fn doc(&self) -> &'static str {
        "Normalisation of groups of channels of each sample by their own mean and biased variance, \
         times gamma, plus beta: x [n, c, ...], gamma and beta [c], scalar eps (ONNX \
         `GroupNormalization`, ATen `group_norm`)."
    }

    fn operands(&self) -> &'static [Operand] {
        OPERANDS
    }

    fn results(&self) -> &'static [&'static str] {
        &["y"]
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "groups",
                AttrKind::Int,
                "How many groups the channels form.",
            )]
        }
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let (types, channels) = infer(cx)?;
        let groups = cx.int("groups")?;
        let Some(count) = u64::try_from(groups).ok().filter(|g| *g > 0) else {
            return Err(TypeError::new(format!(
                "`groups` must be 1 at least, not {groups}"
            )));
        };
        match channels.and_then(|c| c.known()) {
            Some(c) if c % count != 0 => {
                let message = format!("{c} channels do not divide into {count} groups");
                Err(TypeError::new(message))
            }
            _ => Ok(types),
        }
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[8, results.first()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let groups = cx.attrs.int("groups").and_then(|g| u64::try_from(g).ok())?;
        Some(expand(cx, self.name(), Dim::Known(groups)))
    }
}

struct InstanceNorm;

impl Op for InstanceNorm {
    fn name(&self) -> &'static str {
        "instance_norm"
    }

    fn doc(&self) -> &'static str {
        "Normalisation of each channel of each sample by its own mean and biased variance, times \
         gamma, plus beta: x [n, c, ...], gamma and beta [c], scalar eps (ONNX \
         `InstanceNormalization`, ATen `instance_norm` without running statistics)."
    }

    fn operands(&self) -> &'static [Operand] {
        OPERANDS
    }

    fn results(&self) -> &'static [&'static str] {
        &["y"]
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Ok(infer(cx)?.0)
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[8, results.first()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let channels = cx.b.dims_of(cx.operands[0]).map(|dims| dims[1].clone());
        Some(channels.and_then(|channels| expand(cx, self.name(), channels)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{decomposed, dims, error_of, type_of};
    use syncarp_ir::DType;

    fn types(x: &str, c: &str) -> [TensorType; 4] {
        let ty = |text| TensorType::new(DType::F32, dims(text));
        [ty(x), ty(c), ty(c), ty("")]
    }

    fn groups(count: i64) -> Attrs {
        Attrs::new().with("groups", count)
    }

    #[test]
    fn they_type_as_their_parts_do() {
        for x in ["n,4", "n,4,3", "n,4,h,w"] {
            for count in [1, 2, 4] {
                decomposed("group_norm", &types(x, "4"), groups(count));
            }
            decomposed("instance_norm", &types(x, "4"), Attrs::new());
        }
        decomposed("instance_norm", &types("n,c,h", "c"), Attrs::new());
        let mut unknown = types("n,4", "4");
        unknown[0] = TensorType::unknown();
        assert_eq!(
            type_of("group_norm", &unknown, groups(2)).to_string(),
            "f32[*]"
        );
    }

    #[test]
    fn channels_must_divide() {
        let error = |count| error_of("group_norm", &types("n,4,3", "4"), groups(count));
        assert!(error(3).contains("do not divide"));
        assert!(error(0).contains("1 at least"));
        assert!(error(-2).contains("1 at least"));
        let wrong = error_of("instance_norm", &types("n,4,3", "3"), Attrs::new());
        assert!(wrong.contains("numbers of channels"), "{wrong}");
    }
}
