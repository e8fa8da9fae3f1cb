//! Kernels that move elements: each is one walk over rows, made when the kernel is prepared.

use super::walk::{Walk, strides};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// Writes every row of the result from a row of the operand, whose neighbours may lie apart.
fn gather<E: Copy>(walk: &Walk<1>, x: &[E], out: &mut [E]) {
    let n = walk.inner;
    let mut rows = out.chunks_exact_mut(n.max(1));
    let step = walk.steps[0];
    walk.rows(|[from]| {
        let Some(out) = rows.next() else { return };
        match step {
            1 => copy(&x[from..from + n], out),
            0 => out.fill(x[from]),
            _ => {
                for (out, x) in out.iter_mut().zip(x[from..].iter().step_by(step as usize)) {
                    *out = *x;
                }
            }
        }
    });
}

/// Copies a row; short ones in a loop, since a call costs more than they do.
#[inline(always)]
pub(super) fn copy<E: Copy>(x: &[E], out: &mut [E]) {
    if out.len() > 16 {
        out.copy_from_slice(x);
    } else {
        for (out, x) in out.iter_mut().zip(x) {
            *out = *x;
        }
    }
}

/// Writes every row of the operand to a row of the result, whose neighbours may lie apart.
pub(super) fn scatter<E: Copy>(walk: &Walk<1>, x: &[E], out: &mut [E]) {
    let n = walk.inner;
    let mut rows = x.chunks_exact(n.max(1));
    let step = walk.steps[0];
    walk.rows(|[to]| {
        let Some(x) = rows.next() else { return };
        match step {
            1 => copy(x, &mut out[to..to + n]),
            _ => {
                for (out, x) in out[to..].iter_mut().step_by(step as usize).zip(x) {
                    *out = *x;
                }
            }
        }
    });
}

/// A kernel that gathers operand 0.
pub(super) fn gathered<T: Real>(spec: &Spec<'_>, walk: Walk<1>) -> Prepared<T> {
    match Class::of(spec.results[0].dtype) {
        Class::Real => Prepared::new(move |io| gather(&walk, io.real(0), io.out(0))),
        Class::Int => Prepared::new(move |io| gather(&walk, io.int(0), io.out_int(0))),
        Class::Bool => Prepared::new(move |io| gather(&walk, io.bool(0), io.out_bool(0))),
    }
}

pub(super) fn ints<'a>(spec: &Spec<'a>, name: &str) -> Result<&'a [i64], KernelError> {
    let list = spec.attrs.ints(name);
    list.ok_or_else(|| KernelError(format!("attribute `{name}` is missing")))
}

/// The attribute `axis` counted from the front.
pub(super) fn axis(spec: &Spec<'_>, rank: usize) -> Result<usize, KernelError> {
    let axis = spec.attrs.int("axis").unwrap_or(0);
    syncarp_ir::normalize_axis(axis, rank).map_err(|e| KernelError(e.message))
}

struct Transpose;

/// The side of a square that is transposed at once, so that the lines that are read stay in the
/// first-level cache while all of their elements are used.
const SIDE: usize = 16;

impl Kernel for Transpose {
    const OP: &'static str = "transpose";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, y) = (&spec.operands[0], &spec.results[0]);
        let own = strides(&x.dims);
        let permutation = ints(spec, "permutation")?;
        let place = |p: &i64| usize::try_from(*p).ok().and_then(|p| own.get(p)).copied();
        let moved: Option<Vec<isize>> = permutation.iter().map(place).collect();
        let moved = moved.filter(|m| m.len() == y.dims.len() && x.len() == y.len());
        let moved = moved.ok_or_else(|| KernelError("no permutation of the dims".to_owned()))?;
        let walk = Walk::new(&y.dims, [&moved], [0])?;
        if let Some((count, rows, columns)) = planes(&walk) {
            return Ok(match Class::of(y.dtype) {
                Class::Real => Prepared::new(move |io| {
                    transpose(count, rows, columns, io.real(0), io.out(0));
                }),
                Class::Int => Prepared::new(move |io| {
                    transpose(count, rows, columns, io.int(0), io.out_int(0));
                }),
                Class::Bool => Prepared::new(move |io| {
                    transpose(count, rows, columns, io.bool(0), io.out_bool(0));
                }),
            });
        }
        Ok(gathered(spec, walk))
    }
}

/// The number of matrices and the rows and columns of each, where a permutation does nothing but
/// swap the last two (joined) dims.
fn planes(walk: &Walk<1>) -> Option<(usize, usize, usize)> {
    let step = usize::try_from(walk.steps[0]).ok().filter(|s| *s > 1)?;
    let (rows, columns) = (walk.inner, step);
    if rows == 0 {
        return None;
    }
    match walk.outer() {
        [(size, [1])] if *size == columns => Some((1, rows, columns)),
        [(count, [far]), (size, [1])] if *size == columns && *far == (rows * columns) as isize => {
            Some((*count, rows, columns))
        }
        _ => None,
    }
}

/// Writes `count` matrices of so many rows and columns, each transposed.
fn transpose<E: Copy>(count: usize, rows: usize, columns: usize, x: &[E], out: &mut [E]) {
    let size = rows * columns;
    for (x, out) in x
        .chunks_exact(size)
        .zip(out.chunks_exact_mut(size))
        .take(count)
    {
        for top in (0..rows).step_by(SIDE) {
            let bottom = (top + SIDE).min(rows);
            for left in (0..columns).step_by(SIDE) {
                for column in left..(left + SIDE).min(columns) {
                    let line = &mut out[column * rows + top..column * rows + bottom];
                    let from = x[top * columns + column..].iter().step_by(columns);
                    for (out, x) in line.iter_mut().zip(from) {
                        *out = *x;
                    }
                }
            }
        }
    }
}

struct Expand;

impl Kernel for Expand {
    const OP: &'static str = "expand";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let walk = Walk::broadcast(&spec.results[0].dims, [&spec.operands[0].dims])?;
        Ok(gathered(spec, walk))
    }
}

struct Iota;

impl Kernel for Iota {
    const OP: &'static str = "iota";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let y = &spec.results[0];
        let axis = axis(spec, y.dims.len())?;
        let (size, inner) = (
            y.dims[axis],
            y.dims[axis + 1..].iter().product::<usize>().max(1),
        );
        fn count<E: Copy>(out: &mut [E], size: usize, inner: usize, number: impl Fn(usize) -> E) {
            for (row, out) in out.chunks_exact_mut(inner).enumerate() {
                out.fill(number(row % size));
            }
        }
        let dtype = y.dtype;
        match Class::of(dtype) {
            Class::Real => Ok(Prepared::new(move |io| {
                count(io.out(0), size, inner, |i| T::from_f64(i as f64));
            })),
            Class::Int => Ok(Prepared::new(move |io| {
                count(io.out_int(0), size, inner, |i| dtype.wrap(i as i64));
            })),
            Class::Bool => Err(KernelError("truth values are not counted".to_owned())),
        }
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    // Rows stay as they are: the same memory under other dims.
    registry.register_alias("reshape");
    registry.register::<Transpose>()?;
    registry.register::<Expand>()?;
    registry.register::<Iota>()
}

/// What the tests of moving kernels compare with.
#[cfg(test)]
pub(super) mod testing {
    use syncarp_ir::{Attrs, DType};

    use crate::kernel::{Arg, Buffer, Kernel, Spec, run_once};

    pub fn arg(dims: &[usize]) -> Arg {
        Arg {
            dtype: DType::F32,
            dims: dims.to_vec(),
        }
    }

    pub fn counted(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32 + 1.0).collect()
    }

    pub fn run<K: Kernel>(operands: &[&[usize]], result: &[usize], attrs: &Attrs) -> Vec<f32> {
        let buffers: Vec<_> = operands
            .iter()
            .map(|d| Buffer::Real(counted(d.iter().product())))
            .collect();
        let operands: Vec<_> = operands.iter().map(|d| arg(d)).collect();
        let results = [arg(result)];
        let spec = Spec {
            attrs,
            operands: &operands,
            results: &results,
        };
        run_once::<f32, K>(&spec, &buffers).unwrap()[0]
            .real()
            .unwrap()
            .to_vec()
    }

    /// All indices of a shape in row-major order.
    pub fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
        let mut all = vec![vec![]];
        for size in dims {
            all = all
                .iter()
                .flat_map(|index: &Vec<usize>| {
                    (0..*size).map(move |i| index.iter().copied().chain([i]).collect())
                })
                .collect();
        }
        all
    }

    pub fn flat(index: &[usize], dims: &[usize]) -> usize {
        index.iter().zip(dims).fold(0, |flat, (i, d)| flat * d + i)
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::testing::{counted, flat, indices, run};
    use super::*;

    #[test]
    fn every_permutation_moves_as_defined() {
        let cases: &[(&[usize], &[usize])] = &[
            (&[3, 4], &[1, 0]),
            (&[40, 33], &[1, 0]),
            (&[2, 17, 35], &[0, 2, 1]),
            (&[2, 3, 4], &[2, 0, 1]),
            (&[2, 3, 4], &[1, 2, 0]),
            (&[2, 3, 4], &[2, 1, 0]),
            (&[2, 3, 4, 5], &[0, 2, 1, 3]),
            (&[2, 3, 4, 5], &[3, 1, 0, 2]),
            (&[2, 1, 4], &[1, 0, 2]),
            (&[2, 0, 4], &[2, 0, 1]),
            (&[], &[]),
        ];
        for (dims, permutation) in cases {
            let result: Vec<usize> = permutation.iter().map(|p| dims[*p]).collect();
            let list: Vec<i64> = permutation.iter().map(|p| *p as i64).collect();
            let got = run::<Transpose>(&[dims], &result, &Attrs::new().with("permutation", list));
            let x = counted(dims.iter().product());
            let want: Vec<f32> = indices(&result)
                .iter()
                .map(|index| {
                    let mut from = vec![0; dims.len()];
                    for (place, dim) in permutation.iter().enumerate() {
                        from[*dim] = index[place];
                    }
                    x[flat(&from, dims)]
                })
                .collect();
            assert_eq!(got, want, "{dims:?} {permutation:?}");
        }
    }

    #[test]
    fn expansion_repeats() {
        let attrs = Attrs::new();
        assert_eq!(
            run::<Expand>(&[&[2, 1]], &[2, 3], &attrs),
            [1., 1., 1., 2., 2., 2.]
        );
        assert_eq!(run::<Expand>(&[&[2]], &[2, 2], &attrs), [1., 2., 1., 2.]);
        assert_eq!(run::<Expand>(&[&[]], &[2, 2], &attrs), [1.; 4]);
        assert!(run::<Expand>(&[&[1, 3]], &[0, 3], &attrs).is_empty());
    }

    #[test]
    fn places_count_along_their_axis() {
        let along = |axis: i64| Attrs::new().with("axis", axis);
        assert_eq!(
            run::<Iota>(&[], &[2, 3], &along(1)),
            [0., 1., 2., 0., 1., 2.]
        );
        assert_eq!(
            run::<Iota>(&[], &[2, 2, 2], &along(-2)),
            [0., 0., 1., 1., 0., 0., 1., 1.]
        );
        assert!(run::<Iota>(&[], &[0, 3], &along(0)).is_empty());
    }
}
