//! Kernels in which places on an axis matter: running sums, the places of the largest and the
//! smallest element, and products of all other elements.

use syncarp_ir::DType;

use super::element::{Element, by_class};
use super::fold::Plan;
use super::reduce::reduced;
use super::shape::axis;
use super::walk::strides;
use crate::kernel::{Class, Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
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

/// An axis, and which way something runs along it.
#[derive(Clone, Copy)]
pub(super) struct Along {
    pub size: usize,
    /// How far neighbours on the axis lie apart.
    pub inner: usize,
    pub reverse: bool,
    /// Whether a place's own element does not count.
    pub exclusive: bool,
}

impl Along {
    pub fn of(spec: &Spec<'_>) -> Result<Self, KernelError> {
        let dims = &spec.operands[0].dims;
        let axis = axis(spec, dims.len())?;
        let flag = |name: &str| spec.attrs.bool(name).unwrap_or(false);
        Ok(Along {
            size: dims[axis],
            inner: strides(dims)[axis].unsigned_abs(),
            reverse: flag("reverse"),
            exclusive: flag("exclusive"),
        })
    }
}

/// Writes at each place what joining the elements up to it gives, from what joining none gives on.
#[inline(always)]
pub(super) fn running<E: Copy>(
    x: &[E],
    along: &Along,
    out: &mut [E],
    none: E,
    join: impl Fn(E, E) -> E,
) {
    if x.is_empty() {
        return;
    }
    let (size, inner) = (along.size, along.inner);
    let slab = size * inner;
    for (x, out) in x.chunks_exact(slab).zip(out.chunks_exact_mut(slab)) {
        let row = |step: usize| if along.reverse { size - 1 - step } else { step } * inner;
        let first = row(0);
        match along.exclusive {
            true => out[first..first + inner].fill(none),
            false => out[first..first + inner].copy_from_slice(&x[first..first + inner]),
        }
        for step in 1..size {
            let (before, here) = (row(step - 1), row(step));
            let from = if along.exclusive { before } else { here };
            for i in 0..inner {
                out[here + i] = join(out[before + i], x[from + i]);
            }
        }
    }
}

/// Kernels of the place of the best element; NaN beats numbers.
macro_rules! places {
    ($($name:ident = $op:literal, $beats:ident;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let dtype = spec.operands[0].dtype;
                if Class::of(dtype) == Class::Bool {
                    return Err(KernelError("no kernel for bool".to_owned()));
                }
                let last = spec.attrs.bool("last").unwrap_or(false);
                fn run<T: Real, E: Element<T>>(
                    io: &mut Io<'_, T>,
                    (along, dtype, last): &(Along, DType, bool),
                ) {
                    let (x, out) = (E::read(io, 0), io.out_int(0));
                    match last {
                        true => search(x, along, out, |a, b| !b.$beats(a, *dtype)),
                        false => search(x, along, out, |a, b| a.$beats(b, *dtype)),
                    }
                }
                Ok(by_class!(dtype, T, run, (Along::of(spec)?, dtype, last)))
            }
        }
    )*};
}

places! {
    Argmax = "argmax", above;
    Argmin = "argmin", below;
}

/// Writes where on the axis the element is that no later one beats.
#[inline(always)]
fn search<E: Copy>(x: &[E], along: &Along, out: &mut [i64], beats: impl Fn(E, E) -> bool) {
    if x.is_empty() {
        out.fill(0);
        return;
    }
    let (size, inner) = (along.size, along.inner);
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

struct Cumsum;

impl Kernel for Cumsum {
    const OP: &'static str = "cumsum";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let dtype = spec.results[0].dtype;
        if Class::of(dtype) == Class::Bool {
            return Err(KernelError("no kernel for bool".to_owned()));
        }
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, (along, dtype): &(Along, DType)) {
            let (x, out) = (E::read(io, 0), E::out(io, 0));
            running(x, along, out, E::ZERO, |a, b| a.plus(b, *dtype));
        }
        Ok(by_class!(dtype, T, run, (Along::of(spec)?, dtype)))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<ProdGrad>()?;
    registry.register::<Argmax>()?;
    registry.register::<Argmin>()?;
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
    fn the_first_or_the_last_of_the_best_is_found() {
        let find =
            |op: fn(&Spec<'_>, &[Buffer<f64>]) -> Buffer<f64>, dtype, last, x: Buffer<f64>| {
                let attrs = Attrs::new().with("axis", 0i64).with("last", last);
                let count = match &x {
                    Buffer::Int(v) => v.len(),
                    Buffer::Real(v) => v.len(),
                    Buffer::Bool(v) => v.len(),
                };
                let spec = Spec {
                    attrs: &attrs,
                    operands: &[arg(dtype, &[count])],
                    results: &[arg(DType::I64, &[])],
                };
                match op(&spec, &[x]) {
                    Buffer::Int(v) => v[0],
                    other => panic!("no places: {other:?}"),
                }
            };
        let most = |spec: &Spec<'_>, x: &[Buffer<f64>]| {
            run_once::<f64, Argmax>(spec, x).unwrap().remove(0)
        };
        let least = |spec: &Spec<'_>, x: &[Buffer<f64>]| {
            run_once::<f64, Argmin>(spec, x).unwrap().remove(0)
        };
        let x = || Buffer::Real(vec![2.0, 1.0, 3.0, 1.0, 3.0, 2.0]);
        assert_eq!(
            [false, true].map(|last| find(most, DType::F64, last, x())),
            [2, 4]
        );
        assert_eq!(
            [false, true].map(|last| find(least, DType::F64, last, x())),
            [1, 3]
        );
        let odd = || Buffer::Real(vec![0.0, f64::NAN, f64::NEG_INFINITY, f64::NAN, 9.0]);
        assert_eq!(
            [false, true].map(|last| find(most, DType::F64, last, odd())),
            [1, 3]
        );
        assert_eq!(
            [false, true].map(|last| find(least, DType::F64, last, odd())),
            [1, 3]
        );
        let long = || Buffer::Int(vec![5, -1, 7]);
        assert_eq!(find(most, DType::U64, false, long()), 1);
        assert_eq!(find(least, DType::U64, false, long()), 0);
        assert_eq!(find(least, DType::I64, false, long()), 1);
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
        let others = |axis, reverse| {
            let attrs = along(axis, reverse).with("exclusive", true);
            run::<Cumsum>(&dims, &dims, &attrs, &x)
        };
        assert_eq!(others(1, false), [0.0, 1.0, 3.0, 0.0, 4.0, 9.0]);
        assert_eq!(others(1, true), [5.0, 3.0, 0.0, 11.0, 6.0, 0.0]);
        assert_eq!(others(0, false), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
    }
}
