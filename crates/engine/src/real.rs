//! The two float types that kernels are generic over.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A float that kernels compute in: `f32` to train, `f64` to check.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + Sum
    + 'static
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Negative infinity.
    const NEG_INFINITY: Self;
    /// Not a number.
    const NAN: Self;

    /// The nearest float of this type.
    fn from_f64(value: f64) -> Self;
    /// The same number in 64 bits.
    fn to_f64(self) -> f64;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Exponential.
    fn exp(self) -> Self;
    /// Exponential to within two units in the last place, in f32 without branches or calls, so that
    /// loops over it vectorise. Results below the least normal number may round to zero.
    fn exp_straight(self) -> Self;
    /// Exponential less one, exact near zero.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Logarithm of one more, exact near zero.
    fn ln_1p(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Hyperbolic tangent to within three units in the last place, in f32 without branches or
    /// calls, so that loops over it vectorise.
    fn tanh_straight(self) -> Self;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
    /// Tangent.
    fn tan(self) -> Self;
    /// The angle from -pi/2 to pi/2 of a sine.
    fn asin(self) -> Self;
    /// The angle from 0 to pi of a cosine.
    fn acos(self) -> Self;
    /// The angle from -pi/2 to pi/2 of a tangent.
    fn atan(self) -> Self;
    /// The angle of the point with this ordinate and that abscissa.
    fn atan2(self, abscissa: Self) -> Self;
    /// Hyperbolic sine.
    fn sinh(self) -> Self;
    /// Hyperbolic cosine.
    fn cosh(self) -> Self;
    /// The inverse of the hyperbolic sine.
    fn asinh(self) -> Self;
    /// The inverse of the hyperbolic cosine.
    fn acosh(self) -> Self;
    /// The inverse of the hyperbolic tangent.
    fn atanh(self) -> Self;
    /// What is left after taking off the divisor a whole number of times, with the sign of this.
    fn rem(self, divisor: Self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// The error function to within four units in the last place, in f32 without branches or calls,
    /// so that loops over it vectorise.
    fn erf_straight(self) -> Self;
    /// Power.
    fn powf(self, exponent: Self) -> Self;
    /// Magnitude.
    fn abs(self) -> Self;
    /// Largest integer not above.
    fn floor(self) -> Self;
    /// Smallest integer not below.
    fn ceil(self) -> Self;
    /// Nearest integer, halves to even.
    fn round(self) -> Self;
    /// The next integer towards zero.
    fn trunc(self) -> Self;
    /// Whether neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// Whether NaN.
    fn is_nan(self) -> bool;

    /// `c = a b`, or `c += a b`: an (m, k) by (k, n) product of strided matrices on one thread.
    /// The result depends on the sizes, the strides and the numbers, and on nothing else.
    ///
    /// # Panics
    /// If a matrix reaches past its slice.
    #[expect(clippy::too_many_arguments, reason = "a product has as many")]
    fn gemm(
        sizes: (usize, usize, usize),
        a: &[Self],
        a_strides: (usize, usize),
        b: &[Self],
        b_strides: (usize, usize),
        c: &mut [Self],
        c_strides: (usize, usize),
        accumulate: bool,
    );
}

/// The least length of a slice that holds a strided matrix.
fn reach(rows: usize, columns: usize, strides: (usize, usize)) -> usize {
    if rows == 0 || columns == 0 {
        return 0;
    }
    (rows - 1) * strides.0 + (columns - 1) * strides.1 + 1
}

/// The exponential after Cephes (Moshier, 1992): `2^n` times a polynomial on half an octave about
/// zero. Adding and taking off 1.5 times `2^23` rounds to the nearest integer without a call, and
/// leaves that integer in the low bits; `2^n` is two factors, since it may lie outside the range.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    // Comparisons that keep NaN as it is.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    p * power(half) * power(n.wrapping_sub(half))
}

/// The hyperbolic tangent after Cephes (Moshier, 1992): an odd polynomial near zero, elsewhere the
/// exponential; both are computed and one is chosen.
#[inline(always)]
fn tanh_f32(x: f32) -> f32 {
    let z = x * x;
    let p = -5.704_988_7e-3 * z + 2.063_909e-2;
    let p = p * z - 5.373_971_6e-2;
    let p = p * z + 1.333_144_2e-1;
    let p = p * z - 3.333_328e-1;
    let near = p * z * x + x;
    let magnitude = x.abs();
    let far = 1.0 - 2.0 / (exp_f32(magnitude + magnitude) + 1.0);
    if magnitude < 0.625 {
        near
    } else {
        far.copysign(x)
    }
}

/// The error function: near zero an odd polynomial, elsewhere one less the exponential of a
/// polynomial, both fitted for the least largest error; both are computed and one is chosen.
#[inline(always)]
fn erf_f32(x: f32) -> f32 {
    let magnitude = x.abs();
    let s = x * x;
    let p = -6.111_291_6e-4 * s + 5.016_228e-3;
    let p = p * s - 2.678_195_8e-2;
    let p = p * s + 1.128_223e-1;
    let p = p * s - 3.761_253_4e-1;
    let p = p * s + 1.283_791_5e-1;
    let near = p * x + x;
    // One from here on; the comparison keeps NaN as it is.
    let t = if magnitude > 4.0 { 4.0 } else { magnitude };
    let q = 1.982_207e-4 * t - 3.065_499_7e-3;
    let q = q * t + 2.231_524_9e-2;
    let q = q * t - 1.041_137_4e-1;
    let q = q * t - 6.369_76e-1;
    let q = q * t - 1.127_797_2;
    let q = q * t - 1.664_390_9e-4;
    let far = 1.0 - exp_f32(q);
    if magnitude < 0.9 {
        near
    } else {
        far.copysign(x)
    }
}

macro_rules! real {
    ($t:ty, $erf:path, $erf_straight:path, $exp:path, $tanh:path) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NEG_INFINITY: Self = <$t>::NEG_INFINITY;
            const NAN: Self = <$t>::NAN;

            fn from_f64(value: f64) -> Self {
                value as $t
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn exp_straight(self) -> Self {
                $exp(self)
            }
            fn exp_m1(self) -> Self {
                self.exp_m1()
            }
            fn ln(self) -> Self {
                self.ln()
            }
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            fn tanh(self) -> Self {
                self.tanh()
            }
            #[inline(always)]
            fn tanh_straight(self) -> Self {
                $tanh(self)
            }
            fn sin(self) -> Self {
                self.sin()
            }
            fn cos(self) -> Self {
                self.cos()
            }
            fn tan(self) -> Self {
                self.tan()
            }
            fn asin(self) -> Self {
                self.asin()
            }
            fn acos(self) -> Self {
                self.acos()
            }
            fn atan(self) -> Self {
                self.atan()
            }
            fn sinh(self) -> Self {
                self.sinh()
            }
            fn cosh(self) -> Self {
                self.cosh()
            }
            fn asinh(self) -> Self {
                self.asinh()
            }
            fn acosh(self) -> Self {
                self.acosh()
            }
            fn atanh(self) -> Self {
                self.atanh()
            }
            fn trunc(self) -> Self {
                self.trunc()
            }
            fn atan2(self, abscissa: Self) -> Self {
                self.atan2(abscissa)
            }
            fn rem(self, divisor: Self) -> Self {
                self % divisor
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            #[inline(always)]
            fn erf_straight(self) -> Self {
                $erf_straight(self)
            }
            fn powf(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            fn floor(self) -> Self {
                self.floor()
            }
            fn ceil(self) -> Self {
                self.ceil()
            }
            fn round(self) -> Self {
                self.round_ties_even()
            }
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }

            fn gemm(
                (m, k, n): (usize, usize, usize),
                a: &[Self],
                a_strides: (usize, usize),
                b: &[Self],
                b_strides: (usize, usize),
                c: &mut [Self],
                c_strides: (usize, usize),
                accumulate: bool,
            ) {
                assert!(a.len() >= reach(m, k, a_strides), "a is too short");
                assert!(b.len() >= reach(k, n, b_strides), "b is too short");
                assert!(c.len() >= reach(m, n, c_strides), "c is too short");
                // SAFETY: the asserts above keep every access inside its slice, and `c` is
                // borrowed mutably, so it overlaps neither `a` nor `b`.
                unsafe {
                    gemm::gemm(
                        m,
                        n,
                        k,
                        c.as_mut_ptr(),
                        c_strides.1 as isize,
                        c_strides.0 as isize,
                        accumulate,
                        a.as_ptr(),
                        a_strides.1 as isize,
                        a_strides.0 as isize,
                        b.as_ptr(),
                        b_strides.1 as isize,
                        b_strides.0 as isize,
                        1.0,
                        1.0,
                        false,
                        false,
                        false,
                        gemm::Parallelism::None,
                    );
                }
            }
        }
    };
}

real!(f32, libm::erff, erf_f32, exp_f32, tanh_f32);
real!(f64, libm::erf, libm::erf, f64::exp, f64::tanh);
