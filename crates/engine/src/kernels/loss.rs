//! Losses over classes, and the count of correct answers: `cross_entropy`, `nll_loss`, their
//! gradients, `correct`.

use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

use super::softmax::{Axis, log_softmax};
use super::vector::{exp, sum};

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<CrossEntropy>()?;
    registry.register::<CrossEntropyGrad>()?;
    registry.register::<NllLoss>()?;
    registry.register::<NllLossGrad>()?;
    registry.register::<Correct>()
}

/// For every target in order, where its column of classes begins and the class that it names;
/// none where there is no such class.
fn columns(axis: Axis, target: &[i64]) -> impl Iterator<Item = (usize, Option<usize>)> {
    let Axis { classes, inner, .. } = axis;
    target.iter().enumerate().map(move |(i, class)| {
        let first = i / inner * classes * inner + i % inner;
        (first, usize::try_from(*class).ok().filter(|c| *c < classes))
    })
}

fn smoothing<T: Real>(spec: &Spec<'_>) -> T {
    T::from_f64(spec.attrs.float("label_smoothing").unwrap_or(0.0))
}

/// The mean over all targets of their negative log-probability, with some of the weight spread
/// over all classes. A target outside the classes makes it NaN, and so does having none.
fn mean_loss<T: Real>(axis: Axis, log_probs: &[T], target: &[i64], smoothing: T) -> T {
    let mut total = T::ZERO;
    for (first, class) in columns(axis, target) {
        total += class.map_or(T::NAN, |c| log_probs[first + c * axis.inner]);
    }
    if smoothing != T::ZERO {
        let all = sum(log_probs) / T::from_f64(axis.classes as f64);
        total = (T::ONE - smoothing) * total + smoothing * all;
    }
    -total / T::from_f64(target.len() as f64)
}

struct CrossEntropy;

impl Kernel for CrossEntropy {
    const OP: &'static str = "cross_entropy";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of(&spec.operands[0], 1)?;
        let smoothing = smoothing::<T>(spec);
        Ok(Prepared::with_scratch(axis.scratch(), move |io| {
            let (loss, log_probs) = (io.out(0), io.out(1));
            log_softmax(axis, io.real(0), log_probs, io.scratch());
            loss[0] = mean_loss(axis, log_probs, io.int(1), smoothing);
        }))
    }
}

struct CrossEntropyGrad;

impl Kernel for CrossEntropyGrad {
    const OP: &'static str = "cross_entropy_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of(&spec.operands[0], 1)?;
        let smoothing = smoothing::<T>(spec);
        Ok(Prepared::new(move |io| {
            let (log_probs, target) = (io.real(0), io.int(1));
            let dlogits = io.out(0);
            let scale = io.scalar(2) / T::from_f64(target.len() as f64);
            exp(log_probs, dlogits);
            let spread = smoothing / T::from_f64(axis.classes as f64);
            for x in dlogits.iter_mut() {
                *x = (*x - spread) * scale;
            }
            let hit = (T::ONE - smoothing) * scale;
            for (first, class) in columns(axis, target) {
                match class {
                    Some(c) => dlogits[first + c * axis.inner] -= hit,
                    None => fill_column(axis, first, dlogits, T::NAN),
                }
            }
        }))
    }
}

fn fill_column<T: Real>(axis: Axis, first: usize, out: &mut [T], value: T) {
    for c in 0..axis.classes {
        out[first + c * axis.inner] = value;
    }
}

struct NllLoss;

impl Kernel for NllLoss {
    const OP: &'static str = "nll_loss";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of(&spec.operands[0], 1)?;
        Ok(Prepared::new(move |io| {
            io.out(0)[0] = mean_loss(axis, io.real(0), io.int(1), T::ZERO);
        }))
    }
}

struct NllLossGrad;

impl Kernel for NllLossGrad {
    const OP: &'static str = "nll_loss_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of(&spec.results[0], 1)?;
        Ok(Prepared::new(move |io| {
            let target = io.int(0);
            let dloss: T = io.scalar(1);
            let hit = -dloss / T::from_f64(target.len() as f64);
            let out = io.out(0);
            out.fill(T::ZERO);
            for (first, class) in columns(axis, target) {
                match class {
                    Some(c) => out[first + c * axis.inner] = hit,
                    None => fill_column(axis, first, out, T::NAN),
                }
            }
        }))
    }
}

struct Correct;

impl Kernel for Correct {
    const OP: &'static str = "correct";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let axis = Axis::of(&spec.operands[0], 1)?;
        Ok(Prepared::new(move |io| {
            let logits: &[T] = io.real(0);
            let mut hits = 0u64;
            for (first, class) in columns(axis, io.int(1)) {
                let Some(class) = class else { continue };
                let at = |c: usize| logits[first + c * axis.inner];
                let mut best = 0;
                for c in 1..axis.classes {
                    // NaN counts as the largest, as ATen's argmax has it.
                    let beats = at(c) > at(best) || (at(c).is_nan() && !at(best).is_nan());
                    best = if beats { c } else { best };
                }
                hits += u64::from(best == class);
            }
            io.out(0)[0] = T::from_f64(hits as f64);
        }))
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, run_once};

    const DIMS: [usize; 3] = [3, 4, 2];
    const TARGET: [i64; 6] = [0, 3, 1, 1, 2, 0];

    fn logits() -> Vec<f64> {
        (0..24).map(|i| f64::from(i * 7 % 13) * 0.3 - 1.5).collect()
    }

    fn real(dims: &[usize]) -> Arg {
        Arg {
            dtype: DType::F64,
            dims: dims.to_vec(),
        }
    }

    fn targets(target: &[i64]) -> Arg {
        Arg {
            dtype: DType::I64,
            dims: vec![target.len() / 2, 2],
        }
    }

    fn attrs(smoothing: f64) -> Attrs {
        Attrs::new().with("label_smoothing", smoothing)
    }

    fn cross_entropy(x: &[f64], target: &[i64], smoothing: f64) -> (f64, Vec<f64>) {
        let dims = [x.len() / 8, 4, 2];
        let operands = [real(&dims), targets(target)];
        let results = [real(&[]), real(&dims)];
        let attrs = attrs(smoothing);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [Buffer::Real(x.to_vec()), Buffer::Int(target.to_vec())];
        let out = run_once::<f64, CrossEntropy>(&spec, &values).unwrap();
        (out[0].real().unwrap()[0], out[1].real().unwrap().to_vec())
    }

    fn gradient(log_probs: &[f64], target: &[i64], dloss: f64, smoothing: f64) -> Vec<f64> {
        let operands = [real(&DIMS), targets(target), real(&[])];
        let results = [real(&DIMS)];
        let attrs = attrs(smoothing);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [
            Buffer::Real(log_probs.to_vec()),
            Buffer::Int(target.to_vec()),
            Buffer::Real(vec![dloss]),
        ];
        let out = run_once::<f64, CrossEntropyGrad>(&spec, &values).unwrap();
        out[0].real().unwrap().to_vec()
    }

    #[test]
    fn the_loss_is_the_mean_over_all_targets() {
        let x = logits();
        for smoothing in [0.0, 0.2] {
            let (loss, log_probs) = cross_entropy(&x, &TARGET, smoothing);
            let mut total = 0.0;
            for (i, class) in TARGET.iter().enumerate() {
                let at = |c: usize| x[i / 2 * 8 + c * 2 + i % 2];
                let norm = (0..4).map(|c| at(c).exp()).sum::<f64>().ln();
                total += (1.0 - smoothing) * (norm - at(*class as usize));
                total += smoothing / 4.0 * (0..4).map(|c| norm - at(c)).sum::<f64>();
                for c in 0..4 {
                    let got = log_probs[i / 2 * 8 + c * 2 + i % 2];
                    assert!((got - (at(c) - norm)).abs() < 1e-13);
                }
            }
            assert!((loss - total / 6.0).abs() < 1e-13, "{loss} {total}");
        }
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let x = logits();
        for smoothing in [0.0, 0.2] {
            let (_, log_probs) = cross_entropy(&x, &TARGET, smoothing);
            let exact = gradient(&log_probs, &TARGET, 1.7, smoothing);
            for i in 0..x.len() {
                let moved = |h: f64| {
                    let mut x = x.clone();
                    x[i] += h;
                    cross_entropy(&x, &TARGET, smoothing).0
                };
                let slope = 1.7 * (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((exact[i] - slope).abs() < 1e-8, "{i}: {} {slope}", exact[i]);
            }
        }
    }

    #[test]
    fn a_target_outside_the_classes_makes_nan_of_its_own_column() {
        let x = logits();
        for wrong in [4, -1, -100, i64::MAX, i64::MIN] {
            let mut target = TARGET;
            target[2] = wrong;
            let (loss, log_probs) = cross_entropy(&x, &target, 0.0);
            assert!(loss.is_nan());
            let dx = gradient(&log_probs, &target, 1.0, 0.0);
            for (i, dx) in dx.iter().enumerate() {
                // The third target is the first column of the second image.
                assert_eq!(dx.is_nan(), i / 8 == 1 && i % 2 == 0);
            }
        }
        assert!(cross_entropy(&[], &[], 0.0).0.is_nan());
    }

    #[test]
    fn the_negative_log_likelihood_takes_log_probabilities_as_they_are() {
        let log_probs = logits();
        let attrs = Attrs::new();
        let operands = [real(&DIMS), targets(&TARGET)];
        let results = [real(&[])];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [
            Buffer::Real(log_probs.clone()),
            Buffer::Int(TARGET.to_vec()),
        ];
        let out = run_once::<f64, NllLoss>(&spec, &values).unwrap();
        let at = |i: usize, c: i64| log_probs[i / 2 * 8 + c as usize * 2 + i % 2];
        let want = TARGET
            .iter()
            .enumerate()
            .map(|(i, c)| -at(i, *c))
            .sum::<f64>()
            / 6.0;
        assert!((out[0].real().unwrap()[0] - want).abs() < 1e-14);

        let operands = [targets(&TARGET), real(&[])];
        let results = [real(&DIMS)];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [Buffer::Int(TARGET.to_vec()), Buffer::Real(vec![3.0])];
        let out = run_once::<f64, NllLossGrad>(&spec, &values).unwrap();
        for (i, dx) in out[0].real().unwrap().iter().enumerate() {
            let hit = TARGET[i / 8 * 2 + i % 2] == (i / 2 % 4) as i64;
            assert_eq!(*dx, if hit { -0.5 } else { 0.0 });
        }
    }

    #[test]
    fn the_first_of_equal_logits_counts_and_nan_is_the_largest() {
        let nan = f64::NAN;
        let rows = [
            [1.0, 5.0, 5.0],
            [1.0, 5.0, 5.0],
            [nan, 9.0, nan],
            [0.0, 0.0, 0.0],
            [9.0; 3],
        ];
        let target = [1, 2, 0, 0, 7];
        let attrs = Attrs::new();
        let operands = [
            real(&[5, 3]),
            Arg {
                dtype: DType::I64,
                dims: vec![5],
            },
        ];
        let results = [real(&[])];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [
            Buffer::Real(rows.as_flattened().to_vec()),
            Buffer::Int(target.to_vec()),
        ];
        let out = run_once::<f64, Correct>(&spec, &values).unwrap();
        assert_eq!(out[0].real().unwrap(), [3.0]);
    }
}
