//! Kernels that take tensors apart and put them together: slices, padding, concatenation.

use super::shape::{axis, copy, gathered, ints, scatter};
use super::walk::{Walk, strides};
use crate::kernel::{Arg, Class, Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

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
        let start = if start < 0 {
            size.saturating_add(start)
        } else {
            start
        };
        let end = spec.attrs.int("end").unwrap_or(size);
        let end = if end < 0 {
            size.saturating_add(end)
        } else {
            end
        };
        let step = spec.attrs.int("step").unwrap_or(1).max(1);
        let count = end.saturating_sub(start).max(0) as u64;
        let count = count.div_ceil(step.unsigned_abs());
        let mut want = whole.to_vec();
        want[axis] = usize::try_from(count).unwrap_or(usize::MAX);
        if start < 0 || start > end || end > size || want != part {
            let message = format!("places {start} to {end} of dim {axis} of {whole:?}: not there");
            return Err(KernelError(message));
        }
        Ok(Cut {
            axis,
            start: start as usize,
            step: step as usize,
        })
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
        let base = own
            .iter()
            .zip(low)
            .map(|(stride, low)| stride * *low as isize)
            .sum();
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
            let lengths = spec
                .operands
                .iter()
                .zip(parts)
                .all(|(o, part)| o.len() == part * count);
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

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Slice>()?;
    registry.register::<SliceGrad>()?;
    registry.register::<Pad>()?;
    registry.register::<Concat>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::*;
    use crate::kernel::{Buffer, run_once};
    use crate::kernels::shape::testing::{arg, counted, flat, indices, run};

    fn cut(axis: i64, start: i64, end: Option<i64>, step: i64) -> Attrs {
        let attrs = Attrs::new()
            .with("axis", axis)
            .with("start", start)
            .with("step", step);
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
                        let taken: Vec<usize> = (from..to)
                            .step_by(step as usize)
                            .map(|i| i as usize)
                            .collect();
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
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        assert!(run_once::<f32, Slice>(&spec, &[Buffer::Real(counted(3))]).is_err());
    }

    #[test]
    fn padding_surrounds() {
        let by = |low: &[i64], high: &[i64]| Attrs::new().with("low", low).with("high", high);
        let got = run::<Pad>(&[&[2, 2], &[]], &[3, 5], &by(&[1, 2], &[0, 1]));
        assert_eq!(
            got,
            [1., 1., 1., 1., 1., 1., 1., 1., 2., 1., 1., 1., 3., 4., 1.]
        );
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
}
