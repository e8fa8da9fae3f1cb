//! Matrix products. Small ones run on the tiles that convolutions are made of too, which prepare
//! nothing and allocate nothing; larger ones run on the general routine, whose packing pays there.
//! The choice depends on sizes alone.

use crate::real::Real;

use super::tile::{NARROW, ROWS, WIDE, pack, tile, width};
use super::vector::wide;

/// How many terms of a sum are added up in registers before they go to memory, so that a packed
/// panel stays in the first-level cache.
const DEPTH: usize = 256;

/// From how many multiplications on the general routine is the faster one. It allocates what it
/// packs into, call by call, and takes no memory of ours.
const LARGE: usize = 1 << 26;

/// A product of strided matrices of bound sizes (m, k, n), any of which may be zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// Rows of the first matrix, terms of a sum, columns of the second.
    pub sizes: (usize, usize, usize),
    /// The distances of rows and of columns in the first matrix.
    pub a: (usize, usize),
    /// The same in the second matrix.
    pub b: (usize, usize),
}

impl Product {
    /// How many floats of scratch memory it needs.
    pub(crate) fn scratch<T>(&self) -> usize {
        let (_, k, n) = self.sizes;
        k.min(DEPTH) * width::<T>(n)
    }

    /// Writes the product to `c`, row after row, or adds it to what is there.
    ///
    /// # Panics
    /// If a matrix reaches past its slice.
    pub(crate) fn run<T: Real>(&self, a: &[T], b: &[T], c: &mut [T], add: bool, scratch: &mut [T]) {
        let (m, k, n) = self.sizes;
        if k == 0 && !add {
            c[..m * n].fill(T::ZERO);
        }
        if m * k * n == 0 {
            return;
        }
        assert!(
            a.len() > (m - 1) * self.a.0 + (k - 1) * self.a.1,
            "the first matrix is too short"
        );
        if m.saturating_mul(k).saturating_mul(n) >= LARGE {
            T::gemm(self.sizes, a, self.a, b, self.b, c, (n, 1), add);
        } else if width::<T>(n) == WIDE {
            panels::<T, WIDE>(*self, a, b, c, add, scratch);
        } else {
            panels::<T, NARROW>(*self, a, b, c, add, scratch);
        }
    }
}

wide! {
    fn panels<T: Real, const N: usize>(
        product: Product,
        a: &[T],
        b: &[T],
        c: &mut [T],
        add: bool,
        scratch: &mut [T],
    ) {
        let Product { sizes: (m, k, n), a: strides, b: b_strides } = product;
        for first in (0..n).step_by(N) {
            let columns = N.min(n - first);
            for start in (0..k).step_by(DEPTH) {
                let depth = DEPTH.min(k - start);
                let panel = &mut scratch[..depth * N];
                let corner = &b[start * b_strides.0 + first * b_strides.1..];
                pack::<T, N>(corner, depth, b_strides, columns, panel);
                let add = add || start > 0;
                for top in (0..m).step_by(ROWS) {
                    let rows = ROWS.min(m - top);
                    // Rows past the last one repeat it; what comes of them is not kept.
                    let bases = std::array::from_fn(|r| {
                        (top + r).min(m - 1) * strides.0 + start * strides.1
                    });
                    // SAFETY: `run` checked that the last row's last element lies inside.
                    let sums = unsafe { tile::<T, N>(a, bases, |k| k * strides.1, panel) };
                    for (row, sums) in sums[..rows].iter().enumerate() {
                        let out = &mut c[(top + row) * n + first..][..columns];
                        if add {
                            for (out, sum) in out.iter_mut().zip(sums) {
                                *out += *sum;
                            }
                        } else {
                            out.copy_from_slice(&sums[..columns]);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, (r, c): (usize, usize), salt: usize) -> Vec<f64> {
        let mut out = vec![f64::NAN; rows.max(1) * r.max(c * columns).max(1) + columns * c];
        for i in 0..rows {
            for j in 0..columns {
                out[i * r + j * c] = ((i * 31 + j * 17 + salt) % 23) as f64 - 11.0;
            }
        }
        out
    }

    #[test]
    fn every_layout_and_size_agrees_with_the_definition() {
        let sizes = [0, 1, 3, 4, 7, 8, 9, 16, 17, 33];
        for m in sizes {
            for k in [0, 1, 5, 16, 300] {
                for n in sizes {
                    for layout in 0..4 {
                        let a = if layout & 1 == 0 { (k, 1) } else { (1, m) };
                        let b = if layout & 2 == 0 { (n, 1) } else { (1, k) };
                        check(Product {
                            sizes: (m, k, n),
                            a,
                            b,
                        });
                    }
                }
            }
        }
    }

    fn check(product: Product) {
        let Product {
            sizes: (m, k, n),
            a: sa,
            b: sb,
        } = product;
        let (a, b) = (matrix(m, k, sa, 1), matrix(k, n, sb, 2));
        let at = |i: usize, j: usize| -> f64 {
            (0..k)
                .map(|t| a[i * sa.0 + t * sa.1] * b[t * sb.0 + j * sb.1])
                .sum()
        };
        let mut c = vec![5.0; m * n];
        let mut scratch = vec![f64::NAN; product.scratch::<f64>()];
        product.run(&a, &b, &mut c, true, &mut scratch);
        let want: Vec<f64> = (0..m * n).map(|i| 5.0 + at(i / n, i % n)).collect();
        assert_eq!(c, want, "{product:?}");
        product.run(&a, &b, &mut c, false, &mut scratch);
        let want: Vec<f64> = (0..m * n).map(|i| at(i / n, i % n)).collect();
        assert_eq!(c, want, "{product:?}");
        let f32s = |v: &[f64]| v.iter().map(|x| *x as f32).collect::<Vec<_>>();
        let mut c = vec![0f32; m * n];
        let mut scratch = vec![f32::NAN; product.scratch::<f32>()];
        product.run(&f32s(&a), &f32s(&b), &mut c, false, &mut scratch);
        assert_eq!(c, f32s(&want), "{product:?}");
    }
}
