//! What kind of float an element is: `is_nan`, `is_inf`.

use super::elementwise::same_length;
use super::walk::map;
use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct IsNan;

impl Kernel for IsNan {
    const OP: &'static str = "is_nan";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        Ok(Prepared::new(|io| {
            map(io.real(0), io.out_bool(0), |x: T| u8::from(x.is_nan()));
        }))
    }
}

struct IsInf;

impl Kernel for IsInf {
    const OP: &'static str = "is_inf";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        let flag = |name: &str| spec.attrs.bool(name).unwrap_or(true);
        let (positive, negative) = (flag("positive"), flag("negative"));
        Ok(Prepared::new(move |io| {
            map(io.real(0), io.out_bool(0), |x: T| {
                let up = positive & (x == -T::NEG_INFINITY);
                u8::from(up | (negative & (x == T::NEG_INFINITY)))
            });
        }))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<IsNan>()?;
    registry.register::<IsInf>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::Buffer;
    use crate::kernels::element::testing::{real, run};

    #[test]
    fn floats_that_are_no_numbers_are_found() {
        let x = real(&[1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX]);
        let operands = [(DType::F64, &[5][..], x)];
        let results = [(DType::Bool, &[5][..])];
        let got = run::<IsNan>(&operands, &results, &Attrs::new());
        assert_eq!(got, [Buffer::Bool(vec![0, 1, 0, 0, 0])]);
        for (attrs, want) in [
            (Attrs::new(), [0, 0, 1, 1, 0]),
            (Attrs::new().with("negative", false), [0, 0, 1, 0, 0]),
            (Attrs::new().with("positive", false), [0, 0, 0, 1, 0]),
        ] {
            let got = run::<IsInf>(&operands, &results, &attrs);
            assert_eq!(got, [Buffer::Bool(want.to_vec())]);
        }
    }
}
