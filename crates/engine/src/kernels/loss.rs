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
