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
            let factors = [4, 5, 6, 7, 8, 9, 10, 11].map(|i| io.scalar(i));
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
        factors: [T; 8],
        results: [&mut [T]; 3],
    ) {
        let [p, g, m, v] = operands;
        let [p_out, m_out, v_out] = results;
        let [step_size, rest1, beta2, eps, decay, bias2_sqrt, lr, rest2] = factors;
        let shrink = T::ONE - lr * decay;
        let operands = p.iter().zip(g).zip(m).zip(v);
        let results = p_out.iter_mut().zip(m_out).zip(v_out);
        for ((((p, g), m), v), ((p_out, m_out), v_out)) in operands.zip(results) {
            let (p, g) = if DECOUPLED == 1 { (*p * shrink, *g) } else { (*p, *g + decay * *p) };
            let m = *m + rest1 * (g - *m);
            let v = beta2 * *v + rest2 * g * g;
            let denominator = v.sqrt() / bias2_sqrt + eps;
            *m_out = m;
            *v_out = v;
            *p_out = p - step_size * m / denominator;
        }
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, run_once};

    fn run<K: Kernel>(attrs: Attrs, tensors: &[&[f64]], scalars: &[f64]) -> Vec<Vec<f64>> {
        let arg = |dims: Vec<usize>| Arg {
            dtype: DType::F64,
            dims,
        };
        let full = arg(vec![tensors[0].len()]);
        let mut operands = vec![full.clone(); tensors.len()];
        operands.resize(tensors.len() + scalars.len(), arg(vec![]));
        // sgd has no slots, momentum one, Adam two; each comes back beside the parameter.
        let results = vec![full; tensors.len() - 1];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let mut values: Vec<_> = tensors.iter().map(|t| Buffer::Real(t.to_vec())).collect();
        values.extend(scalars.iter().map(|s| Buffer::Real(vec![*s])));
        let out = run_once::<f64, K>(&spec, &values).unwrap();
        out.iter().map(|b| b.real().unwrap().to_vec()).collect()
    }

    fn close(got: &[f64], want: &[f64]) {
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 1e-12 * want.abs(), "{got} {want}");
        }
        assert_eq!(got.len(), want.len());
    }

    #[test]
    fn sgd_decays_and_descends() {
        let out = run::<Sgd>(Attrs::new(), &[&[1.0, -2.0], &[0.5, 1.0]], &[0.1, 0.01]);
        close(&out[0], &[1.0 - 0.1 * 0.51, -2.0 - 0.1 * 0.98]);
    }

    #[test]
    fn momentum_follows_the_formula_with_and_without_nesterov() {
        let tensors: [&[f64]; 3] = [&[1.0], &[0.5], &[0.2]];
        let scalars = [0.1, 0.01, 0.9, 0.25];
        let g = 0.5 + 0.01;
        let buffer = 0.9 * 0.2 + 0.75 * g;
        let plain = run::<SgdMomentum>(Attrs::new(), &tensors, &scalars);
        close(&plain[0], &[1.0 - 0.1 * buffer]);
        close(&plain[1], &[buffer]);
        let attrs = Attrs::new().with("nesterov", true);
        let ahead = run::<SgdMomentum>(attrs, &tensors, &scalars);
        close(&ahead[0], &[1.0 - 0.1 * (g + 0.9 * buffer)]);
        close(&ahead[1], &[buffer]);
    }

    #[test]
    fn adam_follows_the_formula_coupled_and_decoupled() {
        let tensors: [&[f64]; 4] = [&[1.0], &[0.5], &[0.2], &[0.3]];
        let (step, b1, b2, eps, decay, root, lr) = (0.02, 0.9, 0.99, 1e-8, 0.1, 0.4, 0.01);
        let scalars = [step, 1.0 - b1, b2, eps, decay, root, lr, 1.0 - b2];
        for decoupled in [false, true] {
            let attrs = Attrs::new().with("decoupled", decoupled);
            let out = run::<Adam>(attrs, &tensors, &scalars);
            let g = if decoupled { 0.5 } else { 0.5 + decay };
            let p = if decoupled { 1.0 - lr * decay } else { 1.0 };
            let (m, v): (f64, f64) = (0.2 + 0.1 * (g - 0.2), b2 * 0.3 + 0.01 * g * g);
            close(&out[1], &[m]);
            close(&out[2], &[v]);
            close(&out[0], &[p - step * m / (v.sqrt() / root + eps)]);
        }
    }

    #[test]
    fn nothing_to_update_is_no_mistake() {
        assert_eq!(
            run::<Sgd>(Attrs::new(), &[&[], &[]], &[0.1, 0.0]),
            [vec![0.0; 0]]
        );
    }
}
