//! Matrix products of bound sizes.

use crate::real::Real;

/// A product of strided matrices of sizes (m, k, n), any of which may be zero, into a matrix that
/// lies row after row.
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
    /// Writes the product to `c`, or adds it to what is there.
    ///
    /// # Panics
    /// If a matrix reaches past its slice.
    pub(crate) fn run<T: Real>(&self, a: &[T], b: &[T], c: &mut [T], add: bool) {
        let (m, k, n) = self.sizes;
        if m * k * n > 0 {
            T::gemm(self.sizes, a, self.a, b, self.b, c, (n, 1), add);
        } else if !add {
            c[..m * n].fill(T::ZERO);
        }
    }
}
