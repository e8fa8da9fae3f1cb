//! Moving values between devices.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, Gradient, GradientError, Infer, Op, OpRegistry, Operand,
    RegisterError, TensorType, TypeError, Types,
};

pub(crate) fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    registry.register(ToDevice)
}

/// The op `to_device`.
struct ToDevice;

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

    fn flops(&self, _: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        Some(0)
    }

    /// The gradient comes back the same way.
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradientError> {
        if let (true, Some(dy)) = (cx.wants(0), cx.arrived[0]) {
            let dx = cx.b.emit1("copy", &[dy], Attrs::new())?;
            cx.give(0, dx);
        }
        Ok(())
    }
}
