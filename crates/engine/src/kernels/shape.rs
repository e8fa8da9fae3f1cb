//! Kernels that move elements: each is one walk over rows, made when the kernel is prepared.

use super::elementwise::wrapped;
use super::walk::{Walk, strides};
use crate::kernel::{Arg, Class, Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
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
fn copy<E: Copy>(x: &[E], out: &mut [E]) {
    if out.len() > 16 {
        out.copy_from_slice(x);
    } else {
        for (out, x) in out.iter_mut().zip(x) {
            *out = *x;
        }
    }
}

/// Writes every row of the operand to a row of the result, whose neighbours may lie apart.
fn scatter<E: Copy>(walk: &Walk<1>, x: &[E], out: &mut [E]) {
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
fn gathered<T: Real>(spec: &Spec<'_>, walk: Walk<1>) -> Prepared<T> {
    match Class::of(spec.results[0].dtype) {
        Class::Real => Prepared::new(move |io| gather(&walk, io.real(0), io.out(0))),
        Class::Int => Prepared::new(move |io| gather(&walk, io.int(0), io.out_int(0))),
        Class::Bool => Prepared::new(move |io| gather(&walk, io.bool(0), io.out_bool(0))),
    }
}

fn ints<'a>(spec: &Spec<'a>, name: &str) -> Result<&'a [i64], KernelError> {
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
    for (x, out) in x.chunks_exact(size).zip(out.chunks_exact_mut(size)).take(count) {
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

/// Which places of an axis a slice takes.
struct Cut {
    axis: usize,
    start: usize,
    step: usize,
}

impl Cut {
    /// Reads the attributes of a slice that leaves `count` places of the axis of `whole`.
    fn of(spec: &Spec<'_>, whole: &[usize], part: &[usize]) -> Result<Self, KernelError> {
        let axis = axis(spec, whole.len())?;
        let size = whole[axis] as i64;
        let start = spec.attrs.int("start").unwrap_or(0);
        let start = if start < 0 { size.saturating_add(start) } else { start };
        let end = spec.attrs.int("end").unwrap_or(size);
        let end = if end < 0 { size.saturating_add(end) } else { end };
        let step = spec.attrs.int("step").unwrap_or(1).max(1);
        let count = end.saturating_sub(start).max(0) as u64;
        let count = count.div_ceil(step.unsigned_abs());
        let mut want = whole.to_vec();
        want[axis] = usize::try_from(count).unwrap_or(usize::MAX);
        if start < 0 || start > end || end > size || want != part {
            let message = format!("places {start} to {end} of dim {axis} of {whole:?}: not there");
            return Err(KernelError(message));
        }
        Ok(Cut { axis, start: start as usize, step: step as usize })
    }

    /// The walk over the part, with places in the whole.
    fn walk(&self, whole: &[usize], part: &[usize]) -> Result<Walk<1>, KernelError> {
        let mut moved = strides(whole);
        let base = self.start as isize * moved[self.axis];
        // A step past the end is never taken, so it may be cut to what a place can be.
        let step = self.step.min(whole[self.axis].max(1));
        moved[self.axis] *= step as isize;
        Walk::new(part, [&moved], [base])
    }
}

struct Slice;

impl Kernel for Slice {
    const OP: &'static str = "slice";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (whole, part) = (&spec.operands[0].dims, &spec.results[0].dims);
        let walk = Cut::of(spec, whole, part)?.walk(whole, part)?;
        Ok(gathered(spec, walk))
    }
}

struct SliceGrad;

impl Kernel for SliceGrad {
    const OP: &'static str = "slice_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (whole, part) = (&spec.results[0].dims, &spec.operands[0].dims);
        let walk = Cut::of(spec, whole, part)?.walk(whole, part)?;
        fn scattered<E: Copy + Default>(walk: &Walk<1>, dy: &[E], out: &mut [E]) {
            out.fill(E::default());
            scatter(walk, dy, out);
        }
        Ok(match Class::of(spec.results[0].dtype) {
            Class::Real => Prepared::new(move |io| scattered(&walk, io.real(0), io.out(0))),
            Class::Int => Prepared::new(move |io| scattered(&walk, io.int(0), io.out_int(0))),
            Class::Bool => Prepared::new(move |io| scattered(&walk, io.bool(0), io.out_bool(0))),
        })
    }
}

struct Pad;

impl Kernel for Pad {
    const OP: &'static str = "pad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, y) = (&spec.operands[0].dims, &spec.results[0].dims);
        let (low, high) = (ints(spec, "low")?, ints(spec, "high")?);
        let wrong = || KernelError(format!("padding {x:?} does not give {y:?}"));
        let padded = |dim: usize| {
            let width = |list: &[i64]| usize::try_from(*list.get(dim)?).ok();
            width(low)?.checked_add(x[dim])?.checked_add(width(high)?)
        };
        let fits = x.len() == y.len() && (0..x.len()).all(|d| padded(d) == Some(y[d]));
        if !fits {
            return Err(wrong());
        }
        let own = strides(y);
        let base = own.iter().zip(low).map(|(stride, low)| stride * *low as isize).sum();
        let walk = Walk::new(x, [&own], [base])?;
        fn bordered<E: Copy>(walk: &Walk<1>, x: &[E], value: &[E], out: &mut [E]) {
            out.fill(value[0]);
            scatter(walk, x, out);
        }
        Ok(match Class::of(spec.results[0].dtype) {
            Class::Real => {
                Prepared::new(move |io| bordered(&walk, io.real(0), io.real(1), io.out(0)))
            }
            Class::Int => {
                Prepared::new(move |io| bordered(&walk, io.int(0), io.int(1), io.out_int(0)))
            }
            Class::Bool => {
                Prepared::new(move |io| bordered(&walk, io.bool(0), io.bool(1), io.out_bool(0)))
            }
        })
    }
}

struct Concat;

impl Kernel for Concat {
    const OP: &'static str = "concat";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let y = &spec.results[0];
        let axis = axis(spec, y.dims.len())?;
        let size = |arg: &Arg| arg.dims.get(axis..).map(|d| d.iter().product::<usize>());
        let parts: Option<Vec<usize>> = spec.operands.iter().map(size).collect();
        let line: usize = y.dims[axis..].iter().product();
        let count: usize = y.dims[..axis].iter().product();
        let fits = |parts: &Vec<usize>| {
            let lengths = spec.operands.iter().zip(parts).all(|(o, part)| o.len() == part * count);
            lengths && parts.iter().sum::<usize>() == line
        };
        let parts = parts.filter(fits);
        let parts = parts.ok_or_else(|| KernelError("the parts do not fill it".to_owned()))?;
        fn joined<'a, T: Real, E: Copy + 'a>(
            io: &mut Io<'a, T>,
            line: usize,
            parts: &[usize],
            out: &mut [E],
            read: impl Fn(&Io<'a, T>, usize) -> &'a [E],
        ) {
            let mut from = 0;
            for (index, part) in parts.iter().enumerate().filter(|(_, part)| **part > 0) {
                let rows = read(io, index).chunks_exact(*part);
                for (x, out) in rows.zip(out.chunks_exact_mut(line)) {
                    copy(x, &mut out[from..from + part]);
                }
                from += part;
            }
        }
        Ok(match Class::of(y.dtype) {
            Class::Real => Prepared::new(move |io| {
                let out = io.out(0);
                joined(io, line, &parts, out, |io, i| io.real(i));
            }),
            Class::Int => Prepared::new(move |io| {
                let out = io.out_int(0);
                joined(io, line, &parts, out, |io, i| io.int(i));
            }),
            Class::Bool => Prepared::new(move |io| {
                let out = io.out_bool(0);
                joined(io, line, &parts, out, |io, i| io.bool(i));
            }),
        })
    }
}

struct Iota;

impl Kernel for Iota {
    const OP: &'static str = "iota";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let y = &spec.results[0];
        let axis = axis(spec, y.dims.len())?;
        let (size, inner) = (y.dims[axis], y.dims[axis + 1..].iter().product::<usize>().max(1));
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
                count(io.out_int(0), size, inner, |i| wrapped(dtype, i as i64));
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
    registry.register::<Slice>()?;
    registry.register::<SliceGrad>()?;
    registry.register::<Pad>()?;
    registry.register::<Concat>()?;
    registry.register::<Iota>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Buffer, run_once};

    fn arg(dims: &[usize]) -> Arg {
        Arg { dtype: DType::F32, dims: dims.to_vec() }
    }

    fn counted(n: usize) -> Vec<f32> {
        (0..n).map(|i| i as f32 + 1.0).collect()
    }

    fn run<K: Kernel>(operands: &[&[usize]], result: &[usize], attrs: &Attrs) -> Vec<f32> {
        let buffers: Vec<_> =
            operands.iter().map(|d| Buffer::Real(counted(d.iter().product()))).collect();
        let operands: Vec<_> = operands.iter().map(|d| arg(d)).collect();
        let results = [arg(result)];
        let spec = Spec { attrs, operands: &operands, results: &results };
        run_once::<f32, K>(&spec, &buffers).unwrap()[0].real().unwrap().to_vec()
    }

    /// All indices of a shape in row-major order.
    fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
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

    fn flat(index: &[usize], dims: &[usize]) -> usize {
        index.iter().zip(dims).fold(0, |flat, (i, d)| flat * d + i)
    }

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
            let got =
                run::<Transpose>(&[dims], &result, &Attrs::new().with("permutation", list));
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
        assert_eq!(run::<Expand>(&[&[2, 1]], &[2, 3], &attrs), [1., 1., 1., 2., 2., 2.]);
        assert_eq!(run::<Expand>(&[&[2]], &[2, 2], &attrs), [1., 2., 1., 2.]);
        assert_eq!(run::<Expand>(&[&[]], &[2, 2], &attrs), [1.; 4]);
        assert!(run::<Expand>(&[&[1, 3]], &[0, 3], &attrs).is_empty());
    }

    fn cut(axis: i64, start: i64, end: Option<i64>, step: i64) -> Attrs {
        let attrs = Attrs::new().with("axis", axis).with("start", start).with("step", step);
        match end {
            Some(end) => attrs.with("end", end),
            None => attrs,
        }
    }

    #[test]
    fn slices_and_their_gradients_are_each_other_s_inverse() {
        let dims = [3, 7, 2];
        let x = counted(42);
        for axis in 0..3usize {
            let size = dims[axis] as i64;
            for start in -size..=size {
                for end in (-size..=size).map(Some).chain([None]) {
                    for step in [1, 2, 3, i64::MAX] {
                        let from = if start < 0 { size + start } else { start };
                        let to = end.map_or(size, |e| if e < 0 { size + e } else { e });
                        if from > to {
                            continue;
                        }
                        let taken: Vec<usize> =
                            (from..to).step_by(step as usize).map(|i| i as usize).collect();
                        let mut part = dims.to_vec();
                        part[axis] = taken.len();
                        let attrs = cut(axis as i64 - 3, start, end, step);
                        let got = run::<Slice>(&[&dims], &part, &attrs);
                        let place = |index: &Vec<usize>| {
                            let mut from = index.clone();
                            from[axis] = taken[from[axis]];
                            flat(&from, &dims)
                        };
                        let places: Vec<usize> = indices(&part).iter().map(place).collect();
                        let want: Vec<f32> = places.iter().map(|p| x[*p]).collect();
                        assert_eq!(got, want, "{attrs:?}");
                        let back = run::<SliceGrad>(&[&part], &dims, &attrs);
                        let mut want = vec![0.0; 42];
                        for (i, place) in places.iter().enumerate() {
                            want[*place] = i as f32 + 1.0;
                        }
                        assert_eq!(back, want, "{attrs:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn slices_past_a_bound_dim_are_refused() {
        let attrs = cut(0, 0, Some(4), 1);
        let (operands, results) = ([arg(&[3])], [arg(&[4])]);
        let spec = Spec { attrs: &attrs, operands: &operands, results: &results };
        assert!(run_once::<f32, Slice>(&spec, &[Buffer::Real(counted(3))]).is_err());
    }

    #[test]
    fn padding_surrounds() {
        let by = |low: &[i64], high: &[i64]| Attrs::new().with("low", low).with("high", high);
        let got = run::<Pad>(&[&[2, 2], &[]], &[3, 5], &by(&[1, 2], &[0, 1]));
        assert_eq!(got, [1., 1., 1., 1., 1., 1., 1., 1., 2., 1., 1., 1., 3., 4., 1.]);
        let got = run::<Pad>(&[&[0, 2], &[]], &[2, 2], &by(&[1, 0], &[1, 0]));
        assert_eq!(got, [1.; 4]);
        assert_eq!(run::<Pad>(&[&[2], &[]], &[2], &by(&[0], &[0])), [1., 2.]);
    }

    #[test]
    fn parts_are_laid_one_after_the_other() {
        let along = |axis: i64| Attrs::new().with("axis", axis);
        let got = run::<Concat>(&[&[2, 1], &[2, 2], &[2, 0]], &[2, 3], &along(-1));
        assert_eq!(got, [1., 1., 2., 2., 3., 4.]);
        let got = run::<Concat>(&[&[1, 2], &[2, 2]], &[3, 2], &along(0));
        assert_eq!(got, [1., 2., 1., 2., 3., 4.]);
        let many: Vec<&[usize]> = vec![&[2]; 70];
        assert_eq!(run::<Concat>(&many, &[140], &along(0)), [1., 2.].repeat(70));
    }

    #[test]
    fn places_count_along_their_axis() {
        let along = |axis: i64| Attrs::new().with("axis", axis);
        assert_eq!(run::<Iota>(&[], &[2, 3], &along(1)), [0., 1., 2., 0., 1., 2.]);
        assert_eq!(run::<Iota>(&[], &[2, 2, 2], &along(-2)), [0., 0., 1., 1., 0., 0., 1., 1.]);
        assert!(run::<Iota>(&[], &[0, 3], &along(0)).is_empty());
    }
}
