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
        let leading = spec.operands[0]
            .dims
            .split_last()
            .map_or(0, |(_, d)| count(d));
        let product = Product {
            sizes: (leading, inputs, outputs),
            a: (inputs, 1),
            b: (1, inputs),
        };
        Ok(Prepared::with_scratch(product.scratch::<T>(), move |io| {
            let (x, weight) = (io.real(0), io.real(1));
            let y = io.out(0);
            let biased = io.has(2);
            if biased && outputs > 0 {
                let bias = io.real(2);
                for row in y.chunks_exact_mut(outputs) {
                    row.copy_from_slice(bias);
                }
            }
            product.run(x, weight, y, biased, io.scratch());
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
        let (m, k, a_strides) = if ta && a.len() > 1 {
            (ac, ar, (1, ac))
        } else {
            (ar, ac, (ac, 1))
        };
        let (n, b_strides) = if tb && b.len() > 1 {
            (br, (1, bc))
        } else {
            (bc, (bc, 1))
        };
        let mut pairs = batches(a_batch, b_batch, ar * ac, br * bc)?;
        let mut product = Product {
            sizes: (m, k, n),
            a: a_strides,
            b: b_strides,
        };
        // One matrix on the right for a batch of row-major ones on the left is one tall product.
        if pairs.len() > 1 && count(b_batch) == 1 && a_strides == (k, 1) {
            product.sizes.0 = m * pairs.len();
            pairs = vec![(0, 0)];
        }
        Ok(Prepared::with_scratch(product.scratch::<T>(), move |io| {
            let (a, b) = (io.real(0), io.real(1));
            let y = io.out(0);
            let scratch = io.scratch();
            let step = product.sizes.0 * n;
            for (i, (at_a, at_b)) in pairs.iter().enumerate() {
                let y = &mut y[i * step..][..step];
                product.run(&a[*at_a..], &b[*at_b..], y, false, scratch);
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
        if i + dims.len() < rank {
            1
        } else {
            dims[i + dims.len() - rank]
        }
    };
    let mut pairs = vec![(0, 0)];
    let (mut a_stride, mut b_stride) = (count(a) * a_size, count(b) * b_size);
    for i in 0..rank {
        let (x, y) = (at(a, i), at(b, i));
        if x != y && x != 1 && y != 1 {
            return Err(KernelError(format!(
                "batch dims {x} and {y} do not broadcast"
            )));
        }
        // An empty dim leaves no pairs, so that its strides do not matter.
        a_stride /= x.max(1);
        b_stride /= y.max(1);
        let (sa, sb) = (
            if x == 1 { 0 } else { a_stride },
            if y == 1 { 0 } else { b_stride },
        );
        let size = if x == 1 { y } else { x };
        pairs = pairs
            .into_iter()
            .flat_map(|(p, q)| (0..size).map(move |j| (p + j * sa, q + j * sb)))
            .collect();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, Precision, run_once};

    /// Whole numbers, so that sums are exact in any order.
    fn numbers<T: Real>(len: usize, salt: usize) -> Vec<T> {
        (0..len)
            .map(|i| T::from_f64(((i * 37 + salt) % 19) as f64 - 9.0))
            .collect()
    }

    fn run<T: Precision, K: Kernel>(attrs: &Attrs, dims: &[&[usize]], out: &[usize]) -> Vec<T> {
        let arg = |dims: &[usize]| Arg {
            dtype: DType::F32,
            dims: dims.to_vec(),
        };
        let operands: Vec<Arg> = dims.iter().map(|d| arg(d)).collect();
        let results = [arg(out)];
        let spec = Spec {
            attrs,
            operands: &operands,
            results: &results,
        };
        let values: Vec<Buffer<T>> = operands
            .iter()
            .enumerate()
            .map(|(i, a)| Buffer::Real(numbers(a.len(), i)))
            .collect();
        run_once::<T, K>(&spec, &values).unwrap()[0]
            .real()
            .unwrap()
            .to_vec()
    }

    fn linear<T: Precision>(leading: &[usize], inputs: usize, outputs: usize, biased: bool) {
        let x_dims = [leading, &[inputs]].concat();
        let mut dims = vec![x_dims.as_slice(), &[0; 2], &[0; 1]];
        let (weight, bias) = ([outputs, inputs], [outputs]);
        (dims[1], dims[2]) = (&weight, &bias);
        dims.truncate(if biased { 3 } else { 2 });
        let y = run::<T, Linear>(&Attrs::new(), &dims, &[leading, &[outputs]].concat());
        let rows = count(leading);
        let x: Vec<T> = numbers(rows * inputs, 0);
        let w: Vec<T> = numbers(outputs * inputs, 1);
        let b: Vec<T> = numbers(outputs, 2);
        let mut want = Vec::new();
        for r in 0..rows {
            for o in 0..outputs {
                let start = if biased { b[o] } else { T::ZERO };
                let terms = (0..inputs).map(|i| x[r * inputs + i] * w[o * inputs + i]);
                want.push(terms.fold(start, |sum, t| sum + t));
            }
        }
        assert_eq!(y, want, "{leading:?} {inputs} {outputs} {biased}");
    }

    #[test]
    fn linear_agrees_with_the_definition() {
        let leading: [&[usize]; 6] = [&[], &[1], &[5], &[2, 3], &[0], &[2, 0]];
        for leading in leading {
            for inputs in [0, 1, 7, 32] {
                for outputs in [0, 1, 10, 17] {
                    for biased in [false, true] {
                        linear::<f32>(leading, inputs, outputs, biased);
                        linear::<f64>(leading, inputs, outputs, biased);
                    }
                }
            }
        }
    }

    /// The element of a product, by the definition: batch indices broadcast, then row and column.
    fn matmul(a: &[usize], b: &[usize], ta: bool, tb: bool, out: &[usize]) {
        let attrs = Attrs::new().with("transpose_a", ta).with("transpose_b", tb);
        let y = run::<f64, MatMul>(&attrs, &[a, b], out);
        let (xs, ys) = (numbers::<f64>(count(a), 0), numbers::<f64>(count(b), 1));
        let a2 = if a.len() == 1 {
            vec![1, a[0]]
        } else {
            a.to_vec()
        };
        let b2 = if b.len() == 1 {
            vec![b[0], 1]
        } else {
            b.to_vec()
        };
        let mut full = out.to_vec();
        if b.len() == 1 {
            full.push(1);
        }
        if a.len() == 1 {
            full.insert(full.len() - 1, 1);
        }
        let rank = full.len();
        let k = if ta {
            a2[a2.len() - 2]
        } else {
            a2[a2.len() - 1]
        };
        let locate = |dims: &[usize], at: &[usize], last: [usize; 2]| {
            let batch = &dims[..dims.len() - 2];
            let skip = rank - dims.len();
            let mut offset = 0;
            for (i, d) in batch.iter().enumerate() {
                offset = offset * d + if *d == 1 { 0 } else { at[skip + i] };
            }
            (offset * dims[dims.len() - 2] + last[0]) * dims[dims.len() - 1] + last[1]
        };
        for (flat, got) in y.iter().enumerate() {
            let mut at = vec![0; rank];
            let mut rest = flat;
            for i in (0..rank).rev() {
                at[i] = rest % full[i];
                rest /= full[i];
            }
            let (r, c) = (at[rank - 2], at[rank - 1]);
            let want: f64 = (0..k)
                .map(|t| {
                    let x = locate(&a2, &at, if ta { [t, r] } else { [r, t] });
                    let y = locate(&b2, &at, if tb { [c, t] } else { [t, c] });
                    xs[x] * ys[y]
                })
                .sum();
            assert_eq!(*got, want, "{a:?} {b:?} {ta} {tb} at {at:?}");
        }
        assert_eq!(y.len(), count(out));
    }

    #[test]
    fn matmul_agrees_with_the_definition() {
        matmul(&[3, 4], &[4, 5], false, false, &[3, 5]);
        matmul(&[4, 3], &[4, 5], true, false, &[3, 5]);
        matmul(&[3, 4], &[5, 4], false, true, &[3, 5]);
        matmul(&[4, 3], &[5, 4], true, true, &[3, 5]);
        matmul(&[2, 3, 4], &[4, 5], false, false, &[2, 3, 5]);
        matmul(&[2, 3, 4], &[5, 4], false, true, &[2, 3, 5]);
        matmul(&[2, 4, 3], &[4, 5], true, false, &[2, 3, 5]);
        matmul(&[3, 4], &[2, 4, 5], false, false, &[2, 3, 5]);
        matmul(&[2, 1, 3, 4], &[6, 4, 5], false, false, &[2, 6, 3, 5]);
        matmul(&[2, 6, 3, 4], &[2, 1, 4, 5], false, false, &[2, 6, 3, 5]);
        matmul(&[4], &[4, 5], false, false, &[5]);
        matmul(&[4], &[2, 4, 5], false, false, &[2, 5]);
        matmul(&[2, 3, 4], &[4], false, false, &[2, 3]);
        matmul(&[4], &[4], false, false, &[]);
        matmul(&[0, 3, 4], &[4, 5], false, false, &[0, 3, 5]);
        matmul(&[2, 3, 0], &[2, 0, 5], false, false, &[2, 3, 5]);
        matmul(&[2, 1, 3, 4], &[0, 4, 5], false, false, &[2, 0, 3, 5]);
    }
}
