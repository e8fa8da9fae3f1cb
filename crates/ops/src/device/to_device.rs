//! The op `to_device`.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Gradient, GradientError, Infer, Op, Operand, TensorType, TypeError, Types,
};

use crate::emit::Emit;

/// The op `to_device`.
pub(super) struct ToDevice;

impl Op for ToDevice {
    fn name(&self) -> &'static str {
        "to_device"
    }

    fn doc(&self) -> &'static str {
        "A copy of a value for another device of the assembly. It runs on the source's device; \
         placement inserts one for each value and destination (PyTorch `Tensor.to(device)`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const SPECS: &[AttrSpec] = &[AttrSpec::required(
            "to",
            AttrKind::Int,
            "The destination, as a number into the assembly's devices.",
        )];
        SPECS
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        Ok(smallvec![cx.operand(0)?.clone()])
    }

    fn example(&self) -> Option<&'static str> {
        Some("f32[2, 3] {to=1}")
    }

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.call("copy", &[dy])?;
            cx.give(0, dx);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn the_type_stays() {
        check("to_device")
            .gives("f32[n, 4] {to=1}", "f32[n, 4]")
            .gives("?[*] {to=0}", "?[*]")
            .refuses("f32[4]", "`to` is missing")
            .differentiates("f32[n, 4] {to=1}")
            .flops("f32[2, 3] {to=1}", 0)
            .bytes("f32[2, 3] {to=1}", 48);
    }
}
