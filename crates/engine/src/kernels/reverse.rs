//! Turning axes round: `reverse`, `reverse_sequence`.

use super::element::{Element, by_class};
use super::shape::ints;
use super::walk::{Walk, strides};
use crate::kernel::{Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct Reverse;

impl Kernel for Reverse {
    const OP: &'static str = "reverse";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let x = &spec.operands[0];
        let (mut steps, mut base) = (strides(&x.dims), 0);
        for axis in ints(spec, "axes")? {
            let axis = syncarp_ir::normalize_axis(*axis, x.dims.len());
            let axis = axis.map_err(|e| KernelError(e.message))?;
            base += steps[axis] * (x.dims[axis] as isize - 1);
            steps[axis] = -steps[axis];
        }
        let walk = Walk::new(&x.dims, [&steps], [base])?;
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, walk: &Walk<1>) {
            let (x, out) = (E::read(io, 0), E::out(io, 0));
            let (n, step) = (walk.inner, walk.steps[0]);
            let mut rows = out.chunks_exact_mut(n.max(1));
            walk.rows(|[from]| {
                let Some(out) = rows.next() else { return };
                match step {
                    1 => out.copy_from_slice(&x[from..from + n]),
                    _ => {
                        for (i, out) in out.iter_mut().enumerate() {
                            *out = x[(from as isize + step * i as isize) as usize];
                        }
                    }
                }
            });
        }
        Ok(by_class!(x.dtype, T, run, walk))
    }
}

struct ReverseSequence;

/// The sizes of five dims around and at the two axes.
struct Steps {
    sizes: [usize; 5],
    time_first: bool,
}

impl Kernel for ReverseSequence {
    const OP: &'static str = "reverse_sequence";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let x = &spec.operands[0];
        let axis = |name: &str| {
            let axis = spec.attrs.int(name);
            let axis = axis.ok_or_else(|| KernelError(format!("attribute `{name}` is missing")))?;
            syncarp_ir::normalize_axis(axis, x.dims.len()).map_err(|e| KernelError(e.message))
        };
        let (time, batch) = (axis("time_axis")?, axis("batch_axis")?);
        let (first, second) = (time.min(batch), time.max(batch));
        if time == batch || spec.operands[1].len() != x.dims[batch] {
            let message = "every sequence must have a length of its own";
            return Err(KernelError(message.to_owned()));
        }
        let size = |range: std::ops::Range<usize>| x.dims[range].iter().product::<usize>();
        let steps = Steps {
            sizes: [
                size(0..first),
                x.dims[first],
                size(first + 1..second),
                x.dims[second],
                size(second + 1..x.dims.len()),
            ],
            time_first: time == first,
        };
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, steps: &Steps) {
            let (x, lengths, out) = (E::read(io, 0), io.int(1), E::out(io, 0));
            if out.is_empty() {
                return;
            }
            let [_, one, between, two, slice] = steps.sizes;
            let count = if steps.time_first { one } else { two };
            for (at, out) in out.chunks_exact_mut(slice).enumerate() {
                let (j, rest) = (at % two, at / two);
                let (middle, rest) = (rest % between, rest / between);
                let (i, outer) = (rest % one, rest / one);
                let (time, batch) = if steps.time_first { (i, j) } else { (j, i) };
                let length = lengths[batch].clamp(0, count as i64) as usize;
                let from = if time < length {
                    length - 1 - time
                } else {
                    time
                };
                let (i, j) = if steps.time_first {
                    (from, j)
                } else {
                    (i, from)
                };
                let from = (((outer * one + i) * between + middle) * two + j) * slice;
                out.copy_from_slice(&x[from..from + slice]);
            }
        }
        Ok(by_class!(x.dtype, T, run, steps))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Reverse>()?;
    registry.register::<ReverseSequence>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernels::element::testing::{int, real, run};
    use crate::kernels::shape::testing::{flat, indices};

    const F: DType = DType::F64;

    #[test]
    fn every_set_of_axes_is_turned_round() {
        for dims in [[2usize, 3, 4], [1, 5, 1], [2, 0, 3]] {
            let x: Vec<f64> = (0..dims.iter().product())
                .map(|i: usize| i as f64)
                .collect();
            for set in 0..8usize {
                let axes: Vec<i64> = (0..3)
                    .filter(|d| set >> d & 1 == 1)
                    .map(|d| d - 3)
                    .collect();
                let attrs = Attrs::new().with("axes", axes);
                let got = run::<Reverse>(&[(F, &dims, real(&x))], &[(F, &dims)], &attrs);
                let from = |index: &Vec<usize>| {
                    let mut from = index.clone();
                    for (d, place) in from
                        .iter_mut()
                        .enumerate()
                        .filter(|(d, _)| set >> d & 1 == 1)
                    {
                        *place = dims[d] - 1 - *place;
                    }
                    x[flat(&from, &dims)]
                };
                let want: Vec<f64> = indices(&dims).iter().map(from).collect();
                assert_eq!(got, [real(&want)], "{dims:?} {set:b}");
            }
        }
    }

    #[test]
    fn the_beginnings_of_sequences_are_turned_round() {
        let dims = [2usize, 4, 3, 2];
        let x: Vec<f64> = (0..48).map(f64::from).collect();
        let lengths = [2i64, 9, -1, 3];
        for (time, batch) in [(1usize, 2usize), (2, 1), (3, 0), (0, 3)] {
            let attrs = Attrs::new()
                .with("time_axis", time as i64)
                .with("batch_axis", batch as i64);
            let lengths = &lengths[..dims[batch]];
            let operands = [
                (F, &dims[..], real(&x)),
                (DType::I64, &[dims[batch]][..], int(lengths)),
            ];
            let got = run::<ReverseSequence>(&operands, &[(F, &dims)], &attrs);
            let from = |index: &Vec<usize>| {
                let mut from = index.clone();
                let length = lengths[index[batch]].clamp(0, dims[time] as i64) as usize;
                if index[time] < length {
                    from[time] = length - 1 - index[time];
                }
                x[flat(&from, &dims)]
            };
            let want: Vec<f64> = indices(&dims).iter().map(from).collect();
            assert_eq!(got, [real(&want)], "{time} {batch}");
        }
    }
}
