//! Running products: `cumprod` and its gradient.

use syncarp_ir::DType;

use super::element::{Element, by_class};
use super::scan::{Along, running};
use crate::kernel::{Class, Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct Cumprod;

impl Kernel for Cumprod {
    const OP: &'static str = "cumprod";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let dtype = spec.results[0].dtype;
        if Class::of(dtype) == Class::Bool {
            return Err(KernelError("no kernel for bool".to_owned()));
        }
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, (along, dtype): &(Along, DType)) {
            let (x, out) = (E::read(io, 0), E::out(io, 0));
            running(x, along, out, E::ONE, |a, b| a.times(b, *dtype));
        }
        Ok(by_class!(dtype, T, run, (Along::of(spec)?, dtype)))
    }
}

struct CumprodGrad;

impl Kernel for CumprodGrad {
    const OP: &'static str = "cumprod_grad";

    /// The gradient of an element is the product of all before it times the sum, over the results
    /// that it is part of, of dy times the product of those between. Nothing is divided by an
    /// element, so zeros do no harm.
    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let along = Along::of(spec)?;
        if spec.operands[0].dims != spec.operands[1].dims {
            return Err(KernelError("dy must have the dims of x".to_owned()));
        }
        let before = Along {
            exclusive: true,
            ..along
        };
        Ok(Prepared::new(move |io| {
            let (x, dy, dx) = (io.real(0), io.real(1), io.out(0));
            running(x, &before, dx, T::ONE, |a, b| a * b);
            let (size, inner) = (along.size, along.inner);
            if x.is_empty() {
                return;
            }
            let slab = size * inner;
            let parts = x.chunks_exact(slab).zip(dy.chunks_exact(slab));
            for ((x, dy), dx) in parts.zip(dx.chunks_exact_mut(slab)) {
                for lane in 0..inner {
                    let mut sum = T::ZERO;
                    for step in 0..size {
                        let place = if along.reverse { step } else { size - 1 - step };
                        let at = place * inner + lane;
                        if along.exclusive {
                            dx[at] *= sum;
                            sum = dy[at] + x[at] * sum;
                        } else {
                            sum += dy[at];
                            dx[at] *= sum;
                            sum *= x[at];
                        }
                    }
                }
            }
        }))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Cumprod>()?;
    registry.register::<CumprodGrad>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernels::element::testing::{int, real, run};

    fn along(axis: i64, reverse: bool, exclusive: bool) -> Attrs {
        let attrs = Attrs::new().with("axis", axis).with("reverse", reverse);
        attrs.with("exclusive", exclusive)
    }

    #[test]
    fn products_run_from_either_end() {
        let dims = [2usize, 3];
        let x = [2.0, 3.0, 5.0, 7.0, 11.0, 13.0];
        for (axis, reverse, exclusive, want) in [
            (1, false, false, [2.0, 6.0, 30.0, 7.0, 77.0, 1001.0]),
            (1, true, false, [30.0, 15.0, 5.0, 1001.0, 143.0, 13.0]),
            (1, false, true, [1.0, 2.0, 6.0, 1.0, 7.0, 77.0]),
            (0, true, true, [7.0, 11.0, 13.0, 1.0, 1.0, 1.0]),
        ] {
            let operands = [(DType::F64, &dims[..], real(&x))];
            let attrs = along(axis, reverse, exclusive);
            let got = run::<Cumprod>(&operands, &[(DType::F64, &dims)], &attrs);
            assert_eq!(got, [real(&want)]);
        }
        let operands = [(DType::U8, &[3][..], int(&[16, 15, 3]))];
        let got = run::<Cumprod>(&operands, &[(DType::U8, &[3])], &along(0, false, false));
        assert_eq!(got, [int(&[16, 240, 208])]);
    }

    #[test]
    fn gradients_are_right_where_elements_are_zero() {
        let dy = [1.0, 10.0, 100.0, 1000.0];
        for x in [
            [2.0, 3.0, 5.0, 7.0],
            [2.0, 0.0, 5.0, 7.0],
            [0.0, 3.0, 0.0, 7.0],
        ] {
            for reverse in [false, true] {
                for exclusive in [false, true] {
                    let operands = [
                        (DType::F64, &[4][..], real(&x)),
                        (DType::F64, &[4][..], real(&dy)),
                    ];
                    let attrs = along(0, reverse, exclusive);
                    let got = run::<CumprodGrad>(&operands, &[(DType::F64, &[4])], &attrs);
                    // Whether a result has an element as a factor.
                    let factor = |of: usize, i: usize| match (reverse, exclusive) {
                        (false, false) => i <= of,
                        (false, true) => i < of,
                        (true, false) => i >= of,
                        (true, true) => i > of,
                    };
                    let slope = |of: usize, i: usize| {
                        let others = (0..4).filter(|j| *j != i && factor(of, *j));
                        if factor(of, i) {
                            others.map(|j| x[j]).product()
                        } else {
                            0.0
                        }
                    };
                    let one = |i: usize| (0..4).map(|of| dy[of] * slope(of, i)).sum();
                    let want: Vec<f64> = (0..4).map(one).collect();
                    assert_eq!(got, [real(&want)], "{x:?} {reverse} {exclusive}");
                }
            }
        }
    }
}
