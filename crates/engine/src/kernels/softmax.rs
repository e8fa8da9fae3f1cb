//! `softmax` and `log_softmax`, and their parts that losses use.

use syncarp_ir::normalize_axis;

use crate::kernel::{Arg, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

use super::vector::{exp, wide};

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Softmax>()?;
    registry.register::<LogSoftmax>()
}

/// A tensor seen as (outer, classes, inner) about one axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Axis {
    pub outer: usize,
    pub classes: usize,
    pub inner: usize,
}

impl Axis {
    /// The view about an axis.
    ///
    /// # Errors
    /// Where the axis lies outside the rank.
    pub(crate) fn of(arg: &Arg, axis: i64) -> Result<Axis, KernelError> {
        let dims = &arg.dims;
        let axis = normalize_axis(axis, dims.len()).map_err(|e| KernelError(e.message))?;
        Ok(Axis {
            outer: dims[..axis].iter().product(),
            classes: dims[axis],
            inner: dims[axis + 1..].iter().product(),
        })
    }

    /// The view about the axis that the node's `axis` attribute names.
    fn of_node(spec: &Spec<'_>) -> Result<Axis, KernelError> {
        let axis = spec.attrs.int("axis");
        let axis = axis.ok_or_else(|| KernelError("`axis` is missing".to_owned()))?;
        Axis::of(&spec.operands[0], axis)
    }

    /// How many elements the whole has.
    pub(crate) fn len(&self) -> usize {
        self.outer * self.classes * self.inner
    }

    /// How many floats of scratch [`log_softmax`] needs.
    pub(crate) fn scratch(&self) -> usize {
        self.len() + 2 * self.inner
    }
}

struct Softmax;

impl Kernel for Softmax {
    const OP: &'static str = "softmax";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of_node(spec)?;
        Ok(Prepared::with_scratch(axis.scratch(), move |io| {
            let (shifted, sums) = io.scratch().split_at_mut(axis.len());
            let y = io.out(0);
            shift(axis, io.real(0), shifted, sums);
            exp(shifted, y);
            normalize(axis, y, sums);
        }))
    }
}

struct LogSoftmax;

impl Kernel for LogSoftmax {
    const OP: &'static str = "log_softmax";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of_node(spec)?;
        Ok(Prepared::with_scratch(axis.scratch(), move |io| {
            let y = io.out(0);
            log_softmax(axis, io.real(0), y, io.scratch());
        }))
    }
}

/// Writes the logarithm of the softmax.
pub(crate) fn log_softmax<T: Real>(axis: Axis, x: &[T], y: &mut [T], scratch: &mut [T]) {
    let (exps, sums) = scratch.split_at_mut(axis.len());
    shift(axis, x, y, sums);
    exp(y, exps);
    subtract_log_sums(axis, exps, y, sums);
}

wide! {
    /// Takes the largest of the classes from each, so that no exponential overflows.
    fn shift<T: Real>(axis: Axis, x: &[T], y: &mut [T], largest: &mut [T]) {
        let Axis { classes, inner, .. } = axis;
        if axis.len() == 0 {
            return;
        }
        if inner == 1 {
            for (x, y) in x.chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
                let mut largest = x[0];
                for x in x {
                    largest = if *x > largest { *x } else { largest };
                }
                for (y, x) in y.iter_mut().zip(x) {
                    *y = *x - largest;
                }
            }
            return;
        }
        let largest = &mut largest[..inner];
        let blocks = x.chunks_exact(classes * inner).zip(y.chunks_exact_mut(classes * inner));
        for (x, y) in blocks {
            largest.copy_from_slice(&x[..inner]);
            for row in x.chunks_exact(inner) {
                for (largest, x) in largest.iter_mut().zip(row) {
                    *largest = if *x > *largest { *x } else { *largest };
                }
            }
            for (row, x) in y.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
                for ((y, x), largest) in row.iter_mut().zip(x).zip(largest.iter()) {
                    *y = *x - *largest;
                }
            }
        }
    }
}

wide! {
    /// Divides each class by the sum of all.
    fn normalize<T: Real>(axis: Axis, y: &mut [T], sums: &mut [T]) {
        let Axis { classes, inner, .. } = axis;
        if axis.len() == 0 {
            return;
        }
        if inner == 1 {
            for y in y.chunks_exact_mut(classes) {
                let mut sum = T::ZERO;
                for y in y.iter() {
                    sum += *y;
                }
                for y in y {
                    *y /= sum;
                }
            }
            return;
        }
        let sums = &mut sums[..inner];
        for y in y.chunks_exact_mut(classes * inner) {
            sums.fill(T::ZERO);
            for row in y.chunks_exact(inner) {
                for (sum, y) in sums.iter_mut().zip(row) {
                    *sum += *y;
                }
            }
            for row in y.chunks_exact_mut(inner) {
                for (y, sum) in row.iter_mut().zip(sums.iter()) {
                    *y /= *sum;
                }
            }
        }
    }
}

wide! {
    /// Takes the logarithm of the sum of all classes' exponentials from each.
    fn subtract_log_sums<T: Real>(axis: Axis, exps: &[T], y: &mut [T], sums: &mut [T]) {
        let Axis { classes, inner, .. } = axis;
        if axis.len() == 0 {
            return;
        }
        if inner == 1 {
            for (exps, y) in exps.chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
                let mut sum = T::ZERO;
                for x in exps {
                    sum += *x;
                }
                let log = sum.ln();
                for y in y {
                    *y -= log;
                }
            }
            return;
        }
        let sums = &mut sums[..inner];
        let blocks = exps.chunks_exact(classes * inner).zip(y.chunks_exact_mut(classes * inner));
        for (exps, y) in blocks {
            sums.fill(T::ZERO);
            for row in exps.chunks_exact(inner) {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += *x;
                }
            }
            for sum in sums.iter_mut() {
                *sum = sum.ln();
            }
            for row in y.chunks_exact_mut(inner) {
                for (y, sum) in row.iter_mut().zip(sums.iter()) {
                    *y -= *sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Buffer, run_once};

    fn run<K: Kernel>(x: &[f64], dims: &[usize], axis: i64) -> Vec<f64> {
        let arg = Arg {
            dtype: DType::F64,
            dims: dims.to_vec(),
        };
        let attrs = Attrs::new().with("axis", axis);
        let (operands, results) = ([arg.clone()], [arg]);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        run_once::<f64, K>(&spec, &[Buffer::Real(x.to_vec())]).unwrap()[0]
            .real()
            .unwrap()
            .to_vec()
    }

    #[test]
    fn both_agree_with_the_definition_about_every_axis() {
        let dims = [2, 3, 4];
        let x: Vec<f64> = (0..24).map(|i| f64::from(i * 7 % 11) - 5.0).collect();
        for (axis, classes, inner) in [(0, 2, 12), (1, 3, 4), (-1, 4, 1)] {
            let (soft, log) = (
                run::<Softmax>(&x, &dims, axis),
                run::<LogSoftmax>(&x, &dims, axis),
            );
            for i in 0..24 {
                let first = i / (classes * inner) * classes * inner + i % inner;
                let total: f64 = (0..classes).map(|c| x[first + c * inner].exp()).sum();
                let right = x[i].exp() / total;
                assert!((soft[i] - right).abs() < 1e-14);
                assert!((log[i] - right.ln()).abs() < 1e-14);
            }
        }
        assert!(run::<Softmax>(&[], &[0, 3], 1).is_empty());
        assert!(run::<LogSoftmax>(&[], &[3, 0], 1).is_empty());
    }

    #[test]
    fn large_logits_do_not_overflow_and_nan_spreads_in_its_row() {
        let y = run::<LogSoftmax>(&[1e4, 0.0, f64::NAN, 0.0], &[2, 2], 1);
        assert_eq!(y[..2], [0.0, -1e4]);
        assert!(y[2].is_nan() && y[3].is_nan());
    }
}
