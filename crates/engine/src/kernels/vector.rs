//! Loops that several families share, and the macro that compiles a loop for wide vectors.

use crate::real::Real;

/// Defines a function whose loops are compiled twice, for the baseline processor and for one with
/// 256-bit vectors, and chosen where it runs. Multiplications and additions are never contracted,
/// so both give the same bits.
macro_rules! wide {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<T: Real $(, const $c:ident: usize)*>(
            $($arg:ident: $ty:ty),* $(,)?
        ) $(-> $ret:ty)? $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name<T: Real $(, const $c: usize)*>($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body<T: Real $(, const $c: usize)*>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                #[allow(clippy::too_many_arguments)]
                fn avx2<T: Real $(, const $c: usize)*>($($arg: $ty),*) $(-> $ret)? {
                    body::<T $(, $c)*>($($arg),*)
                }
                if std::arch::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has just been found to have the feature.
                    return unsafe { avx2::<T $(, $c)*>($($arg),*) };
                }
            }
            body::<T $(, $c)*>($($arg),*)
        }
    };
}
pub(crate) use wide;

/// How many partial sums a reduction keeps: two registers of f32, so that additions overlap.
const LANES: usize = 16;

/// The sum of the lanes, in halves, so that its order never depends on the processor.
#[inline(always)]
fn fold<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

wide! {
    /// The sum of some numbers.
    pub(crate) fn sum<T: Real>(x: &[T]) -> T {
        let mut lanes = [T::ZERO; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += *x;
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += *x;
        }
        fold(lanes)
    }
}

wide! {
    /// The sum of `a[i] (b[i] - center)`.
    pub(crate) fn centered_dot<T: Real>(a: &[T], b: &[T], center: T) -> T {
        let mut lanes = [T::ZERO; LANES];
        let (ac, bc) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let (ar, br) = (ac.remainder(), bc.remainder());
        for (a, b) in ac.zip(bc) {
            for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += *a * (*b - center);
            }
        }
        for ((lane, a), b) in lanes.iter_mut().zip(ar).zip(br) {
            *lane += *a * (*b - center);
        }
        fold(lanes)
    }
}

wide! {
    /// The sum of `(x[i] - center)^2`.
    pub(crate) fn centered_squares<T: Real>(x: &[T], center: T) -> T {
        let mut lanes = [T::ZERO; LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += (*x - center) * (*x - center);
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            *lane += (*x - center) * (*x - center);
        }
        fold(lanes)
    }
}

wide! {
    /// Writes `exp(x)`; every element to within two units in the last place.
    pub(crate) fn exp<T: Real>(x: &[T], out: &mut [T]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.exp_straight();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reductions_agree_with_plain_loops() {
        for n in [0usize, 1, 15, 16, 17, 100] {
            let a: Vec<f64> = (0..n).map(|i| (i * 7 % 11) as f64 - 4.0).collect();
            let b: Vec<f64> = (0..n).map(|i| (i * 5 % 13) as f64).collect();
            assert_eq!(sum(&a), a.iter().sum::<f64>());
            let dot: f64 = a.iter().zip(&b).map(|(a, b)| a * (b - 2.0)).sum();
            assert_eq!(centered_dot(&a, &b, 2.0), dot);
            let squares: f64 = a.iter().map(|a| (a - 1.0) * (a - 1.0)).sum();
            assert_eq!(centered_squares(&a, 1.0), squares);
        }
    }

    #[test]
    fn the_exponential_is_right_to_the_last_digits() {
        let x: Vec<f32> = (-2000..=1800).map(|i| i as f32 * 0.05).collect();
        let mut y = vec![0.0; x.len()];
        exp(&x, &mut y);
        for (x, y) in x.iter().zip(&y) {
            let right = f64::from(*x).exp();
            let error = (f64::from(*y) - right).abs();
            if right > f64::from(f32::MAX) {
                assert_eq!(*y, f32::INFINITY, "{x}");
            } else if right < f64::from(f32::MIN_POSITIVE) {
                assert!(error <= f64::from(f32::MIN_POSITIVE), "{x}: {y} {right}");
            } else {
                assert!(error <= right * 2.4e-7, "{x}: {y} {right}");
            }
        }
        let special = [0.0, -0.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN];
        let mut y = [7.0; 5];
        exp(&special, &mut y);
        assert_eq!(y[..4], [1.0, 1.0, 0.0, f32::INFINITY]);
        assert!(y[4].is_nan());
    }
}
