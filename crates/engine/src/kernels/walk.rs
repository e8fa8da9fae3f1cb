//! Walks over strided tensors, row by row: what broadcasting, moving and reducing kernels share.

use crate::kernel::KernelError;

/// How many dims a walk may have once those that follow on one another are joined.
const DEPTH: usize = 12;

/// The visit of all rows of a shape in row-major order, with the place of each row's first element
/// in `N` tensors.
#[derive(Clone, Debug)]
pub(crate) struct Walk<const N: usize> {
    /// The dims around a row, outermost first, each with its distances.
    outer: Vec<(usize, [isize; N])>,
    /// The number of elements in a row.
    pub inner: usize,
    /// The distances of neighbours in a row.
    pub steps: [isize; N],
    base: [isize; N],
    empty: bool,
}

impl<const N: usize> Walk<N> {
    /// A walk over `dims`; element (i, j, ...) of tensor t lies at
    /// `base[t] + i * strides[t][0] + j * strides[t][1] + ...`.
    ///
    /// # Errors
    /// Where too many dims cannot be joined.
    pub fn new(
        dims: &[usize],
        strides: [&[isize]; N],
        base: [isize; N],
    ) -> Result<Self, KernelError> {
        let mut joined: Vec<(usize, [isize; N])> = Vec::new();
        for (dim, size) in dims.iter().enumerate().filter(|(_, size)| **size != 1) {
            let here: [isize; N] = std::array::from_fn(|t| strides[t][dim]);
            match joined.last_mut() {
                Some((count, last)) if (0..N).all(|t| last[t] == here[t] * *size as isize) => {
                    *count *= *size;
                    *last = here;
                }
                _ => joined.push((*size, here)),
            }
        }
        let (inner, steps) = joined.pop().unwrap_or((1, [1; N]));
        if joined.len() > DEPTH {
            let message = format!("more than {DEPTH} dims that cannot be joined");
            return Err(KernelError(message));
        }
        let empty = dims.contains(&0);
        Ok(Walk {
            outer: joined,
            inner,
            steps,
            base,
            empty,
        })
    }

    /// A walk over `dims` with tensors of smaller dims broadcast to them.
    ///
    /// # Errors
    /// Where a tensor does not broadcast, or too many dims cannot be joined.
    pub fn broadcast(dims: &[usize], tensors: [&[usize]; N]) -> Result<Self, KernelError> {
        let mut strides: [Vec<isize>; N] = std::array::from_fn(|_| Vec::new());
        for (strides, tensor) in strides.iter_mut().zip(tensors) {
            *strides = broadcast_strides(tensor, dims)?;
        }
        Walk::new(dims, std::array::from_fn(|t| &strides[t][..]), [0; N])
    }

    /// The dims around a row, outermost first, each with its distances.
    pub fn outer(&self) -> &[(usize, [isize; N])] {
        &self.outer
    }

    /// Calls `visit` for every row with where it starts in each tensor.
    #[inline(always)]
    pub fn rows(&self, mut visit: impl FnMut([usize; N])) {
        if self.empty {
            return;
        }
        let mut at = self.base;
        let mut counters = [0usize; DEPTH];
        loop {
            visit(at.map(|a| a as usize));
            let mut depth = self.outer.len();
            loop {
                let Some(next) = depth.checked_sub(1) else {
                    return;
                };
                depth = next;
                let (size, strides) = &self.outer[depth];
                counters[depth] += 1;
                for (at, stride) in at.iter_mut().zip(strides) {
                    *at += stride;
                }
                if counters[depth] < *size {
                    break;
                }
                counters[depth] = 0;
                for (at, stride) in at.iter_mut().zip(strides) {
                    *at -= stride * *size as isize;
                }
            }
        }
    }
}

/// The distances of neighbours along each dim of a row-major tensor.
pub(crate) fn strides(dims: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; dims.len()];
    for dim in (1..dims.len()).rev() {
        strides[dim - 1] = strides[dim] * dims[dim] as isize;
    }
    strides
}

/// The distances in a tensor that is broadcast to `dims`: zero along those that repeat.
pub(crate) fn broadcast_strides(
    tensor: &[usize],
    dims: &[usize],
) -> Result<Vec<isize>, KernelError> {
    let wrong = || KernelError(format!("dims {tensor:?} do not broadcast to {dims:?}"));
    let missing = dims.len().checked_sub(tensor.len()).ok_or_else(wrong)?;
    let own = strides(tensor);
    let mut all = vec![0; dims.len()];
    for (dim, size) in tensor.iter().enumerate() {
        if *size == dims[missing + dim] {
            all[missing + dim] = own[dim];
        } else if *size != 1 {
            return Err(wrong());
        }
    }
    Ok(all)
}

/// Defines a generic function whose loops are compiled for the baseline processor and for one with
/// 256-bit vectors, and chosen where it runs. Multiplications and additions are never contracted,
/// so both give the same bits.
macro_rules! vectorised {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident[$($param:ident: $bound:tt $(+ $more:tt)*),*](
            $($arg:ident: $ty:ty),* $(,)?
        ) where [$f:ident: $($fn:tt)*] $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name<$($param: $bound $(+ $more)*,)* $f: $($fn)*>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<$($param: $bound $(+ $more)*,)* $f: $($fn)*>(
                $($arg: $ty),*
            ) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2<$($param: $bound $(+ $more)*,)* $f: $($fn)*>(
                    $($arg: $ty),*
                ) $(-> $ret)? {
                    body($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has just been found to have the feature.
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    };
}
pub(crate) use vectorised;

vectorised! {
    /// Writes `f` of every element.
    pub(crate) fn map[E: Copy, O: Copy](x: &[E], out: &mut [O], f: F)
    where [F: Fn(E) -> O + Copy] {
        for (out, x) in out.iter_mut().zip(x) {
            *out = f(*x);
        }
    }
}

vectorised! {
    /// Writes `f` of the elements of two tensors of one shape.
    pub(crate) fn pair[E: Copy, O: Copy](a: &[E], b: &[E], out: &mut [O], f: F)
    where [F: Fn(E, E) -> O + Copy] {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = f(*a, *b);
        }
    }
}

/// One row of two operands; a step of 0 repeats the operand's first element.
#[inline(always)]
fn row2<E: Copy, O, const A: usize, const B: usize>(
    a: &[E],
    b: &[E],
    out: &mut [O],
    f: impl Fn(E, E) -> O,
) {
    let n = out.len();
    let (a, b) = (
        &a[..if A == 0 { 1 } else { n }],
        &b[..if B == 0 { 1 } else { n }],
    );
    for (i, out) in out.iter_mut().enumerate() {
        *out = f(a[i * A], b[i * B]);
    }
}

vectorised! {
    /// Writes `f` of the elements of two tensors that broadcast.
    pub(crate) fn zip2[E: Copy, O: Copy](walk: &Walk<2>, a: &[E], b: &[E], out: &mut [O], f: F)
    where [F: Fn(E, E) -> O + Copy] {
        let mut rows = out.chunks_exact_mut(walk.inner.max(1));
        let steps = walk.steps;
        walk.rows(|[i, j]| {
            let (a, b) = (&a[i..], &b[j..]);
            let Some(out) = rows.next() else { return };
            match steps {
                [0, 0] => row2::<E, O, 0, 0>(a, b, out, f),
                [0, _] => row2::<E, O, 0, 1>(a, b, out, f),
                [_, 0] => row2::<E, O, 1, 0>(a, b, out, f),
                _ => row2::<E, O, 1, 1>(a, b, out, f),
            }
        });
    }
}

#[inline(always)]
fn row3<C: Copy, E: Copy, O, const A: usize, const B: usize, const D: usize>(
    c: &[C],
    a: &[E],
    b: &[E],
    out: &mut [O],
    f: impl Fn(C, E, E) -> O,
) {
    let n = out.len();
    let c = &c[..if A == 0 { 1 } else { n }];
    let (a, b) = (
        &a[..if B == 0 { 1 } else { n }],
        &b[..if D == 0 { 1 } else { n }],
    );
    for (i, out) in out.iter_mut().enumerate() {
        *out = f(c[i * A], a[i * B], b[i * D]);
    }
}

vectorised! {
    /// Writes `f` of the elements of three tensors that broadcast.
    pub(crate) fn zip3[C: Copy, E: Copy, O: Copy](
        walk: &Walk<3>,
        c: &[C],
        a: &[E],
        b: &[E],
        out: &mut [O],
        f: F,
    )
    where [F: Fn(C, E, E) -> O + Copy] {
        let mut rows = out.chunks_exact_mut(walk.inner.max(1));
        let steps = walk.steps;
        walk.rows(|[h, i, j]| {
            let (c, a, b) = (&c[h..], &a[i..], &b[j..]);
            let Some(out) = rows.next() else { return };
            match steps {
                [0, 0, 0] => row3::<C, E, O, 0, 0, 0>(c, a, b, out, f),
                [0, 0, _] => row3::<C, E, O, 0, 0, 1>(c, a, b, out, f),
                [0, _, 0] => row3::<C, E, O, 0, 1, 0>(c, a, b, out, f),
                [0, _, _] => row3::<C, E, O, 0, 1, 1>(c, a, b, out, f),
                [_, 0, 0] => row3::<C, E, O, 1, 0, 0>(c, a, b, out, f),
                [_, 0, _] => row3::<C, E, O, 1, 0, 1>(c, a, b, out, f),
                [_, _, 0] => row3::<C, E, O, 1, 1, 0>(c, a, b, out, f),
                _ => row3::<C, E, O, 1, 1, 1>(c, a, b, out, f),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(walk: &Walk<2>) -> Vec<[usize; 2]> {
        let mut all = Vec::new();
        walk.rows(|at| {
            for i in 0..walk.inner {
                all.push([0, 1].map(|t| (at[t] as isize + walk.steps[t] * i as isize) as usize));
            }
        });
        all
    }

    #[test]
    fn rows_come_in_order_with_their_places() {
        let walk = Walk::broadcast(&[2, 3, 4], [&[3, 1], &[2, 1, 4]]).unwrap();
        let mut want = Vec::new();
        for i in 0..2 {
            for j in 0..3 {
                for k in 0..4 {
                    want.push([j, i * 4 + k]);
                }
            }
        }
        assert_eq!(places(&walk), want);
    }

    #[test]
    fn dims_that_follow_on_one_another_are_joined() {
        let walk = Walk::broadcast(&[2, 1, 3, 4], [&[2, 1, 3, 4], &[]]).unwrap();
        assert_eq!((walk.inner, walk.outer.len()), (24, 0));
        let walk = Walk::broadcast(&[5, 3, 4], [&[5, 3, 4], &[3, 4]]).unwrap();
        assert_eq!((walk.inner, walk.outer.len()), (12, 1));
    }

    #[test]
    fn nothing_is_visited_where_nothing_is() {
        let walk = Walk::broadcast(&[2, 0, 3], [&[0, 3], &[1, 1, 3]]).unwrap();
        assert_eq!(places(&walk), Vec::<[usize; 2]>::new());
        let scalar = Walk::broadcast(&[], [&[], &[]]).unwrap();
        assert_eq!(places(&scalar), [[0, 0]]);
        assert!(Walk::broadcast(&[2, 3], [&[2], &[3]]).is_err());
    }
}
