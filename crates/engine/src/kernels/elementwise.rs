//! Kernels of arithmetic on operands that broadcast.

use syncarp_ir::DType;

use super::walk::{Walk, zip2, zip3};
use crate::kernel::{Arg, Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// What is flipped in elements of a dtype so that they compare as `i64`s: the highest bit of u64,
/// whose elements are held as the same bits, and nothing of others.
pub(super) fn order(dtype: DType) -> i64 {
    if dtype == DType::U64 { i64::MIN } else { 0 }
}

/// The walk over a node's result with `N` operands from the `first` on.
pub(super) fn walk<const N: usize>(spec: &Spec<'_>, first: usize) -> Result<Walk<N>, KernelError> {
    let operands = std::array::from_fn(|i| &spec.operands[first + i].dims[..]);
    Walk::broadcast(&spec.results[0].dims, operands)
}

/// Kernels of arithmetic on floats and, where a second function is given, on integers; a third is
/// for u64 where its bits do not behave as those of i64.
macro_rules! binary {
    ($(
        $name:ident = $op:literal, |$a:ident, $b:ident| $real:expr
            $(, int $int:expr $(, u64 $long:expr)?)?;
    )*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<2>(spec, 0)?;
                let dtype = spec.results[0].dtype;
                match Class::of(dtype) {
                    Class::Real => Ok(Prepared::new(move |io| {
                        zip2(&walk, io.real(0), io.real(1), io.out(0), |$a: T, $b: T| $real);
                    })),
                    $(
                        $(Class::Int if dtype == DType::U64 => Ok(Prepared::new(move |io| {
                            let f: fn(u64, u64) -> u64 = $long;
                            let f = |a: i64, b: i64| f(a as u64, b as u64) as i64;
                            zip2(&walk, io.int(0), io.int(1), io.out_int(0), f);
                        })),)?
                        Class::Int => Ok(Prepared::new(move |io| {
                            let f: fn(i64, i64) -> i64 = $int;
                            let f = |a, b| dtype.wrap(f(a, b));
                            zip2(&walk, io.int(0), io.int(1), io.out_int(0), f);
                        })),
                    )?
                    #[allow(unreachable_patterns)]
                    _ => Err(KernelError(format!("no kernel for {dtype}"))),
                }
            }
        }
    )*};
}

binary! {
    Add = "add", |a, b| a + b, int i64::wrapping_add;
    Sub = "sub", |a, b| a - b, int i64::wrapping_sub;
    Mul = "mul", |a, b| a * b, int i64::wrapping_mul;
    Div = "div", |a, b| a / b, int |a, b| if b == 0 { 0 } else { a.wrapping_div(b) },
        u64 |a, b| a.checked_div(b).unwrap_or(0);
    // A comparison with NaN fails and leaves b, which is right where b is the one that is NaN.
    Maximum = "maximum", |a, b| {
        let larger = if a > b { a } else { b };
        if a.is_nan() { a } else { larger }
    }, int i64::max, u64 u64::max;
    Minimum = "minimum", |a, b| {
        let smaller = if a < b { a } else { b };
        if a.is_nan() { a } else { smaller }
    }, int i64::min, u64 u64::min;
    Pow = "pow", |a, b| a.powf(b), int power, u64 |a, b| power_u64(a, b);
    Remainder = "remainder", |a, b| {
        let rest = a.rem(b);
        // What has the other sign is one b short.
        let short = (rest < T::ZERO) != (b < T::ZERO) && rest != T::ZERO;
        if short { rest + b } else { rest }
    }, int |a, b| {
        let rest = if b == 0 { 0 } else { a.wrapping_rem(b) };
        if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }
    }, u64 |a, b| a.checked_rem(b).unwrap_or(0);
    Fmod = "fmod", |a, b| a.rem(b),
        int |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) },
        u64 |a, b| a.checked_rem(b).unwrap_or(0);
    Atan2 = "atan2", |a, b| a.atan2(b);
    LeakyRelu = "leaky_relu", |x, slope| if x > T::ZERO { x } else { x * slope };
    Elu = "elu", |x, alpha| if x > T::ZERO { x } else { alpha * x.exp_m1() };
}

/// A power of integers that wraps; of a negative exponent rounded towards zero.
fn power(base: i64, exponent: i64) -> i64 {
    match (base, u64::try_from(exponent)) {
        (_, Ok(exponent)) => power_u64(base as u64, exponent) as i64,
        (1, Err(_)) => 1,
        (-1, Err(_)) => 1 - 2 * (exponent & 1),
        _ => 0,
    }
}

/// A power whose low 64 bits are those that it has with sign, too.
fn power_u64(base: u64, mut exponent: u64) -> u64 {
    let (mut square, mut power) = (base, 1u64);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        exponent >>= 1;
    }
    power
}

/// Gradients of activations with a parameter: x, the parameter, dy.
macro_rules! bent {
    ($($name:ident = $op:literal, |$x:ident, $p:ident, $dy:ident| $f:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<3>(spec, 0)?;
                Ok(Prepared::new(move |io| {
                    let f = |$x: T, $p: T, $dy: T| $f;
                    zip3(&walk, io.real(0), io.real(1), io.real(2), io.out(0), f);
                }))
            }
        }
    )*};
}

bent! {
    LeakyReluGrad = "leaky_relu_grad", |x, slope, dy| if x > T::ZERO { dy } else { dy * slope };
    EluGrad = "elu_grad", |x, alpha, dy| if x > T::ZERO { dy } else { dy * alpha * x.exp() };
}

/// Demands that an operand and a result have as many elements.
pub(crate) fn same_length(a: &Arg, b: &Arg) -> Result<(), KernelError> {
    if a.len() == b.len() {
        return Ok(());
    }
    let (a, b) = (&a.dims, &b.dims);
    Err(KernelError(format!(
        "dims {a:?} and {b:?} have different numbers of elements"
    )))
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Add>()?;
    registry.register::<Sub>()?;
    registry.register::<Mul>()?;
    registry.register::<Div>()?;
    registry.register::<Maximum>()?;
    registry.register::<Minimum>()?;
    registry.register::<Pow>()?;
    registry.register::<Remainder>()?;
    registry.register::<Fmod>()?;
    registry.register::<Atan2>()?;
    registry.register::<LeakyRelu>()?;
    registry.register::<Elu>()?;
    registry.register::<LeakyReluGrad>()?;
    registry.register::<EluGrad>()
}

/// What the tests of broadcasting kernels compare with.
#[cfg(test)]
pub(super) mod testing {
    use syncarp_ir::DType;

    use crate::kernel::Arg;

    pub fn arg(dtype: DType, dims: &[usize]) -> Arg {
        Arg {
            dtype,
            dims: dims.to_vec(),
        }
    }

    pub fn floats(n: usize, salt: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 37 + salt * 11) % 19) as f64 - 9.0)
            .collect()
    }

    /// The element of a broadcast tensor at a place in the result, by the definition.
    pub fn at<E: Copy>(tensor: &[E], dims: &[usize], result: &[usize], mut place: usize) -> E {
        let mut index = vec![0; result.len()];
        for d in (0..result.len()).rev() {
            index[d] = place % result[d];
            place /= result[d];
        }
        let index = &index[result.len() - dims.len()..];
        let flat = dims
            .iter()
            .zip(index)
            .fold(0, |f, (d, i)| f * d + if *d == 1 { 0 } else { *i });
        tensor[flat]
    }

    pub const SHAPES: &[(&[usize], &[usize], &[usize])] = &[
        (&[4, 5], &[4, 5], &[4, 5]),
        (&[4, 5], &[5], &[4, 5]),
        (&[4, 5], &[], &[4, 5]),
        (&[], &[4, 5], &[4, 5]),
        (&[4, 1], &[1, 5], &[4, 5]),
        (&[2, 3, 1, 5], &[3, 4, 1], &[2, 3, 4, 5]),
        (&[2, 3, 4, 5], &[1, 3, 1, 1], &[2, 3, 4, 5]),
        (&[2, 1, 2, 1, 2], &[1, 3, 1, 3, 1], &[2, 3, 2, 3, 2]),
        (&[0, 5], &[5], &[0, 5]),
        (&[3, 0], &[1], &[3, 0]),
        (&[], &[], &[]),
    ];
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::testing::{SHAPES, arg, at, floats};
    use super::*;
    use crate::kernel::{Buffer, run_once};

    #[test]
    fn arithmetic_broadcasts_by_the_definition() {
        for (a, b, y) in SHAPES {
            let (x, z) = (floats(a.iter().product(), 1), floats(b.iter().product(), 2));
            let attrs = Attrs::new();
            let operands = [arg(DType::F64, a), arg(DType::F64, b)];
            let results = [arg(DType::F64, y)];
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            let buffers = [Buffer::Real(x.clone()), Buffer::Real(z.clone())];
            let want = |f: &dyn Fn(f64, f64) -> f64| {
                let n: usize = y.iter().product();
                Buffer::Real(
                    (0..n)
                        .map(|i| f(at(&x, a, y, i), at(&z, b, y, i)))
                        .collect(),
                )
            };
            let got = run_once::<f64, Sub>(&spec, &buffers).unwrap();
            assert_eq!(got[0], want(&|a, b| a - b), "{a:?} {b:?}");
            let got = run_once::<f64, Maximum>(&spec, &buffers).unwrap();
            assert_eq!(got[0], want(&|a, b| a.max(b)), "{a:?} {b:?}");
            let got = run_once::<f64, Minimum>(&spec, &buffers).unwrap();
            assert_eq!(got[0], want(&|a, b| a.min(b)), "{a:?} {b:?}");
        }
    }

    fn pairs<K: Kernel>(a: &[f64], b: &[f64]) -> Vec<f64> {
        let attrs = Attrs::new();
        let operands = [arg(DType::F64, &[a.len()]), arg(DType::F64, &[b.len()])];
        let results = [arg(DType::F64, &[a.len()])];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let buffers = [Buffer::Real(a.to_vec()), Buffer::Real(b.to_vec())];
        run_once::<f64, K>(&spec, &buffers).unwrap()[0]
            .real()
            .unwrap()
            .to_vec()
    }

    #[test]
    fn not_a_number_wins_on_either_side() {
        let (a, b) = ([f64::NAN, 1.0, 2.0], [1.0, f64::NAN, 1.0]);
        for got in [pairs::<Maximum>(&a, &b), pairs::<Minimum>(&a, &b)] {
            assert!(got[0].is_nan() && got[1].is_nan() && !got[2].is_nan());
        }
    }

    fn whole<K: Kernel>(dtype: DType, a: i64, b: i64) -> i64 {
        let attrs = Attrs::new();
        let (operands, results) = ([arg(dtype, &[1]), arg(dtype, &[1])], [arg(dtype, &[1])]);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let got = run_once::<f32, K>(&spec, &[Buffer::Int(vec![a]), Buffer::Int(vec![b])]);
        match &got.unwrap()[0] {
            Buffer::Int(v) => v[0],
            other => panic!("not integers: {other:?}"),
        }
    }

    #[test]
    fn integers_wrap_and_never_stop_the_program() {
        assert_eq!(whole::<Add>(DType::U8, 250, 10), 4);
        assert_eq!(whole::<Mul>(DType::I8, 100, 2), -56);
        assert_eq!(
            whole::<Sub>(DType::I32, i64::from(i32::MIN), 1),
            i64::from(i32::MAX)
        );
        assert_eq!(whole::<Add>(DType::I64, i64::MAX, 1), i64::MIN);
        assert_eq!(whole::<Div>(DType::I64, -7, 2), -3);
        assert_eq!(whole::<Div>(DType::I64, 7, 0), 0);
        assert_eq!(whole::<Div>(DType::I64, i64::MIN, -1), i64::MIN);
        assert_eq!(whole::<Maximum>(DType::I64, -7, 2), 2);
        assert_eq!(whole::<Add>(DType::U16, 65_535, 2), 1);
        assert_eq!(whole::<Sub>(DType::U32, 0, 1), i64::from(u32::MAX));
        assert_eq!(whole::<Mul>(DType::I16, 300, 300), 24_464);
    }

    #[test]
    fn elements_of_u64_are_never_negative() {
        let largest = u64::MAX as i64;
        assert_eq!(whole::<Add>(DType::U64, largest, 1), 0);
        assert_eq!(whole::<Sub>(DType::U64, 0, 1), largest);
        assert_eq!(whole::<Div>(DType::U64, largest, 2), i64::MAX);
        assert_eq!(whole::<Div>(DType::U64, largest, 0), 0);
        assert_eq!(whole::<Maximum>(DType::U64, largest, 2), largest);
        assert_eq!(whole::<Minimum>(DType::U64, largest, 2), 2);
    }

    #[test]
    fn remainders_have_the_sign_that_they_should() {
        let (a, b) = (
            [7.5, -7.5, 7.5, -7.5, 6.0, -6.0],
            [2.0, 2.0, -2.0, -2.0, -2.0, 2.0],
        );
        assert_eq!(pairs::<Remainder>(&a, &b), [1.5, 0.5, -0.5, -1.5, 0.0, 0.0]);
        assert_eq!(pairs::<Fmod>(&a, &b), [1.5, -1.5, 1.5, -1.5, 0.0, 0.0]);
        assert!(pairs::<Remainder>(&[1.0], &[0.0])[0].is_nan());
        assert!(pairs::<Fmod>(&[f64::INFINITY], &[2.0])[0].is_nan());
        for (a, b, floor, trunc) in [
            (7, 3, 1, 1),
            (-7, 3, 2, -1),
            (7, -3, -2, 1),
            (-7, -3, -1, -1),
            (6, -3, 0, 0),
            (7, 0, 0, 0),
            (i64::MIN, -1, 0, 0),
        ] {
            assert_eq!(whole::<Remainder>(DType::I64, a, b), floor);
            assert_eq!(whole::<Fmod>(DType::I64, a, b), trunc);
        }
        assert_eq!(whole::<Remainder>(DType::U64, -1, 10), 5);
        assert_eq!(whole::<Fmod>(DType::U64, -1, 10), 5);
    }

    #[test]
    fn powers_of_integers_wrap_and_those_below_one_are_zero() {
        assert_eq!(whole::<Pow>(DType::I64, -3, 3), -27);
        assert_eq!(whole::<Pow>(DType::U8, 2, 9), 0);
        assert_eq!(whole::<Pow>(DType::I32, 2, 31), i64::from(i32::MIN));
        assert_eq!(whole::<Pow>(DType::I64, 0, 0), 1);
        assert_eq!(whole::<Pow>(DType::I64, 2, -1), 0);
        assert_eq!(whole::<Pow>(DType::I64, 1, i64::MIN), 1);
        assert_eq!(whole::<Pow>(DType::I64, -1, -3), -1);
        assert_eq!(whole::<Pow>(DType::I64, -1, i64::MIN), 1);
        // Three times its power with the largest exponent is the next power, which is one again.
        assert_eq!(whole::<Pow>(DType::U64, 3, -1).wrapping_mul(3), 1);
    }
}
