//! Products with parameters and between values: `linear`, `matmul`.

use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

use super::product::Product;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Linear>()?;
    registry.register::<MatMul>()
}

/// The number of elements of some dims.
fn count(dims: &[usize]) -> usize {
    dims.iter().product()
}

struct Linear;

impl Kernel for Linear {
    const OP: &'static str = "linear";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let &[outputs, inputs] = spec.operands[1].dims.as_slice() else {
            return Err(KernelError("the weight must have two dims".to_owned()));
        };
        let leading = spec.operands[0].dims.split_last().map_or(0, |(_, d)| count(d));
        let product =
            Product { sizes: (leading, inputs, outputs), a: (inputs, 1), b: (1, inputs) };
        Ok(Prepared::new(move |io| {
            let (x, weight) = (io.real(0), io.real(1));
            let y = io.out(0);
            let biased = io.has(2);
            if biased && outputs > 0 {
                let bias = io.real(2);
                for row in y.chunks_exact_mut(outputs) {
                    row.copy_from_slice(bias);
                }
            }
            product.run(x, weight, y, biased);
        }))
    }
}

struct MatMul;

impl Kernel for MatMul {
    const OP: &'static str = "matmul";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (a, b) = (&spec.operands[0].dims, &spec.operands[1].dims);
        if a.is_empty() || b.is_empty() {
            return Err(KernelError("the operands must have a dim".to_owned()));
        }
        let flag = |name| spec.attrs.bool(name).unwrap_or(false);
        let (ta, tb) = (flag("transpose_a"), flag("transpose_b"));
        // A vector on the left is a row, one on the right a column.
        let (a_batch, ar, ac) = match a.as_slice() {
            [k] => (&[][..], 1, *k),
            [batch @ .., r, c] => (batch, *r, *c),
            [] => unreachable!("refused above"),
        };
        let (b_batch, br, bc) = match b.as_slice() {
            [k] => (&[][..], *k, 1),
            [batch @ .., r, c] => (batch, *r, *c),
            [] => unreachable!("refused above"),
        };
        let (m, k, a_strides) =
            if ta && a.len() > 1 { (ac, ar, (1, ac)) } else { (ar, ac, (ac, 1)) };
        let (n, b_strides) = if tb && b.len() > 1 { (br, (1, bc)) } else { (bc, (bc, 1)) };
        let mut pairs = batches(a_batch, b_batch, ar * ac, br * bc)?;
        let mut product = Product { sizes: (m, k, n), a: a_strides, b: b_strides };
        // One matrix on the right for a batch of row-major ones on the left is one tall product.
        if pairs.len() > 1 && count(b_batch) == 1 && a_strides == (k, 1) {
            product.sizes.0 = m * pairs.len();
            pairs = vec![(0, 0)];
        }
        Ok(Prepared::new(move |io| {
            let (a, b) = (io.real(0), io.real(1));
            let y = io.out(0);
            let step = product.sizes.0 * n;
            for (i, (at_a, at_b)) in pairs.iter().enumerate() {
                let y = &mut y[i * step..][..step];
                product.run(&a[*at_a..], &b[*at_b..], y, false);
            }
        }))
    }
}

/// For every matrix of the result, where those that it is the product of begin.
fn batches(
    a: &[usize],
    b: &[usize],
    a_size: usize,
    b_size: usize,
) -> Result<Vec<(usize, usize)>, KernelError> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| {
        if i + dims.len() < rank { 1 } else { dims[i + dims.len() - rank] }
    };
    let mut pairs = vec![(0, 0)];
    let (mut a_stride, mut b_stride) = (count(a) * a_size, count(b) * b_size);
    for i in 0..rank {
        let (x, y) = (at(a, i), at(b, i));
        if x != y && x != 1 && y != 1 {
            return Err(KernelError(format!("batch dims {x} and {y} do not broadcast")));
        }
        // An empty dim leaves no pairs, so that its strides do not matter.
        a_stride /= x.max(1);
        b_stride /= y.max(1);
        let (sa, sb) = (if x == 1 { 0 } else { a_stride }, if y == 1 { 0 } else { b_stride });
        let size = if x == 1 { y } else { x };
        pairs = pairs
            .into_iter()
            .flat_map(|(p, q)| (0..size).map(move |j| (p + j * sa, q + j * sb)))
            .collect();
    }
    Ok(pairs)
}
