//! Kernels of sums, means, products and extremes over axes.

use syncarp_ir::DType;

use super::choose::bounds;
use super::fold::{Combine, Larger, Plan, Plus, Smaller, Squares, Times, Whole, reduce};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// Which dims of operand 0 the attribute `axes` names; all where it is left out.
pub(super) fn reduced(spec: &Spec<'_>) -> Result<Vec<bool>, KernelError> {
    let rank = spec.operands[0].dims.len();
    let Some(axes) = spec.attrs.ints("axes") else {
        return Ok(vec![true; rank]);
    };
    let mut marks = vec![false; rank];
    for axis in axes {
        let axis = syncarp_ir::normalize_axis(*axis, rank).map_err(|e| KernelError(e.message))?;
        marks[axis] = true;
    }
    Ok(marks)
}

/// The plan of a reduction whose result has as many elements as dims that stay say.
fn planned(spec: &Spec<'_>, reduced: &[bool]) -> Result<Plan, KernelError> {
    let (x, y) = (&spec.operands[0], &spec.results[0]);
    let plan = Plan::new(&x.dims, reduced);
    if plan.results != y.len() {
        let (x, y) = (&x.dims, &y.dims);
        return Err(KernelError(format!("dims {x:?} do not reduce to {y:?}")));
    }
    Ok(plan)
}

/// A kernel that reduces floats with `c`, then maps results with `finish`; integers with `whole`.
fn reduction<T: Real, C: Combine<T> + Send + Sync + 'static>(
    spec: &Spec<'_>,
    reduced: &[bool],
    c: C,
    whole: Option<Whole>,
    divisor: Option<T>,
) -> Result<Prepared<T>, KernelError> {
    let plan = planned(spec, reduced)?;
    let dtype = spec.results[0].dtype;
    match (Class::of(dtype), whole) {
        (Class::Real, _) => Ok(Prepared::with_scratch(plan.scratch(), move |io| {
            let part = if plan.scratch() > 0 {
                io.scratch()
            } else {
                &mut []
            };
            let out = io.out(0);
            reduce(&plan, io.real(0), out, part, c);
            if let Some(divisor) = divisor {
                out.iter_mut().for_each(|y| *y /= divisor);
            }
        })),
        // Integers wrap and lose no digits, so no blocks are needed.
        (Class::Int, Some(whole)) => Ok(Prepared::new(move |io| {
            let out = io.out_int(0);
            reduce(&plan, io.int(0), out, &mut [], whole);
            out.iter_mut().for_each(|y| *y = dtype.wrap(*y));
        })),
        _ => Err(KernelError(format!("no kernel for {dtype}"))),
    }
}

/// The largest and the smallest of integers.
fn extremes(dtype: DType) -> [Whole; 2] {
    let (low, high) = bounds(dtype);
    let joins: [fn(i64, i64) -> i64; 2] = match dtype {
        DType::U64 => [
            |a, b| (a as u64).max(b as u64) as i64,
            |a, b| (a as u64).min(b as u64) as i64,
        ],
        _ => [i64::max, i64::min],
    };
    let [largest, smallest] = joins;
    [
        Whole {
            neutral: low,
            join: largest,
        },
        Whole {
            neutral: high,
            join: smallest,
        },
    ]
}

macro_rules! fold {
    ($($name:ident = $op:literal, $combine:expr, |$dtype:ident| $whole:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let $dtype = spec.results[0].dtype;
                let whole = $whole;
                reduction(spec, &reduced(spec)?, $combine, Some(whole), None)
            }
        }
    )*};
}

fold! {
    Sum = "sum", Plus, |_dtype| Whole { neutral: 0, join: i64::wrapping_add };
    Prod = "prod", Times, |_dtype| Whole { neutral: 1, join: i64::wrapping_mul };
    ReduceMax = "reduce_max", Larger, |dtype| extremes(dtype)[0];
    ReduceMin = "reduce_min", Smaller, |dtype| extremes(dtype)[1];
}

/// The number of elements that make one result.
fn counted(dims: &[usize], reduced: &[bool]) -> f64 {
    dims.iter()
        .zip(reduced)
        .filter(|(_, r)| **r)
        .map(|(d, _)| *d as f64)
        .product()
}

struct Mean;

impl Kernel for Mean {
    const OP: &'static str = "mean";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let reduced = reduced(spec)?;
        let count = T::from_f64(counted(&spec.operands[0].dims, &reduced));
        reduction(spec, &reduced, Plus, None, Some(count))
    }
}

struct Count;

impl Kernel for Count {
    const OP: &'static str = "count";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let count = T::from_f64(counted(&spec.operands[0].dims, &reduced(spec)?));
        Ok(Prepared::new(move |io| io.out(0)[0] = count))
    }
}

struct SumSquares;

impl Kernel for SumSquares {
    const OP: &'static str = "sum_squares";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let all = vec![true; spec.operands[0].dims.len()];
        reduction(spec, &all, Squares, None, None)
    }
}

struct SumTo;

impl Kernel for SumTo {
    const OP: &'static str = "sum_to";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, y) = (&spec.operands[0].dims, &spec.results[0].dims);
        let wrong = || KernelError(format!("dims {x:?} do not sum to {y:?}"));
        let missing = x.len().checked_sub(y.len()).ok_or_else(wrong)?;
        let mut marks = vec![true; missing];
        for (x, y) in x[missing..].iter().zip(y) {
            if x != y && *y != 1 {
                return Err(wrong());
            }
            marks.push(x != y);
        }
        let whole = Whole {
            neutral: 0,
            join: i64::wrapping_add,
        };
        reduction(spec, &marks, Plus, Some(whole), None)
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Sum>()?;
    registry.register::<Prod>()?;
    registry.register::<ReduceMax>()?;
    registry.register::<ReduceMin>()?;
    registry.register::<Mean>()?;
    registry.register::<Count>()?;
    registry.register::<SumSquares>()?;
    registry.register::<SumTo>()
}

/// What the tests of reductions compare with.
#[cfg(test)]
pub(super) mod testing {
    use syncarp_ir::{Attrs, DType};

    use crate::kernel::{Arg, Buffer, Kernel, Spec, run_once};

    pub fn arg(dtype: DType, dims: &[usize]) -> Arg {
        Arg {
            dtype,
            dims: dims.to_vec(),
        }
    }

    pub fn floats(n: usize) -> Vec<f64> {
        (0..n).map(|i| ((i * 37) % 23) as f64 - 11.0).collect()
    }

    /// For each element, the place of its result, and the result's dims.
    pub fn places(dims: &[usize], axes: &[i64], keep: bool) -> (Vec<usize>, Vec<usize>) {
        let rank = dims.len() as i64;
        let gone = |d: usize| axes.iter().any(|a| (a + rank) % rank == d as i64);
        let mut result = Vec::new();
        for (d, size) in dims.iter().enumerate() {
            if !gone(d) {
                result.push(*size);
            } else if keep {
                result.push(1);
            }
        }
        let place = |mut flat: usize| {
            let (mut place, mut scale) = (0, 1);
            for d in (0..dims.len()).rev() {
                if !gone(d) {
                    place += flat % dims[d] * scale;
                    scale *= dims[d];
                }
                flat /= dims[d];
            }
            place
        };
        ((0..dims.iter().product()).map(place).collect(), result)
    }

    pub const CASES: &[(&[usize], &[i64])] = &[
        (&[5, 7], &[0]),
        (&[5, 7], &[1]),
        (&[5, 7], &[0, 1]),
        (&[5, 7], &[]),
        (&[300, 3], &[0]),
        (&[3, 5000], &[-1]),
        (&[4, 70, 3], &[1]),
        (&[4, 200, 3, 5], &[1]),
        (&[6, 3, 4, 5], &[0, 2, 3]),
        (&[130, 3, 4, 5], &[0, -1, 2]),
        (&[2, 3, 2, 3, 2], &[0, 2, 4]),
        (&[70, 3, 2, 3, 2], &[0, 2]),
        (&[2, 70, 2, 3, 2], &[1, 3]),
        (&[1, 5, 1], &[1]),
        (&[1, 5, 1], &[0, 2]),
        (&[], &[]),
        (&[0, 4], &[0]),
        (&[4, 0], &[0]),
        (&[4, 0, 3], &[1]),
    ];

    pub fn run<K: Kernel>(dims: &[usize], result: &[usize], attrs: &Attrs, x: &[f64]) -> Vec<f64> {
        let (operands, results) = ([arg(DType::F64, dims)], [arg(DType::F64, result)]);
        let spec = Spec {
            attrs,
            operands: &operands,
            results: &results,
        };
        let got = run_once::<f64, K>(&spec, &[Buffer::Real(x.to_vec())]).unwrap();
        got[0].real().unwrap().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::testing::{CASES, arg, floats, places, run};
    use super::*;
    use crate::kernel::{Buffer, run_once};

    #[test]
    fn folds_agree_with_plain_loops() {
        for (dims, axes) in CASES {
            for keep in [false, true] {
                let (places, result) = places(dims, axes, keep);
                let attrs = Attrs::new().with("axes", *axes).with("keep", keep);
                let x = floats(places.len());
                let n = result.iter().product();
                let want = |neutral: f64, f: &dyn Fn(f64, f64) -> f64| {
                    let mut y = vec![neutral; n];
                    for (x, place) in x.iter().zip(&places) {
                        y[*place] = f(y[*place], *x);
                    }
                    y
                };
                // Small whole numbers add up exactly in any order.
                let sum = want(0.0, &|a, b| a + b);
                assert_eq!(
                    run::<Sum>(dims, &result, &attrs, &x),
                    sum,
                    "{dims:?} {axes:?}"
                );
                let max = want(f64::NEG_INFINITY, &f64::max);
                assert_eq!(run::<ReduceMax>(dims, &result, &attrs, &x), max);
                let min = want(f64::INFINITY, &f64::min);
                assert_eq!(run::<ReduceMin>(dims, &result, &attrs, &x), min);
                let mean = run::<Mean>(dims, &result, &attrs, &x);
                let count = places.len() as f64 / n as f64;
                for (mean, sum) in mean.iter().zip(&sum) {
                    assert!(*mean == sum / count || mean.is_nan() && count == 0.0);
                }
                let small: Vec<f64> = x.iter().map(|x| 1.0 + x * 1e-3).collect();
                let mut product = vec![1.0; n];
                for (x, place) in small.iter().zip(&places) {
                    product[*place] *= x;
                }
                let got = run::<Prod>(dims, &result, &attrs, &small);
                assert!(
                    got.iter()
                        .zip(&product)
                        .all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs())
                );
                let (operands, results) = ([arg(DType::I64, dims)], [arg(DType::I64, &result)]);
                let spec = Spec {
                    attrs: &attrs,
                    operands: &operands,
                    results: &results,
                };
                let whole = Buffer::Int(x.iter().map(|x| *x as i64).collect());
                let got = run_once::<f32, Sum>(&spec, &[whole]).unwrap();
                let want = sum.iter().map(|x| *x as i64).collect();
                assert_eq!(got[0], Buffer::Int(want));
            }
        }
    }

    #[test]
    fn extremes_of_integers_are_those_of_their_dtype() {
        let attrs = Attrs::new();
        let both = |dtype: DType, x: &[i64]| {
            let spec = Spec {
                attrs: &attrs,
                operands: &[arg(dtype, &[x.len()])],
                results: &[arg(dtype, &[])],
            };
            let x = [Buffer::Int(x.to_vec())];
            let most = run_once::<f32, ReduceMax>(&spec, &x).unwrap().remove(0);
            [
                most,
                run_once::<f32, ReduceMin>(&spec, &x).unwrap().remove(0),
            ]
        };
        let whole = |x: i64| Buffer::Int(vec![x]);
        assert_eq!(both(DType::I64, &[3, -1, 2]), [3, -1].map(whole));
        assert_eq!(both(DType::U64, &[3, -1, 2]), [-1, 2].map(whole));
        let (low, high) = (i64::from(i32::MIN), i64::from(i32::MAX));
        assert_eq!(both(DType::I32, &[]), [low, high].map(whole));
        assert_eq!(both(DType::U64, &[]), [0, -1].map(whole));
        assert_eq!(both(DType::U8, &[]), [0, 255].map(whole));
    }

    #[test]
    fn sums_go_down_to_what_was_broadcast() {
        let cases: &[(&[usize], &[usize], &[i64])] = &[
            (&[5, 7], &[7], &[0]),
            (&[5, 7], &[1, 7], &[0]),
            (&[5, 7], &[5, 1], &[1]),
            (&[5, 7], &[], &[0, 1]),
            (&[5, 7], &[5, 7], &[]),
            (&[6, 3, 4, 5], &[3, 1, 1], &[0, 2, 3]),
            (&[1, 7], &[7], &[0]),
            (&[0, 7], &[7], &[0]),
        ];
        for (dims, result, axes) in cases {
            let (places, _) = places(dims, axes, false);
            let x = floats(places.len());
            let mut want = vec![0.0; result.iter().product()];
            for (x, place) in x.iter().zip(&places) {
                want[*place] += x;
            }
            assert_eq!(
                run::<SumTo>(dims, result, &Attrs::new(), &x),
                want,
                "{dims:?} {result:?}"
            );
        }
    }

    #[test]
    fn long_sums_keep_their_digits() {
        let n = 1 << 20;
        let x: Vec<f32> = (0..n).map(|i| 0.1 + (i % 7) as f32).collect();
        let exact: f64 = x.iter().map(|x| f64::from(*x)).sum();
        let squares: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
        for dims in [vec![n], vec![n / 2, 2], vec![n / 4, 2, 2]] {
            let attrs = Attrs::new();
            let axes = attrs.clone().with("axes", vec![0]);
            let result: Vec<usize> = dims[1..].to_vec();
            let (operands, results) = ([arg(DType::F32, &dims)], [arg(DType::F32, &result)]);
            let spec = Spec {
                attrs: &axes,
                operands: &operands,
                results: &results,
            };
            let got = run_once::<f32, Sum>(&spec, &[Buffer::Real(x.clone())]).unwrap();
            let sum: f64 = got[0].real().unwrap().iter().map(|y| f64::from(*y)).sum();
            assert!((sum / exact - 1.0).abs() < 1e-6, "{dims:?}: {sum} {exact}");
            let results = [arg(DType::F32, &[])];
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            let got = run_once::<f32, SumSquares>(&spec, &[Buffer::Real(x.clone())]).unwrap();
            let got = f64::from(got[0].real().unwrap()[0]);
            assert!((got / squares - 1.0).abs() < 1e-6, "{got} {squares}");
        }
    }

    #[test]
    fn not_a_number_is_never_lost() {
        for at in [0, 7, 39] {
            let mut x = floats(40);
            x[at] = f64::NAN;
            for (dims, axis) in [(vec![40], 0), (vec![10, 4], 0), (vec![4, 10], 1)] {
                let (_, result) = places(&dims, &[axis], false);
                let attrs = Attrs::new().with("axes", vec![axis]);
                for got in [
                    run::<ReduceMax>(&dims, &result, &attrs, &x),
                    run::<ReduceMin>(&dims, &result, &attrs, &x),
                ] {
                    assert_eq!(got.iter().filter(|y| y.is_nan()).count(), 1);
                }
            }
        }
    }

    #[test]
    fn counts_are_of_the_reduced_axes() {
        let count = |axes: Attrs| run::<Count>(&[2, 3, 4], &[], &axes, &[0.0; 24]);
        assert_eq!(count(Attrs::new().with("axes", vec![0, -1])), [8.0]);
        assert_eq!(count(Attrs::new()), [24.0]);
    }
}
