//! The innermost loop of products and convolutions: a tile of accumulators held in registers.

use crate::real::Real;

/// How many rows a tile has: with two registers of columns a row, eight accumulators, enough to
/// hide the latency of an addition and few enough to stay in sixteen registers.
pub(crate) const ROWS: usize = 4;

/// How many columns a tile has at most: two registers of f32.
pub(crate) const WIDE: usize = 16;

/// How many columns a tile has for narrow matrices, and for f64.
pub(crate) const NARROW: usize = 8;

/// How many columns a tile has for a matrix of this many.
pub(crate) fn width<T>(columns: usize) -> usize {
    if size_of::<T>() > 4 || columns <= NARROW {
        NARROW
    } else {
        WIDE
    }
}

/// The products of `ROWS` rows of `a` with a packed panel of `N` columns, each summed in the order
/// of the panel. Element `k` of a row lies at its base plus `offset(k)`.
///
/// # Safety
/// For every row and every `k` below the panel's length over `N`, that element must lie inside `a`.
#[inline(always)]
pub(crate) unsafe fn tile<T: Real, const N: usize>(
    a: &[T],
    bases: [usize; ROWS],
    offset: impl Fn(usize) -> usize,
    panel: &[T],
) -> [[T; N]; ROWS] {
    let mut sums = [[T::ZERO; N]; ROWS];
    let (panel, _) = panel.as_chunks::<N>();
    if panel.is_empty() {
        return sums;
    }
    // Rows of their own, so that an element's address is one register more.
    let rows: [&[T]; ROWS] = bases.map(|base| &a[base..]);
    for (k, b) in panel.iter().enumerate() {
        let offset = offset(k);
        for r in 0..ROWS {
            // SAFETY: the caller promised that the element lies inside.
            let x = unsafe { *rows[r].get_unchecked(offset) };
            for j in 0..N {
                sums[r][j] += x * b[j];
            }
        }
    }
    sums
}

/// Packs up to `N` columns of a strided matrix of `rows` rows, which begins at `b[0]`, row after
/// row, with zeros in the columns that are missing.
#[inline(always)]
pub(crate) fn pack<T: Real, const N: usize>(
    b: &[T],
    rows: usize,
    (row, column): (usize, usize),
    columns: usize,
    panel: &mut [T],
) {
    let (panel, _) = panel.as_chunks_mut::<N>();
    let panel = &mut panel[..rows];
    if column == 1 && columns == N {
        for (k, out) in panel.iter_mut().enumerate() {
            out.copy_from_slice(&b[k * row..][..N]);
        }
    } else if row == 1 && columns == N {
        let lines: [&[T]; N] = std::array::from_fn(|j| &b[j * column..][..rows]);
        // Some rows at a time, since lines of some lengths lie all in one set of the cache.
        for (chunk, out) in panel.chunks_mut(16).enumerate() {
            for (j, line) in lines.iter().enumerate() {
                for (out, x) in out.iter_mut().zip(&line[chunk * 16..]) {
                    out[j] = *x;
                }
            }
        }
    } else {
        for (k, out) in panel.iter_mut().enumerate() {
            let (there, missing) = out.split_at_mut(columns);
            for (j, out) in there.iter_mut().enumerate() {
                *out = b[k * row + j * column];
            }
            missing.fill(T::ZERO);
        }
    }
}
