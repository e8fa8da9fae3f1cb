//! Determinants and their gradients, by elimination.

use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// The number of matrices and the rows of each.
fn matrices(dims: &[usize]) -> Result<(usize, usize), KernelError> {
    match dims {
        [batch @ .., rows, columns] if rows == columns => Ok((batch.iter().product(), *rows)),
        _ => Err(KernelError(format!("{dims:?} are no square matrices"))),
    }
}

fn swap_rows<T>(a: &mut [T], n: usize, one: usize, other: usize) {
    if one != other {
        let (low, high) = (one.min(other), one.max(other));
        let (above, below) = a.split_at_mut(high * n);
        above[low * n..][..n].swap_with_slice(&mut below[..n]);
    }
}

/// Takes the pivot's row off those below it, each times what clears its column, which is kept there.
fn eliminate<T: Real>(a: &mut [T], n: usize, step: usize) {
    let (above, below) = a.split_at_mut((step + 1) * n);
    let pivot = &above[step * n..];
    for row in below.chunks_exact_mut(n) {
        let factor = row[step] / pivot[step];
        row[step] = factor;
        for (x, p) in row[step + 1..].iter_mut().zip(&pivot[step + 1..n]) {
            *x -= factor * *p;
        }
    }
}

struct Det;

impl Kernel for Det {
    const OP: &'static str = "det";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (_, n) = matrices(&spec.operands[0].dims)?;
        Ok(Prepared::with_scratch(n * n, move |io| {
            let (x, out, scratch) = (io.real(0), io.out(0), io.scratch());
            if n == 0 {
                out.fill(T::ONE);
                return;
            }
            let a = &mut scratch[..n * n];
            for (x, out) in x.chunks_exact(n * n).zip(out) {
                a.copy_from_slice(x);
                *out = determinant(a, n);
            }
        }))
    }
}

/// The determinant, by elimination with the largest element of each column as its pivot.
fn determinant<T: Real>(a: &mut [T], n: usize) -> T {
    let mut product = T::ONE;
    for step in 0..n {
        let mut best = step;
        for row in step + 1..n {
            if a[row * n + step].abs() > a[best * n + step].abs() {
                best = row;
            }
        }
        let pivot = a[best * n + step];
        product *= pivot;
        if pivot == T::ZERO {
            return zero_beside(a);
        }
        if best != step {
            swap_rows(a, n, step, best);
            product = -product;
        }
        eliminate(a, n, step);
    }
    product
}

/// What a matrix that cannot be eliminated has for a determinant: zero, or NaN where it has some.
fn zero_beside<T: Real>(a: &[T]) -> T {
    match a.iter().any(|x| x.is_nan()) {
        true => T::NAN,
        false => T::ZERO,
    }
}

/// Writes the cofactors of a matrix: with rows and columns in the order in which the largest of all
/// elements that are left is the next pivot it is the product of a lower matrix L with ones on the
/// diagonal and an upper one U. Its adjugate is that of U times the inverse of L, and the former
/// needs no division by the last pivot, which is the first to be zero. Where another is, too, all
/// cofactors are zero.
fn cofactors<T: Real>(
    a: &mut [T],
    b: &mut [T],
    (rows, columns): (&mut [T], &mut [T]),
    n: usize,
    out: &mut [T],
) {
    // Places are whole numbers that a float holds: a matrix with 2^24 rows fits into no memory.
    for (i, (row, column)) in rows.iter_mut().zip(columns.iter_mut()).enumerate() {
        (*row, *column) = (T::from_f64(i as f64), T::from_f64(i as f64));
    }
    let mut scale = T::ONE;
    for step in 0..n {
        let (mut row, mut column) = (step, step);
        for i in step..n {
            for j in step..n {
                if a[i * n + j].abs() > a[row * n + column].abs() {
                    (row, column) = (i, j);
                }
            }
        }
        if row != step {
            swap_rows(a, n, step, row);
            rows.swap(step, row);
            scale = -scale;
        }
        if column != step {
            a.chunks_exact_mut(n)
                .for_each(|line| line.swap(step, column));
            columns.swap(step, column);
            scale = -scale;
        }
        let last = step + 1 == n;
        if !last && a[step * n + step] == T::ZERO {
            out.fill(zero_beside(a));
            return;
        }
        if !last {
            scale *= a[step * n + step];
            eliminate(a, n, step);
        }
    }
    let end = a[n * n - 1];
    // Column k of the adjugate of U, from its diagonal up.
    b.fill(T::ZERO);
    for k in 0..n {
        b[k * n + k] = if k + 1 == n {
            T::ONE
        } else {
            T::ONE / a[k * n + k]
        };
        for i in (0..k).rev() {
            let mut sum = T::ZERO;
            for j in i + 1..=k {
                sum += a[i * n + j] * b[j * n + k];
            }
            b[i * n + k] = -sum / a[i * n + i];
        }
        let scale = if k + 1 == n { scale } else { scale * end };
        for i in 0..=k {
            b[i * n + k] *= scale;
        }
    }
    // Each row times the inverse of L.
    for row in b.chunks_exact_mut(n) {
        for j in (0..n).rev() {
            let mut sum = row[j];
            for i in j + 1..n {
                sum -= row[i] * a[i * n + j];
            }
            row[j] = sum;
        }
    }
    for (i, row) in rows.iter().enumerate() {
        for (j, column) in columns.iter().enumerate() {
            let at = row.to_f64() as usize * n + column.to_f64() as usize;
            out[at] = b[j * n + i];
        }
    }
}

struct DetGrad;

impl Kernel for DetGrad {
    const OP: &'static str = "det_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (_, n) = matrices(&spec.operands[0].dims)?;
        // The eliminated matrix, the adjugate of its upper part, and where rows and columns were.
        Ok(Prepared::with_scratch(2 * n * n + 2 * n, move |io| {
            let (x, dy, out, scratch) = (io.real(0), io.real(1), io.out(0), io.scratch());
            if n == 0 {
                return;
            }
            let (a, rest) = scratch.split_at_mut(n * n);
            let (b, orders) = rest.split_at_mut(n * n);
            let (rows, columns) = orders.split_at_mut(n);
            let columns = &mut columns[..n];
            let parts = x.chunks_exact(n * n).zip(dy);
            for ((x, dy), out) in parts.zip(out.chunks_exact_mut(n * n)) {
                a.copy_from_slice(x);
                cofactors(a, b, (rows, columns), n, out);
                out.iter_mut().for_each(|c| *c *= *dy);
            }
        }))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Det>()?;
    registry.register::<DetGrad>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernels::element::testing::{real, run};

    const F: DType = DType::F64;

    /// By the definition: along the first row.
    fn expanded(a: &[f64], n: usize) -> f64 {
        let one = |j: usize| {
            let sign = [1.0, -1.0][j % 2];
            sign * a[j] * expanded(&minor(a, n, 0, j), n - 1)
        };
        if n == 0 { 1.0 } else { (0..n).map(one).sum() }
    }

    fn minor(a: &[f64], n: usize, row: usize, column: usize) -> Vec<f64> {
        let keeps = |at: &usize| at / n != row && at % n != column;
        (0..n * n).filter(keeps).map(|at| a[at]).collect()
    }

    fn matrix(n: usize, salt: usize) -> Vec<f64> {
        (0..n * n)
            .map(|i| ((i * i * 7 + i * 3 + salt) % 13) as f64 - 6.0)
            .collect()
    }

    fn check(a: &[f64], n: usize) {
        let got = run::<Det>(&[(F, &[1, n, n], real(a))], &[(F, &[1])], &Attrs::new());
        let want = expanded(a, n);
        let bound = 1e-9 * want.abs().max(1.0);
        assert!((got[0].real().unwrap()[0] - want).abs() < bound, "{a:?}");
        let operands = [(F, &[1, n, n][..], real(a)), (F, &[1][..], real(&[2.0]))];
        let got = run::<DetGrad>(&operands, &[(F, &[1, n, n])], &Attrs::new());
        for (at, got) in got[0].real().unwrap().iter().enumerate() {
            let (i, j) = (at / n, at % n);
            let sign = [2.0, -2.0][(i + j) % 2];
            let want = sign * expanded(&minor(a, n, i, j), n - 1);
            assert!(
                (got - want).abs() < 1e-8 * want.abs().max(1.0),
                "{a:?} {i} {j}: {got} {want}"
            );
        }
    }

    #[test]
    fn determinants_and_cofactors_are_as_defined() {
        for n in 0..6 {
            for salt in 0..20 {
                check(&matrix(n, salt), n);
            }
        }
    }

    #[test]
    fn cofactors_of_singular_matrices_are_right() {
        for n in 2..5 {
            for rank in 0..n {
                // Rows of which the last are sums of the first.
                let mut a = matrix(n, 5);
                for i in rank..n {
                    for j in 0..n {
                        a[i * n + j] = (0..rank).map(|k| (k + i) as f64 * a[k * n + j]).sum();
                    }
                }
                check(&a, n);
            }
        }
        check(&[0.0; 9], 3);
        check(&[0.0, 1.0, 0.0, 0.0], 2);
    }

    #[test]
    fn not_a_number_is_never_lost() {
        let a = [0.0, f64::NAN, 0.0, 1.0];
        let got = run::<Det>(&[(F, &[2, 2], real(&a))], &[(F, &[])], &Attrs::new());
        assert!(got[0].real().unwrap()[0].is_nan());
        let several = [1.0, 0.0, 0.0, 2.0, 3.0, 0.0, 0.0, 3.0];
        let got = run::<Det>(
            &[(F, &[2, 2, 2], real(&several))],
            &[(F, &[2])],
            &Attrs::new(),
        );
        assert_eq!(got, [real(&[2.0, 9.0])]);
    }
}
