//! Optimizer updates: `sgd`, `sgd_momentum`, `adam`.

use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

use super::vector::wide;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Sgd>()?;
    registry.register::<SgdMomentum>()?;
    registry.register::<Adam>()
}

struct Sgd;

impl Kernel for Sgd {
    const OP: &'static str = "sgd";

    fn prepare<T: Real>(_: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        Ok(Prepared::new(|io| {
            let (lr, decay) = (io.scalar(2), io.scalar(3));
            sgd(io.real(0), io.real(1), lr, decay, io.out(0));
        }))
    }
}

wide! {
    fn sgd<T: Real>(p: &[T], g: &[T], lr: T, decay: T, out: &mut [T]) {
        for ((out, p), g) in out.iter_mut().zip(p).zip(g) {
            *out = *p - lr * (*g + decay * *p);
        }
    }
}

struct SgdMomentum;

impl Kernel for SgdMomentum {
    const OP: &'static str = "sgd_momentum";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let nesterov = spec.attrs.bool("nesterov").unwrap_or(false);
        Ok(Prepared::new(move |io| {
            let factors = [3, 4, 5, 6].map(|i| io.scalar(i));
            let (p, g, buffer) = (io.real(0), io.real(1), io.real(2));
            let (p_out, buffer_out) = (io.out(0), io.out(1));
            if nesterov {
                momentum::<T, 1>(p, g, buffer, factors, p_out, buffer_out);
            } else {
                momentum::<T, 0>(p, g, buffer, factors, p_out, buffer_out);
            }
        }))
    }
}

wide! {
    fn momentum<T: Real, const NESTEROV: usize>(
        p: &[T],
        g: &[T],
        buffer: &[T],
        factors: [T; 4],
        p_out: &mut [T],
        buffer_out: &mut [T],
    ) {
        let [lr, decay, momentum, dampening] = factors;
        let fresh = T::ONE - dampening;
        let operands = p.iter().zip(g).zip(buffer);
        let results = p_out.iter_mut().zip(buffer_out);
        for (((p, g), buffer), (p_out, buffer_out)) in operands.zip(results) {
            let g = *g + decay * *p;
            let next = momentum * *buffer + fresh * g;
            let step = if NESTEROV == 1 { g + momentum * next } else { next };
            *buffer_out = next;
            *p_out = *p - lr * step;
        }
    }
}

struct Adam;

impl Kernel for Adam {
    const OP: &'static str = "adam";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let decoupled = spec.attrs.bool("decoupled").unwrap_or(false);
        Ok(Prepared::new(move |io| {
            let factors = [4, 5, 6, 7, 8, 9, 10].map(|i| io.scalar(i));
            let operands = [0, 1, 2, 3].map(|i| io.real(i));
            let results = [0, 1, 2].map(|i| io.out(i));
            if decoupled {
                adam::<T, 1>(operands, factors, results);
            } else {
                adam::<T, 0>(operands, factors, results);
            }
        }))
    }
}

wide! {
    fn adam<T: Real, const DECOUPLED: usize>(
        operands: [&[T]; 4],
        factors: [T; 7],
        results: [&mut [T]; 3],
    ) {
        let [p, g, m, v] = operands;
        let [p_out, m_out, v_out] = results;
        let [step_size, beta1, beta2, eps, decay, bias2_sqrt, lr] = factors;
        let (fresh1, fresh2) = (T::ONE - beta1, T::ONE - beta2);
        let shrink = T::ONE - lr * decay;
        let operands = p.iter().zip(g).zip(m).zip(v);
        let results = p_out.iter_mut().zip(m_out).zip(v_out);
        for ((((p, g), m), v), ((p_out, m_out), v_out)) in operands.zip(results) {
            let (p, g) = if DECOUPLED == 1 { (*p * shrink, *g) } else { (*p, *g + decay * *p) };
            let m = *m + fresh1 * (g - *m);
            let v = beta2 * *v + fresh2 * g * g;
            let denominator = v.sqrt() / bias2_sqrt + eps;
            *m_out = m;
            *v_out = v;
            *p_out = p - step_size * m / denominator;
        }
    }
}
