//! Kernels in which places on an axis matter: running sums, the place of the largest element, and
//! products of all other elements.

use super::elementwise::wrapped;
use super::fold::Plan;
use super::reduce::reduced;
use super::shape::axis;
use super::walk::strides;
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct ProdGrad;

impl Kernel for ProdGrad {
    const OP: &'static str = "prod_grad";

    /// Every element gets the product of those before it, then times that of those after it.
    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let plan = Plan::new(&spec.operands[0].dims, &reduced(spec)?);
        if plan.results != spec.operands[1].len() {
            return Err(KernelError(
                "dy does not have the dims of the product".to_owned(),
            ));
        }
        let dims = plan.dims;
        let place = move |mut flat: usize| {
            let mut place = 0;
            for (_, operand, result) in &dims {
                place += flat / operand * result;
                flat %= operand;
            }
            place
        };
        Ok(Prepared::with_scratch(plan.results, move |io| {
            let (x, dy, dx) = (io.real(0), io.real(1), io.out(0));
            let running = io.scratch();
            running.fill(T::ONE);
            for (i, (x, dx)) in x.iter().zip(dx.iter_mut()).enumerate() {
                let product = &mut running[place(i)];
                *dx = *product;
                *product *= *x;
            }
            running[..dy.len()].copy_from_slice(dy);
            for (i, (x, dx)) in x.iter().zip(dx.iter_mut()).enumerate().rev() {
                let product = &mut running[place(i)];
                *dx *= *product;
                *product *= *x;
            }
        }))
    }
}

/// An axis with what stands before and after it: the numbers of places around and within.
fn around(spec: &Spec<'_>) -> Result<(usize, usize), KernelError> {
    let dims = &spec.operands[0].dims;
    let axis = axis(spec, dims.len())?;
    Ok((dims[axis], strides(dims)[axis].unsigned_abs()))
}

struct Argmax;

impl Kernel for Argmax {
    const OP: &'static str = "argmax";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        fn search<E: Copy>(
            x: &[E],
            (size, inner): (usize, usize),
            out: &mut [i64],
            beats: impl Fn(E, E) -> bool,
        ) {
            if x.is_empty() {
                out.fill(0);
                return;
            }
            for (x, out) in x
                .chunks_exact(size * inner)
                .zip(out.chunks_exact_mut(inner))
            {
                for (at, out) in out.iter_mut().enumerate() {
                    let mut best = 0;
                    for i in 1..size {
                        if beats(x[i * inner + at], x[best * inner + at]) {
                            best = i;
                        }
                    }
                    *out = best as i64;
                }
            }
        }
        let around = around(spec)?;
        match Class::of(spec.operands[0].dtype) {
            Class::Real => Ok(Prepared::new(move |io| {
                // The first NaN beats numbers, and nothing beats it.
                let beats = |a: T, b: T| a > b || (a.is_nan() && !b.is_nan());
                search(io.real(0), around, io.out_int(0), beats);
            })),
            Class::Int => Ok(Prepared::new(move |io| {
                search(io.int(0), around, io.out_int(0), |a, b| a > b);
            })),
            Class::Bool => Err(KernelError("no kernel for bool".to_owned())),
        }
    }
}

struct Cumsum;

impl Kernel for Cumsum {
    const OP: &'static str = "cumsum";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        fn sums<E: Copy>(
            x: &[E],
            (size, inner): (usize, usize),
            reverse: bool,
            out: &mut [E],
            add: impl Fn(E, E) -> E,
        ) {
            if x.is_empty() {
                return;
            }
            let slab = size * inner;
            for (x, out) in x.chunks_exact(slab).zip(out.chunks_exact_mut(slab)) {
                let first = if reverse { slab - inner } else { 0 };
                out[first..first + inner].copy_from_slice(&x[first..first + inner]);
                for step in 1..size {
                    let row = if reverse { size - 1 - step } else { step } * inner;
                    let before = if reverse { row + inner } else { row - inner };
                    for i in 0..inner {
                        out[row + i] = add(out[before + i], x[row + i]);
                    }
                }
            }
        }
        let around = around(spec)?;
        let reverse = spec.attrs.bool("reverse").unwrap_or(false);
        let dtype = spec.results[0].dtype;
        match Class::of(dtype) {
            Class::Real => Ok(Prepared::new(move |io| {
                sums(io.real(0), around, reverse, io.out(0), |a, b| a + b);
            })),
            Class::Int => Ok(Prepared::new(move |io| {
                let add = |a: i64, b: i64| wrapped(dtype, a.wrapping_add(b));
                sums(io.int(0), around, reverse, io.out_int(0), add);
            })),
            Class::Bool => Err(KernelError("no kernel for bool".to_owned())),
        }
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<ProdGrad>()?;
    registry.register::<Argmax>()?;
    registry.register::<Cumsum>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Buffer, run_once};
    use crate::kernels::reduce::testing::{CASES, arg, floats, places, run};

    #[test]
    fn products_of_the_others() {
        for (dims, axes) in CASES {
            let (places, result) = places(dims, axes, false);
            let attrs = Attrs::new().with("axes", *axes);
            // Zeros in some places, and small numbers for the products to stay exact.
            let x: Vec<f64> = (0..places.len())
                .map(|i| [1.0, -1.0, 2.0, 0.5][i * 7 % 4])
                .collect();
            let x: Vec<f64> = x
                .iter()
                .enumerate()
                .map(|(i, x)| if i % 17 == 3 { 0.0 } else { *x })
                .collect();
            let dy = floats(result.iter().product());
            let operands = [arg(DType::F64, dims), arg(DType::F64, &result)];
            let results = [arg(DType::F64, dims)];
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            let buffers = [Buffer::Real(x.clone()), Buffer::Real(dy.clone())];
            let got = run_once::<f64, ProdGrad>(&spec, &buffers).unwrap();
            let got = got[0].real().unwrap();
            for i in (0..places.len()).take(40) {
                let others = (0..places.len()).filter(|j| *j != i && places[*j] == places[i]);
                let want = dy[places[i]] * others.map(|j| x[j]).product::<f64>();
                assert_eq!(got[i], want, "{dims:?} {axes:?} {i}");
            }
        }
    }

    #[test]
    fn the_first_of_the_largest_is_found() {
        let find = |dims: &[usize], axis: i64, x: Vec<f64>| {
            let attrs = Attrs::new().with("axis", axis);
            let (_, result) = places(dims, &[axis], false);
            let (operands, results) = ([arg(DType::F64, dims)], [arg(DType::I64, &result)]);
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            run_once::<f64, Argmax>(&spec, &[Buffer::Real(x)])
                .unwrap()
                .remove(0)
        };
        let x = vec![1.0, 3.0, 3.0, 5.0, 2.0, 5.0];
        assert_eq!(find(&[2, 3], -1, x.clone()), Buffer::Int(vec![1, 0]));
        assert_eq!(find(&[2, 3], 0, x.clone()), Buffer::Int(vec![1, 0, 1]));
        assert_eq!(find(&[3, 2], 0, x), Buffer::Int(vec![1, 1]));
        assert_eq!(
            find(&[3], 0, vec![1.0, f64::NAN, f64::INFINITY]),
            Buffer::Int(vec![1])
        );
        assert_eq!(find(&[0, 3], 1, vec![]), Buffer::Int(vec![]));
    }

    #[test]
    fn running_sums_from_either_end() {
        let along =
            |axis: i64, reverse: bool| Attrs::new().with("axis", axis).with("reverse", reverse);
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let dims = [2, 3];
        let sums = |axis, reverse| run::<Cumsum>(&dims, &dims, &along(axis, reverse), &x);
        assert_eq!(sums(1, false), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
        assert_eq!(sums(-1, true), [6.0, 5.0, 3.0, 15.0, 11.0, 6.0]);
        assert_eq!(sums(0, false), [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
        assert_eq!(sums(0, true), [5.0, 7.0, 9.0, 4.0, 5.0, 6.0]);
    }
}
