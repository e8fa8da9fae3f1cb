//! The op `group_norm`.

use syncarp_ir::{
    AttrKind, AttrSpec, BuildError, Dim, Expand, Infer, Op, Operand, TensorType, TypeError, Types,
    Values,
};

use super::grouped::{OPERANDS, expand, infer};
use crate::expect::work;

/// The op `group_norm`.
pub(super) struct GroupNorm;

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

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 4, 3], f32[4], f32[4], f32[] {groups=2}")
    }

    fn flops(&self, _: &Infer<'_>, results: &[TensorType]) -> Option<u64> {
        work(&[8, results.first()?.elements()?])
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        let groups = cx.attrs.int("groups").and_then(|g| u64::try_from(g).ok())?;
        Some(expand(cx, self.name(), Dim::Known(groups)))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn it_types_as_its_parts_do() {
        check("group_norm")
            .decomposes("f32[n, 4], f32[4], f32[4], f32[] {groups=1}")
            .decomposes("f32[n, 4], f32[4], f32[4], f32[] {groups=2}")
            .decomposes("f32[n, 4], f32[4], f32[4], f32[] {groups=4}")
            .decomposes("f32[n, 4, 3], f32[4], f32[4], f32[] {groups=1}")
            .decomposes("f32[n, 4, 3], f32[4], f32[4], f32[] {groups=2}")
            .decomposes("f32[n, 4, 3], f32[4], f32[4], f32[] {groups=4}")
            .decomposes("f32[n, 4, h, w], f32[4], f32[4], f32[] {groups=1}")
            .decomposes("f32[n, 4, h, w], f32[4], f32[4], f32[] {groups=2}")
            .decomposes("f32[n, 4, h, w], f32[4], f32[4], f32[] {groups=4}")
            .gives("?[*], f32[4], f32[4], f32[] {groups=2}", "f32[*]")
            .flops("f32[2, 4, 3], f32[4], f32[4], f32[] {groups=2}", 192)
            .refuses(
                "f32[n, 4, 3], f32[4], f32[4], f32[] {groups=3}",
                "do not divide",
            )
            .refuses(
                "f32[n, 4, 3], f32[4], f32[4], f32[] {groups=0}",
                "1 at least",
            )
            .refuses(
                "f32[n, 4, 3], f32[4], f32[4], f32[] {groups=-2}",
                "1 at least",
            );
    }
}
